// worker_cpu_affinity: which processors each thread of the front runs on.

import { cpus } from 'node:os'
import { MAIN } from '../config/directive.ts'
import type { Directive, Site } from '../config/directive.ts'
import { CPU_SETSIZE } from '../process/limits.ts'

export interface CpuAffinity {
  /** One processor of the only mask for each thread in turn; else a mask for each thread, and the last for those beyond. */
  readonly auto: boolean
  /** Numbers of processors. */
  readonly masks: readonly (readonly number[])[]
}

export const cpuAffinity: Directive<CpuAffinity | null> = {
  in: MAIN,
  args: [1, Infinity],
  default: null,
  parse(words, at) {
    const auto = words[0] === 'auto'
    if (!auto) return { auto, masks: words.map(word => readMask(word, at)) }
    if (words.length > 2) at.fail('invalid number of arguments in "worker_cpu_affinity" directive')
    return { auto, masks: [words.length === 1 ? cpus().map((_, i) => i) : readMask(words[1]!, at)] }
  },
}

/** The last digit is the first processor's. */
function readMask(word: string, at: Site): readonly number[] {
  if (word.length > CPU_SETSIZE) at.fail(`"worker_cpu_affinity" supports up to ${CPU_SETSIZE} CPUs only`)
  const digits = word.replaceAll(' ', '')
  const wrong = /[^01](?=[01]*$)/.exec(digits)
  if (wrong !== null) at.fail(`invalid character "${wrong[0]}" in "worker_cpu_affinity"`)
  return digits
    .split('')
    .toReversed()
    .flatMap((digit, cpu) => (digit === '1' ? cpu : []))
}

/** Null: wherever the kernel likes. */
export function cpusFor(affinity: CpuAffinity | null, thread: number): readonly number[] | null {
  if (affinity === null) return null
  const { auto, masks } = affinity
  if (!auto) return masks[Math.min(thread, masks.length - 1)]!
  const [mask = []] = masks
  return mask.length === 0 ? null : [mask[thread % mask.length]!]
}

/** What is odd about it; '': nothing. */
export function affinityProblem(affinity: CpuAffinity | null, threads: number): string {
  if (affinity === null || affinity.auto || affinity.masks.length === 1 || affinity.masks.length === threads) return ''
  return (
    'the number of "worker_processes" is not equal to the number of "worker_cpu_affinity" masks, ' +
    'using last mask for remaining worker processes'
  )
}
