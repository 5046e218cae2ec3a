// The lines between a start line and a body, which requests, responses and trailers have in common (RFC 9112, 5).
// A head is read in two steps. scanFields() walks over the bytes once, checks each against a table and notes where names
// and values lie; it can stop at any byte and go on where it stopped. takeFields() then turns the head into one latin1
// string and slices it. No string is made for a head that is incomplete or refused.

import type { HeadLimits } from './head.ts'
import { HOST, knownName, NAMES } from './names.ts'

/** Answers of scanFields besides the end of the head (positive) and MORE (0). */
export const FIELD_INVALID = -1
export const FIELD_TOO_LONG = -2
export const FIELDS_TOO_MANY = -3

/** Numbers per field in `spans`: the known name's number, and where name and value begin and end. An ordinary array has them:
 *  a typed one is four objects, and every request that waits has its own. */
export const SPAN = 5

const HTAB = 9
const LF = 10
const CR = 13
const SP = 32
const COLON = 58

// What a byte may do in a name: as nginx has it, letters, digits and `-` are plain; `_` is for underscores_in_headers to
// decide, the other token characters of RFC 9110, 5.6.2 and everything else for ignore_invalid_headers. 0 ends a name.
const PLAIN = 1
const UNDERSCORE = 2
const TOKEN = 4
const OTHER = 8
const NAME = new Uint8Array(256)
for (let i = 33; i < 256; i++) NAME[i] = i === 127 || i === COLON ? 0 : OTHER
for (const c of "!#$%&'*+.^`|~") NAME[c.charCodeAt(0)] = TOKEN
for (const c of '-0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ') NAME[c.charCodeAt(0)] = PLAIN
NAME[95] = UNDERSCORE

// What becomes of a field with such a name.
const PASS = 1
const DROP = 0
const REFUSE = -1

/** Bytes a field value may hold (RFC 9110, 5.5): visible ones, SP, HTAB and those above ASCII. */
export const TEXT = new Uint8Array(256).fill(1, SP)
TEXT[HTAB] = 1
TEXT[127] = 0

export class FieldBlock {
  /** The head as received, one character per byte; the spans count from its beginning. */
  text = ''
  /** In lower case; a well-known name is always the same string object. */
  names: string[] = []
  values: string[] = []
  count = 0
  /** What is wrong with the head, worded as nginx's error log has it; empty if nothing is. */
  error = ''
  /** Lines that ignore_invalid_headers left out, for the error log, with LF between them; empty if there were none. */
  dropped = ''
  spans: number[] = []
  /** Bytes of the head that need not be looked at again: complete lines. 0 before the first. */
  scanned = 0
  /** Within the line that is not complete: how far it was read (0: not at all), where its name ends, what the name has. */
  mark = 0
  markName = 0
  markOdd = 0
  /** Where the line begins that was refused, and the byte that was the reason. */
  badLine = 0
  badAt = 0
  /** Upstreams' names are taken if they are tokens at all, as nginx does; clients' go by the directives. */
  anyToken = false
  /** Trailers must end their lines with CRLF; heads may use a lone LF, as in nginx, unless strict_requests forbids it. */
  crlfOnly = false
  /** Some of it is as it should not be, and is to be made good (lenient.ts). */
  bent = false
  /** Does the Host field decide by which limits the fields behind it are read? */
  namesServer = false

  /** The limits that hold from a Host field on, whose spans begin at `at`. */
  limitsFrom(_bytes: Uint8Array, _start: number, _at: number, before: HeadLimits): HeadLimits {
    return before
  }

  /** The i-th name as its sender spelled it. */
  originalName(i: number): string {
    const from = this.spans[i * SPAN + 1]!
    const to = this.spans[i * SPAN + 2]!
    // A field that did not come as text has no other spelling.
    return from === to ? this.names[i]! : this.text.slice(from, to)
  }

  /** The index of the first field of this (lower-case) name, or -1. */
  find(name: string): number {
    for (let i = 0; i < this.count; i++) if (this.names[i] === name) return i
    return -1
  }

  get(name: string): string | null {
    const i = this.find(name)
    return i === -1 ? null : this.values[i]!
  }

  /** Forgets what was read of an incomplete head. */
  restart(): void {
    this.scanned = 0
    this.mark = 0
    this.markName = 0
    this.markOdd = 0
    this.count = 0
    this.error = ''
    this.dropped = ''
    this.bent = false
  }

  /** Lets go of all strings: for connections that fall idle. */
  release(): void {
    this.restart()
    this.text = ''
    this.names = []
    this.values = []
    if (this.spans.length > SPAN * 128) this.spans = []
  }
}

