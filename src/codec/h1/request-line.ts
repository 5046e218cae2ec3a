// The first line of a request (RFC 9112, 3), read over the bytes as they come, nginx's way (ngx_http_parse_request_line)
// where the RFC leaves a choice: a lone LF ends it, spaces may be repeated, HTTP/0.9's `GET /path` is still understood. With
// strict_requests there is one way to write it.

import { ODD_METHOD, ODD_VERSION, type RequestLimits } from './head.ts'
import { latin1 } from './fields.ts'
import { parseHost } from './host.ts'
import type { RequestHead } from './request-head.ts'

const LF = 10
const CR = 13
const SP = 32

/** Empty lines before a request line are forgiven (RFC 9112, 2.2), but not without end. */
const EMPTY_LINES_MAX = 4

const METHOD = new Uint8Array(256)
for (const c of 'ABCDEFGHIJKLMNOPQRSTUVWXYZ_-') METHOD[c.charCodeAt(0)] = 1

// With strict_requests: tokens (RFC 9110, 9.1), but what looks like a method in the wrong case; so Gunicorn has it.
const METHOD_TOKEN = METHOD.slice()
for (const c of "0123456789!$%&'*+.^`|~") METHOD_TOKEN[c.charCodeAt(0)] = 1
// lenient_requests: any token.
const ANY_METHOD = METHOD_TOKEN.slice()
for (const c of 'abcdefghijklmnopqrstuvwxyz#') ANY_METHOD[c.charCodeAt(0)] = 1
// So long are all that are registered, with room.
const METHOD_LENGTH_MIN = 3
const METHOD_LENGTH_MAX = 20

// Bytes a target may hold: anything but controls and space; those above ASCII are for the file system to judge.
const TARGET = new Uint8Array(256).fill(1, SP + 1)
TARGET[127] = 0

const INVALID = 'client sent invalid request'

/** Reads on from where it stopped. Answers the line's end counted from start, MORE, or a negative status. */
export function scanRequestLine(
  head: RequestHead,
  bytes: Buffer,
  start: number,
  end: number,
  limits: RequestLimits,
): number {
  if (head.mark === 0) {
    const blank = skipEmptyLines(head, bytes, start, end, limits)
    if (blank <= 0) return blank
  }
  const line = start + head.lineStart
  const stop = Math.min(end, line + limits.lineMax)
  let i = head.mark === 0 ? line : start + head.mark

  if (head.targetStart === 0) {
    const any = (limits.lenient & ODD_METHOD) !== 0
    const allowed = any ? ANY_METHOD : limits.strict ? METHOD_TOKEN : METHOD
    while (i < stop && allowed[bytes[i]!] === 1) i++
    if (i >= stop) return wait(head, start, end, i, limits)
    const length = i - line
    if (
      bytes[i] !== SP ||
      length === 0 ||
      (limits.strict && !any && (length < METHOD_LENGTH_MIN || length > METHOD_LENGTH_MAX))
    )
      return head.refuse(-400, 'client sent invalid method')
    head.methodEnd = i - start
    while (i < stop && bytes[i] === SP) i++
    if (i >= stop) return wait(head, start, end, start + head.methodEnd, limits)
    if (limits.strict && i - start !== head.methodEnd + 1) return head.refuse(-400, INVALID)
    if (!mayBegin(head, bytes, line, i)) return head.refuse(-400, INVALID)
    head.targetStart = i - start
  }

  if (head.targetEnd === 0) {
    while (i < stop && TARGET[bytes[i]!] === 1) i++
    if (i >= stop) return wait(head, start, end, i, limits)
    const c = bytes[i]!
    if (c !== SP && c !== LF && c !== CR) return head.refuse(-400, INVALID)
    head.targetEnd = i - start
    if (bytes[start + head.targetStart] !== 47 && !takeForm(head, bytes, start, limits)) return head.status
  }

  return scanVersion(head, bytes, start, end, stop, limits)
}

function skipEmptyLines(
  head: RequestHead,
  bytes: Buffer,
  start: number,
  end: number,
  { strict }: RequestLimits,
): number {
  let i = start + head.lineStart
  while (i < end && (bytes[i] === CR || bytes[i] === LF)) {
    if (bytes[i] === CR) {
      if (i + 1 >= end) return 0
      if (bytes[++i] !== LF) return head.refuse(-400, 'client sent invalid method')
    } else if (strict) return head.refuse(-400, 'client sent invalid method')
    i++
    head.lineStart = i - start
    if (++head.emptyLines > EMPTY_LINES_MAX) return head.refuse(-400, 'client sent invalid method')
  }
  return i < end ? 1 : 0
}

// The first byte tells the form of the target; `*` and a bare authority belong to one method each (RFC 9112, 3.2).
function mayBegin(head: RequestHead, bytes: Buffer, line: number, at: number): boolean {
  const c = bytes[at]!
  const length = at - line
  if (head.methodEnd - head.lineStart === 7 && length > 7) {
    const method = methodAt(head, bytes, line, line + 7)
    if (method === 'CONNECT') return c !== 47
    if (method === 'OPTIONS' && c === 42) return true
  }
  return c === 47 || ((c | 32) >= 97 && (c | 32) <= 122)
}

