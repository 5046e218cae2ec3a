// How many connections all threads together have, and in which state they are: what stub_status shows. Every thread adds
// to the same words of shared memory.

/** Key and size of the memory, for HttpSetup.sharedMemory. */
export const COUNTS_KEY = 'connection counts'
export const COUNTS_BYTES = 64

// States: what a connection does now.
export const READING = 0
export const WRITING = 1
export const WAITING = 2
export const GONE = 3

const ACTIVE = 3
// Totals never fall and outgrow 32 bits: a low word, and a high one that counts how often the low one was full.
const ACCEPTED = 4
const REQUESTS = 6

let words: Int32Array = new Int32Array(COUNTS_BYTES / 4)

/** From now on this thread's connections are counted there. Called before it accepts any. */
export function useConnectionCounts(memory: SharedArrayBuffer): void {
  words = new Int32Array(memory)
}

/** A connection was accepted. */
export function countAccepted(): void {
  Atomics.add(words, ACTIVE, 1)
  increase(ACCEPTED)
}

export function countRequest(): void {
  increase(REQUESTS)
}

/** A connection does something else now. */
export function countMove(from: number, to: number): void {
  if (from === to) return
  if (from !== GONE) Atomics.sub(words, from, 1)
  if (to !== GONE) Atomics.add(words, to, 1)
}

export function countClosed(): void {
  Atomics.sub(words, ACTIVE, 1)
}

function increase(total: number): void {
  if (Atomics.add(words, total, 1) === -1) Atomics.add(words, total + 1, 1)
}

export function inState(state: number): number {
  return Math.max(0, Atomics.load(words, state))
}

export function activeConnections(): number {
  return Math.max(0, Atomics.load(words, ACTIVE))
}

export function acceptedConnections(): number {
  return totalOf(ACCEPTED)
}

export function requestsBegun(): number {
  return totalOf(REQUESTS)
}

function totalOf(total: number): number {
  return Atomics.load(words, total + 1) * 2 ** 32 + (Atomics.load(words, total) >>> 0)
}
