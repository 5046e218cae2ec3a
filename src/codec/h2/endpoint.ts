// One side of an HTTP/2 connection, client or server, without the connection: bytes go in by feed(), what is to be sent
// gathers in `out`, and what happens is told to the owner and to the streams. No sockets, no timers, no HTTP semantics.
//
//   bytes ─▶ FrameReader ─▶ Endpoint ─▶ Stream.onHeaders, onData, …
//   `out` ◀─ control frames and heads at once; bodies by fill(), as windows, turns and the transport allow
//
// What the other side can make us do is bounded: memory by windows and by the limits in Settings, work by Nuisance. What is
// put in `out` by its frames (acknowledgements, resets) is bounded by its owner, who stops feeding while too much waits.

import { ByteWriter } from './byte-writer.ts'
import {
  COMPRESSION_ERROR,
  CONTINUATION,
  DATA,
  DEFAULT_FRAME_SIZE,
  DEFAULT_TABLE_SIZE,
  DEFAULT_WINDOW,
  END_HEADERS,
  END_STREAM,
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  FRAME_HEADER,
  FRAME_SIZE_ERROR,
  HEADERS,
  INITIAL_WINDOW_SIZE,
  MAX_FRAME_SIZE,
  PADDED,
  PREFACE,
  PROTOCOL_ERROR,
  PUSH_PROMISE,
  REFUSED_STREAM,
  SETTINGS,
  STREAM_CLOSED,
  STREAM_MAX,
  WITH_PRIORITY,
} from './constants.ts'
import { onControlFrame } from './control-frames.ts'
import { FrameReader, type FrameSink } from './frame-reader.ts'
import { writeGoaway, writeHeaderBlock, writeReset, writeSettings, writeWindowUpdate } from './frame-writer.ts'
import { HeaderBlock } from './header-block.ts'
import { FieldList, HpackDecoder } from './hpack-decoder.ts'
import { HpackEncoder, INDEXED } from './hpack-encoder.ts'
import { CHEAP, DEAR, Nuisance } from './nuisance.ts'
import { PeerSettings } from './peer-settings.ts'
import { RecentStreams } from './recent-streams.ts'
import { Sender } from './sender.ts'
import type { Stream } from './stream.ts'

export interface EndpointOwner {
  /** A client asks for a stream, `ended` where no body follows. Null: it may not now, and is told REFUSED_STREAM. */
  openStream(id: number, ended: boolean): Stream | null
  /** Something waits in `out`, or has become ready for fill(). */
  outputWaits(): void
  /** The connection is over, and the other side has been told why. The streams have not heard of it. */
  onConnectionError(code: number, message: string): void
  /** The other side takes no more streams behind `last`. */
  onGoaway(last: number, code: number): void
  /** It has told what it wants. */
  onSettings(): void
  /** A ping of ours has come back. */
  onPong(): void
}

export interface EndpointSettings {
  /** Frames as long as that are taken from who has sent no settings yet, or never does; 0: no longer ones than announced. */
  readonly laxFrameMax: number
  readonly role: 'client' | 'server'
  /** What SETTINGS says, numbers and values in turn. */
  readonly announced: readonly number[]
  /** Our own window for the connection as a whole. */
  readonly connectionWindow: number
  /** Bytes of a block's names and values that are kept. */
  readonly fieldsMax: number
  /** Bytes that a name or a value may have. */
  readonly stringMax: number
  /** How much of what we send the other side is asked to remember; 0: header blocks depend on nothing before them. */
  readonly tableMax: number
}

/** A block may be larger on the wire than what is kept of it, by what has no place in the list. */
const BLOCK_SPARE = 16384
/** CONTINUATION frames that a block may have before small ones are charged for. */
const CONTINUATIONS_FREE = 8

// Fields are taken in one call: all connections of a thread share the list.
const fields = new FieldList()
// So are blocks encoded in one.
const scratch = new ByteWriter(4096)

