// What a request's fields say to the server itself: which host, how the body is framed, whether the connection stays. All
// that two readers could understand in two ways is refused here.

import { hasToken, parseRequestLength, SPAN } from './fields.ts'
import { NO_LENGTH, type RequestLimits } from './head.ts'
import { HostName, parseHost } from './host.ts'
import {
  ACCEPT_ENCODING,
  AUTHORIZATION,
  CONNECTION,
  CONTENT_LENGTH,
  CONTENT_RANGE,
  CONTENT_TYPE,
  COOKIE,
  EXPECT,
  HOST,
  IF_MATCH,
  IF_MODIFIED_SINCE,
  IF_NONE_MATCH,
  IF_RANGE,
  IF_UNMODIFIED_SINCE,
  MAX_FORWARDS,
  PROXY_AUTHORIZATION,
  RANGE,
  REFERER,
  TRANSFER_ENCODING,
  UPGRADE,
  USER_AGENT,
  X_FORWARDED_FOR,
} from './names.ts'
import type { RequestHead } from './request-head.ts'

export function forget(head: RequestHead): void {
  head.contentLength = NO_LENGTH
  head.chunked = false
  head.keepAlive = false
  head.expectContinue = false
  head.upgrade = false
  head.host = null
  head.port = 0
  head.close = false
  head.persist = false
  head.wantsUpgrade = false
  head.hostIndex = -1
  head.connectionIndex = -1
  head.contentLengthIndex = -1
  head.transferEncodingIndex = -1
  head.expectIndex = -1
  head.upgradeIndex = -1
  head.userAgentIndex = -1
  head.refererIndex = -1
  head.cookieIndex = -1
  head.ifModifiedSinceIndex = -1
  head.ifNoneMatchIndex = -1
  head.rangeIndex = -1
  head.acceptEncodingIndex = -1
  head.xForwardedForIndex = -1
  head.authorizationIndex = -1
  head.contentTypeIndex = -1
}

// Fields that may be there once (ngx_http_process_unique_header_line), as bits.
export const UNIQUE =
  (1 << HOST) |
  (1 << CONTENT_LENGTH) |
  (1 << TRANSFER_ENCODING) |
  (1 << EXPECT) |
  (1 << IF_MODIFIED_SINCE) |
  (1 << IF_UNMODIFIED_SINCE) |
  (1 << IF_MATCH) |
  (1 << IF_NONE_MATCH) |
  (1 << IF_RANGE) |
  (1 << CONTENT_RANGE) |
  (1 << AUTHORIZATION) |
  (1 << PROXY_AUTHORIZATION)

/**
 * Looks into the fields the server itself goes by. Answers 0 or a negative status. With limits that are strict, what has two
 * meanings to an application is refused too, and what is expected of us and not known.
 */
export function interpret(head: RequestHead, { strict, hostRequired, raw }: RequestLimits): number {
  forget(head)
  if (head.hostInTarget) takeHost(head)
  const { spans, values, count } = head
  let seen = 0
  for (let i = 0, at = 0; i < count; i++, at += SPAN) {
    const id = spans[at]!
    if (id === 0 || id > MAX_FORWARDS) continue
    const bit = 1 << id
    if ((seen & bit) === 0) {
      seen |= bit
      note(head, id, i)
    } else if ((UNIQUE & bit) !== 0 || (strict && id === CONTENT_TYPE)) return refuseTwice(head, id, i)
    if (id === CONNECTION) takeConnection(head, values[i]!)
    else if (id === HOST) {
      if (values[i] === '' && !hostRequired) continue
      const status = takeHostField(head, i)
      if (status !== 0) return status
    }
  }
  if (hostRequired && head.version === 11 && head.hostIndex === -1)
    return head.refuse(-400, 'client sent HTTP/1.1 request without "Host" header')
  const status = takeFraming(head, raw) || takeExpectation(head, strict)
  if (status !== 0) return status
  head.keepAlive = !head.close && (head.version === 11 || (head.version === 10 && head.persist))
  head.upgrade = head.wantsUpgrade && head.upgradeIndex !== -1
  return raw ? 0 : refuseMethod(head)
}

/** Where a field stands that is looked for by its number: the `i`th of the head has number `id`. */
export function note(head: RequestHead, id: number, i: number): void {
  if (id <= UPGRADE) noteOwn(head, id, i)
  else noteAsked(head, id, i)
}

/** What the server itself goes by. */
function noteOwn(head: RequestHead, id: number, i: number): void {
  switch (id) {
    case HOST:
      head.hostIndex = i
      break
    case CONNECTION:
      head.connectionIndex = i
      break
    case CONTENT_LENGTH:
      head.contentLengthIndex = i
      break
    case TRANSFER_ENCODING:
      head.transferEncodingIndex = i
      break
    case EXPECT:
      head.expectIndex = i
      break
    case UPGRADE:
      head.upgradeIndex = i
      break
  }
}

