// How long a response may be used, as its own fields say (ngx_http_upstream_process_cache_control and its relatives;
// RFC 9111, 5.2.2; RFC 5861 for the two that begin with `stale`). Pure: fields in, numbers out.

import { NO_DATE, parseHttpDate } from '../../lib/http-date.ts'
import {
  IGNORE_ACCEL_EXPIRES,
  IGNORE_CACHE_CONTROL,
  IGNORE_EXPIRES,
  IGNORE_SET_COOKIE,
  IGNORE_VARY,
} from '../upstream/settings.ts'

/** Longer lists than this are not worth a look at every request. */
const VARY_MAX = 128

export class Freshness {
  /** May it be kept at all? */
  cacheable = true
  /** Seconds since 1970 up to which it is fresh; 0: it does not say. */
  validSec = 0
  /** Seconds behind that in which it may still be used: while another one is fetched, and when none can be had. */
  updatingSec = 0
  errorSec = 0
  /** Names of the request's fields it depends on, '' for none. */
  vary = ''
  // What may still be outdone by a later field.
  forbidden = false
  expired = false
}

/** @param names in lower case; @param ignored bits of proxy_ignore_headers; @param now seconds since 1970 */
export function freshnessOf(
  names: readonly string[],
  values: readonly string[],
  ignored: number,
  now: number,
): Freshness {
  const found = new Freshness()
  // Of these two only the first is heard.
  let hasExpires = false
  let hasAccel = false
  for (let i = 0; i < names.length; i++) {
    const value = values[i]!
    switch (names[i]) {
      case 'set-cookie':
        if ((ignored & IGNORE_SET_COOKIE) === 0) found.cacheable = false
        break
      case 'vary':
        if ((ignored & IGNORE_VARY) === 0) addVary(found, value)
        break
      case 'expires':
        if (!hasExpires && (ignored & IGNORE_EXPIRES) === 0) readExpires(found, value, now)
        hasExpires = true
        break
      case 'x-accel-expires':
        if (!hasAccel && (ignored & IGNORE_ACCEL_EXPIRES) === 0) readAccelExpires(found, value, now)
        hasAccel = true
        break
      case 'cache-control':
        if ((ignored & IGNORE_CACHE_CONTROL) !== 0) break
        // As nginx has it: what X-Accel-Expires is there for, even in vain, is not for Cache-Control to say again.
        readCacheControl(found, value.toLowerCase(), now, hasAccel && found.validSec !== 0)
    }
  }
  if (found.forbidden || found.expired) found.cacheable = false
  return found
}

function readExpires(found: Freshness, value: string, now: number): void {
  if (found.validSec !== 0) return
  const date = parseHttpDate(value)
  if (date === NO_DATE || date < now) found.expired = true
  else found.validSec = date
}

/** `SECONDS`, or `@` and a time; the time 0 is none, but clears the way for what else says how long. */
function readAccelExpires(found: Freshness, value: string, now: number): void {
  const digits = /^(@?)(\d{1,15})$/.exec(value)
  if (digits === null) return
  const number = Number(digits[2])
  if (digits[1] === '' && number === 0) {
    found.cacheable = false
    return
  }
  found.validSec = digits[1] === '' ? now + number : number
  found.forbidden = found.expired = false
}

const FORBIDDEN = /no-cache|no-store|private/

/** @param outdone how long is said already */
function readCacheControl(found: Freshness, value: string, now: number, outdone: boolean): void {
  if (!outdone) {
    if (FORBIDDEN.test(value)) {
      found.forbidden = true
      return
    }
    const shared = secondsOf(value, 's-maxage=')
    const age = shared === ABSENT ? secondsOf(value, 'max-age=') : shared
    if (Number.isNaN(age)) {
      found.cacheable = false
      return
    }
    if (age === 0) {
      found.forbidden = true
      return
    }
    if (age !== ABSENT) {
      found.validSec = now + age
      found.expired = false
    }
  }
  const revalidate = secondsOf(value, 'stale-while-revalidate=')
  if (revalidate >= 0) found.updatingSec = found.errorSec = revalidate
  const error = Number.isNaN(revalidate) ? ABSENT : secondsOf(value, 'stale-if-error=')
  if (error >= 0) found.errorSec = error
  if (Number.isNaN(revalidate) || Number.isNaN(error)) found.cacheable = false
}

const ABSENT = -1

/** The number behind a name, NaN if it is none. */
function secondsOf(value: string, name: string): number {
  const at = value.indexOf(name)
  if (at === -1) return ABSENT
  const text = /^[^,; ]*/.exec(value.slice(at + name.length))![0]
  return /^\d*$/.test(text) ? Number(text) : NaN
}

function addVary(found: Freshness, value: string): void {
  const all = found.vary === '' ? value : `${found.vary}, ${value}`
  if (value.split(/[ ,]+/).includes('*') || all.length > VARY_MAX) found.cacheable = false
  else if (/[^ ,]/.test(all)) found.vary = all
}
