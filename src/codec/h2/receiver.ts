// What comes in on an HTTP/2 connection: the counterpart of Sender. Frames become heads and bodies of the endpoint's streams.
//
//   preface ─▶ FrameReader ─┬─ DATA, as it comes ───────────────────▶ Stream.onData, onEnded
//                           ├─ HEADERS and CONTINUATION, together ──▶ Stream.onHeaders, or a new stream
//                           └─ the others ──────────────────────────▶ control-frames.ts

import {
  COMPRESSION_ERROR,
  CONTINUATION,
  DATA,
  DEFAULT_TABLE_SIZE,
  DEFAULT_WINDOW,
  END_HEADERS,
  END_STREAM,
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  FRAME_SIZE_ERROR,
  HEADERS,
  PADDED,
  PREFACE,
  PROTOCOL_ERROR,
  PUSH_PROMISE,
  REFUSED_STREAM,
  SETTINGS,
  STREAM_CLOSED,
  WITH_PRIORITY,
} from './constants.ts'
import { problemOf } from './block-faults.ts'
import { onControlFrame } from './control-frames.ts'
import type { Endpoint } from './endpoint.ts'
import { FrameReader, type FrameSink } from './frame-reader.ts'
import { writeReset, writeWindowUpdate } from './frame-writer.ts'
import { HeaderBlock } from './header-block.ts'
import { FieldList, HpackDecoder, LONG_STRING } from './hpack-decoder.ts'
import { CHEAP, DEAR } from './nuisance.ts'
import type { Stream } from './stream.ts'

/** A block may be larger on the wire than what is kept of it, by what has no place in the list. */
const BLOCK_SPARE = 16384
/** Bytes that a frame other than DATA may have, where header blocks may not have more. */
const GATHERED_MAX = 131072
/** CONTINUATION frames that a block may have before small ones are charged for. */
const CONTINUATIONS_FREE = 8

// Fields are taken in one call: all connections of a thread share the list.
const fields = new FieldList()

