// The core's own steps among those of a server and its locations: which location a request is for, what follows when its URI
// has been changed, and what is said when nobody answers.

import { ALERT, ERR } from '../../log/error-log.ts'
import { locationFor } from '../limit-except.ts'
import { NEXT } from '../module.ts'
import { enter } from '../phases.ts'
import type { HttpRequest } from '../request.ts'
import type { ServerRuntime } from '../runtime.ts'
import { isBodyTooLarge } from './body-limit.ts'

/** Finds the location and goes on with its steps (ngx_http_core_find_config_phase). */
export function findConfig(r: HttpRequest, server: ServerRuntime): number {
  r.uriChanged = false
  const redirect = r.redirect
  r.redirect = ''
  const location = server.locations.find(r)
  const redirects = r.redirect !== ''
  if (location !== null) {
    // Whatever comes of it, errors and redirects are answered as the location says.
    r.location = location
    if (location.internal && !r.internal) return 404
    r.location = locationFor(r, location)
    r.steps = r.location.steps
    r.cursor = -1
  } else if (server.locations.failed) return 500
  if (!redirects) r.redirect = redirect
  if ((r.body !== null || r.parent !== null) && isBodyTooLarge(r)) {
    r.redirect = redirect
    return 413
  }
  return redirects ? 301 : NEXT
}

/** Another URI wants another location; an `if` that applied has steps of its own (ngx_http_core_post_rewrite_phase). */
export function postRewrite(r: HttpRequest): number {
  if (!r.uriChanged) {
    if (r.steps !== r.location.steps) enter(r, r.location.steps)
    return NEXT
  }
  r.uriChanges--
  if (r.uriChanges === 0) {
    r.log(ERR, `rewrite or internal redirection cycle while processing "${r.uri}"`)
    return 500
  }
  const { outside, findConfig } = r.server
  r.location = outside
  r.steps = outside.steps
  r.cursor = findConfig - 1
  return NEXT
}

/** What an alias would replace is not there any more (ngx_http_map_uri_to_path). */
export function refuseRewritten(r: HttpRequest): number {
  if (r.locationMatches) return NEXT
  r.log(ALERT, `"alias" cannot be used in location "${r.location.name}" where URI was rewritten`)
  return 500
}

/** The last step of all (ngx_http_core_content_phase). */
export function nothingAnswered(r: HttpRequest): number {
  r.log(ERR, r.uri.endsWith('/') ? `directory index of "${r.uri}" is forbidden` : `"${r.uri}" is not found`)
  return r.uri.endsWith('/') ? 403 : 404
}
