// Under what an application's answer is kept where app_cache_key does not say it: all by which applications tell their sites
// and pages apart. What a proxy would say, its upstream's name, is the same for all of them.

import type { HttpRequest } from '../request.ts'
import { requestUri } from '../upstream/request-uri.ts'
import { mountOf, schemeOf, toldOf } from './trust.ts'

/** Scheme and host as the application hears them, where it is mounted, and the URI. @param mount app_script_name */
export function cacheKey(r: HttpRequest, mount: string): string {
  const told = toldOf.get(r)
  const host = (r.header('host') ?? r.host).toLowerCase()
  return `${schemeOf(r, told)}://${host}${mountOf(r, mount)}${requestUri(r, '', false, '')}`
}
