// Parts of a response of known length (RFC 9110, 14), with the rules of nginx's range filter: which ranges are taken,
// which make the whole be sent instead, and which are refused. Decided when the filters have seen the head, since they may
// change its date and tag, or the body; the handler then sends the parts from wherever it has the bytes.

import { parseHttpDate } from '../lib/http-date.ts'
import type { HttpRequest } from './request.ts'

/** From `start` up to and without `end`. */
export interface ByteRange {
  readonly start: number
  readonly end: number
}

/** The whole is sent: no range was asked for, or none that is worth it. */
export const WHOLE = 'whole'
/** None of the ranges lies within: 416. */
export const UNSATISFIABLE = 'unsatisfiable'

export type Ranges = readonly ByteRange[] | typeof WHOLE | typeof UNSATISFIABLE

/** max_ranges when it is not set: any number, as long as the overhead of parts does not outgrow the whole. */
export const UNLIMITED = 0x7fffffff

const MAX_DIGITS = 2n ** 63n - 1n

/** What of a body the client gets, and what stands around the parts (null for a single one). */
export interface RangePlan {
  readonly ranges: readonly ByteRange[]
  readonly around: MultipartText | null
}

/** A stage that sees to it itself that the client gets the range: whoever makes the body knows nothing of it. */
export interface RangeTaker {
  takeRange(plan: RangePlan): void
}

/** Weighs the ranges asked for and makes the head say what is sent. False: none of them lies within, 416. */
export function planRanges(r: HttpRequest): boolean {
  // A body whose length the filters do not know is one that they alter.
  if (r.status !== 200 || r.contentLength === -1 || r.version < 10 || r.parent !== null) return true
  const ranges = requestedRanges(r, r.rangesMax)
  if (ranges === UNSATISFIABLE) return false
  if (ranges === WHOLE) r.addHeader('Accept-Ranges', 'bytes')
  else {
    const plan = { ranges, around: prepareRangeHead(r, ranges) }
    if (r.rangeTaker === null) r.range = plan
    else r.rangeTaker.takeRange(plan)
  }
  return true
}

/** What the client asks for of a 200 response with `r.contentType`, `r.contentLength`, `r.lastModified` and
 * `r.etag` set. */
function requestedRanges(r: HttpRequest, max: number): Ranges {
  if (max === 0 || r.version < 10) return WHOLE
  const range = r.header('range')
  if (range === null || range.length < 7 || range.slice(0, 6).toLowerCase() !== 'bytes=') return WHOLE
  if (!isCurrent(r)) return WHOLE
  return parseRanges(range.slice(6), r.contentLength, max)
}

/** If-Range: is the part the client has of this very version? */
function isCurrent(r: HttpRequest): boolean {
  const condition = r.header('if-range')
  if (condition === null) return true
  if (condition.length >= 2 && condition.endsWith('"')) return condition === r.etag
  return r.lastModified !== '' && parseHttpDate(condition) === parseHttpDate(r.lastModified)
}

/** `0-99, 500-, -10` of `length` bytes. */
export function parseRanges(text: string, length: number, max = UNLIMITED): Ranges {
  const ranges: ByteRange[] = []
  let total = 0
  for (const one of text.split(',')) {
    const range = parseRange(one, length)
    if (range === null) return UNSATISFIABLE
    if (range.start < range.end) {
      if (ranges.length === max) return WHOLE
      ranges.push(range)
      total += range.end - range.start
    } else if (range.start === 0) return WHOLE
  }
  if (ranges.length === 0) return UNSATISFIABLE
  if (ranges.length === 1) return ranges
  if (total > length) return WHOLE
  // Each part has a head of its own; a request for very many tiny ones would cost more than the whole.
  return max === UNLIMITED && total + ranges.length * 256 > length + 4096 ? WHOLE : ranges
}

const RANGE = /^ *(?:([0-9]+) *- *([0-9]*)|-([0-9]+)) *$/

function parseRange(text: string, length: number): ByteRange | null {
  const [whole, first, last, suffix] = RANGE.exec(text) ?? []
  if (whole === undefined) return null
  if (suffix !== undefined) {
    const wanted = integer(suffix)
    return wanted === null ? null : { start: Math.max(length - wanted, 0), end: length }
  }
  const start = integer(first!)
  const end = last === '' ? length : integer(last!)
  if (start === null || end === null) return null
  return { start, end: last === '' ? length : Math.min(end + 1, length) }
}

/** null for what does not fit in 64 bits, which nginx refuses; what JavaScript cannot count exactly lies beyond any file. */
function integer(digits: string): number | null {
  if (digits.length <= 15) return Number(digits)
  const value = BigInt(digits)
  return value > MAX_DIGITS ? null : Math.min(Number(value), Number.MAX_SAFE_INTEGER)
}

const CONTENT_RANGE = /^bytes  *(\d{1,15}) *- *(\d{1,15}) *\/ *(?:(\d{1,15})|\*) *$/

/** `bytes 0-99/1234`; `length` is -1 for `*`. */
export function parseContentRange(text: string): { start: number; end: number; length: number } | null {
  const [whole, first, last, length] = CONTENT_RANGE.exec(text) ?? []
  if (whole === undefined) return null
  return { start: Number(first), end: Number(last) + 1, length: length === undefined ? -1 : Number(length) }
}

/** Turns the head into that of a partial response; the boundaries of several parts are answered, '' for one. */
function prepareRangeHead(r: HttpRequest, ranges: readonly ByteRange[]): MultipartText | null {
  const length = r.contentLength
  r.status = 206
  if (ranges.length === 1) {
    const { start, end } = ranges[0]!
    r.contentLength = end - start
    r.addHeader('Content-Range', `bytes ${start}-${end - 1}/${length}`)
    return null
  }
  const text = new MultipartText(ranges, r.contentType, length)
  r.contentType = `multipart/byteranges; boundary=${text.boundary}`
  r.contentLength = text.length
  return text
}

let boundaries = Math.floor(Math.random() * 1e9)

/** What stands around the parts of a multipart/byteranges body. */
export class MultipartText {
  readonly boundary: string
  /** Before each part. */
  readonly heads: readonly string[]
  /** Behind the last. */
  readonly tail: string
  /** Of the whole body. */
  readonly length: number

  constructor(ranges: readonly ByteRange[], contentType: string, total: number) {
    this.boundary = `${++boundaries}`.padStart(20, '0')
    const type = contentType === '' ? '' : `Content-Type: ${contentType}\r\n`
    const head = `\r\n--${this.boundary}\r\n${type}Content-Range: bytes `
    this.heads = ranges.map(({ start, end }) => `${head}${start}-${end - 1}/${total}\r\n\r\n`)
    this.tail = `\r\n--${this.boundary}--\r\n`
    this.length = ranges.reduce((sum, { start, end }, i) => sum + this.heads[i]!.length + end - start, this.tail.length)
  }
}
