// How many workers an application is to have: as many as configured, more while requests wait and somebody has allowed it, and one
// more or less when a signal says so.

import type { AppSettings } from '../app.ts'

/** For so long a worker must have been one too many before the first goes; then another goes each second. */
const IDLE_MS = 10_000
/** Times the configured number of workers: the table all threads share has room for no more. */
const GROWTH_MAX = 4

export class Headcount {
  /** How many are to serve. */
  wanted: number
  private readonly settings: AppSettings
  /** Date.now() since when there has been a worker too many; 0: there is none. */
  private idleSince = 0

  constructor(settings: AppSettings) {
    this.settings = settings
    this.wanted = settings.workers
  }

  /** What resize() may come to. */
  get most(): number {
    return Math.max(this.settings.workers * GROWTH_MAX, this.settings.workersMax)
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
    if (this.idleSince === 0) this.idleSince = Date.now()
    if (Date.now() - this.idleSince < IDLE_MS) return false
    this.wanted--
    return true
  }

  /** False: there would be none left, or too many. */
  resize(by: 1 | -1): boolean {
    if (this.wanted + by < 1 || this.wanted + by > this.most) return false
    this.wanted += by
    return true
  }
}
