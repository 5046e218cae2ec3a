// WebSocket frames (RFC 6455): what a client sends taken apart into whole messages, and frames put together for it. No
// sockets, no timers.
//
//    0                   1                   2                   3
//   |F|RSV| opcode |M|  length (7)  | length (16 or 64) … | mask (32) | payload …
//
// A message may come in many frames, with control frames in between, and compressed (ws-deflate.ts); the sink is told of it once
// it is whole. Text that is not UTF-8 is refused at the byte that shows it. Everything that breaks the protocol ends the reading with the close code that says so (7.4.1).

import { createHash } from 'node:crypto'
import { isUtf8 } from 'node:buffer'
import { inflateMessage } from './ws-deflate.ts'
import { Utf8Check } from './ws-utf8.ts'

export const CONTINUATION = 0
export const TEXT = 1
export const BINARY = 2
export const CLOSE = 8
export const PING = 9
export const PONG = 10

export const NORMAL = 1000
export const PROTOCOL_ERROR = 1002
export const NO_STATUS = 1005
export const LOST = 1006
export const INVALID_DATA = 1007
export const TOO_BIG = 1009
export const RESTARTING = 1012

/** A control frame's payload (5.5). */
const CONTROL_MAX = 125
/** Empty frames in one message, which cost a peer nothing; how many others there may be follows from its size. */
const EMPTY_FRAMES_MAX = 65536

const EMPTY = Buffer.alloc(0)
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** Sec-WebSocket-Accept for a client's key (4.2.2). */
export function acceptKey(key: string): string {
  return createHash('sha1')
    .update(key + GUID, 'latin1')
    .digest('base64')
}

/** Is it 16 bytes in base64 (4.1)? */
export function isKey(key: string): boolean {
  return /^[A-Za-z0-9+/]{21}[AQgw]==$/.test(key)
}

/** RSV1: the message is compressed (RFC 7692, 6). */
const COMPRESSED = 0x40

/** What stands before `length` bytes of payload from a server, which does not mask. */
export function frameHeader(opcode: number, length: number, compressed = false): Buffer {
  let header: Buffer
  if (length < 126) {
    header = Buffer.allocUnsafe(2)
    header[1] = length
  } else if (length < 65536) {
    header = Buffer.allocUnsafe(4)
    header[1] = 126
    header.writeUInt16BE(length, 2)
  } else {
    header = Buffer.allocUnsafe(10)
    header[1] = 127
    header.writeBigUInt64BE(BigInt(length), 2)
  }
  header[0] = 0x80 | opcode | (compressed ? COMPRESSED : 0)
  return header
}

export function controlFrame(opcode: number, payload: Buffer): Buffer {
  return Buffer.concat([frameHeader(opcode, payload.length), payload])
}

/** @param reason UTF-8; NO_STATUS is sent as a frame without a code */
export function closeFrame(code: number, reason: Buffer): Buffer {
  if (code === NO_STATUS) return controlFrame(CLOSE, EMPTY)
  const payload = Buffer.allocUnsafe(2 + Math.min(reason.length, CONTROL_MAX - 2))
  payload.writeUInt16BE(code, 0)
  reason.copy(payload, 2)
  return controlFrame(CLOSE, payload)
}

/** May this code stand in a frame (7.4)? */
export function isCloseCode(code: number): boolean {
  return (
    (code >= 1000 && code <= 1014 && code !== 1004 && code !== 1005 && code !== 1006) || (code >= 3000 && code <= 4999)
  )
}

/** Whom the reader tells. Buffers are the sink's to keep. */
export interface MessageSink {
  onWsMessage(isText: boolean, bytes: Buffer): void
  onWsPing(payload: Buffer): void
  onWsPong(payload: Buffer): void
  /** The client's close frame: nothing follows. @param code NO_STATUS when the frame has none */
  onWsClose(code: number, reason: Buffer): void
  /** After push() had answered, more has been told, or has been found to be wrong. */
  onWsInflated?(): void
}

const HEADER_MAX = 14

