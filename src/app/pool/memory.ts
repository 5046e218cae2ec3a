// How much memory a worker has, as the kernel counts it.

import { readFileSync } from 'node:fs'

/**
 * Bytes of memory that a process alone has written. What it shares with the zygote that forked it is not its own: it would not
 * come back with the worker's end. 0: not known.
 */
export function ownMemory(pid: number): number {
  return sum(pid, ['Private_Dirty', 'Private_Clean', 'Swap'])
}

/** Bytes of memory that a process has, of what it shares with others its part (PSS): those of several can be added up. 0: not
 *  known. */
export function sharedMemory(pid: number): number {
  return sum(pid, ['Pss'])
}

function sum(pid: number, names: readonly string[]): number {
  try {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'latin1')
    return 1024 * names.reduce((all, name) => all + kilobytes(text, name), 0)
  } catch {
    return 0
  }
}

function kilobytes(text: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0)
}
