// What went wrong with an application's processes lately, and how long the next try has to wait for it.

import { Backoff } from './backoff.ts'
import type { PoolWorker } from './roster.ts'

/** A process that lives less than this has died "at once". */
const SHORT_LIFE_MS = 1000
/** Deaths at once that are made good without delay. */
const FREE_DEATHS = 2
/**
 * The pauses after more of them, where the worker had come to serve: a request may have killed it, and whoever sends that again
 * and again must not leave the others without workers. The pause is for one that dies by itself.
 */
const CRASH_FIRST_MS = 50
const CRASH_MAX_MS = 800

export class Setbacks {
  /** Loads of the application that failed in the process that forks its workers. */
  readonly loads = new Backoff(0)
  /** In workers. */
  private readonly boots = new Backoff(0)
  /** Deaths before they served, and at once after. */
  private readonly deaths = new Backoff(FREE_DEATHS)
  private readonly crashes = new Backoff(FREE_DEATHS, CRASH_FIRST_MS, CRASH_MAX_MS)
  /** The same of the process that forks them. */
  private readonly falls = new Backoff(FREE_DEATHS)
  private readonly losses = new Backoff(FREE_DEATHS, CRASH_FIRST_MS, CRASH_MAX_MS)
  /** When a worker could not load the application, or died before it had, the last time that was counted. */
  private failedMs = 0
  private diedMs = 0
  private hasServed = false

  /** ms until there may be another worker. */
  get pause(): number {
    return Math.max(this.deaths.delay(), this.crashes.delay(), this.boots.delay())
  }

  /** ms until the process that forks them may be started again. */
  get loadPause(): number {
    return Math.max(this.loads.delay(), this.losses.delay())
  }

  /** One death more would do no better. */
  get isMortal(): boolean {
    return this.deaths.failures > FREE_DEATHS
  }

  serves(): void {
    this.hasServed = true
    this.loads.succeed()
    this.boots.succeed()
    this.deaths.succeed()
    this.falls.succeed()
  }

  /** @returns ms until the next try */
  bootFailed(): number {
    return this.boots.fail()
  }

  /** Once for all that were started together. What cannot be loaded now cannot be loaded a moment later either. */
  notLoaded({ startedMs }: PoolWorker): void {
    if (startedMs < this.failedMs) return
    this.boots.fail()
    this.failedMs = performance.now()
  }

  notForked(): void {
    this.deaths.fail()
  }

  died(worker: PoolWorker, expected: boolean): void {
    const { startedMs, paths } = worker
    if (paths.length === 0) {
      if (!expected) this.diedLoading(worker)
    } else if (!isShort(startedMs)) {
      this.deaths.succeed()
      this.crashes.succeed()
    } else if (!expected) this.crashes.fail()
  }

  /** Counted once for all that were started together, as above: they may have been killed together, too. */
  private diedLoading({ startedMs }: PoolWorker): void {
    if (startedMs < this.diedMs) return
    this.deaths.fail()
    this.diedMs = performance.now()
  }

  /**
   * The process that forks the workers, when it had loaded what it had to. Requests wait for its workers: one that had worked for a
   * while is replaced at once.
   * @param served any of its workers
   */
  forkerDied(startedMs: number, served: boolean): void {
    if (!isShort(startedMs)) {
      this.loads.succeed()
      this.losses.succeed()
    } else if (served) this.losses.fail()
    else if (!this.forkerFell()) this.loads.fail()
  }

  /**
   * It died, and could not say why. Where the application has been loaded before, that may have been an accident: it is tried
   * again at once, and requests go on waiting.
   * @returns whether it may have been one
   */
  forkerFell(): boolean {
    return this.falls.fail() === 0 && this.hasServed
  }
}

function isShort(startedMs: number): boolean {
  return performance.now() - startedMs <= SHORT_LIFE_MS
}
