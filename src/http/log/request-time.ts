// How long a request has taken, to the microsecond: as Gunicorn's logs and StatsD have it, and nginx's do not. Its start is
// noted only where somebody will ask.

import { performance } from 'node:perf_hooks'
import { monotonic, unixMs } from '../../lib/clock.ts'
import { NEXT, Slot } from '../module.ts'
import type { HttpRequest } from '../request.ts'

/** Variables that tell it, without their `$`. */
const FINE: ReadonlySet<string> = new Set(['request_time_us', 'request_time_precise'])

const started = new Slot<number>()

export function tellsFineTime(variables: readonly string[]): boolean {
  return variables.some(name => FINE.has(name))
}

/** For the phase post-read. */
export function noteStart(r: HttpRequest): number {
  if (started.get(r) === null) started.set(r, monotonic())
  return NEXT
}

/** Whole milliseconds of one whose start was not noted: nobody has asked, or it was refused before. */
export function elapsedUs(r: HttpRequest): number {
  const start = started.get(r)
  const ms = start === null ? unixMs() - r.startMs : performance.now() - start
  return Math.max(Math.round(ms * 1000), 0)
}