/** Takes a client's bytes in any split. */
export class MessageReader {
  /** The close code for what was wrong once push() has answered false; 0 after a close frame or stop(). */
  error = 0
  /** The same in words. */
  problem = ''
  private readonly sink: MessageSink
  private readonly maxMessage: number
  private readonly header = Buffer.allocUnsafe(HEADER_MAX)
  private headerSize = 0
  private headerWanted = 2
  private final = false
  private opcode = 0
  private readonly mask = new Uint8Array(4)
  private maskAt = 0
  /** Payload of the frame that has not come. */
  private left = 0
  private inPayload = false
  private control: Buffer = EMPTY
  private controlSize = 0
  /** The message so far; `messageType` is 0 between messages. */
  private message: Buffer = EMPTY
  private messageSize = 0
  private messageType = 0
  private compressed = false
  private readonly utf8 = new Utf8Check()
  private emptyFrames = 0
  private over = false
  /** A message is being inflated; what has come behind it waits here. */
  private waiting = false
  private behind: Buffer = EMPTY
  /** May messages be compressed? */
  deflates = false

  constructor(sink: MessageSink, maxMessage: number) {
    this.sink = sink
    this.maxMessage = maxMessage
  }

  /** False when nothing more is wanted: the client closed, broke the protocol, or stop() was called. */
  push(chunk: Buffer): boolean {
    if (this.waiting) {
      this.behind = Buffer.concat([this.behind, chunk])
      return !this.over
    }
    let at = 0
    while (!this.over) {
      if (this.waiting) {
        this.behind = Buffer.from(chunk.subarray(at))
        break
      }
      if (this.inPayload) {
        const size = Math.min(this.left, chunk.length - at)
        this.takePayload(chunk, at, size)
        at += size
        if (this.left > 0 || this.over) break
        this.endFrame()
      } else {
        if (at === chunk.length) break
        this.header[this.headerSize++] = chunk[at++]!
        if (this.headerSize === this.headerWanted) this.readHeader()
      }
    }
    return !this.over
  }

  /** Nothing more is told. */
  stop(): void {
    this.over = true
    this.message = EMPTY
    this.behind = EMPTY
  }

  /** A message is being inflated: what comes is only kept. */
  get isBusy(): boolean {
    return this.waiting && !this.over
  }

  private readHeader(): void {
    const { header } = this
    if (this.headerWanted === 2) {
      if (!this.checkFirst(header[0]!, header[1]!)) return
      const length = header[1]! & 0x7f
      this.headerWanted = 6 + (length === 126 ? 2 : length === 127 ? 8 : 0)
      return
    }
    const short = header[1]! & 0x7f
    let length = short
    if (short === 126) length = header.readUInt16BE(2)
    else if (short === 127) {
      const long = header.readBigUInt64BE(2)
      if (long >> 63n !== 0n) return this.fail(PROTOCOL_ERROR, 'frame length with its highest bit set')
      length = Number(long)
    }
    this.mask.set(header.subarray(this.headerWanted - 4, this.headerWanted))
    this.beginPayload(length)
  }

  /** The first two bytes; false: they are wrong. */
  private checkFirst(first: number, second: number): boolean {
    this.final = (first & 0x80) !== 0
    this.opcode = first & 0x0f
    const { opcode } = this
    const compressed = this.deflates && (opcode === TEXT || opcode === BINARY) ? COMPRESSED : 0
    if ((first & 0x70 & ~compressed) !== 0) this.fail(PROTOCOL_ERROR, 'reserved bits without an extension')
    else if ((second & 0x80) === 0) this.fail(PROTOCOL_ERROR, 'unmasked frame')
    else if (opcode >= CLOSE) {
      if (opcode > PONG) this.fail(PROTOCOL_ERROR, `frame of unknown type ${opcode}`)
      else if (!this.final) this.fail(PROTOCOL_ERROR, 'control frame in parts')
      else if ((second & 0x7f) > CONTROL_MAX) this.fail(PROTOCOL_ERROR, 'control frame longer than 125 bytes')
    } else if (opcode > BINARY) this.fail(PROTOCOL_ERROR, `frame of unknown type ${opcode}`)
    else if (opcode === CONTINUATION && this.messageType === 0) this.fail(PROTOCOL_ERROR, 'continuation of no message')
    else if (opcode !== CONTINUATION && this.messageType !== 0) this.fail(PROTOCOL_ERROR, 'message inside a message')
    if (opcode === TEXT || opcode === BINARY) this.compressed = (first & COMPRESSED) !== 0
    return !this.over
  }

