// How much memory a worker has, as the kernel counts it.

import { readFileSync } from 'node:fs'

/**
 * Bytes of memory that a process alone has written. What it shares with the zygote that forked it is not its own: it would not
 * come back with the worker's end. 0: not known.
 */
export function ownMemory(pid: number): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')
    return 1024 * (kilobytes(text, 'Private_Dirty') + kilobytes(text, 'Private_Clean') + kilobytes(text, 'Swap'))
  } catch {
    return 0
  }
}

function kilobytes(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0)
}
