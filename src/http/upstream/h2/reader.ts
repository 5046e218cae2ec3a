// What an HTTP/2 connection to an upstream has to remember, and the reading of its frames (RFC 9113). A connection carries
// one request at a time, each as a stream of its own, as nginx has it (ngx_http_grpc_module, ngx_http_proxy_v2_module):
// so frames are the present request's or the connection's, and anything else is a fault.

import { mayTrail } from '../../../codec/h1/chunked.ts'
import {
  ACK,
  CONTINUATION,
  DATA,
  DEFAULT_FRAME_SIZE,
  DEFAULT_WINDOW,
  END_HEADERS,
  END_STREAM,
  FRAME_HEADER,
  GOAWAY,
  HEADERS,
  INITIAL_WINDOW_SIZE,
  PADDED,
  PING,
  PUSH_PROMISE,
  RST_STREAM,
  SETTINGS,
  STREAM_MAX,
  WINDOW_MAX,
  WINDOW_UPDATE,
  WITH_PRIORITY,
} from '../../../codec/h2/constants.ts'
import { FieldList, HpackDecoder, NAME_ODD } from '../../../codec/h2/hpack-decoder.ts'
import type { Attempt } from '../attempt.ts'
import { OVER } from '../exchange-state.ts'
import type { Exchange } from '../exchange.ts'
import { continueSending } from '../sending.ts'
import { faultIn, problemOf, tooMuchPadding } from './faults.ts'
import { ping, SETTINGS_ACK, windowUpdate } from './frames.ts'
import { H2Response } from './response.ts'

/** Answers to SETTINGS and PING that may wait for a peer that does not read them. */
const ANSWERS_MAX = 1000

const NO_HEAD = 0
const IN_HEAD = 1
const IN_BODY = 2
const ENDED = 3

/** Of all threads' connections: blocks are decoded whole, and their fields copied. */
const list = new FieldList()

export class H2Reader {
  /** Of the present request; odd, rising. */
  streamId = -1
  response = new H2Response()
  // Flow control: what we may send, what the peer may.
  private initialWindow = DEFAULT_WINDOW
  connectionWindow = DEFAULT_WINDOW
  streamWindow = 0
  private connectionCredit = WINDOW_MAX
  private streamCredit = WINDOW_MAX
  private attempt: Attempt | null = null
  private phase = NO_HEAD
  /** The peer takes no further request. */
  private goaway = false
  private reset = false
  private answers = 0
  /** As nginx, it does not mind a string that is padded with a whole byte. */
  private readonly decoder = new HpackDecoder(0, 8)
  // The frame being read: its header, byte by byte; what is left of it; its payload as far as it had to be kept.
  private readonly header = Buffer.allocUnsafe(FRAME_HEADER)
  private have = 0
  private type = 0
  private flags = 0
  private frameStream = 0
  private rest = 0
  private padding = -1
  private payload: Buffer[] = []
  /** A header block whose CONTINUATION is still to come, and the flags it began with. */
  private block: Buffer[] | null = null
  private blockSize = 0
  private blockFlags = 0

  /** The next request begins; or, after an interim head, the same one's next head. */
  begin(x: Exchange): void {
    this.response = new H2Response()
    if (this.attempt === x.attempt) {
      this.phase = NO_HEAD
      return
    }
    this.attempt = x.attempt
    this.streamId += 2
    this.streamWindow = this.initialWindow
    this.streamCredit = WINDOW_MAX
    this.phase = NO_HEAD
    this.reset = false
  }

  /** May another request follow? */
  get reusable(): boolean {
    return this.phase === ENDED && this.have === 0 && !this.goaway && this.streamId < STREAM_MAX - 2
  }

  get ended(): boolean {
    return this.phase === ENDED
  }

