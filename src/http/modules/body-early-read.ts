// client_body_early_read: the whole body is read before the request goes anywhere, so that rewrite rules and limits may look at
// it (ngx_http_read_early_body).

import { HTTP, SERVER } from '../../config/directive.ts'
import { predicates } from '../../config/values.ts'
import { ERR } from '../../log/error-log.ts'
import { httpModule, NEXT, WAIT, type Value } from '../module.ts'
import { resume } from '../phases.ts'
import type { HttpRequest } from '../request.ts'
import { readRequestBody } from '../request-body.ts'

const directives = {
  client_body_early_read: predicates(HTTP | SERVER),
}

export const bodyEarlyRead = httpModule({
  name: 'body-early-read',
  directives,
  compile(conf, at) {
    if (at.kind !== 'server' || conf.client_body_early_read.length === 0) return
    at.step(
      'post-read',
      readEarly,
      conf.client_body_early_read.map(text => at.value(text)),
    )
  },
})

/** Any of the values that is neither empty nor `0` asks for it. */
function readEarly(r: HttpRequest, wanted: readonly Value[]): number {
  if (r.body === null || r.body.complete || !wanted.some(value => isSet(value.get(r)))) return NEXT
  const limit = r.location.clientMaxBodySize
  if (limit !== 0 && r.head.contentLength > limit) {
    r.body.refused = true
    r.log(ERR, `client intended to send too large body: ${r.head.contentLength} bytes`)
    return 413
  }
  readRequestBody(r, goOn)
  return WAIT
}

function goOn(r: HttpRequest): void {
  resume(r, NEXT)
}

function isSet(value: string): boolean {
  return value !== '' && value !== '0'
}