  private beginPayload(length: number): void {
    this.maskAt = 0
    this.left = length
    this.inPayload = true
    if (this.opcode >= CLOSE) {
      this.control = Buffer.allocUnsafeSlow(length)
      this.controlSize = 0
      return
    }
    if (this.opcode !== CONTINUATION) {
      this.messageType = this.opcode
      this.messageSize = 0
      this.emptyFrames = 0
      this.utf8.reset()
    }
    if (this.messageSize + length > this.maxMessage) this.fail(TOO_BIG, 'message too big')
    else if (length === 0 && ++this.emptyFrames > EMPTY_FRAMES_MAX) this.fail(TOO_BIG, 'message in too many parts')
  }

  private takePayload(chunk: Buffer, at: number, size: number): void {
    if (size === 0) return
    const isControl = this.opcode >= CLOSE
    if (!isControl) this.grow(this.messageSize + size)
    const to = isControl ? this.control : this.message
    const start = isControl ? this.controlSize : this.messageSize
    const { mask, maskAt } = this
    for (let i = 0; i < size; i++) to[start + i] = chunk[at + i]! ^ mask[(maskAt + i) & 3]!
    this.maskAt = (maskAt + size) & 3
    this.left -= size
    if (isControl) this.controlSize += size
    else {
      this.messageSize += size
      if (this.messageType === TEXT && !this.compressed && !this.utf8.push(to.subarray(start, start + size)))
        this.fail(INVALID_DATA, 'text that is not UTF-8')
    }
  }

  /** Memory is taken as bytes come, not as a header claims. */
  private grow(needed: number): void {
    if (needed <= this.message.length) return
    const room = this.final && this.left <= 65536 ? this.messageSize + this.left : 2 * this.message.length
    const larger = Buffer.allocUnsafeSlow(Math.min(Math.max(needed, room), this.maxMessage))
    this.message.copy(larger, 0, 0, this.messageSize)
    this.message = larger
  }

  private endFrame(): void {
    this.inPayload = false
    this.headerSize = 0
    this.headerWanted = 2
    if (this.opcode >= CLOSE) this.endControl()
    else if (this.final) this.endMessage()
  }

  private endControl(): void {
    const { control, sink } = this
    this.control = EMPTY
    if (this.opcode === PING) sink.onWsPing(control)
    else if (this.opcode === PONG) sink.onWsPong(control)
    else this.endByClose(control)
  }

  private endByClose(payload: Buffer): void {
    const code = payload.length >= 2 ? payload.readUInt16BE(0) : NO_STATUS
    const reason = payload.subarray(2)
    if (payload.length === 1) this.fail(PROTOCOL_ERROR, 'close frame with half a code')
    else if (payload.length > 0 && !isCloseCode(code)) this.fail(PROTOCOL_ERROR, `close code ${code}`)
    else if (!isUtf8(reason)) this.fail(INVALID_DATA, 'close reason that is not UTF-8')
    else {
      this.stop()
      this.sink.onWsClose(code, reason)
    }
  }

  private endMessage(): void {
    const bytes = this.message.subarray(0, this.messageSize)
    const isText = this.messageType === TEXT
    this.message = EMPTY
    this.messageSize = 0
    this.messageType = 0
    if (this.compressed) this.inflate(bytes, isText)
    else if (isText && !this.utf8.complete) this.fail(INVALID_DATA, 'text that is not UTF-8')
    else this.sink.onWsMessage(isText, bytes)
  }

  private inflate(bytes: Buffer, isText: boolean): void {
    this.waiting = true
    let atOnce = false
    atOnce = inflateMessage(bytes, this.maxMessage, (message, tooBig) => {
      this.waiting = false
      if (this.over) return
      this.inflated(isText, message, tooBig)
      if (atOnce) return
      const { behind } = this
      this.behind = EMPTY
      if (behind.length > 0) this.push(behind)
      this.sink.onWsInflated?.()
    })
  }

  private inflated(isText: boolean, message: Buffer | null, tooBig: boolean): void {
    if (tooBig) this.fail(TOO_BIG, 'message too big')
    else if (message === null) this.fail(INVALID_DATA, 'compressed data that cannot be read')
    else if (isText && !isUtf8(message)) this.fail(INVALID_DATA, 'text that is not UTF-8')
    else this.sink.onWsMessage(isText, message)
  }

  private fail(code: number, problem: string): void {
    this.error = code
    this.problem = problem
    this.stop()
  }
}
