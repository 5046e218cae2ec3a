// The chunked transfer coding, decoded as it comes (RFC 9112, 7.1). Bytes of the body are handed on as slices of what was
// fed; nothing is allocated per chunk. Strict, because a chunk two readers measure differently is a smuggled request:
// CRLF and no lone LF, a size of bounded length, an extension of bounded length without controls.
//
//   SIZE ─▶ (PAD | EXTENSION) ─▶ SIZE_LF ─▶ DATA ─▶ DATA_CR ─▶ DATA_LF ─▶ SIZE …
//                                    └─ size 0 ─▶ TRAILER ─▶ DONE

import { badLine, FIELD_INVALID, FIELD_TOO_LONG, FieldBlock, latin1, scanFields, takeFields, TEXT } from './fields.ts'
import type { HeadLimits } from './head.ts'

/** Takes the body's bytes; they are the decoder's only until onBody returns. */
export interface BodySink {
  onBody(bytes: Buffer, start: number, end: number): void
}

/** Whose message: an upstream may pad its sizes with spaces, as some do; a client may not. */
export type Side = 'request' | 'response'

const SIZE = 0
const PAD = 1
const EXTENSION = 2
const SIZE_LF = 3
const DATA = 4
const DATA_CR = 5
const DATA_LF = 6
const TRAILER = 7
const DONE = 8
const FAILED = 9

const HTAB = 9
const LF = 10
const CR = 13
const SP = 32
const SEMICOLON = 59

/** Bytes of extensions, and of zeros before a size: of one chunk, and of chunks without a body to speak of between them. */
const EXTENSION_MAX = 4096

const TRAILER_LIMITS: HeadLimits = {
  lineMax: 0,
  fieldMax: 8192,
  headMax: 32768,
  fieldsMax: 100,
  underscores: false,
  ignoreInvalid: true,
}

// Trailers may not change how the message is framed, routed, authenticated or read (RFC 9110, 6.5.1).
const FORBIDDEN = new Set(
  (
    'host connection content-length transfer-encoding content-encoding content-type content-range trailer te upgrade ' +
    'expect authorization proxy-authorization proxy-authenticate www-authenticate cookie set-cookie cache-control ' +
    'max-forwards pragma range if-match if-none-match if-modified-since if-unmodified-since if-range age expires date ' +
    'location retry-after vary warning keep-alive proxy-connection x-forwarded-for x-forwarded-host x-forwarded-proto ' +
    'forwarded x-real-ip'
  ).split(' '),
)

// With strict_requests what is no field is an error, and so are these: somebody else may have taken them for the head's.
const STRICT_LIMITS: HeadLimits = { ...TRAILER_LIMITS, ignoreInvalid: false }
const SMUGGLED = new Set('host content-length transfer-encoding trailer authorization te'.split(' '))

/** May a field of this (lower-case) name stand behind a body? Whichever protocol it comes by. */
export function mayTrail(name: string): boolean {
  return !FORBIDDEN.has(name)
}

const HEX = new Int8Array(256).fill(-1)
for (let i = 0; i < 16; i++) {
  HEX['0123456789abcdef'.charCodeAt(i)] = i
  HEX['0123456789ABCDEF'.charCodeAt(i)] = i
}

export class ChunkedDecoder {
  done = false
  /** Why feed() answered -1. */
  error = ''
  /** Names (as spelled) and values in turn: the trailers that may be given on. Empty until done. */
  trailers: string[] = []
  state = SIZE
  /** strict_requests. */
  strict = false
  /** Bytes of the current chunk still to come; while its size is read, the size so far. */
  left = 0
  /** 1: there has been one of the size's; behind it: there has been a space. */
  digits = 0
  extension = 0
  readonly side: Side
  readonly trailerLimits: HeadLimits
  block: FieldBlock | null = null
  /** Trailer bytes that came in pieces. */
  held: Buffer | null = null

  constructor(side: Side, trailerLimits: HeadLimits = TRAILER_LIMITS) {
    this.side = side
    this.trailerLimits = trailerLimits
  }

  restart(): void {
    this.done = false
    this.error = ''
    if (this.trailers.length !== 0) this.trailers = []
    this.state = SIZE
    this.left = 0
    this.digits = 0
    this.extension = 0
    this.block = null
    this.held = null
  }

