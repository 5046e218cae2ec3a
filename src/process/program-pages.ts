// The pages of Node's own program file that a process has in memory. Of its 140 MB a start maps some 55, mostly what lies near to
// what it uses; while requests are served a quarter of that is in use. What is let go comes back page by page, from the
// kernel's cache of the file, when it is wanted.

import { readFileSync } from 'node:fs'
import { dropPages } from './libc.ts'

interface Mapping {
  readonly from: bigint
  readonly to: bigint
}

/** Null: not asked yet. The program stays where it is for as long as the process lives. */
let mappings: readonly Mapping[] | null = null

/** Lets go of them; on other systems than Linux nothing happens. */
export function dropProgramPages(): void {
  mappings ??= programMappings()
  for (const { from, to } of mappings) dropPages(from, to)
}

function programMappings(): Mapping[] {
  try {
    return cleanMappings(readFileSync('/proc/self/smaps', 'latin1'))
  } catch {
    return []
  }
}

/**
 * Of a process's mappings those of its program that can only be read and of which no page has been written: code and constants,
 * but not the data that was relocated. V8 maps the program once more elsewhere; that is its own affair.
 *
 * @param smaps as /proc/PID/smaps has it: the program comes first, one mapping behind the other
 */
export function cleanMappings(smaps: string): Mapping[] {
  const found: Mapping[] = []
  let inode = ''
  let last: Mapping | null = null
  for (const line of smaps.split('\n')) {
    const start = /^([0-9a-f]+)-([0-9a-f]+) (\S{4}) \S+ (\S+ \d+)/.exec(line)
    if (start !== null) {
      const [, from, to, rights, file] = start
      if (inode === '') inode = file!
      else if (file !== inode) break
      last = rights === 'r-xp' || rights === 'r--p' ? { from: BigInt(`0x${from}`), to: BigInt(`0x${to}`) } : null
    } else if (last !== null && /^Anonymous: +0 kB/.test(line)) {
      found.push(last)
      last = null
    }
  }
  return found
}