/** Reads lines from start + block.scanned up to the empty one; answers the head's length, MORE or a FIELD_ number. */
export function scanFields(
  block: FieldBlock,
  bytes: Uint8Array,
  start: number,
  end: number,
  limits: HeadLimits,
): number {
  let held = limits
  let { fieldMax } = limits
  let headStop = Math.min(end, start + limits.headMax)
  const { spans } = block
  let line = start + block.scanned
  for (;;) {
    const stop = Math.min(headStop, line + fieldMax)
    let i = line
    let odd = 0
    let nameEnd = 0
    if (block.mark !== 0) {
      i = start + block.mark
      odd = block.markOdd
      nameEnd = block.markName === 0 ? 0 : start + block.markName
      block.mark = 0
    }
    if (nameEnd === 0) {
      for (let kind = 0; i < stop && (kind = NAME[bytes[i]!]!) !== 0; i++) odd |= kind
      if (i >= stop) return pause(block, start, end, line, i, 0, odd, held)
      const c = bytes[i]!
      if (c !== COLON || i === line) {
        if (i !== line || (c !== CR && c !== LF)) {
          if (!block.anyToken || !repeatsStatusLine(bytes, line, i)) return refuse(block, start, line, i)
          while (i < stop && bytes[i] !== LF) i++
          if (i >= stop) return pause(block, start, end, line, line, 0, 0, held)
          line = i + 1
          block.scanned = line - start
          continue
        }
        if (c === CR) {
          if (i + 1 >= stop) return pause(block, start, end, line, i, 0, 0, held)
          if (bytes[++i] !== LF) return refuse(block, start, line, i - 1)
        } else if (block.crlfOnly) return refuse(block, start, line, i)
        block.scanned = i + 1 - start
        return block.scanned
      }
      nameEnd = i++
    }
    while (i < stop && TEXT[bytes[i]!] === 1) i++
    if (i >= stop) return pause(block, start, end, line, i, nameEnd, odd, held)
    let valueEnd = i
    if (bytes[i] === CR) {
      if (i + 1 >= stop) return pause(block, start, end, line, i, nameEnd, odd, held)
      if (bytes[++i] !== LF) return refuse(block, start, line, i - 1)
    } else if (bytes[i] !== LF || block.crlfOnly) return refuse(block, start, line, i)

    const verdict = odd === PLAIN ? PASS : judge(block, odd, bytes, line, nameEnd, held)
    if (verdict === REFUSE) return refuse(block, start, line, nameEnd)
    if (verdict === DROP)
      block.dropped += `${block.dropped === '' ? '' : '\n'}${latin1(bytes as Buffer, line, valueEnd)}`
    else {
      let valueStart = nameEnd + 1
      while (valueStart < valueEnd && isBlank(bytes[valueStart]!)) valueStart++
      while (valueEnd > valueStart && isBlank(bytes[valueEnd - 1]!)) valueEnd--
      if (block.count >= held.fieldsMax) return FIELDS_TOO_MANY
      const at = block.count++ * SPAN
      spans[at] = knownName(bytes, line, nameEnd)
      spans[at + 1] = line - start
      spans[at + 2] = nameEnd - start
      spans[at + 3] = valueStart - start
      spans[at + 4] = valueEnd - start
      if (spans[at] === HOST && block.namesServer) {
        held = block.limitsFrom(bytes, start, at, held)
        fieldMax = held.fieldMax
        headStop = Math.min(end, start + held.headMax)
      }
    }
    line = i + 1
    block.scanned = line - start
  }
}

/** Makes names and values of what scanFields found, out of block.text. */
export function takeFields(block: FieldBlock): void {
  const { text, spans, count } = block
  // With room for as many as there are; what grows by itself has room for seventeen.
  // oxlint-disable-next-line unicorn/no-new-array
  const names = (block.names = new Array<string>(count))
  // oxlint-disable-next-line unicorn/no-new-array
  const values = (block.values = new Array<string>(count))
  for (let i = 0, at = 0; i < count; i++, at += SPAN) {
    const id = spans[at]!
    names[i] = id !== 0 ? NAMES[id]! : text.slice(spans[at + 1], spans[at + 2]).toLowerCase()
    values[i] = text.slice(spans[at + 3], spans[at + 4])
  }
}

/** What the characters of a name are, as bits. */
export function kindsOf(bytes: Uint8Array, from: number, to: number): number {
  let kinds = 0
  for (let i = from; i < to; i++) kinds |= NAME[bytes[i]!]!
  return kinds
}