export class Endpoint implements FrameSink {
  readonly owner: EndpointOwner
  readonly settings: EndpointSettings
  readonly streams = new Map<number, Stream>()
  readonly peer = new PeerSettings()
  readonly encoder: HpackEncoder
  readonly sender: Sender
  readonly nuisance = new Nuisance()
  /** No frame counts any more: the connection is over. */
  failed = false
  /** The highest stream the other side has opened, and whether it may still open more. */
  lastPeerStream = 0
  goingAway = false
  /** The other side takes no more streams of ours. */
  refused = false
  /** Streams we open are above this one. */
  lastOwnStream: number
  ownInitialWindow = DEFAULT_WINDOW
  private ownFrameMax = DEFAULT_FRAME_SIZE
  private readonly decoder = new HpackDecoder(DEFAULT_TABLE_SIZE)
  private readonly reader: FrameReader
  readonly server: boolean
  private prefaceRead: number
  settingsSeen = false
  /** It knows ours. */
  settingsAcknowledged = false
  private receiveWindow = DEFAULT_WINDOW
  private readonly block = new HeaderBlock()
  private abandoned = 0
  /** Bytes of the last header block as it came. */
  blockLength = 0
  /** The stream of the DATA frame being read; null: nobody's. */
  private receiver: Stream | null = null
  private readonly recent = new RecentStreams()

  constructor(owner: EndpointOwner, settings: EndpointSettings) {
    this.owner = owner
    this.settings = settings
    this.server = settings.role === 'server'
    this.decoder.stringMax = settings.stringMax
    this.prefaceRead = this.server ? 0 : PREFACE.length
    this.lastOwnStream = this.server ? 0 : -1
    this.encoder = new HpackEncoder(settings.tableMax)
    this.reader = new FrameReader(this)
    this.sender = new Sender(this)
    for (let i = 0; i < settings.announced.length; i += 2) {
      const value = settings.announced[i + 1]!
      if (settings.announced[i] === INITIAL_WINDOW_SIZE) this.ownInitialWindow = value
      else if (settings.announced[i] === MAX_FRAME_SIZE) this.ownFrameMax = value
    }
    this.reader.lengthMax = Math.max(this.ownFrameMax, settings.laxFrameMax)
  }

  get out(): ByteWriter {
    return this.sender.out
  }

  get peerInitialWindow(): number {
    return this.peer.initialWindow
  }

  /** The stream whose header block is under way and waited for, 0: none. */
  get midway(): number {
    const id = this.block.stream !== 0 ? this.block.stream : this.reader.midway(HEADERS)
    return id === this.abandoned ? 0 : id
  }

  /** Has the other side opened a stream, or tried to? */
  get begun(): boolean {
    return this.lastPeerStream > 0 || this.abandoned > 0
  }

  /** Has the other side's preface come? */
  get greeted(): boolean {
    return this.prefaceRead === PREFACE.length
  }

  /** Nobody waits for the rest of the header block any more: it will be read for the tables' sake only. False: that was said
   *  before, or the block is not the first of its stream. */
  abandon(): boolean {
    const id = this.midway
    if (id === 0 || this.streams.has(id)) return false
    this.abandoned = id
    writeReset(this.out, id, PROTOCOL_ERROR)
    this.owner.outputWaits()
    return true
  }

  /** The other side has said hello: it is held to what was agreed on. */
  onGreeting(): void {
    this.settingsSeen = true
    this.reader.lengthMax = this.ownFrameMax
  }

  /** Says hello: a client's preface, then our settings. */
  start(): void {
    const { out, settings } = this
    if (!this.server) out.append(PREFACE, 0, PREFACE.length)
    writeSettings(out, settings.announced)
    if (settings.connectionWindow > DEFAULT_WINDOW) {
      writeWindowUpdate(out, 0, settings.connectionWindow - DEFAULT_WINDOW)
      this.receiveWindow = settings.connectionWindow
    }
    this.owner.outputWaits()
  }

  /** False: the connection is over. */
  feed(bytes: Buffer, start: number, end: number): boolean {
    if (this.failed) return false
    let at = start
    for (; at < end && this.prefaceRead < PREFACE.length; at++)
      if (bytes[at] !== PREFACE[this.prefaceRead++]) return this.fail(PROTOCOL_ERROR, 'sent invalid http2 preface')
    return at === end || this.reader.feed(bytes, at, end)
  }

  // ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Opens a stream of ours; `make` gets its number. Null: there are no numbers left, or the other side takes no more. */
  open<S extends Stream>(make: (endpoint: Endpoint, id: number) => S): S | null {
    if (this.failed || this.refused || this.lastOwnStream > STREAM_MAX - 2) return null
    this.lastOwnStream += 2
    const stream = make(this, this.lastOwnStream)
    this.streams.set(stream.id, stream)
    return stream
  }

