// What a worker sends: heads, bodies and the rest, from bytes in any split.
//
// A head is small and is put together before it is told. Body bytes are told as they come, as pieces of the chunk that
// brought them, and are valid only during the call. Small parts of a body that come in one chunk are told together, for each
// would be a write to the client: they are moved over the headers between them.

import { BYE, CLOSE, DATA, END, FAIL, FILE, HEAD, HEADER_SIZE, HELLO, LOG, MESSAGE, TEXT, WINDOW } from './frames.ts'
import { INTERIM, TRAILERS } from './frames.ts'

/** Limits on what a worker may send in one piece. */
export const HEAD_MAX = 1024 * 1024
/** LOG, HELLO, FILE, FAIL, INTERIM. */
export const TEXT_MAX = 1024 * 1024
/** A control frame's payload (RFC 6455, 5.5). */
const CLOSE_MAX = 125
/** To move so many bytes costs less than to pass them on by themselves. */
const MOVED_MAX = 16384

const EMPTY = Buffer.alloc(0)

/** What a worker says of itself, once, when the front has connected. */
export interface Hello {
  readonly pid: number
  readonly slot: number
  readonly kind: string
  readonly generation: number
  /** Which of the worker's threads serves this connection; 0 in kinds without. */
  readonly thread: number
  /** The connection’s number where the worker keeps count beside its socket (dispatch/claims.ts, dispatch/begun.ts); else 0. */
  readonly link: number
}

/** Whom the reader tells. Buffers are valid only during the call; `end` says that the stream is at its end. */
export interface FrameSink {
  onHello(hello: Hello): void
  /**
   * @param fields the status ("200 OK"), then names and values in turn
   * @param body what has come of the body, if it comes with the head
   * @param bodySize all of the body's bytes when it comes with the head, -1 when its size is not known
   * @param end the body is complete; else onData follows, or onFile, or onFail
   */
  onHead(stream: number, fields: string[], body: Buffer, bodySize: number, end: boolean): void
  onData(stream: number, bytes: Buffer, end: boolean): void
  /** A response ahead of the response. @param fields as onHead()'s */
  onInterim(stream: number, fields: string[]): void
  /** Of a response that has said it may have them; only the end follows. @param fields names and values in turn */
  onTrailers(stream: number, fields: string[]): void
  /** The front is to send this part of the file; the stream ends with a later onData, or onFail. */
  onFile(stream: number, path: string, offset: number, length: number): void
  /** @param level as in syslog: 3 error, 4 warn, 6 info; the text may have several lines */
  onLog(stream: number, level: number, text: string): void
  onFail(stream: number): void
  /** @param last the stream that was begun last, by workers that serve many at a time */
  onBye(last: number): void
  /** The rest only comes from workers that serve many requests at a time. */
  onWindow?(stream: number, size: number): void
  /** A websocket's message of `length` bytes: they follow through onData. */
  onMessage?(stream: number, isText: boolean, length: number): void
  onCloseFrame?(stream: number, code: number, reason: Buffer): void
}

// What the reader waits for.
const HEADER_STATE = 0 // a frame's header
const HEAD_SIZE_STATE = 1 // the length of the head inside HEAD
const HEAD_STATE = 2 // that head
const TEXT_STATE = 3 // the content of any other frame but DATA
const BODY_STATE = 4 // body bytes, told as they come
const DEAD_STATE = 5 // nothing: the input was malformed, or stop() was called

/** Takes a connection's bytes in any split. */
export class FrameReader {
  private readonly sink: FrameSink
  private state = HEADER_STATE
  /** How many bytes the state waits for; those that came in earlier chunks are in `kept`. */
  private wanted = HEADER_SIZE
  private kept: Buffer = EMPTY
  private keptSize = 0
  /** Where the bytes waited for are once they are all there: in the chunk, or in `kept`. */
  private piece: Buffer = EMPTY
  private start = 0
  /** How much of the chunk has been read. */
  private at = 0
  private type = 0
  private flags = 0
  private count = 0
  private stream = 0
  /** Bytes of the frame that have not been read. */
  private left = 0
  /** What was wrong, once push() has answered false; null after stop(). */
  error: string | null = null

  constructor(sink: FrameSink) {
    this.sink = sink
  }

  /** False when the worker sent what no worker may send (`error` says what), or reading was stopped. */
  push(chunk: Buffer): boolean {
    this.at = 0
    while (this.state !== DEAD_STATE) {
      if (this.state === BODY_STATE) {
        if (this.at === chunk.length) break
        this.readBody(chunk)
      } else {
        if (!this.gather(chunk)) break
        this.readPiece(chunk)
      }
    }
    this.piece = EMPTY
    return this.state !== DEAD_STATE
  }

