// An upstream's response head (RFC 9112, 4 to 6): bytes in, fields out. Names keep their order and spelling, for most of
// them go on to the client. What nginx's proxy refuses is refused in its words; the caller answers 502 and logs it.

import {
  badLine,
  FIELD_INVALID,
  FIELD_TOO_LONG,
  FieldBlock,
  hasToken,
  latin1,
  parseLength,
  scanFields,
  SPAN,
  takeFields,
  TEXT,
} from './fields.ts'
import { NO_LENGTH } from './head.ts'
import type { HeadLimits } from './head.ts'
import { CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE } from './names.ts'

/** Answers besides the head's length and MORE: the head is refused; what came is no HTTP/1.x head at all. */
export const INVALID = -1
export const NOT_HTTP = -2

const LF = 10
const CR = 13
const SP = 32
const DOT = 46

export class ResponseHead extends FieldBlock {
  /** 10 or 11. */
  version = 11
  code = 0
  /** Code and reason as received: `200 OK`. */
  statusText = ''
  contentLength = NO_LENGTH
  chunked = false
  /** The connection may be used again once the body is through. */
  keepAlive = false
  /** 101 with Connection: upgrade and an Upgrade field. */
  upgrade = false

  contentLengthIndex = -1
  transferEncodingIndex = -1
  /** The head was answered for: the next call begins a new one. */
  done = false
  lineStop = 0
  codeStart = 0
  codeEnd = 0

  constructor() {
    super()
    this.anyToken = true
  }

  override restart(): void {
    super.restart()
    this.done = false
    this.lineStop = 0
    this.codeStart = 0
    this.codeEnd = 0
  }
}

/** As parseRequestHead: bytes taken, MORE, or INVALID or NOT_HTTP with head.error set. 1xx heads are answered like others. */
export function parseResponseHead(
  bytes: Buffer,
  start: number,
  end: number,
  limits: HeadLimits,
  head: ResponseHead,
): number {
  if (head.done) head.restart()
  const answer = scan(head, bytes, start, end, limits)
  if (answer === 0) return 0
  head.done = true
  if (answer < 0) return answer
  head.text = latin1(bytes, start, start + answer)
  head.statusText = statusText(head)
  takeFields(head)
  return takeFraming(head) ? answer : INVALID
}

/** A sub-status ends here: no client could read it (RFC 9112, 4). */
function statusText({ text, codeStart, codeEnd }: ResponseHead): string {
  const status = text.slice(codeStart, codeEnd)
  return status[3] === '.' ? status.replace(/^(...)[^ ]*/, '$1') : status
}

function scan(head: ResponseHead, bytes: Buffer, start: number, end: number, limits: HeadLimits): number {
  if (head.lineStop === 0) {
    const line = scanStatusLine(head, bytes, start, end, limits)
    if (line <= 0) return line
    head.lineStop = line
    head.scanned = line
    head.mark = 0
  }
  return scanResponseFields(head, bytes, start, end, limits)
}

/** The fields of a response, from start + head.scanned on: the head's length, MORE, or INVALID with head.error set. */
export function scanResponseFields(
  head: ResponseHead,
  bytes: Buffer,
  start: number,
  end: number,
  limits: HeadLimits,
): number {
  const answer = scanFields(head, bytes, start, end, limits)
  if (answer >= 0) return answer
  if (answer === FIELD_INVALID) return refuse(head, `upstream sent invalid header: ${badLine(head, bytes, start)}`)
  return refuse(
    head,
    answer === FIELD_TOO_LONG ? 'upstream sent too big header' : 'upstream sent too many header lines',
  )
}

const PREFIX = Buffer.from('HTTP/1.')
const ONE = 49