  /** Sends a head, interim head or trailers: names in lower case and values in turn. */
  sendHeaders(stream: Stream, pairs: readonly string[], ends: boolean): void {
    const block = scratch
    block.length = 0
    this.encoder.begin(block)
    for (let i = 0; i < pairs.length; i += 2) this.encoder.field(block, pairs[i]!, pairs[i + 1]!, INDEXED)
    this.sendBlock(stream, block.bytes, block.length, ends)
  }

  /** Sends a header block that is encoded already (only where `tableMax` is 0). */
  sendBlock(stream: Stream, block: Uint8Array, length: number, ends: boolean): void {
    if (this.failed || stream.closed) return
    const { frameMax } = this.peer
    stream.bytesOut += length + FRAME_HEADER * Math.ceil(length / frameMax)
    writeHeaderBlock(this.out, stream.id, block, length, ends, frameMax)
    this.owner.outputWaits()
    if (ends) this.sender.ended(stream)
  }

  /** Ends a stream before its time. */
  reset(stream: Stream, code: number): void {
    if (stream.closed) return
    const known = stream.remoteEnded
    this.close(stream)
    if (this.failed) return
    if (!known) this.recent.add(stream.id)
    writeReset(this.out, stream.id, code)
    this.owner.outputWaits()
  }

  /** As reset(), of a stream that may have been closed in good order: its other end has done wrong nevertheless. */
  resetClosed(stream: Stream, code: number): void {
    if (!stream.closed) this.reset(stream, code)
    else if (!this.failed) {
      writeReset(this.out, stream.id, code)
      this.owner.outputWaits()
    }
  }

  /** Lets the other side send so many more bytes on the stream. */
  grant(stream: Stream, increment: number): void {
    if (increment <= 0 || stream.closed || stream.remoteEnded || this.failed) return
    stream.receiveWindow += increment
    writeWindowUpdate(this.out, stream.id, increment)
    this.owner.outputWaits()
  }

  /** Says that streams the other side opens from now on are not served. */
  goAway(code: number): void {
    if (this.goingAway || this.failed) return
    this.goingAway = true
    writeGoaway(this.out, this.lastPeerStream, code)
    this.owner.outputWaits()
  }

  /** Takes the stream out of the table. */
  close(stream: Stream): void {
    if (stream.closed) return
    stream.closed = true
    this.sender.forget(stream)
    this.streams.delete(stream.id)
    if (this.receiver === stream) this.receiver = null
  }

  /** Ends the connection: the other side hears why, the owner does the rest. Always false, for callers to pass on. */
  fail(code: number, message: string): false {
    if (this.failed) return false
    // Streams that were opened before keep their number in it, even after an orderly GOAWAY.
    writeGoaway(this.out, this.lastPeerStream, code)
    this.failed = true
    this.goingAway = true
    this.owner.outputWaits()
    this.owner.onConnectionError(code, message)
    return false
  }

  // ── receiving (FrameSink) ────────────────────────────────────────────────────────────────────────────────────────

  onTooLong(type: number, stream: number, length: number): void {
    this.fail(FRAME_SIZE_ERROR, `sent too large http2 frame of type ${type} for stream ${stream}: ${length}`)
  }

  onBadPadding(empty: boolean): void {
    this.fail(empty ? FRAME_SIZE_ERROR : PROTOCOL_ERROR, 'sent padded DATA frame with incorrect length')
  }

  onDataFrame(flags: number, id: number, length: number): boolean {
    this.receiver = null
    if (this.block.stream !== 0) return this.unexpected(DATA)
    if (id === 0) return this.fail(PROTOCOL_ERROR, 'sent DATA frame with incorrect identifier')
    if (length > this.receiveWindow)
      return this.fail(
        FLOW_CONTROL_ERROR,
        `violated connection flow control: received DATA frame length ${length}, available window ${this.receiveWindow}`,
      )
    this.receiveWindow -= length
    this.replenish()
    const stream = this.streams.get(id)
    if (stream === undefined) return this.onStray(DATA, id)
    if (stream.remoteEnded) return this.streamError(stream, STREAM_CLOSED, 'sent DATA frame for half-closed stream')
    if (length > stream.receiveWindow)
      return this.streamError(
        stream,
        FLOW_CONTROL_ERROR,
        `violated flow control: received DATA frame length ${length}, available window ${stream.receiveWindow}`,
      )
    stream.receiveWindow -= length
    this.receiver = stream
    if (length === 0 && (flags & END_STREAM) === 0) return this.tolerates(DEAR)
    // Nobody knows yet how much of it is padding.
    return this.tolerates(length < 64 || (flags & PADDED) !== 0 ? CHEAP : 0)
  }

