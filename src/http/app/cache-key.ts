// Under what an application's answer is kept where app_cache_key does not say it: all by which applications tell their sites
// and pages apart. What a proxy would say, its upstream's name, is the same for all of them.

import type { HttpRequest } from '../request.ts'
import { requestUri } from '../upstream/request-uri.ts'
import { schemeOf, toldOf } from './trust.ts'

/** Scheme and host as the application hears them, where it is mounted, and the URI. */
export function cacheKey(r: HttpRequest): string {
  const told = toldOf.get(r)
  const host = (r.header('host') ?? r.host).toLowerCase()
  const mount = told === null ? '' : told.scriptName
  return `${schemeOf(r, told)}://${host}${mount}${requestUri(r, '', false, '')}`
}
