// A lock for threads in one word of shared memory. What it guards takes microseconds: a thread that finds it taken tries
// on for a moment and only then sleeps in the kernel.

const FREE = 0
const TAKEN = 1
/** Taken, and somebody sleeps until it is free. */
const AWAITED = 2

const TRIES = 100
/** A thread that was ended while it held the lock will never give it back. */
const PATIENCE_MS = 1000

/** Takes the lock. @returns false: it was taken from a thread that must be dead, so that what it guards may be torn */
export function lock(words: Int32Array<SharedArrayBuffer>, at: number): boolean {
  for (let i = 0; i < TRIES; i++) {
    if (Atomics.compareExchange(words, at, FREE, TAKEN) === FREE) return true
  }
  const deadline = performance.now() + PATIENCE_MS
  while (Atomics.exchange(words, at, AWAITED) !== FREE) {
    Atomics.wait(words, at, AWAITED, PATIENCE_MS)
    if (performance.now() >= deadline) {
      Atomics.store(words, at, AWAITED)
      return false
    }
  }
  return true
}

export function unlock(words: Int32Array<SharedArrayBuffer>, at: number): void {
  if (Atomics.exchange(words, at, FREE) === AWAITED) Atomics.notify(words, at, 1)
}
