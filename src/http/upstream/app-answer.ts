// What became of a request at an application: the raw material of $app_queue_time, $app_time and their relatives, of the
// Server-Timing field, and of those of $upstream_* that have a meaning where no upstream was asked.

import type { CacheLookup } from '../cache/lookup.ts'
import { Slot } from '../module.ts'

export interface AppAnswer {
  readonly appName: string
  /** Pid of the worker it was given to, 0 for none. */
  readonly worker: number
  /** The status it answered with, 0 for none. */
  readonly appStatus: number
  /** The status line, then names and values in turn; empty where it has not answered, or an upstream's fields are its. */
  readonly appFields: readonly string[]
  /** What the cache had to do with it; null: nothing. */
  readonly cache: CacheLookup | null
  /** ms it waited for a worker. */
  readonly waitedMs: number
  /** ms until the worker had answered with a head; -1 while it has not. */
  readonly headMs: number
  /** ms the worker had it, until now if it still has it; -1 when none had. */
  readonly appMs: number
}

/** Of the request's last application. */
export const appAnswer = new Slot<AppAnswer>()
