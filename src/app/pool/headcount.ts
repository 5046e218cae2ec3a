// How many workers an application is to have: as many as configured, more while requests wait and somebody has allowed it, and one
// more or less when a signal says so.

import { type AppSettings, SPARE_WORKERS } from '../app.ts'

/** For so long a worker must have been one too many before the first goes; then another goes each second. */
const IDLE_MS = 10_000
/** Times the configured number of workers, or so many more: the table all threads share has room for no more. */
const GROWTH_MAX = 4

export class Headcount {
  /** How many are to serve. */
  wanted: number
  private readonly settings: AppSettings
  /** performance.now() since when there has been a worker too many; 0: there is none. */
  private idleSince = 0

  constructor(settings: AppSettings) {
    this.settings = settings
    this.wanted = settings.workers
  }

  /** What resize() may come to. */
  get most(): number {
    const { workers, workersMax } = this.settings
    return Math.max(workers * GROWTH_MAX, workers + SPARE_WORKERS, workersMax)
  }

  /** Requests wait. @param onItsWay a worker starts already, and is waited for first. @returns is there to be one more? */
  grow(onItsWay: boolean): boolean {
    this.idleSince = 0
    if (this.wanted >= this.settings.workersMax || onItsWay) return false
    this.wanted++
    return true
  }

  /** Told every second whether a worker had nothing to do. @returns is there to be one fewer? */
  shrink(isIdle: boolean): boolean {
    if (!isIdle || this.wanted <= this.settings.workers) {
      this.idleSince = 0
      return false
    }
    if (this.idleSince === 0) this.idleSince = performance.now()
    if (performance.now() - this.idleSince < IDLE_MS) return false
    this.wanted--
    return true
  }

  /** As far as it may go: never to none, nor to too many. False: that is nowhere. */
  resize(by: number): boolean {
    const before = this.wanted
    this.wanted = Math.min(Math.max(before + by, 1), Math.max(before, this.most))
    return this.wanted !== before
  }
}