// Targets that do not begin with `/`. nginx allows fewer characters in a host here than in a Host field; with raw_requests
// all of a registered name may stand there, and before it a user (RFC 3986, 3.2).
const AUTHORITY = /^(?:\[[^\]\\/]*\]|[a-zA-Z0-9.-]+):[0-9]+$/
const ANY_AUTHORITY = /^(?:\[[^\]\\/]*\]|[\w.~!$&'()*+,;=%-]+):[0-9]+$/
const ORIGIN =
  /^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/((?:\[[a-zA-Z0-9:._~!$&'()*+,;=-]*\]|[a-zA-Z0-9.-]*)(?::[0-9]*)?)(?=[/?]|$)/
const ANY_ORIGIN =
  /^[a-zA-Z][a-zA-Z0-9+.-]*:\/\/(?:[^/?#@]*@)?((?:\[[a-zA-Z0-9:._~!$&'()*+,;=-]*\]|[\w.~!$&'()*+,;=%-]*)(?::[0-9]*)?)(?=[/?#]|$)/

function takeForm(head: RequestHead, bytes: Buffer, start: number, { raw }: RequestLimits): boolean {
  const target = latin1(bytes, start + head.targetStart, start + head.targetEnd)
  if (methodAt(head, bytes, start + head.lineStart, start + head.methodEnd) === 'CONNECT') {
    if (!(raw ? ANY_AUTHORITY : AUTHORITY).test(target)) return refused(head, INVALID)
    if (!parseHost(target, 0, target.length, head.hostName))
      return refused(head, 'client sent invalid host in request line')
    head.hostInTarget = true
    return true
  }
  if (target === '*') return true
  const parts = (raw ? ANY_ORIGIN : ORIGIN).exec(target)
  if (parts === null) return refused(head, INVALID)
  if (!parseHost(parts[1]!, 0, parts[1]!.length, head.hostName))
    return refused(head, 'client sent invalid host in request line')
  head.hostInTarget = true
  head.pathStart = parts[0].length
  return true
}

function methodAt({ casefolds }: RequestHead, bytes: Buffer, from: number, to: number): string {
  const method = latin1(bytes, from, to)
  return casefolds ? method.toUpperCase() : method
}

function refused(head: RequestHead, error: string): boolean {
  head.refuse(-400, error)
  return false
}

// What follows the target: ` HTTP/1.1` and the end of the line in all but odd cases.
function scanVersion(
  head: RequestHead,
  bytes: Buffer,
  start: number,
  end: number,
  stop: number,
  limits: RequestLimits,
): number {
  const at = start + head.targetEnd
  if (at + 11 <= stop && isHttp1(bytes, at) && bytes[at + 9] === CR && bytes[at + 10] === LF) {
    const minor = bytes[at + 8]!
    if (minor === 49 || minor === 48) {
      head.version = minor === 49 ? 11 : 10
      head.protocol = minor === 49 ? 'HTTP/1.1' : 'HTTP/1.0'
      head.lineEnd = at + 9 - start
      head.lineStop = at + 11 - start
      return head.lineStop
    }
  }
  return scanOddVersion(head, bytes, start, end, stop, limits)
}

function isHttp1(bytes: Buffer, at: number): boolean {
  return (
    bytes[at] === SP &&
    bytes[at + 1] === 72 &&
    bytes[at + 2] === 84 &&
    bytes[at + 3] === 84 &&
    bytes[at + 4] === 80 &&
    bytes[at + 5] === 47 &&
    bytes[at + 6] === 49 &&
    bytes[at + 7] === 46
  )
}

// Byte after byte from the target's end; called again from there when more has come, for it is only a few.
function scanOddVersion(
  head: RequestHead,
  bytes: Buffer,
  start: number,
  end: number,
  stop: number,
  limits: RequestLimits,
): number {
  let i = start + head.targetEnd
  while (i < stop && bytes[i] === SP) i++
  const named = i
  let version = 9
  if (i < stop && bytes[i] !== CR && bytes[i] !== LF) {
    for (const c of 'HTTP/') {
      if (i >= stop) break
      if (bytes[i++] !== c.charCodeAt(0)) return head.refuse(-400, INVALID)
    }
    const major = i
    for (; i < stop && bytes[i] !== 46; i++) {
      if (!isDigit(bytes[i]!) || (i === major && bytes[i] === 48 && (limits.lenient & ODD_VERSION) === 0))
        return head.refuse(-400, INVALID)
      if (i > major || (bytes[i] !== 49 && (limits.lenient & ODD_VERSION) === 0))
        return head.refuse(-505, 'client sent invalid version')
    }
    if (i < stop && i === major) return head.refuse(-400, INVALID)
    const minor = ++i
    let value = 0
    for (; i < stop && isDigit(bytes[i]!); i++) {
      if (value > 99) return head.refuse(-400, INVALID)
      value = value * 10 + bytes[i]! - 48
    }
    if (i < stop && i === minor) return head.refuse(-400, INVALID)
    // Of those that do not exist, one before 1 is treated as the oldest, one behind it as the latest.
    version = (value === 0 && bytes[major] === 49) || bytes[major] === 48 ? 10 : 11
  }
  const last = i
  while (i < stop && bytes[i] === SP) i++
  if (i < stop && bytes[i] === CR) i++
  if (i >= stop) return wait(head, start, end, start + head.targetEnd, limits)
  if (bytes[i] !== LF) return head.refuse(-400, INVALID)
  // ` HTTP/1.1` and CRLF, to the byte.
  if (limits.strict && (named !== start + head.targetEnd + 1 || last !== named + 8 || i !== last + 1)) {
    return head.refuse(-400, version === 9 ? 'client sent HTTP/0.9 request' : INVALID)
  }
  head.version = version
  head.protocol = version === 9 ? '' : latin1(bytes, named, last)
  head.lineEnd = i - (bytes[i - 1] === CR ? 1 : 0) - start
  head.lineStop = i + 1 - start
  return head.lineStop
}

function isDigit(c: number): boolean {
  return c >= 48 && c <= 57
}

function wait(head: RequestHead, start: number, end: number, at: number, limits: RequestLimits): number {
  if (end - start - head.lineStart >= limits.lineMax) return head.refuse(-414, 'client sent too long URI')
  head.mark = at - start
  return 0
}
