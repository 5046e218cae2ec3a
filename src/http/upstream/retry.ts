// When a failed attempt is followed by another (ngx_http_upstream_next, proxy_next_upstream).

import { monotonic } from '../../lib/clock.ts'
import type { Exchange } from './exchange.ts'
import {
  HTTP_403,
  HTTP_404,
  HTTP_429,
  HTTP_500,
  HTTP_502,
  HTTP_503,
  HTTP_504,
  NON_IDEMPOTENT,
  TIMEOUT,
} from './settings.ts'

/** The status an attempt that ended so is given, and the client if it was the last one. */
export function statusOf(why: number): number {
  switch (why) {
    case TIMEOUT:
    case HTTP_504:
      return 504
    case HTTP_500:
      return 500
    case HTTP_503:
      return 503
    case HTTP_403:
      return 403
    case HTTP_404:
      return 404
    case HTTP_429:
      return 429
    default:
      return 502
  }
}

/** A response's status as a reason to ask another peer; 0: none. */
export function reasonOf(status: number): number {
  switch (status) {
    case 500:
      return HTTP_500
    case 502:
      return HTTP_502
    case 503:
      return HTTP_503
    case 504:
      return HTTP_504
    case 403:
      return HTTP_403
    case 404:
      return HTTP_404
    case 429:
      return HTTP_429
    default:
      return 0
  }
}

/** @param stale the attempt went out on an idle connection that was closed: it does not count as a try */
export function mayRetry(x: Exchange, why: number, stale: boolean): boolean {
  return (stale || x.choice.triesLeft > 0) && permitted(x, why)
}

/** Is a response of that status to be thrown away for another peer's? The present peer still counts as a try. */
export function mayPassOn(x: Exchange, why: number): boolean {
  return x.choice.triesLeft > 1 && permitted(x, why)
}

function permitted(x: Exchange, why: number): boolean {
  const { nextUpstream, nextUpstreamTimeout } = x.settings
  const wanted = x.requestSent && !isIdempotent(x.r.method) ? why | NON_IDEMPOTENT : why
  if ((nextUpstream & wanted) !== wanted) return false
  // What has been streamed is gone.
  if (x.requestSent && x.streamed !== null) return false
  return nextUpstreamTimeout === 0 || monotonic() - x.startedAt < nextUpstreamTimeout
}

/** nginx's idea of it: what must not be repeated unasked. */
function isIdempotent(method: string): boolean {
  return method !== 'POST' && method !== 'LOCK' && method !== 'PATCH'
}
