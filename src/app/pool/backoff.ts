// How long to wait before something that keeps failing is tried again: 1, 2, 4 … 30 seconds, or as it is told. A few failures
// are free, so that a single accident is repaired at once.

export const DELAY_FIRST_MS = 1000
export const DELAY_MAX_MS = 30_000

export class Backoff {
  failures = 0
  private readonly free: number
  private readonly first: number
  private readonly max: number

  constructor(free: number, first = DELAY_FIRST_MS, max = DELAY_MAX_MS) {
    this.free = free
    this.first = first
    this.max = max
  }

  /** Counts a failure. @returns ms to wait before the next try */
  fail(): number {
    this.failures++
    return this.delay()
  }

  delay(): number {
    if (this.failures <= this.free) return 0
    return Math.min(this.first * 2 ** Math.min(this.failures - this.free - 1, 10), this.max)
  }

  succeed(): void {
    this.failures = 0
  }
}