  /** Takes bytes[start, end). Answers where it stopped: end, or what follows the message if `done`; -1: see error. */
  feed(bytes: Buffer, start: number, end: number, sink: BodySink): number {
    let i = start
    while (i < end) {
      switch (this.state) {
        case SIZE: {
          const digit = HEX[bytes[i]!]!
          if (digit >= 0) {
            if (this.left === 0 && this.digits === 1 && ++this.extension > EXTENSION_MAX) return this.fail()
            this.left = this.left * 16 + digit
            this.digits = 1
            if (this.left > Number.MAX_SAFE_INTEGER) return this.fail()
            i++
            break
          }
          if (this.digits === 0) return this.fail()
          this.digits = 0
          this.state = PAD
          break
        }
        case PAD:
          // What stands behind the digits: whitespace counts as part of the extension it leads to.
          switch (bytes[i++]) {
            case CR:
              if (this.digits !== 0 && this.side === 'request') return this.fail()
              this.digits = 0
              this.state = SIZE_LF
              break
            case SP:
            case HTAB:
              this.digits = 1
              if (++this.extension > EXTENSION_MAX) return this.fail()
              break
            case SEMICOLON:
              this.state = EXTENSION
              break
            default:
              return this.fail()
          }
          break
        case EXTENSION: {
          const from = i
          while (i < end && TEXT[bytes[i]!] === 1) i++
          this.extension += i - from
          if (this.extension > EXTENSION_MAX) return this.fail()
          if (i === end) break
          if (bytes[i++] !== CR) return this.fail()
          this.state = SIZE_LF
          break
        }
        case SIZE_LF:
          if (bytes[i++] !== LF) return this.fail()
          this.digits = 0
          this.state = this.left === 0 ? TRAILER : DATA
          break
        case DATA: {
          const to = Math.min(end, i + this.left)
          this.left -= to - i
          // Extensions are bounded over as long as they outweigh the body.
          this.extension = Math.max(0, this.extension - (to - i))
          sink.onBody(bytes, i, to)
          i = to
          if (this.left === 0) this.state = DATA_CR
          break
        }
        case DATA_CR:
          if (bytes[i++] !== CR) return this.fail()
          this.state = DATA_LF
          break
        case DATA_LF:
          if (bytes[i++] !== LF) return this.fail()
          this.state = SIZE
          break
        case TRAILER:
          if (this.held === null && i + 1 < end && bytes[i] === CR && bytes[i + 1] === LF) return this.finish(i + 2)
          return this.feedTrailers(bytes, i, end)
        default:
          return this.state === DONE ? i : -1
      }
    }
    return end
  }

  // Trailers are few, and rare: those that come in pieces are put together.
  private feedTrailers(bytes: Buffer, start: number, end: number): number {
    const block = this.block ?? this.openTrailers()
    const before = this.held === null ? 0 : this.held.length
    // No more is held than could be accepted.
    const taken = Math.min(end, start + this.trailerLimits.headMax + 1 - before)
    this.held =
      this.held === null
        ? Buffer.from(bytes.subarray(start, taken))
        : Buffer.concat([this.held, bytes.subarray(start, taken)])
    const answer = scanFields(block, this.held, 0, this.held.length, this.strict ? STRICT_LIMITS : this.trailerLimits)
    if (answer === 0) return end
    if (answer < 0) return this.failTrailers(block, answer)
    block.text = latin1(this.held, 0, answer)
    takeFields(block)
    for (let i = 0; i < block.count; i++) {
      if (this.strict && SMUGGLED.has(block.names[i]!)) return this.failSmuggled(block.originalName(i))
      if (mayTrail(block.names[i]!)) this.trailers.push(block.originalName(i), block.values[i]!)
    }
    return this.finish(start + answer - before)
  }

  private openTrailers(): FieldBlock {
    this.block = new FieldBlock()
    this.block.crlfOnly = true
    return this.block
  }

  private failTrailers(block: FieldBlock, why: number): number {
    this.fail()
    const who = this.side === 'request' ? 'client' : 'upstream'
    if (why === FIELD_INVALID) this.error = `${who} sent invalid trailer: ${badLine(block, this.held!, 0)}`
    else this.error = `${who} sent too ${why === FIELD_TOO_LONG ? 'big' : 'many'} trailers`
    return -1
  }

  private failSmuggled(name: string): number {
    this.fail()
    this.error = `client sent "${name}" in trailers`
    return -1
  }

  private finish(at: number): number {
    this.state = DONE
    this.done = true
    this.held = null
    return at
  }

  private fail(): number {
    this.state = FAILED
    this.error = this.side === 'request' ? 'client sent invalid chunked body' : 'upstream sent invalid chunked response'
    return -1
  }
}
