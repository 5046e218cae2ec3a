// A client's request head: bytes in, fields out (RFC 9112, 3 to 6). Strict on framing, so that nobody behind us can read
// the same bytes otherwise; elsewhere as forgiving as nginx, whose statuses and log wording are given.
//
//   bytes ─▶ request-line.ts ─▶ fields.ts: scanFields, takeFields ─▶ request-fields.ts ─▶ the head's length
//             └── MORE: call again with more bytes from the same start; it goes on where it stopped

import { badLine, FIELD_INVALID, FIELD_TOO_LONG, FieldBlock, latin1, scanFields, takeFields } from './fields.ts'
import { CASEFOLD_METHOD, NO_LENGTH } from './head.ts'
import type { NamedServers, RequestLimits } from './head.ts'
import { forgive, FORGIVEN, straighten } from './lenient.ts'
import { HostName, parseHost } from './host.ts'
import { forget, interpret, parseHostField, takeHost } from './request-fields.ts'
import { scanRequestLine } from './request-line.ts'

export class RequestHead extends FieldBlock {
  method = ''
  /** As received, and the part of it that begins with the path: the same string but for absolute-form. */
  target = ''
  path = ''
  /** 9, 10 or 11, and 20 for HTTP/2; HTTP/1.2 and later are 11. `protocol` is what the client wrote, empty for HTTP/0.9. */
  version = 11
  protocol = ''
  contentLength = NO_LENGTH
  chunked = false
  keepAlive = false
  expectContinue = false
  upgrade = false
  /** The host asked for, lower-cased and without port, from the target or else the Host field; its port, or 0. */
  host: string | null = null
  port = 0

  hostIndex = -1
  connectionIndex = -1
  contentLengthIndex = -1
  transferEncodingIndex = -1
  expectIndex = -1
  upgradeIndex = -1
  userAgentIndex = -1
  refererIndex = -1
  cookieIndex = -1
  ifModifiedSinceIndex = -1
  ifNoneMatchIndex = -1
  rangeIndex = -1
  acceptEncodingIndex = -1
  xForwardedForIndex = -1
  authorizationIndex = -1
  contentTypeIndex = -1

  /** What parseRequestHead answered last if it refused, else 0. */
  status = 0
  /** lenient_requests: the method is meant in capitals. */
  casefolds = false
  /** lenient_requests: where blanks before a colon were passed last. */
  passedBlanks = 0
  /** Set by a server that tunnels: CONNECT is answered as any other method. */
  tunnels = false
  /** Those of the address, where the limits of its servers differ; and the limits of the one that the request has named. */
  servers: NamedServers | null = null
  limits: RequestLimits | null = null
  /** merge_slashes of the server that had the connection when the line came. */
  mergeSlashes = true
  /** The head was answered for: the next call begins a new one. */
  done = false
  /** Where the parts of the request line lie, counted from the head's first byte; 0 if not reached. */
  lineStart = 0
  methodEnd = 0
  targetStart = 0
  targetEnd = 0
  lineEnd = 0
  lineStop = 0
  /** Where the path begins within the target. */
  pathStart = 0
  emptyLines = 0
  hostInTarget = false
  hostName = new HostName()
  // Tokens of the Connection fields.
  close = false
  persist = false
  wantsUpgrade = false

  /** The request line without its end, as nginx's $request has it; of a refused one, as much as there is. */
  get requestLine(): string {
    return this.text.slice(this.lineStart, this.lineEnd)
  }

  override restart(): void {
    super.restart()
    this.limits = null
    this.status = 0
    this.done = false
    this.version = 11
    this.protocol = ''
    this.lineStart = 0
    this.methodEnd = 0
    this.targetStart = 0
    this.targetEnd = 0
    this.lineEnd = 0
    this.lineStop = 0
    this.pathStart = 0
    this.emptyLines = 0
    this.hostInTarget = false
    this.passedBlanks = 0
  }

  override limitsFrom(bytes: Buffer, start: number, at: number, before: RequestLimits): RequestLimits {
    if (this.hostInTarget) return before
    const used = this.spans[at + 4]!
    const value = latin1(bytes, start + this.spans[at + 3]!, start + used)
    if (!parseHost(value, 0, value.length, this.hostName)) return before
    const limits = this.takeLimits()
    // What the server before has taken is taken, and its last buffer has room for more.
    if (limits.headMax < used + before.fieldMax) this.limits = { ...limits, headMax: used + before.fieldMax }
    return this.limits!
  }

  takeLimits(): RequestLimits {
    this.limits = this.servers!.serverFor(this.hostName.name).limits
    this.crlfOnly = this.limits.strict
    return this.limits
  }

  /** Notes why the head is refused; answers the status. */
  refuse(status: number, error: string): number {
    this.status = status
    this.error = error
    return status
  }
}