/** One latin1 character per byte. toString('latin1', …) does the same after looking at its arguments, 20 to 40 ns later. */
export function latin1(bytes: Buffer, start: number, end: number): string {
  return (bytes as Buffer & { latin1Slice(start: number, end: number): string }).latin1Slice(start, end)
}

/** Is this one of the options of a comma-separated list, whatever its case? `token` is in lower case. */
export function hasToken(list: string, token: string): boolean {
  if (list.length === token.length) return list === token || list.toLowerCase() === token
  if (list.length < token.length) return false
  for (const part of list.toLowerCase().split(',')) if (part.trim() === token) return true
  return false
}

/** A Content-Length: digits alone, up to 2^53 - 1; -1 for anything else. */
export function parseLength(given: string): number {
  const value = given.length > 16 ? withoutZeros(given) : given
  if (value.length === 0 || value.length > 16) return -1
  let n = 0
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return -1
    n = n * 10 + digit
  }
  return n <= Number.MAX_SAFE_INTEGER ? n : -1
}

/**
 * A request's, up to 2^63 - 1 as nginx has it, so that what nobody takes is too large rather than wrong. No number here has more
 * than 53 bits: what goes beyond is as good as endless.
 */
export function parseRequestLength(given: string): number {
  const value = given.length < 16 ? given : withoutZeros(given)
  if (value.length < 16) return parseLength(value)
  if (!/^[1-9]\d{15,18}$/.test(value)) return -1
  const length = BigInt(value)
  return length > LENGTH_MAX ? -1 : Math.min(Number(length), Number.MAX_SAFE_INTEGER)
}

const LENGTH_MAX = 2n ** 63n - 1n

/** Zeros in front say nothing (RFC 9110, 8.6: any number of digits). */
function withoutZeros(value: string): string {
  let at = 0
  while (at < value.length - 1 && value.charCodeAt(at) === 48) at++
  return value.slice(at)
}

/** The refused line up to the byte that was the reason, and that byte: `Foo\x00...`. */
export function badLine(block: FieldBlock, bytes: Buffer, start: number): string {
  const at = start + block.badAt
  const from = start + block.badLine
  const text = latin1(bytes, from, Math.min(at, from + 1748))
  return `"${text}\\x${bytes[at]!.toString(16).padStart(2, '0')}..."`
}

/** IIS is known for a second `HTTP/1.1 200 OK` among its fields, which nginx passes over. */
function repeatsStatusLine(bytes: Uint8Array, line: number, at: number): boolean {
  return at >= line + 5 && latin1(bytes as Buffer, line, line + 5) === 'HTTP/'
}

export function isBlank(c: number): boolean {
  return c === SP || c === HTAB
}

// The line goes on past what has arrived, or past what it may have.
function pause(
  block: FieldBlock,
  start: number,
  end: number,
  line: number,
  at: number,
  nameEnd: number,
  odd: number,
  limits: HeadLimits,
): number {
  block.badLine = line - start
  if (end - line >= limits.fieldMax || end - start >= limits.headMax) return FIELD_TOO_LONG
  block.mark = at - start
  block.markName = nameEnd === 0 ? 0 : nameEnd - start
  block.markOdd = odd
  return 0
}

function refuse(block: FieldBlock, start: number, line: number, at: number): number {
  block.badLine = line - start
  block.badAt = at - start
  return FIELD_INVALID
}

// A name with other characters than letters, digits and `-`. One that a careless reader could take for a framing field
// is refused whatever the directives say.
function judge(
  block: FieldBlock,
  odd: number,
  bytes: Uint8Array,
  line: number,
  nameEnd: number,
  limits: HeadLimits,
): number {
  const underscores = (odd & (TOKEN | OTHER)) === 0
  if (underscores && block.anyToken) return PASS
  if (looksLikeFraming(latin1(bytes as Buffer, line, nameEnd).toLowerCase())) return REFUSE
  if (underscores && limits.underscores) return PASS
  if (block.anyToken) return (odd & OTHER) === 0 ? PASS : DROP
  if (limits.ignoreInvalid) return DROP
  return (odd & OTHER) === 0 ? PASS : REFUSE
}

const TOKEN_TEXT = /^[!#$%&'*+.^_`|~0-9a-zA-Z-]+$/

/** A name as RFC 9110, 5.6.2 has it. */
export function isToken(name: string): boolean {
  return TOKEN_TEXT.test(name)
}

/** Could a careless reader take this name, which is not plain, for one of the fields that frame a message? */
export function looksLikeFraming(name: string): boolean {
  const bare = name.replace(/[^a-z0-9]/g, '')
  return bare === 'contentlength' || bare === 'transferencoding'
}
