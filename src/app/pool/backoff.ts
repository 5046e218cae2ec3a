// How long to wait before something that keeps failing is tried again: 1, 2, 4 … 30 seconds. A few failures are free, so
// that a single accident is repaired at once.

export const DELAY_FIRST_MS = 1000
export const DELAY_MAX_MS = 30_000

export class Backoff {
  failures = 0
  private readonly free: number

  constructor(free: number) {
    this.free = free
  }

  /** Counts a failure. @returns ms to wait before the next try */
  fail(): number {
    this.failures++
    return this.delay()
  }

  delay(): number {
    if (this.failures <= this.free) return 0
    return Math.min(DELAY_FIRST_MS * 2 ** Math.min(this.failures - this.free - 1, 10), DELAY_MAX_MS)
  }

  succeed(): void {
    this.failures = 0
  }
}