/**
 * Reads a head from bytes[start, end). Answers how many bytes it takes, MORE, or a negative status with head.error set.
 * After MORE, call again with the same bytes and more behind them; head.restart() to begin anew instead.
 */
export function parseRequestHead(
  bytes: Buffer,
  start: number,
  end: number,
  limits: RequestLimits,
  head: RequestHead,
): number {
  if (head.done) head.restart()
  const answer = scan(head, bytes, start, end, head.limits ?? limits)
  if (answer === 0) return 0
  head.done = true
  if (answer < 0) return takeRefused(head, bytes, start, end)
  head.text = latin1(bytes, start, start + answer)
  takeLine(head)
  takeFields(head)
  if (head.bent) straighten(head)
  const status = interpret(head, head.limits ?? limits)
  return status === 0 ? answer : status
}

/** No more bytes will come: what there is of an incomplete head, for the logs. */
export function giveUpRequestHead(head: RequestHead, status: number, bytes: Buffer): void {
  head.status = status
  head.done = true
  takeRefused(head, bytes, 0, bytes.length)
}

function scan(head: RequestHead, bytes: Buffer, start: number, end: number, known: RequestLimits): number {
  let limits = known
  if (head.lineStop === 0) {
    head.crlfOnly = limits.strict
    head.casefolds = (limits.lenient & CASEFOLD_METHOD) !== 0
    const line = scanRequestLine(head, bytes, start, end, limits)
    if (line <= 0) return line
    head.scanned = line
    head.mark = 0
    head.namesServer = head.servers !== null
    if (head.namesServer && head.hostInTarget) limits = head.takeLimits()
    if (head.version === 9) {
      const get = latin1(bytes, start + head.lineStart, start + head.methodEnd) === 'GET'
      return get ? line : head.refuse(-400, 'client sent invalid method in HTTP/0.9 request')
    }
  }
  let answer = scanFields(head, bytes, start, end, limits)
  while (answer === FIELD_INVALID && (head.limits ?? limits).lenient !== 0) {
    answer = forgive(head, bytes, start, end, head.limits ?? limits)
    if (answer === FORGIVEN) answer = scanFields(head, bytes, start, end, head.limits ?? limits)
    else break
  }
  return answer >= 0 ? answer : refuseField(head, answer, bytes, start, end, head.limits ?? limits)
}

function refuseField(
  head: RequestHead,
  why: number,
  bytes: Buffer,
  start: number,
  end: number,
  limits: RequestLimits,
): number {
  if (why === FIELD_INVALID) return head.refuse(-400, `client sent invalid header line: ${badLine(head, bytes, start)}`)
  if (why !== FIELD_TOO_LONG) return head.refuse(-494, 'client sent too many header lines')
  const from = start + head.badLine
  if (from >= end) return head.refuse(-494, 'client sent too large request')
  const text = latin1(bytes, from, Math.min(end, from + Math.min(limits.fieldMax, 1748), start + limits.headMax))
  return head.refuse(-494, `client sent too long header line: "${text}..."`)
}

function takeLine(head: RequestHead): void {
  const { text, lineStart, methodEnd } = head
  head.method = methodOf(text, lineStart, methodEnd)
  if (head.casefolds) head.method = head.method.toUpperCase()
  head.target = text.slice(head.targetStart, head.targetEnd)
  head.path = head.target
  if (head.hostInTarget) {
    const path = head.target.slice(head.pathStart)
    head.path = path === '' || head.method === 'CONNECT' ? '/' : path
  }
}

// The usual methods as shared strings: comparing them is comparing pointers.
function methodOf(text: string, from: number, to: number): string {
  if (to - from === 3 && text.startsWith('GET', from)) return 'GET'
  if (to - from === 4 && text.startsWith('POST', from)) return 'POST'
  if (to - from === 4 && text.startsWith('HEAD', from)) return 'HEAD'
  return text.slice(from, to)
}

// Of a refused head: what is good for the logs and for choosing the server whose error page it gets.
function takeRefused(head: RequestHead, bytes: Buffer, start: number, end: number): number {
  const status = head.status
  if (head.lineEnd === 0) {
    let i = start + head.lineStart
    while (i < end && bytes[i] !== 10 && bytes[i] !== 13) i++
    head.lineEnd = i - start
  }
  head.text = latin1(bytes, start, start + Math.max(head.scanned, head.lineEnd))
  const keptPath = head.targetEnd !== 0 && head.methodEnd !== 0
  if (keptPath) takeLine(head)
  else head.method = head.target = head.path = ''
  takeFields(head)
  forget(head)
  const field = (head.hostIndex = head.find('host'))
  if (head.hostInTarget || (field !== -1 && parseHostField(head, field, head.hostName))) takeHost(head)
  return status
}