function scanStatusLine(head: ResponseHead, bytes: Buffer, start: number, end: number, limits: HeadLimits): number {
  const stop = Math.min(end, start + limits.lineMax)
  let i = start
  if (head.mark === 0) {
    for (; i < stop && i < start + 7; i++) {
      if (bytes[i] !== PREFIX[i - start] && !(i === start + 5 && isLaterMajor(bytes[i]!))) return notHttp(head)
    }
    const minor = i
    let version = 0
    for (; i < stop && isDigit(bytes[i]!); i++) {
      if (i > minor + 2) return notHttp(head)
      version = version * 10 + bytes[i]! - 48
    }
    if (i < stop && (i === minor || bytes[i] !== SP)) return notHttp(head)
    head.version = version === 0 && bytes[start + 5] === ONE ? 10 : 11
    while (i < stop && bytes[i] === SP) i++
    const digits = i
    for (; i < stop && i < digits + 3; i++) if (!isDigit(bytes[i]!)) return notHttp(head)
    if (i >= stop) return waitLine(head, start, end, 0, limits)
    const c = bytes[i]!
    // IIS has sub-statuses: `403.1`.
    if (c !== SP && c !== DOT && c !== CR && c !== LF) return notHttp(head)
    head.code = (bytes[digits]! - 48) * 100 + (bytes[digits + 1]! - 48) * 10 + bytes[digits + 2]! - 48
    if (head.code < 100) return notHttp(head)
    head.codeStart = digits - start
  } else i = start + head.mark
  while (i < stop && TEXT[bytes[i]!] === 1) i++
  if (i >= stop) return waitLine(head, start, end, i - start, limits)
  head.codeEnd = i - start
  if (bytes[i] === CR) {
    if (i + 1 >= stop) return waitLine(head, start, end, i - start, limits)
    i++
  }
  return bytes[i] === LF ? i + 1 - start : notHttp(head)
}

function waitLine(head: ResponseHead, start: number, end: number, mark: number, limits: HeadLimits): number {
  if (end - start >= limits.lineMax) return refuse(head, 'upstream sent too big header')
  head.mark = mark
  return 0
}

/** Some write `HTTP/2.0` where they speak HTTP/1.1. */
function isLaterMajor(c: number): boolean {
  return c > ONE && c <= 57
}

function isDigit(c: number): boolean {
  return c >= 48 && c <= 57
}

function notHttp(head: ResponseHead): number {
  head.error = 'upstream sent no valid HTTP/1.0 header'
  return NOT_HTTP
}

function refuse(head: ResponseHead, error: string): number {
  head.error = error
  return INVALID
}

// RFC 9112, 6.3, and ngx_http_upstream_process_content_length: a length or a coding, each once, never both.
export function takeFraming(head: ResponseHead): boolean {
  let close = head.version === 10
  let wantsUpgrade = false
  let names = false
  head.contentLength = NO_LENGTH
  head.chunked = false
  head.contentLengthIndex = -1
  head.transferEncodingIndex = -1
  for (let i = 0, at = 0; i < head.count; i++, at += SPAN) {
    const value = head.values[i]!
    switch (head.spans[at]) {
      case CONTENT_LENGTH:
        if (!takeLength(head, i, value)) return false
        break
      case TRANSFER_ENCODING:
        if (!takeCoding(head, i, value)) return false
        break
      case CONNECTION:
        if (value === 'keep-alive') break
        if (hasToken(value, 'close')) close = true
        if (hasToken(value, 'upgrade')) wantsUpgrade = true
        break
      case UPGRADE:
        names = true
        break
    }
  }
  head.keepAlive = !close
  head.upgrade = head.code === 101 && wantsUpgrade && names
  return true
}

function takeLength(head: ResponseHead, i: number, value: string): boolean {
  if (head.contentLengthIndex !== -1) return duplicate(head, i, head.contentLengthIndex)
  if (head.transferEncodingIndex !== -1) return both(head)
  head.contentLengthIndex = i
  head.contentLength = parseLength(value)
  if (head.contentLength !== -1) return true
  head.error = `upstream sent invalid "Content-Length" header: "${head.originalName(i)}: ${value}"`
  return false
}

function takeCoding(head: ResponseHead, i: number, value: string): boolean {
  if (head.transferEncodingIndex !== -1) return duplicate(head, i, head.transferEncodingIndex)
  if (head.contentLengthIndex !== -1) return both(head)
  head.transferEncodingIndex = i
  head.chunked = value.length === 7 && value.toLowerCase() === 'chunked'
  if (head.chunked) return true
  head.error = `upstream sent unknown "Transfer-Encoding": "${value}"`
  return false
}

function duplicate(head: ResponseHead, i: number, before: number): boolean {
  head.error =
    `upstream sent duplicate header line: "${head.originalName(i)}: ${head.values[i]!}", ` +
    `previous value: "${head.originalName(before)}: ${head.values[before]!}"`
  return false
}

function both(head: ResponseHead): boolean {
  head.error = 'upstream sent "Content-Length" and "Transfer-Encoding" headers at the same time'
  return false
}