/** What variables and modules ask for. */
function noteAsked(head: RequestHead, id: number, i: number): void {
  switch (id) {
    case USER_AGENT:
      head.userAgentIndex = i
      break
    case REFERER:
      head.refererIndex = i
      break
    case COOKIE:
      head.cookieIndex = i
      break
    case IF_MODIFIED_SINCE:
      head.ifModifiedSinceIndex = i
      break
    case IF_NONE_MATCH:
      head.ifNoneMatchIndex = i
      break
    case RANGE:
      head.rangeIndex = i
      break
    case ACCEPT_ENCODING:
      head.acceptEncodingIndex = i
      break
    case X_FORWARDED_FOR:
      head.xForwardedForIndex = i
      break
    case AUTHORIZATION:
      head.authorizationIndex = i
      break
    case CONTENT_TYPE:
      head.contentTypeIndex = i
      break
  }
}

function refuseTwice(head: RequestHead, id: number, i: number): number {
  const before = head.find(head.names[i]!)
  return head.refuse(
    -400,
    `client sent duplicate ${id === HOST ? 'host header' : 'header line'}: "${head.originalName(i)}: ${head.values[i]!}", ` +
      `previous value: "${head.originalName(before)}: ${head.values[before]!}"`,
  )
}

function takeHostField(head: RequestHead, i: number): number {
  if (head.hostInTarget) {
    // The target has named the host (RFC 9112, 3.2.2); the field must be sound all the same.
    return parseHostField(head, i, new HostName()) ? 0 : head.refuse(-400, 'client sent invalid host header')
  }
  if (!parseHostField(head, i, head.hostName)) return head.refuse(-400, 'client sent invalid host header')
  takeHost(head)
  return 0
}

export function parseHostField(head: RequestHead, i: number, into: HostName): boolean {
  return parseHost(head.text, head.spans[i * SPAN + 3]!, head.spans[i * SPAN + 4]!, into)
}

export function takeHost(head: RequestHead): void {
  head.host = head.hostName.name
  head.port = head.hostName.port
}

function takeConnection(head: RequestHead, value: string): void {
  if (value === 'keep-alive' || value === 'Keep-Alive') head.persist = true
  else if (value === 'close') head.close = true
  else {
    if (hasToken(value, 'close')) head.close = true
    if (hasToken(value, 'keep-alive')) head.persist = true
    if (hasToken(value, 'upgrade')) head.wantsUpgrade = true
  }
}

// With raw_requests: what RFC 9112, 7, registers besides may have been done to a body before it was sent in chunks. `identity`
// was nothing, and is no more.
const CODINGS = /^(?:(?:gzip|x-gzip|deflate|compress|x-compress|identity)[ \t]*,[ \t]*)*chunked$/i

// RFC 9112, 6.1 to 6.3, leaving out all that two readers could understand in two ways.
function takeFraming(head: RequestHead, raw: boolean): number {
  if (head.contentLengthIndex !== -1) {
    head.contentLength = parseRequestLength(head.values[head.contentLengthIndex]!)
    if (head.contentLength === -1) return head.refuse(-400, 'client sent invalid "Content-Length" header')
  }
  if (head.transferEncodingIndex !== -1) {
    const coding = head.values[head.transferEncodingIndex]!
    if (head.version < 11) {
      return head.refuse(-400, 'client sent HTTP/1.0 request with "Transfer-Encoding" header')
    }
    if (!(coding.length === 7 || raw) || !CODINGS.test(coding)) {
      return head.refuse(-501, `client sent unknown "Transfer-Encoding": "${coding}"`)
    }
    if (head.contentLengthIndex !== -1) {
      return head.refuse(-400, 'client sent "Content-Length" and "Transfer-Encoding" headers at the same time')
    }
    head.chunked = true
  }
  return 0
}

function takeExpectation(head: RequestHead, strict: boolean): number {
  if (head.expectIndex === -1) return 0
  const expected = head.values[head.expectIndex]!
  const known = expected.toLowerCase() === '100-continue'
  head.expectContinue = known && head.version === 11
  return known || !strict ? 0 : head.refuse(-417, `client sent unknown "Expect": "${expected}"`)
}

function refuseMethod(head: RequestHead): number {
  if (head.method === 'CONNECT') {
    if (head.version !== 11 || !head.tunnels) return head.refuse(-405, 'client sent CONNECT method')
    if (head.contentLength > 0 || head.chunked) return head.refuse(-400, 'client sent CONNECT request with body')
  }
  return head.method === 'TRACE' ? head.refuse(-405, 'client sent TRACE method') : 0
}