  /** @returns where it stopped, short of `end` only behind a complete head; -1 with x.problem set */
  feed(x: Exchange, bytes: Buffer, start: number, end: number): number {
    let at = start
    for (;;) {
      while (this.have < FRAME_HEADER && at < end) this.header[this.have++] = bytes[at++]!
      if (this.have < FRAME_HEADER) return end
      if (this.have === FRAME_HEADER) {
        x.problem = this.beginFrame()
        if (x.problem !== '') return -1
        this.have++
      }
      at = this.type === DATA ? this.data(x, bytes, at, end) : this.gather(x, bytes, at, end)
      if (at < 0 || x.state === OVER) return at < 0 ? -1 : end
      if (this.have !== 0) return end
      if (this.phase === IN_HEAD) {
        this.phase = (this.blockFlags & END_STREAM) === 0 ? IN_BODY : ENDED
        return at
      }
    }
  }

  /** Looks at a frame's header. @returns what is wrong with it */
  private beginFrame(): string {
    const { header } = this
    this.rest = header.readUIntBE(0, 3)
    this.type = header[3]!
    this.flags = header[4]!
    this.frameStream = header.readUInt32BE(5) & STREAM_MAX
    this.padding = -1
    const { type, frameStream, rest } = this
    if (rest > DEFAULT_FRAME_SIZE) return `upstream sent too large http2 frame: ${rest}`
    const continues = type === CONTINUATION
    if (continues !== (this.block !== null) || (type === DATA && this.phase === NO_HEAD)) {
      return `upstream sent unexpected http2 frame: ${type}`
    }
    if (type === DATA && frameStream !== this.streamId) {
      return `upstream sent data frame for unknown stream ${frameStream}`
    }
    if (type === DATA) {
      const fault = this.spend(rest)
      if (fault !== '') return fault
    }
    if (frameStream !== 0 && frameStream !== this.streamId) {
      return `upstream sent frame for unknown stream ${frameStream}`
    }
    if (frameStream !== 0 && this.phase === ENDED && type !== RST_STREAM && type !== WINDOW_UPDATE) {
      return `upstream sent frame for closed stream ${frameStream}`
    }
    return ''
  }

  private spend(size: number): string {
    const received = `received ${size} data frame with window`
    if (size > this.streamCredit) return `upstream violated stream flow control, ${received} ${this.streamCredit}`
    if (size > this.connectionCredit) {
      return `upstream violated connection flow control, ${received} ${this.connectionCredit}`
    }
    this.streamCredit -= size
    this.connectionCredit -= size
    return ''
  }

  /** Gives the peer its windows back, long before they are used up. */
  private replenish(x: Exchange): void {
    if (this.connectionCredit >= WINDOW_MAX / 4 && this.streamCredit >= WINDOW_MAX / 4) return
    const text =
      windowUpdate(0, WINDOW_MAX - this.connectionCredit) + windowUpdate(this.streamId, WINDOW_MAX - this.streamCredit)
    this.connectionCredit = WINDOW_MAX
    this.streamCredit = WINDOW_MAX
    x.link!.connection.writeText(text)
  }

  // ── DATA ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Passes content on as it comes. @returns where it stopped, -1 with x.problem set */
  private data(x: Exchange, bytes: Buffer, start: number, end: number): number {
    let at = start
    if (this.padding < 0) {
      this.padding = 0
      if ((this.flags & PADDED) !== 0) {
        if (this.rest === 0) return fail(x, 'upstream sent too short http2 frame')
        if (at === end) {
          this.padding = -1
          return end
        }
        this.padding = bytes[at++]!
        this.rest--
        if (this.padding > this.rest) return fail(x, tooMuchPadding(this.padding, this.rest))
      }
    }
    const size = Math.min(end - at, this.rest - this.padding)
    if (size > 0) {
      if (x.bodyLeft >= 0 && size > x.bodyLeft) {
        return fail(x, 'upstream sent response body larger than indicated content length')
      }
      if (x.bodyLeft >= 0) x.bodyLeft -= size
      x.deliver(at, at + size)
      at += size
      this.rest -= size
      if (x.state === OVER) return end
    }
    if (this.rest <= this.padding) {
      const skipped = Math.min(end - at, this.rest)
      at += skipped
      this.rest -= skipped
      this.padding = this.rest
    }
    if (this.rest > 0) return at
    this.have = 0
    this.replenish(x)
    return (this.flags & END_STREAM) === 0 || this.end(x) ? at : -1
  }

