// What a master leaves to the one that replaces it (USR2): its listening sockets, as descriptors the new process starts with,
// named in an environment variable. nginx does the same with its own.

import { closeSync } from 'node:fs'
import { INHERITANCE } from './given-sockets.ts'
import type { GivenSockets } from './given-sockets.ts'
import { dup } from './libc.ts'

export interface Inheritance {
  /** Who left it. */
  readonly master: number
  /** Descriptors by the addresses' keys. */
  readonly sockets: ReadonlyMap<string, number>
  /** They belong to somebody else (a supervisor): the files of Unix sockets stay when this program ends. */
  readonly kept: boolean
}

/** The first descriptor that is not a standard stream. */
const FIRST = 3

/** Null: nobody was here before. */
export const inherited: Inheritance | null = take(process.env[INHERITANCE])
// Nothing it starts shall take itself for an heir.
delete process.env[INHERITANCE]

/** The variable's value for a process that gets descriptors FIRST, FIRST + 1… in the order of the keys. */
export function written(keys: readonly string[]): string {
  const given: GivenSockets = { master: process.pid, keys, kept: inherited?.kept ?? false }
  return JSON.stringify(given)
}

function take(text: string | undefined): Inheritance | null {
  if (text === undefined) return null
  const { master, keys, kept, descriptors } = JSON.parse(text) as GivenSockets
  return { master, kept, sockets: new Map(keys.map((key, i) => [key, own(descriptors?.[i] ?? FIRST + i)])) }
}

/** A copy that is not passed on to whatever is started here. */
function own(fd: number): number {
  const copy = dup(fd)
  closeSync(fd)
  return copy
}
