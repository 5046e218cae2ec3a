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
}

/** @param names in lower case; @param ignored bits of proxy_ignore_headers; @param now seconds since 1970 */
export function freshnessOf(
  names: readonly string[],
  values: readonly string[],
  ignored: number,
  now: number,
): Freshness {
  const found = new Freshness()
  let byAccel = false
  let forbidden = false
  let expired = false
  for (let i = 0; i < names.length; i++) {
    const value = values[i]!
    switch (names[i]) {
      case 'set-cookie':
        if ((ignored & IGNORE_SET_COOKIE) === 0) found.cacheable = false
        break
      case 'vary':
        if ((ignored & IGNORE_VARY) === 0) addVary(found, value)
        break
      case 'expires': {
        if ((ignored & IGNORE_EXPIRES) !== 0 || found.validSec !== 0) break
        const date = parseHttpDate(value)
        if (date === NO_DATE || date < now) expired = true
        else found.validSec = date
        break
      }
      case 'x-accel-expires': {
        if ((ignored & IGNORE_ACCEL_EXPIRES) !== 0) break
        const at = accelExpires(value, now)
        if (at === 0) found.cacheable = false
        if (at <= 0) break
        byAccel = true
        forbidden = expired = false
        found.validSec = at
        break
      }
      case 'cache-control':
        if ((ignored & IGNORE_CACHE_CONTROL) !== 0 || byAccel) break
        if (!readCacheControl(found, value.toLowerCase(), now)) forbidden = true
        else if (MAX_AGE.test(value)) expired = false
    }
  }
  if (forbidden || expired) found.cacheable = false
  return found
}

/** Seconds since 1970; 0: it is not to be kept; -1: it says nothing. */
function accelExpires(value: string, now: number): number {
  const digits = /^(@?)(\d{1,15})$/.exec(value)
  if (digits === null) return -1
  const number = Number(digits[2])
  if (digits[1] === '@') return Math.max(1, number)
  return number === 0 ? 0 : now + number
}

const FORBIDDEN = /no-cache|no-store|private/
const SHARED_AGE = /s-maxage=(\d*)(?=[;, ]|$)/
const MAX_AGE = /(?:s-maxage|max-age)=/i
const OWN_AGE = /max-age=(\d*)(?=[;, ]|$)/

/** False: it must not be kept. */
function readCacheControl(found: Freshness, value: string, now: number): boolean {
  if (FORBIDDEN.test(value)) return false
  const age = SHARED_AGE.exec(value) ?? (value.includes('s-maxage=') ? null : OWN_AGE.exec(value))
  if (age === null && MAX_AGE.test(value)) {
    // A number that is none.
    found.cacheable = false
    return true
  }
  if (age !== null) {
    const seconds = Number(age[1])
    if (seconds === 0) return false
    found.validSec = now + seconds
  }
  const revalidate = /stale-while-revalidate=(\d+)/.exec(value)
  if (revalidate !== null) found.updatingSec = found.errorSec = Number(revalidate[1])
  const error = /stale-if-error=(\d+)/.exec(value)
  if (error !== null) found.errorSec = Number(error[1])
  return true
}

function addVary(found: Freshness, value: string): void {
  const all = found.vary === '' ? value : `${found.vary},${value}`
  if (value.includes('*') || all.length > VARY_MAX) found.cacheable = false
  else if (/[^ ,]/.test(all)) found.vary = all
}
