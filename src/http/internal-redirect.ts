// Goes on with another URI as if the client had sent it, but for `internal` locations, which open now
// (ngx_http_internal_redirect). For steps: `return internalRedirect(r, uri, r.args)`.

import { ERR } from '../log/error-log.ts'
import { NEXT } from './module.ts'
import { enter } from './phases.ts'
import type { HttpRequest } from './request.ts'

/** The request begins again at its server's level. Ten times; then it goes in circles. */
export function internalRedirect(r: HttpRequest, uri: string, args: string): number {
  r.uriChanges--
  if (r.uriChanges === 0) {
    r.log(ERR, `rewrite or internal redirection cycle while internally redirecting to "${uri}"`)
    return 500
  }
  r.uri = uri
  r.args = args
  r.uriIsRaw = false
  r.internal = true
  r.uriChanged = false
  r.location = r.server.outside
  enter(r, r.server.outside.steps)
  return NEXT
}