  private end(x: Exchange): boolean {
    this.phase = ENDED
    if (x.bodyLeft <= 0) return true
    x.problem = 'upstream prematurely closed stream'
    return false
  }

  // ── all other frames ─────────────────────────────────────────────────────────────────────────────────────────────

  /** Waits for the whole payload. @returns where it stopped, -1 with x.problem set */
  private gather(x: Exchange, bytes: Buffer, start: number, end: number): number {
    const size = Math.min(end - start, this.rest)
    this.rest -= size
    const piece = bytes.subarray(start, start + size)
    if (this.rest > 0) {
      if (size > 0) this.payload.push(Buffer.from(piece))
      return end
    }
    const whole = this.payload.length === 0 ? piece : Buffer.concat([...this.payload, piece])
    if (this.payload.length > 0) this.payload = []
    this.have = 0
    x.problem = this.frame(x, whole)
    return x.problem === '' ? start + size : -1
  }

  /** @returns what is wrong with it */
  private frame(x: Exchange, payload: Buffer): string {
    switch (this.type) {
      case HEADERS:
        return this.headers(x, payload)
      case CONTINUATION:
        return this.fragment(x, payload, this.flags)
      case RST_STREAM:
        return this.rstStream(payload)
      case SETTINGS:
        return this.settings(x, payload)
      case PING:
        return this.ping(x, payload)
      case GOAWAY:
        return this.goAway(payload)
      case WINDOW_UPDATE:
        return this.windowUpdate(x, payload)
      case PUSH_PROMISE:
        return 'upstream sent unexpected push promise frame'
      default:
        return ''
    }
  }

  private headers(x: Exchange, payload: Buffer): string {
    if (this.frameStream === 0) return 'upstream sent frame for unknown stream 0'
    const { flags } = this
    const padded = (flags & PADDED) !== 0
    const before = (padded ? 1 : 0) + ((flags & WITH_PRIORITY) === 0 ? 0 : 5)
    if (payload.length < before) return `upstream sent headers frame with invalid length: ${payload.length}`
    const padding = padded ? payload[0]! : 0
    if (padding > payload.length - before) return tooMuchPadding(padding, payload.length - before)
    this.block = []
    this.blockSize = 0
    this.blockFlags = flags
    return this.fragment(x, payload.subarray(before, payload.length - padding), flags)
  }

  private fragment(x: Exchange, piece: Buffer, flags: number): string {
    const block = this.block!
    this.blockSize += piece.length
    // Huffman coding halves text at best.
    if (this.blockSize > 2 * x.settings.headLimits.headMax) return 'upstream sent too large http2 header'
    if ((flags & END_HEADERS) === 0) {
      // Empty ones may come without end.
      if (piece.length > 0) block.push(Buffer.from(piece))
      return ''
    }
    this.block = null
    const whole = block.length === 0 ? piece : Buffer.concat([...block, piece])
    list.restart()
    list.sizeMax = x.settings.headLimits.headMax
    if (!this.decoder.decode(whole, 0, whole.length, list)) {
      return `upstream sent ${problemOf(this.decoder.fault, this.decoder.faultValue)}`
    }
    if (this.decoder.nameless) return 'upstream sent zero http2 header name length'
    if (list.overflow) return 'upstream sent too large http2 header'
    return this.phase === NO_HEAD ? this.takeHead() : this.trailer(x)
  }

  private takeHead(): string {
    const fault = faultIn(list, 'header')
    if (fault !== '') return fault
    this.phase = IN_HEAD
    return this.response.take(list, (this.blockFlags & END_STREAM) !== 0)
  }

