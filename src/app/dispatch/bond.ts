// What binds a call to one worker among those that serve many requests at a time (`sticky`). Workers are told apart by their places
// (app/pool/roster.ts), which those that take over from them have.

/** A place where the call is at home, or the hash of a text by which it finds one. */
export interface Bond {
  /** -1: the hash says. */
  readonly place: number
  /** 32 bits. */
  readonly hash: number
}

/** Of a client that comes for the first time, and will be bound to the worker it gets. */
export const NEWCOMER: Bond = { place: -1, hash: 0 }

/**
 * How well a worker suits, less than 0: not at all. By a hash each place has a number of its own, and the highest wins: where
 * a worker comes or goes, only its own calls move (rendezvous hashing, Thaler and Ravishankar 1998).
 */
export function fitness(bond: Bond, place: number): number {
  if (bond.place >= 0) return bond.place === place ? 0 : -1
  return mixed(bond.hash + Math.imul(place + 1, GOLDEN))
}

const GOLDEN = 0x9e3779b1

/** The end of MurmurHash3: numbers of neighbouring places must have nothing to do with each other, or some win too often. */
function mixed(number: number): number {
  let h = number | 0
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
