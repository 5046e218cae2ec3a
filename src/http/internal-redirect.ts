// Goes on with another URI, or in a named location, as if the client had asked for it, but for `internal` locations, which
// open now (ngx_http_internal_redirect, ngx_http_named_location). For steps: `return internalRedirect(r, uri, r.args)`;
// elsewhere: `resume(r, internalRedirect(…))`.

import { ERR } from '../log/error-log.ts'
import { locationFor } from './limit-except.ts'
import { NEXT } from './module.ts'
import { enter, resume } from './phases.ts'
import type { HttpRequest } from './request.ts'
import { parseUnsafeUri } from './unsafe-uri.ts'

/**
 * The request begins again at its server's rewrite rules. Ten times; then it goes in circles.
 * @param hadArgs where `args` are not the request's own: does the new URI have a `?`
 */
export function internalRedirect(r: HttpRequest, uri: string, args: string, hadArgs = r.hadArgs): number {
  if (--r.uriChanges <= 0) return circle(r, `internally redirecting to "${uri}"`)
  r.uri = uri
  r.args = args
  r.hadArgs = hadArgs
  r.uriIsRaw = false
  r.locationMatches = true
  r.aliasTakesUri = false
  r.internal = true
  r.uriChanged = false
  r.accessStatus = 0
  r.action = ''
  const { server } = r
  r.location = server.outside
  enter(r, server.outside.steps)
  r.cursor = server.rewriteStart - 1
  return NEXT
}

/** `@name`: the URI stays what it is, and the method. */
export function namedLocation(r: HttpRequest, name: string): number {
  if (--r.uriChanges <= 0) return circle(r, `redirect to named location "${name}"`)
  if (r.uri === '') {
    r.log(ERR, `empty URI in redirect to named location "${name}"`)
    return 500
  }
  const location = r.server.locations.named(name)
  if (location === null) {
    r.log(ERR, `could not find named location "${name}"`)
    return 500
  }
  r.internal = true
  r.uriChanged = false
  r.accessStatus = 0
  r.location = locationFor(r, location)
  enter(r, r.location.steps)
  return NEXT
}

function circle(r: HttpRequest, during: string): number {
  r.uriChanges = 0
  r.log(ERR, `rewrite or internal redirection cycle while ${during}`)
  return 500
}

/** Fields of a response that stay when X-Accel-Redirect sends the client elsewhere; its Content-Type stays too. */
const KEPT = new Set(['set-cookie', 'content-disposition', 'cache-control', 'expires', 'accept-ranges'])

/**
 * X-Accel-Redirect: the client gets what another location of ours makes of that URI, with a few of the fields of the response
 * that said so, which have been put on the request (ngx_http_upstream_process_headers). The caller has let go of its source.
 */
export function accelRedirect(r: HttpRequest, to: string): void {
  for (let i = r.outNames.length - 1; i >= 0; i--) {
    if (KEPT.has(r.outNames[i]!.toLowerCase())) continue
    r.outNames.splice(i, 1)
    r.outValues.splice(i, 1)
  }
  r.status = 0
  r.statusLine = ''
  r.contentLength = -1
  r.lastModified = ''
  r.lastModifiedStays = false
  r.etag = ''
  r.redirect = ''
  r.serverHeader = ''
  r.dateHeader = ''
  if (to.startsWith('@')) {
    resume(r, namedLocation(r, to))
    return
  }
  const target = parseUnsafeUri(r, to)
  if (target === null) {
    resume(r, 404)
    return
  }
  if (r.method !== 'HEAD') r.method = 'GET'
  resume(r, internalRedirect(r, target.uri, target.args, to.includes('?')))
}
