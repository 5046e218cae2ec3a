// post_action: when a response is out, another URI of ours is run through, whose answer nobody sees: for accounting
// (ngx_http_post_action). It sees how the request ended ($status, $body_bytes_sent). The request is logged when that is over,
// as its location says.

import { HTTP, IF_IN_LOCATION, LOCATION, SERVER } from '../../config/directive.ts'
import { one } from '../../config/values.ts'
import { namedLocation } from '../internal-redirect.ts'
import { httpModule, NEXT } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import { LOGS_LATER, logRequest } from '../request-end.ts'
import { DroppedOutput, makeSubrequest, shareBody, startInBackground } from '../subrequest.ts'
import { upstreamSlot } from '../upstream/exchange.ts'

export const postAction = httpModule({
  name: 'post-action',
  directives: {
    post_action: one(HTTP | SERVER | LOCATION | IF_IN_LOCATION, '', word => (word === 'off' ? '' : word)),
  },
  compile(conf, at) {
    if (conf.post_action !== '') at.log(actAfterwards, conf.post_action)
  },
})

/** Of what is answered, no more than the head is waited for. */
class HeadOutput extends DroppedOutput {
  override sendHead(sub: HttpRequest): void {
    sub.bodiless = true
  }
}

function actAfterwards(r: HttpRequest, target: string): unknown {
  if (r.parent !== null) return null
  const named = target.startsWith('@')
  // As with nginx a "?" is a character of the path.
  const sub = makeSubrequest(r, named ? r.uri : target, named ? r.args : '', new HeadOutput(r, ended))
  if (sub === null) return null
  sub.method = r.method
  sub.status = r.status
  // It is the same request gone on: an error stays its status, whoever is asked now joins those who were, and what the client
  // has sent is there.
  sub.errorStatus = r.errorStatus
  upstreamSlot.set(sub, upstreamSlot.get(r))
  shareBody(r, sub)
  sub.bytesSent = r.bytesSent
  sub.bodyBytesSent = r.bodyBytesSent
  sub.requestLength = r.requestLength
  sub.complete = r.complete
  if (named) {
    // What is wrong with it has been logged, and there is nobody else to tell.
    if (namedLocation(sub, target) !== NEXT) return null
    sub.cursor++
  }
  startInBackground(sub)
  if (sub.done) ended(sub)
  return LOGS_LATER
}

function ended(sub: HttpRequest): void {
  // Its own end has logged it where subrequests are.
  if (!sub.location.logSubrequest) logRequest(sub)
}
