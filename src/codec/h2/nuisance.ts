// How much a peer may ask of us for nothing. Frames that make work and carry nothing (pings, settings, resets, empty or stray
// ones) take from an allowance; bytes and requests that were worth it give back, and so does time. A peer that has used it
// up is told to be calm, and cut off: rapid reset, ping and settings floods, storms of priorities, windows that grow by one
// byte all end here.

// What a frame costs its sender.
export const CHEAP = 1
export const DEAR = 8

/** Enough for a page of a hundred pictures that is left at once, several times over. */
const ALLOWANCE = 2000
/** What a second gives back. */
const PER_SECOND = 200

export class Nuisance {
  private left = ALLOWANCE
  private since = 0

  /** False: it was too much. */
  charge(cost: number): boolean {
    this.left -= cost
    return this.left >= 0 || this.refilled()
  }

  credit(worth: number): void {
    this.left = Math.min(ALLOWANCE, this.left + worth)
  }

  // The clock is looked at only when the allowance is used up.
  private refilled(): boolean {
    const now = performance.now()
    if (this.since === 0) this.since = now - 1000
    this.credit(Math.floor(((now - this.since) / 1000) * PER_SECOND))
    this.since = now
    return this.left >= 0
  }
}
