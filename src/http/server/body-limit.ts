// client_max_body_size, as a location is chosen. What a client has sent with its request counts for every location that has
// a part in the answer: for those of subrequests, too.

import { ERR } from '../../log/error-log.ts'
import type { HttpRequest } from '../request.ts'
import type { RequestBody } from '../request-body.ts'
import { mainOf } from '../subrequest.ts'

export function isBodyTooLarge(r: HttpRequest): boolean {
  const limit = r.location.clientMaxBodySize
  if (limit === 0) return false
  if (r.parent !== null) return exceedsForSubrequest(r, limit)
  const { body } = r
  if (body === null) return false
  const length = lengthOf(r, body)
  // An error page for what was wrong later is no new request.
  if (length <= limit || (body.complete && r.errorStatus !== 0)) return false
  if (!body.complete) body.refused = true
  return refuse(r, length)
}

function exceedsForSubrequest(r: HttpRequest, limit: number): boolean {
  const main = mainOf(r)
  const { body } = main
  // One that is dropped while the answer is on its way is nobody's any more.
  if (body === null || (main.headSent && !body.collecting)) return false
  const length = lengthOf(r, body)
  return length > limit && !(body.complete && r.errorStatus !== 0) && refuse(r, length)
}

/** Of a body that has been read its length is known even if it came in chunks. */
function lengthOf(r: HttpRequest, body: RequestBody): number {
  return body.complete ? body.length : r.head.contentLength
}

function refuse(r: HttpRequest, length: number): true {
  r.log(ERR, `client intended to send too large body: ${length} bytes`)
  return true
}