export class Receiver implements FrameSink {
  private readonly endpoint: Endpoint
  private readonly reader: FrameReader
  private readonly decoder = new HpackDecoder(DEFAULT_TABLE_SIZE)
  private readonly block = new HeaderBlock()
  private prefaceRead: number
  /** What the other side may still send on all streams together. */
  private window = DEFAULT_WINDOW
  /** A stream whose header block nobody waits for. */
  private abandoned = 0
  /** Bytes of the last header block as it came, as far as it has. */
  blockLength = 0
  /** The stream of the DATA frame being read; null: nobody's. */
  private target: Stream | null = null

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint
    this.reader = new FrameReader(this)
    this.decoder.stringMax = endpoint.settings.stringMax
    this.prefaceRead = endpoint.server ? 0 : PREFACE.length
  }

  /** Takes no longer frames from now on. */
  limit(frameMax: number): void {
    this.reader.lengthMax = frameMax
  }

  /** False: the connection is over. */
  feed(bytes: Buffer, start: number, end: number): boolean {
    let at = start
    for (; at < end && this.prefaceRead < PREFACE.length; at++)
      if (bytes[at] !== PREFACE[this.prefaceRead++])
        return this.endpoint.fail(PROTOCOL_ERROR, 'invalid connection preface')
    return at === end || this.reader.feed(bytes, at, end)
  }

  /** Tells how large the connection's window is, where that is more than what all begin with. */
  openWindow(): void {
    const { endpoint } = this
    const { connectionWindow } = endpoint.settings
    if (connectionWindow <= DEFAULT_WINDOW) return
    writeWindowUpdate(endpoint.out, 0, connectionWindow - DEFAULT_WINDOW)
    this.window = connectionWindow
  }

  /** The stream is closed. */
  forget(stream: Stream): void {
    if (this.target === stream) this.target = null
  }

  /** The stream whose header block is under way and waited for, 0: none. */
  get midway(): number {
    const id = this.block.stream !== 0 ? this.block.stream : this.reader.midway(HEADERS)
    return id === this.abandoned ? 0 : id
  }

  /** Has the other side opened a stream, or tried to? */
  get begun(): boolean {
    return this.endpoint.lastPeerStream > 0
  }

  /** Is the other side in the midst of something, be it its hello? */
  get incomplete(): boolean {
    return !this.endpoint.settingsSeen || this.partial
  }

  /** Has something begun to come that is not there as a whole? */
  get partial(): boolean {
    const greeting = this.prefaceRead > 0 && this.prefaceRead < PREFACE.length
    return greeting || this.block.stream !== 0 || this.reader.partial
  }

  /** The stream whose first header block is under way will not be, and counts as opened all the same.
   *  @returns bytes of the block, -1: there is none */
  loseHead(): number {
    const { endpoint } = this
    const id = this.midway
    if (id % 2 === 0 || id <= endpoint.lastPeerStream || endpoint.goingAway || !endpoint.server) return -1
    endpoint.lastPeerStream = id
    this.abandoned = id
    return this.block.stream !== 0 ? this.blockLength : this.reader.length
  }

  /** Nobody waits for the rest of the header block any more: it will be read for the tables' sake only. @returns as loseHead() */
  abandon(): number {
    const { endpoint } = this
    const length = this.loseHead()
    if (length < 0) return -1
    endpoint.recent.add(this.abandoned)
    writeReset(endpoint.out, this.abandoned, PROTOCOL_ERROR)
    endpoint.owner.outputWaits()
    return length
  }

  // ── frames (FrameSink) ───────────────────────────────────────────────────────────────────────────────────────────

  onTooLong(type: number, stream: number, length: number): void {
    this.endpoint.fail(FRAME_SIZE_ERROR, `sent too large http2 frame of type ${type} for stream ${stream}: ${length}`)
  }

  onBadPadding(length: number, padding: number): void {
    const message = 'sent padded DATA frame with incorrect length'
    if (length === 0) this.endpoint.fail(FRAME_SIZE_ERROR, `${message}: 0`)
    else this.endpoint.fail(PROTOCOL_ERROR, `${message}: ${length}, padding: ${padding}`)
  }

  onDataFrame(flags: number, id: number, length: number): boolean {
    const { endpoint } = this
    this.target = null
    if (this.block.stream !== 0) return this.unexpected(DATA)
    if (id === 0) return endpoint.fail(PROTOCOL_ERROR, 'sent DATA frame with incorrect identifier')
    if (length > this.window)
      return endpoint.fail(
        FLOW_CONTROL_ERROR,
        `violated connection flow control: received DATA frame length ${length}, available window ${this.window}`,
      )
    this.window -= length
    this.replenish()
    const stream = endpoint.streams.get(id)
    if (stream === undefined) return this.onStray(DATA, id)
    if (stream.remoteEnded)
      return endpoint.streamError(stream, STREAM_CLOSED, `sent DATA frame for half-closed stream ${id}`)
    if (length > stream.receiveWindow)
      return endpoint.streamError(
        stream,
        FLOW_CONTROL_ERROR,
        `violated flow control for stream ${id}: ` +
          `received DATA frame length ${length}, available window ${stream.receiveWindow}`,
      )
    stream.receiveWindow -= length
    this.target = stream
    if (length === 0 && (flags & END_STREAM) === 0) return endpoint.tolerates(DEAR)
    // Nobody knows yet how much of it is padding.
    return endpoint.tolerates(length < 64 || (flags & PADDED) !== 0 ? CHEAP : 0)
  }

  onDataBytes(bytes: Buffer, start: number, end: number): boolean {
    const { endpoint } = this
    if (end - start >= 1024) endpoint.nuisance.credit(1)
    this.target?.onData(bytes, start, end)
    return !endpoint.failed
  }

  onDataFrameEnd(flags: number): boolean {
    const { endpoint } = this
    const stream = this.target
    if (stream === null || (flags & END_STREAM) === 0) return !endpoint.failed
    this.target = null
    this.remoteEnd(stream)
    stream.onEnded()
    return !endpoint.failed
  }

  onFrameHeader(type: number, _stream: number, length: number): boolean {
    const { endpoint } = this
    // Long frames are for bodies, which nobody gathers.
    if (length > GATHERED_MAX && length > endpoint.settings.fieldsMax + BLOCK_SPARE)
      return endpoint.fail(ENHANCE_YOUR_CALM, `sent too large http2 frame of type ${type}: ${length}`)
    // A server's first frame is SETTINGS (RFC 9113, 3.4). As nginx, we are content with a client that has none to send.
    if (!endpoint.settingsSeen && !endpoint.server && type !== SETTINGS) return this.unexpected(type)
    if (this.block.stream !== 0 && type !== CONTINUATION) return this.unexpected(type)
    // A client may not, and a server was told not to.
    return type === PUSH_PROMISE ? endpoint.fail(PROTOCOL_ERROR, 'sent PUSH_PROMISE frame') : true
  }

  onFrame(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): boolean {
    if (type === HEADERS) return this.onHeadersFrame(flags, id, bytes, start, end)
    if (type === CONTINUATION) return this.onContinuation(flags, id, bytes, start, end)
    return onControlFrame(this.endpoint, type, flags, id, bytes, start, end)
  }

  private onHeadersFrame(flags: number, id: number, bytes: Buffer, start: number, end: number): boolean {
    const { endpoint } = this
    if (id === 0) return this.wrongOpening(id)
    let from = start
    let to = end
    if ((flags & PADDED) !== 0) {
      if (from === end) return endpoint.fail(FRAME_SIZE_ERROR, 'sent HEADERS frame with incorrect length 0')
      const padding = bytes[from++]!
      to -= padding
      if (to < from)
        return endpoint.fail(
          PROTOCOL_ERROR,
          `sent padded HEADERS frame with incorrect length: ${end - from}, padding: ${padding}`,
        )
    }
    if ((flags & WITH_PRIORITY) !== 0) {
      if (to - from < 5)
        return endpoint.fail(FRAME_SIZE_ERROR, `sent HEADERS frame with incorrect length ${end - start}`)
      const dependency = bytes.readUInt32BE(from)
      if ((dependency & 0x7fffffff) === id)
        return endpoint.fail(PROTOCOL_ERROR, `sent HEADERS frame for stream ${id} with incorrect dependency`)
      const exclusive = dependency >>> 31 === 1
      endpoint.sender.list.depend(id, dependency & 0x7fffffff, exclusive, bytes[from + 4]! + 1, endpoint.streams)
      from += 5
    }
    const whole = (flags & END_HEADERS) !== 0
    if (whole && from === to && endpoint.server && !endpoint.streams.has(id))
      return endpoint.fail(FRAME_SIZE_ERROR, 'sent HEADERS frame with empty header block')
    this.block.begin(id, flags)
    this.blockLength = to - from
    if (whole) return this.onBlock(bytes, from, to)
    this.block.keep(bytes, from, to)
    return true
  }

  private onContinuation(flags: number, id: number, bytes: Buffer, start: number, end: number): boolean {
    const { endpoint, block } = this
    if (block.stream === 0) return this.unexpected(CONTINUATION)
    if (block.stream !== id) return endpoint.fail(PROTOCOL_ERROR, 'sent CONTINUATION frame with incorrect identifier')
    this.blockLength += end - start
    if (block.keep(bytes, start, end) > endpoint.settings.fieldsMax + BLOCK_SPARE)
      return endpoint.fail(ENHANCE_YOUR_CALM, 'sent too large header block')
    if (++block.continuations > CONTINUATIONS_FREE && end - start < 1024 && !endpoint.tolerates(DEAR)) return false
    if ((flags & END_HEADERS) === 0) return true
    return this.onBlock(block.kept.bytes, 0, block.kept.length)
  }

  /** A header block is complete. */
  private onBlock(bytes: Buffer, start: number, end: number): boolean {
    const { endpoint } = this
    const { stream: id, flags } = this.block
    fields.restart()
    fields.sizeMax = endpoint.settings.fieldsMax
    const sound = this.decoder.decode(bytes, start, end, fields)
    const overflow = fields.overflow && !(endpoint.settings.overflows && endpoint.isIdle(id))
    if (!sound || overflow || this.decoder.nameless) this.failBlock(sound, overflow)
    this.block.end()
    if (endpoint.failed) return false
    const ended = (flags & END_STREAM) !== 0
    const stream = endpoint.streams.get(id)
    if (stream === undefined) return endpoint.server ? this.onOpening(id, ended) : this.onStray(HEADERS, id)
    if (stream.remoteEnded)
      return endpoint.streamError(stream, STREAM_CLOSED, `sent HEADERS frame for half-closed stream ${id}`)
    if (endpoint.server && !ended)
      return endpoint.streamError(stream, PROTOCOL_ERROR, 'sent trailers that do not end the stream')
    if (ended) this.remoteEnd(stream)
    stream.onHeaders(fields, ended)
    return !endpoint.failed
  }

  private failBlock(sound: boolean, overflow: boolean): void {
    const { endpoint } = this
    const { fault, faultValue } = this.decoder
    if (fault === LONG_STRING) endpoint.fail(ENHANCE_YOUR_CALM, 'sent too large header field')
    else if (!sound) endpoint.fail(COMPRESSION_ERROR, `sent ${problemOf(fault, faultValue)}`)
    else if (overflow) endpoint.fail(ENHANCE_YOUR_CALM, 'sent too large header')
    else endpoint.fail(PROTOCOL_ERROR, 'sent zero header name length')
  }

  private onOpening(id: number, ended: boolean): boolean {
    const { endpoint } = this
    if (id % 2 === 0) return this.wrongOpening(id)
    if (this.abandoned === id) return endpoint.tolerates(DEAR)
    if (id <= endpoint.lastPeerStream) return this.onStray(HEADERS, id)
    // What comes behind a GOAWAY is not served, and not answered.
    if (endpoint.goingAway) return endpoint.tolerates(CHEAP)
    endpoint.lastPeerStream = id
    const stream = endpoint.owner.openStream(id, ended)
    if (stream === null) {
      endpoint.recent.add(id)
      writeReset(endpoint.out, id, REFUSED_STREAM)
      endpoint.owner.outputWaits()
      return endpoint.tolerates(DEAR)
    }
    if (endpoint.failed) return false
    endpoint.streams.set(id, stream)
    stream.remoteEnded = ended
    endpoint.sender.list.place(stream)
    stream.onHeaders(fields, ended)
    return !endpoint.failed
  }

  /** A frame for a stream that is not, or no more. */
  private onStray(type: number, id: number): boolean {
    const { endpoint } = this
    if (endpoint.leftOut(id)) return endpoint.tolerates(CHEAP)
    if (endpoint.isIdle(id))
      return endpoint.fail(PROTOCOL_ERROR, `sent ${type === DATA ? 'DATA' : 'HEADERS'} frame for idle stream ${id}`)
    // It may not know yet that we have closed the stream.
    if (endpoint.recent.has(id)) return endpoint.tolerates(CHEAP)
    // HEADERS would open it anew, which its number does not allow (RFC 9113, 5.1.1).
    if (endpoint.server && type === HEADERS) return this.wrongOpening(id)
    return endpoint.fail(STREAM_CLOSED, `sent frame of type ${type} for closed stream ${id}`)
  }

  private remoteEnd(stream: Stream): void {
    stream.remoteEnded = true
    if (stream.localEnded) this.endpoint.close(stream)
  }

  private unexpected(type: number): false {
    const message =
      this.block.stream !== 0
        ? 'inappropriate frame while CONTINUATION was expected'
        : type === CONTINUATION
          ? 'unexpected CONTINUATION frame'
          : `unexpected http2 frame of type ${type}`
    return this.endpoint.fail(PROTOCOL_ERROR, `sent ${message}`)
  }

  private wrongOpening(id: number): false {
    const { lastPeerStream } = this.endpoint
    return this.endpoint.fail(
      PROTOCOL_ERROR,
      `sent HEADERS frame with incorrect identifier ${id}, the last was ${lastPeerStream}`,
    )
  }

  /** What has been received on all streams may be sent again: each stream's own window is what holds a sender back. */
  private replenish(): void {
    const { endpoint } = this
    const { connectionWindow } = endpoint.settings
    if (this.window >= connectionWindow / 2) return
    writeWindowUpdate(endpoint.out, 0, connectionWindow - this.window)
    this.window = connectionWindow
    endpoint.owner.outputWaits()
  }
}
