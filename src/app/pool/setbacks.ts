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
  /** Deaths at once, before they served and after. */
  private readonly deaths = new Backoff(FREE_DEATHS)
  private readonly crashes = new Backoff(FREE_DEATHS, CRASH_FIRST_MS, CRASH_MAX_MS)
  /** When a worker could not load the application, the last time that was counted. */
  private failedMs = 0

  /** ms until there may be another worker. */
  get pause(): number {
    return Math.max(this.deaths.delay(), this.crashes.delay(), this.boots.delay())
  }

  /** One death more would do no better. */
  get isMortal(): boolean {
    return this.deaths.failures > FREE_DEATHS
  }

  serves(): void {
    this.loads.succeed()
    this.boots.succeed()
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

  died({ startedMs, paths }: PoolWorker, expected: boolean): void {
    if (!isShort(startedMs)) {
      this.deaths.succeed()
      this.crashes.succeed()
    } else if (!expected) (paths.length > 0 ? this.crashes : this.deaths).fail()
  }

  /** The process that forks the workers: one that had worked for a while is replaced at once, requests wait for its workers. */
  forkerDied(startedMs: number): void {
    if (isShort(startedMs)) this.loads.fail()
    else this.loads.succeed()
  }
}

function isShort(startedMs: number): boolean {
  return performance.now() - startedMs <= SHORT_LIFE_MS
}
