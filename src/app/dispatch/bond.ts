// What binds a call to one worker among those that serve many requests at a time (`sticky`). Workers are told apart by their places
// (app/pool/roster.ts), which those that take over from them have.

import { crc32 } from 'node:zlib'

/** A place where the call is at home, or a text by which it finds one. */
export interface Bond {
  /** -1: the text says. */
  readonly place: number
  readonly key: string
}

/** Of a client that comes for the first time, and will be bound to the worker it gets. */
export const NEWCOMER: Bond = { place: -1, key: '' }

/**
 * How well a worker suits, less than 0: not at all. By a text each place has a number of its own, and the highest wins: where
 * a worker comes or goes, only its own calls move (rendezvous hashing, Thaler and Ravishankar 1998).
 */
export function fitness(bond: Bond, place: number): number {
  if (bond.place >= 0) return bond.place === place ? 0 : -1
  return crc32(Buffer.from(`${place} ${bond.key}`, 'latin1'))
}
