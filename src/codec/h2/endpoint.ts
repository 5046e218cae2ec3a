// One side of an HTTP/2 connection, client or server, without the connection: bytes go in by feed(), what is to be sent
// gathers in `out`, and what happens is told to the owner and to the streams. No sockets, no timers, no HTTP semantics.
//
//   bytes ─▶ Receiver ─▶ Stream.onHeaders, onData, …
//   `out` ◀─ control frames and heads at once; bodies by the Sender, as windows, turns and the transport allow
//
// What the other side can make us do is bounded: memory by windows and by the limits in Settings, work by Nuisance. What is
// put in `out` by its frames (acknowledgements, resets) is bounded by its owner, who stops feeding while too much waits.

import { ByteWriter } from './byte-writer.ts'
import {
  DEFAULT_FRAME_SIZE,
  DEFAULT_WINDOW,
  ENHANCE_YOUR_CALM,
  FRAME_HEADER,
  INITIAL_WINDOW_SIZE,
  MAX_FRAME_SIZE,
  PREFACE,
  STREAM_MAX,
} from './constants.ts'
import { writeGoaway, writeHeaderBlock, writeReset, writeSettings, writeWindowUpdate } from './frame-writer.ts'
import { HpackEncoder, INDEXED } from './hpack-encoder.ts'
import { DEAR, Nuisance } from './nuisance.ts'
import { PeerSettings } from './peer-settings.ts'
import { Receiver } from './receiver.ts'
import { RecentStreams } from './recent-streams.ts'
import { Sender } from './sender.ts'
import type { Stream } from './stream.ts'

export interface EndpointOwner {
  /** A client asks for a stream, `ended` where no body follows. Null: it may not now, and is told REFUSED_STREAM. */
  openStream(id: number, ended: boolean): Stream | null
  /** Something waits in `out`, or has become ready for fill(). */
  outputWaits(): void
  /** The connection is over before a stream of the client's has begun, so many bytes of its header block apart. */
  onLostHead(length: number): void
  /** A frame of a type nobody knows has come, and is ignored. */
  onUnknownFrame(type: number): void
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
  /** A stream is opened for a block that has more, with what was kept of it; else the connection ends. */
  readonly overflows: boolean
  /** Bytes that a name or a value may have. */
  readonly stringMax: number
  /** How much of what we send the other side is asked to remember; 0: header blocks depend on nothing before them. */
  readonly tableMax: number
}

// Blocks are encoded in one call: all connections of a thread share the place.
const scratch = new ByteWriter(4096)

export class Endpoint {
  readonly owner: EndpointOwner
  readonly settings: EndpointSettings
  readonly streams = new Map<number, Stream>()
  readonly peer = new PeerSettings()
  readonly encoder: HpackEncoder
  readonly sender: Sender
  readonly receiver: Receiver
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
  readonly server: boolean
  settingsSeen = false
  /** It knows ours. */
  settingsAcknowledged = false
  /** Streams we have closed while the other side may not know it yet. */
  readonly recent = new RecentStreams()

  constructor(owner: EndpointOwner, settings: EndpointSettings) {
    this.owner = owner
    this.settings = settings
    this.server = settings.role === 'server'
    this.lastOwnStream = this.server ? 0 : -1
    this.encoder = new HpackEncoder(settings.tableMax)
    this.sender = new Sender(this)
    this.receiver = new Receiver(this)
    for (let i = 0; i < settings.announced.length; i += 2) {
      const value = settings.announced[i + 1]!
      if (settings.announced[i] === INITIAL_WINDOW_SIZE) this.ownInitialWindow = value
      else if (settings.announced[i] === MAX_FRAME_SIZE) this.ownFrameMax = value
    }
    this.receiver.limit(Math.max(this.ownFrameMax, settings.laxFrameMax))
  }

  get out(): ByteWriter {
    return this.sender.out
  }

  get peerInitialWindow(): number {
    return this.peer.initialWindow
  }

  /** The other side has said hello: it is held to what was agreed on. */
  onGreeting(): void {
    this.settingsSeen = true
    this.receiver.limit(this.ownFrameMax)
  }

  /** Says hello: a client's preface, then our settings. */
  start(): void {
    const { out, settings } = this
    if (!this.server) out.append(PREFACE, 0, PREFACE.length)
    writeSettings(out, settings.announced)
    this.receiver.openWindow()
    this.owner.outputWaits()
  }

  /** False: the connection is over. */
  feed(bytes: Buffer, start: number, end: number): boolean {
    return !this.failed && this.receiver.feed(bytes, start, end)
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
    this.receiver.forget(stream)
  }

  /** Ends the connection: the other side hears why, the owner does the rest. Always false, for callers to pass on. */
  fail(code: number, message: string): false {
    if (this.failed) return false
    const lost = this.receiver.loseHead()
    // Streams that were opened before keep their number in it, even after an orderly GOAWAY.
    writeGoaway(this.out, this.lastPeerStream, code)
    this.failed = true
    this.goingAway = true
    this.owner.outputWaits()
    if (lost >= 0) this.owner.onLostHead(lost)
    this.owner.onConnectionError(code, message)
    return false
  }

  // ── what the receiver asks ───────────────────────────────────────────────────────────────────────────────────────

  /** Has the stream never been opened? */
  isIdle(id: number): boolean {
    return id % 2 === (this.server ? 1 : 0) ? id > this.lastPeerStream : id > this.lastOwnStream
  }

  /** May the client have opened the stream before it read our GOAWAY? Such a one is not served, nor an error (RFC 9113, 6.8). */
  leftOut(id: number): boolean {
    return this.goingAway && this.server && id % 2 === 1 && id > this.lastPeerStream
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
}