  onDataBytes(bytes: Buffer, start: number, end: number): boolean {
    if (end - start >= 1024) this.nuisance.credit(1)
    this.receiver?.onData(bytes, start, end)
    return !this.failed
  }

  onDataFrameEnd(flags: number): boolean {
    const stream = this.receiver
    if (stream === null || (flags & END_STREAM) === 0) return !this.failed
    this.receiver = null
    this.remoteEnd(stream)
    stream.onEnded()
    return !this.failed
  }

  onFrameHeader(type: number): boolean {
    // A server's first frame is SETTINGS (RFC 9113, 3.4). As nginx, we are content with a client that has none to send.
    if (!this.settingsSeen && !this.server && type !== SETTINGS) return this.unexpected(type)
    if (this.block.stream !== 0 && type !== CONTINUATION) return this.unexpected(type)
    // A client may not, and a server was told not to.
    return type === PUSH_PROMISE ? this.fail(PROTOCOL_ERROR, 'sent PUSH_PROMISE frame') : true
  }

  onFrame(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): boolean {
    if (type === HEADERS) return this.onHeadersFrame(flags, id, bytes, start, end)
    if (type === CONTINUATION) return this.onContinuation(flags, id, bytes, start, end)
    return onControlFrame(this, type, flags, id, bytes, start, end)
  }

  private onHeadersFrame(flags: number, id: number, bytes: Buffer, start: number, end: number): boolean {
    if (id === 0) return this.fail(PROTOCOL_ERROR, 'sent HEADERS frame with incorrect identifier')
    let from = start
    let to = end
    if ((flags & PADDED) !== 0) {
      if (from === end) return this.fail(FRAME_SIZE_ERROR, 'sent padded HEADERS frame with incorrect length')
      to -= bytes[from++]!
      if (to < from) return this.fail(PROTOCOL_ERROR, 'sent padded HEADERS frame with incorrect length')
    }
    if ((flags & WITH_PRIORITY) !== 0) {
      if (to - from < 5) return this.fail(FRAME_SIZE_ERROR, 'sent HEADERS frame with incorrect length')
      const dependency = bytes.readUInt32BE(from)
      if ((dependency & 0x7fffffff) === id)
        return this.fail(PROTOCOL_ERROR, `sent HEADERS frame for stream ${id} with incorrect dependency`)
      const exclusive = dependency >>> 31 === 1
      this.sender.list.depend(id, dependency & 0x7fffffff, exclusive, bytes[from + 4]! + 1, this.streams)
      from += 5
    }
    this.block.begin(id, flags)
    if ((flags & END_HEADERS) !== 0) {
      if (from === to && this.server && !this.streams.has(id))
        return this.fail(FRAME_SIZE_ERROR, 'sent HEADERS frame with empty header block')
      return this.onBlock(bytes, from, to)
    }
    this.block.keep(bytes, from, to)
    return true
  }

  private onContinuation(flags: number, id: number, bytes: Buffer, start: number, end: number): boolean {
    const { block } = this
    if (block.stream === 0 || block.stream !== id) return this.unexpected(CONTINUATION)
    if (block.keep(bytes, start, end) > this.settings.fieldsMax + BLOCK_SPARE)
      return this.fail(ENHANCE_YOUR_CALM, 'sent too large header block')
    if (++block.continuations > CONTINUATIONS_FREE && end - start < 1024 && !this.tolerates(DEAR)) return false
    if ((flags & END_HEADERS) === 0) return true
    return this.onBlock(block.kept.bytes, 0, block.kept.length)
  }