  private trailer(x: Exchange): string {
    const fault = faultIn(list, 'trailer')
    if (fault !== '') return fault
    if ((this.blockFlags & END_STREAM) === 0) return 'upstream sent trailer without end stream flag'
    const trailers: string[] = []
    for (let i = 0; i < list.count; i++) {
      const name = list.names[i]!
      if (name.startsWith(':')) return `upstream sent invalid trailer "${name}: ${list.values[i]}"`
      if ((list.faults[i]! & NAME_ODD) === 0 && mayTrail(name)) trailers.push(name, list.values[i]!)
    }
    x.trailers = trailers
    return this.end(x) ? '' : x.problem
  }

  private rstStream(payload: Buffer): string {
    if (payload.length !== 4) return `upstream sent rst stream frame with invalid length: ${payload.length}`
    const error = payload.readUInt32BE(0)
    if (error !== 0 || this.phase !== ENDED) return `upstream rejected request with error ${error}`
    if (this.reset) return `upstream sent frame for closed stream ${this.frameStream}`
    this.reset = true
    return ''
  }

  private goAway(payload: Buffer): string {
    if (this.frameStream !== 0) return `upstream sent goaway frame with non-zero stream id: ${this.frameStream}`
    if (payload.length < 8) return `upstream sent goaway frame with invalid length: ${payload.length}`
    if ((payload.readUInt32BE(0) & STREAM_MAX) < this.streamId) {
      return `upstream sent goaway with error ${payload.readUInt32BE(4)}`
    }
    this.goaway = true
    return ''
  }

  private windowUpdate(x: Exchange, payload: Buffer): string {
    if (payload.length !== 4) return `upstream sent window update frame with invalid length: ${payload.length}`
    const size = payload.readUInt32BE(0) & WINDOW_MAX
    if (size === 0) return 'upstream sent zero window update'
    const before = this.frameStream === 0 ? this.connectionWindow : this.streamWindow
    if (size > WINDOW_MAX - before) return 'upstream sent too large window update'
    if (this.frameStream === 0) this.connectionWindow += size
    else this.streamWindow += size
    if (!x.bodySent) continueSending(x)
    return ''
  }

  private settings(x: Exchange, payload: Buffer): string {
    const { length } = payload
    if (this.frameStream !== 0) return `upstream sent settings frame with non-zero stream id: ${this.frameStream}`
    if ((this.flags & ACK) !== 0) {
      return length === 0 ? '' : `upstream sent settings frame with ack flag and non-zero length: ${length}`
    }
    if (length % 6 !== 0) return `upstream sent settings frame with invalid length: ${length}`
    for (let at = 0; at < length; at += 6) {
      // The only one that concerns so simple a client: frames never are larger than the least maximum.
      if (payload.readUInt16BE(at) !== INITIAL_WINDOW_SIZE) continue
      const size = payload.readUInt32BE(at + 2)
      const change = size - this.initialWindow
      if (size > WINDOW_MAX || change > WINDOW_MAX - this.streamWindow) {
        return `upstream sent settings frame with too large initial window size: ${size}`
      }
      this.initialWindow = size
      this.streamWindow += change
    }
    if (!this.answer(x, SETTINGS_ACK)) return 'upstream sent too many settings frames'
    if (!x.bodySent) continueSending(x)
    return ''
  }

  private ping(x: Exchange, payload: Buffer): string {
    if (this.frameStream !== 0) return `upstream sent ping frame with non-zero stream id: ${this.frameStream}`
    if (payload.length !== 8) return `upstream sent ping frame with invalid length: ${payload.length}`
    if ((this.flags & ACK) !== 0) return 'upstream sent ping frame with ack flag'
    return this.answer(x, ping(payload)) ? '' : 'upstream sent too many ping frames'
  }

  /** A peer that asks and never reads the answers would fill the memory. */
  private answer(x: Exchange, text: string): boolean {
    const { connection } = x.link!
    if (connection.pending === 0) this.answers = 0
    connection.writeText(text)
    return this.answers++ <= ANSWERS_MAX
  }
}

function fail(x: Exchange, problem: string): -1 {
  x.problem = problem
  return -1
}
