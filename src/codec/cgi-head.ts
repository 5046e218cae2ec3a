// The head of a CGI response (RFC 3875, 6): fields without a status line. `Status: 404 Not Found` says what the line would
// have said; without it a Location means 302 and anything else 200. Otherwise it is read as strictly as HTTP's
// (h1/response-head.ts), which it becomes.

import { latin1, parseLength, takeFields } from './h1/fields.ts'
import type { HeadLimits } from './h1/head.ts'
import { INVALID, scanResponseFields, takeFraming } from './h1/response-head.ts'
import type { ResponseHead } from './h1/response-head.ts'

/** As parseResponseHead: bytes taken, MORE, or INVALID with head.error set. */
export function parseCgiHead(
  bytes: Buffer,
  start: number,
  end: number,
  limits: HeadLimits,
  head: ResponseHead,
): number {
  if (head.done) head.restart()
  const answer = scanResponseFields(head, bytes, start, end, limits)
  if (answer === 0) return 0
  head.done = true
  if (answer < 0) return answer
  head.text = latin1(bytes, start, start + answer)
  head.version = 11
  takeFields(head)
  return takeStatus(head) && takeFraming(head) ? answer : INVALID
}

function takeStatus(head: ResponseHead): boolean {
  const status = head.get('status')
  if (status === null) {
    const redirects = head.find('location') !== -1
    head.code = redirects ? 302 : 200
    head.statusText = redirects ? '302 Moved Temporarily' : '200 OK'
    return true
  }
  const code = parseLength(status.slice(0, 3))
  head.code = code
  // Without a reason the line is ours to write.
  head.statusText = status.length > 3 ? status : ''
  if (code >= 100 && status.length >= 3) return true
  head.error = `upstream sent invalid status "${status}"`
  return false
}