  /** A header block is complete. */
  private onBlock(bytes: Buffer, start: number, end: number): boolean {
    const { stream: id, flags } = this.block
    this.blockLength = end - start
    fields.restart()
    fields.sizeMax = this.settings.fieldsMax
    const sound = this.decoder.decode(bytes, start, end, fields)
    this.block.end()
    if (!sound || fields.overflow || this.decoder.nameless) return this.failBlock(sound)
    const ended = (flags & END_STREAM) !== 0
    const stream = this.streams.get(id)
    if (stream === undefined) return this.server ? this.onOpening(id, ended) : this.onStray(HEADERS, id)
    if (stream.remoteEnded) return this.streamError(stream, STREAM_CLOSED, 'sent HEADERS frame for half-closed stream')
    if (this.server && !ended)
      return this.streamError(stream, PROTOCOL_ERROR, 'sent trailers that do not end the stream')
    if (ended) this.remoteEnd(stream)
    stream.onHeaders(fields, ended)
    return !this.failed
  }

  private failBlock(sound: boolean): false {
    if (this.decoder.tooLong) return this.fail(ENHANCE_YOUR_CALM, 'sent too large header field')
    if (!sound) return this.fail(COMPRESSION_ERROR, 'sent header block that cannot be decoded')
    if (fields.overflow) return this.fail(ENHANCE_YOUR_CALM, 'sent too large header')
    return this.fail(PROTOCOL_ERROR, 'sent zero header name length')
  }

  private onOpening(id: number, ended: boolean): boolean {
    if (id % 2 === 0) return this.fail(PROTOCOL_ERROR, `sent HEADERS frame with incorrect identifier ${id}`)
    if (id <= this.lastPeerStream) return this.onStray(HEADERS, id)
    // What comes behind a GOAWAY is not served, and not answered.
    if (this.goingAway) return this.tolerates(CHEAP)
    this.lastPeerStream = id
    if (this.abandoned === id) {
      this.recent.add(id)
      return this.tolerates(DEAR)
    }
    const stream = this.owner.openStream(id, ended)
    if (stream === null) {
      this.recent.add(id)
      writeReset(this.out, id, REFUSED_STREAM)
      this.owner.outputWaits()
      return this.tolerates(DEAR)
    }
    if (this.failed) return false
    this.streams.set(id, stream)
    stream.remoteEnded = ended
    this.sender.list.place(stream)
    stream.onHeaders(fields, ended)
    return !this.failed
  }

  /** A frame for a stream that is not, or no more. */
  private onStray(type: number, id: number): boolean {
    if (this.isIdle(id)) {
      if (this.goingAway && this.server && id % 2 === 1) return this.tolerates(CHEAP)
      return this.fail(PROTOCOL_ERROR, `sent ${type === DATA ? 'DATA' : 'HEADERS'} frame for idle stream ${id}`)
    }
    // It may not know yet that we have closed the stream.
    if (this.recent.has(id)) return this.tolerates(CHEAP)
    // HEADERS would open it anew, which its number does not allow (RFC 9113, 5.1.1).
    const code = this.server && type === HEADERS ? PROTOCOL_ERROR : STREAM_CLOSED
    return this.fail(code, `sent frame of type ${type} for closed stream ${id}`)
  }

  /** Has the stream never been opened? */
  isIdle(id: number): boolean {
    return id % 2 === (this.server ? 1 : 0) ? id > this.lastPeerStream : id > this.lastOwnStream
  }

  /** The stream breaks the rules: it is reset, and hears of it. */
  streamError(stream: Stream, code: number, message: string): boolean {
    this.reset(stream, code)
    stream.onError(code, message)
    return this.tolerates(DEAR)
  }

  /** Charges the other side for a frame. */
  tolerates(cost: number): boolean {
    if (this.failed) return false
    return cost === 0 || this.nuisance.charge(cost) || this.fail(ENHANCE_YOUR_CALM, 'http2 flood detected')
  }

  private remoteEnd(stream: Stream): void {
    stream.remoteEnded = true
    if (stream.localEnded) this.close(stream)
  }

  private unexpected(type: number): false {
    return this.fail(PROTOCOL_ERROR, `sent unexpected http2 frame of type ${type}`)
  }

  /** What has been received on all streams may be sent again: each stream's own window is what holds a sender back. */
  private replenish(): void {
    const { connectionWindow } = this.settings
    if (this.receiveWindow >= connectionWindow / 2) return
    writeWindowUpdate(this.out, 0, connectionWindow - this.receiveWindow)
    this.receiveWindow = connectionWindow
    this.owner.outputWaits()
  }
}
