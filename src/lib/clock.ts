// The time, read once for what happens at once. What follows from one read of a socket (a moment) takes microseconds and would
// ask a dozen times; the first who asks reads the clock, the others get the same answer. Outside of moments every answer is a
// reading of its own, so that nobody who waited, slept or came by another way is told an old time.

import { performance } from 'node:perf_hooks'

/** While a moment lasts: its time, 0 until somebody asks. Outside: -1. Then the same of the time of day. An element of a typed
 *  array is a number without an object around it. */
const moment = new Float64Array([-1, 0])

/** performance.now() until which `second` is true. */
let secondUntil = 0
let second = 0

/** The system's clock may be set at any time: so long it is believed, in ms. */
const BELIEVED = 100

export function beginMoment(): void {
  moment[0] = 0
  moment[1] = 0
}

/** What comes next may come much later. */
export function endMoment(): void {
  moment[0] = -1
}

/** performance.now(), or when the moment's first asker read it. */
export function monotonic(): number {
  const known = moment[0]!
  if (known > 0) return known
  const now = performance.now()
  if (known === 0) moment[0] = now
  return now
}

/** Milliseconds since 1970. What begins and ends within a moment takes none, as within a turn of nginx's loop. */
export function unixMs(): number {
  if (moment[0] === -1) return Date.now()
  const known = moment[1]!
  if (known > 0) return known
  const now = Date.now()
  moment[1] = now
  return now
}

/** Whole seconds since 1970. */
export function unixSeconds(): number {
  if (moment[0] === -1) return Math.floor(Date.now() / 1000)
  const now = monotonic()
  if (now >= secondUntil) {
    const ms = Date.now()
    second = Math.floor(ms / 1000)
    secondUntil = now + Math.min(BELIEVED, 1000 - (ms % 1000))
  }
  return second
}
