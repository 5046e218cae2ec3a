// What a master leaves to the one that replaces it (USR2): its listening sockets, as descriptors the new process starts with,
// named in an environment variable. nginx does the same with its own.

import { closeSync } from 'node:fs'
import { dup } from './libc.ts'

export interface Inheritance {
  /** Who left it. */
  readonly master: number
  /** Descriptors by the addresses' keys. */
  readonly sockets: ReadonlyMap<string, number>
}

export const INHERITANCE = 'PORTICO_SOCKETS'

/** The first descriptor that is not a standard stream. */
const FIRST = 3

/** Null: nobody was here before. */
export const inherited: Inheritance | null = take(process.env[INHERITANCE])
// Nothing it starts shall take itself for an heir.
delete process.env[INHERITANCE]

/** The variable's value for a process that gets descriptors FIRST, FIRST + 1… in the order of the keys. */
export function written(keys: readonly string[]): string {
  return JSON.stringify({ master: process.pid, keys })
}

function take(text: string | undefined): Inheritance | null {
  if (text === undefined) return null
  const { master, keys } = JSON.parse(text) as { master: number; keys: string[] }
  return { master, sockets: new Map(keys.map((key, i) => [key, own(FIRST + i)])) }
}

/** A copy that is not passed on to whatever is started here. */
function own(fd: number): number {
  const copy = dup(fd)
  closeSync(fd)
  return copy
}