  /** Whether the connection may end here without cutting a frame. */
  get atBoundary(): boolean {
    return this.state === HEADER_STATE && this.keptSize === 0
  }

  /** Nothing more is told; for a sink that has given the connection up. */
  stop(): void {
    this.state = DEAD_STATE
    this.kept = EMPTY
  }

  /** Whether all bytes waited for are there. They stay in the chunk if it has them all. */
  private gather(chunk: Buffer): boolean {
    const wanted = this.wanted
    const available = chunk.length - this.at
    if (this.keptSize === 0 && available >= wanted) {
      this.piece = chunk
      this.start = this.at
      this.at += wanted
      return true
    }
    if (this.kept.length < wanted) this.grow(wanted)
    const size = Math.min(available, wanted - this.keptSize)
    chunk.copy(this.kept, this.keptSize, this.at, this.at + size)
    this.at += size
    this.keptSize += size
    if (this.keptSize < wanted) return false
    this.keptSize = 0
    this.piece = this.kept
    this.start = 0
    return true
  }

  /** `wanted` is checked against a limit before it is waited for. */
  private grow(wanted: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(wanted, 256))
    this.kept.copy(larger, 0, 0, this.keptSize)
    this.kept = larger
  }

  private readPiece(chunk: Buffer): void {
    switch (this.state) {
      case HEADER_STATE:
        this.readHeader()
        break
      case HEAD_SIZE_STATE:
        this.readHeadSize()
        break
      case HEAD_STATE:
        this.readHead(chunk)
        break
      default:
        this.readText()
    }
  }

  private readHeader(): void {
    const from = this.piece
    const at = this.start
    const length = readU32(from, at)
    this.stream = readU32(from, at + 4)
    this.type = from[at + 8]!
    this.flags = from[at + 9]!
    this.count = from[at + 10]! | (from[at + 11]! << 8)
    this.left = length
    if (this.type === HEAD) {
      if (length < 4) return this.fail(`HEAD of ${length} bytes`)
      this.await(HEAD_SIZE_STATE, 4)
    } else if (this.type === DATA) {
      if (length !== 0) this.await(BODY_STATE, 0)
      else this.sink.onData(this.stream, EMPTY, (this.flags & END) !== 0)
    } else if (this.type === MESSAGE && this.sink.onMessage !== undefined) {
      this.await(length === 0 ? HEADER_STATE : BODY_STATE, length === 0 ? HEADER_SIZE : 0)
      this.flags &= ~END
      this.sink.onMessage(this.stream, (this.flags & TEXT) !== 0, length)
    } else if ((this.type === WINDOW && length === 4) || (this.type === CLOSE && length >= 2 && length <= CLOSE_MAX)) {
      if (this.sink.onWindow === undefined) this.fail(`frame of type ${this.type} from a worker without streams`)
      else this.await(TEXT_STATE, length)
    } else if (isWhole(this.type)) {
      if (length > TEXT_MAX) return this.fail(`frame of type ${this.type} with ${length} bytes`)
      this.await(TEXT_STATE, length)
    } else {
      this.fail(`frame of unknown type ${this.type}`)
    }
  }

  private readHeadSize(): void {
    const size = readU32(this.piece, this.start)
    this.left -= 4
    if (size > HEAD_MAX) this.fail(`head of ${size} bytes`)
    else if (size > this.left) this.fail(`head of ${size} bytes in a frame with ${this.left}`)
    else if (size < this.left && (this.flags & END) === 0) this.fail('body inside a HEAD that is not the end')
    else this.await(HEAD_STATE, size)
  }

  private readHead(chunk: Buffer): void {
    const fields = this.piece.toString('latin1', this.start, this.start + this.wanted).split('\0')
    if (fields.length !== 2 * this.count + 1) {
      return this.fail(`head with ${fields.length} strings instead of ${2 * this.count + 1}`)
    }
    const bodySize = this.left - this.wanted
    if ((this.flags & END) === 0) {
      this.await(HEADER_STATE, HEADER_SIZE)
      this.sink.onHead(this.stream, fields, EMPTY, -1, false)
      return
    }
    this.left = bodySize
    const body = bodySize === 0 ? EMPTY : this.takeBody(chunk)
    const end = this.left === 0
    if (end) this.await(HEADER_STATE, HEADER_SIZE)
    else this.await(BODY_STATE, 0)
    this.sink.onHead(this.stream, fields, body, bodySize, end)
  }

  /** As a head; before trailers stands an empty string in place of the status. */
  private readFields(wanted: number): void {
    const fields = this.piece.toString('latin1', this.start, this.start + wanted).split('\0')
    if (fields.length !== 2 * this.count + 1) this.fail(`frame of type ${this.type} with ${fields.length} strings`)
    else if (this.type === INTERIM) this.sink.onInterim(this.stream, fields)
    else this.sink.onTrailers(this.stream, fields.slice(1))
  }

  private readBody(chunk: Buffer): void {
    const from = this.at
    let to = this.takeBody(chunk).length + from
    while (this.left === 0 && this.type === DATA && (this.flags & END) === 0 && this.joinsNext(chunk))
      to = this.join(chunk, to)
    if (this.left === 0) this.await(HEADER_STATE, HEADER_SIZE)
    this.sink.onData(this.stream, chunk.subarray(from, to), this.left === 0 && (this.flags & END) !== 0)
  }

  /** Is what follows in the chunk a small part of the same body, or its end? */
  private joinsNext(chunk: Buffer): boolean {
    const { at } = this
    if (chunk.length < at + HEADER_SIZE || chunk[at + 8] !== DATA || readU32(chunk, at + 4) !== this.stream)
      return false
    const length = readU32(chunk, at)
    return length === 0 ? (chunk[at + 9]! & END) !== 0 : length <= MOVED_MAX
  }

  /** @param to where what has been read ends @returns where it ends with the next part, or as much of it as there is */
  private join(chunk: Buffer, to: number): number {
    this.left = readU32(chunk, this.at)
    this.flags = chunk[this.at + 9]!
    const from = this.at + HEADER_SIZE
    this.at = Math.min(chunk.length, from + this.left)
    chunk.copyWithin(to, from, this.at)
    this.left -= this.at - from
    return to + this.at - from
  }

  /** As much of the frame's body as the chunk has. */
  private takeBody(chunk: Buffer): Buffer {
    const from = this.at
    this.at = Math.min(chunk.length, from + this.left)
    this.left -= this.at - from
    return chunk.subarray(from, this.at)
  }

  private readText(): void {
    const { sink, stream, flags, wanted } = this
    this.await(HEADER_STATE, HEADER_SIZE)
    if (this.type === FAIL) return sink.onFail(stream)
    if (this.type === BYE) return sink.onBye(stream)
    if (this.type === WINDOW) return sink.onWindow!(stream, readU32(this.piece, this.start))
    if (this.type === CLOSE) {
      const reason = this.piece.subarray(this.start + 2, this.start + wanted)
      return sink.onCloseFrame!(stream, this.piece[this.start]! | (this.piece[this.start + 1]! << 8), reason)
    }
    if (this.type === INTERIM || this.type === TRAILERS) return this.readFields(wanted)
    const text = this.piece.toString('utf8', this.start, this.start + wanted)
    if (this.type === LOG) return sink.onLog(stream, flags, text)
    if (this.type === HELLO) this.readHello(text)
    else this.readFile(text)
  }

  private readHello(text: string): void {
    const { pid, slot, kind, generation, thread = 0, link = 0 } = parseObject(text)
    if (
      !isSize(pid) ||
      !isSize(slot) ||
      !isSize(generation) ||
      !isSize(thread) ||
      !isSize(link) ||
      typeof kind !== 'string'
    ) {
      return this.fail('malformed HELLO')
    }
    this.sink.onHello({ pid, slot, kind, generation, thread, link })
  }

  private readFile(text: string): void {
    const { path, offset, length } = parseObject(text)
    if (typeof path !== 'string' || !isSize(offset) || !isSize(length)) return this.fail('malformed FILE')
    this.sink.onFile(this.stream, path, offset, length)
  }

  private await(state: number, wanted: number): void {
    this.state = state
    this.wanted = wanted
  }

  private fail(problem: string): void {
    this.error = problem
    this.stop()
  }
}

function isWhole(type: number): boolean {
  return type === HELLO || (type >= FILE && type <= FAIL) || type === BYE || type === INTERIM || type === TRAILERS
}

function readU32(from: Buffer, at: number): number {
  return (from[at]! | (from[at + 1]! << 8) | (from[at + 2]! << 16) | (from[at + 3]! << 24)) >>> 0
}

/** An empty object for what is not JSON, or not an object. */
function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function isSize(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
