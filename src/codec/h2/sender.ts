// What goes out of an endpoint: the bytes that wait for the transport, and the bodies that wait for windows and turns.

import { returnWriter, takeWriter, type ByteWriter } from './byte-writer.ts'
import { DATA, DEFAULT_WINDOW, END_STREAM, FRAME_HEADER, WINDOW_MAX } from './constants.ts'
import type { Endpoint } from './endpoint.ts'
import { putFrameHeader } from './frame-writer.ts'
import { SendList } from './send-list.ts'
import type { Stream } from './stream.ts'

/** Bytes that gather before they are handed to the transport. */
const FILL_MAX = 65536

export class Sender {
  /** What the other side lets us send on all streams together. */
  window = DEFAULT_WINDOW
  /** The transport has not taken what it got: bodies wait for it. Set by the endpoint's owner. */
  blocked = false
  readonly list = new SendList()
  private readonly endpoint: Endpoint
  private writer: ByteWriter | null = null

  constructor(endpoint: Endpoint) {
    this.endpoint = endpoint
  }

  get out(): ByteWriter {
    this.writer ??= takeWriter()
    return this.writer
  }

  get waiting(): number {
    return this.writer === null ? 0 : this.writer.length
  }

  /** Hands over what waits; the caller gives the writer back (returnWriter) once the transport has the bytes. */
  take(): ByteWriter | null {
    const { writer } = this
    if (writer === null || writer.length === 0) return null
    this.writer = null
    return writer
  }

  /** Lets go of what waits: the connection is gone. */
  drop(): void {
    if (this.writer !== null) returnWriter(this.writer)
    this.writer = null
  }

  /** Sends a piece of body at once where nothing stands in its way. False: it has to be queued. */
  trySend(stream: Stream, bytes: Buffer, last: boolean): boolean {
    const size = bytes.length
    if (stream.queued > 0 || stream.waiting) return false
    if (size > 0) {
      if (
        size > stream.sendWindow ||
        size > stream.frameMax ||
        size > this.window ||
        size > this.endpoint.peer.frameMax
      )
        return false
      if (this.blocked || !this.list.empty || this.waiting + size > FILL_MAX) return false
    } else if (!last) return true
    const { out } = this
    const ends = last && stream.trailers === null
    out.reserve(FRAME_HEADER + size)
    if (size > 0 || ends) {
      putFrameHeader(out.bytes, out.length, size, DATA, ends ? END_STREAM : 0, stream.id)
      out.length += FRAME_HEADER
      stream.bytesOut += FRAME_HEADER
      out.append(bytes, 0, size)
      this.spend(stream, size)
    }
    this.endpoint.owner.outputWaits()
    if (last) this.finish(stream)
    return true
  }

  /** As trySend() for a short latin1 text that is a whole body. */
  trySendText(stream: Stream, text: string): boolean {
    const size = text.length
    if (size > stream.sendWindow || size > stream.frameMax || size > this.window || stream.trailers !== null)
      return false
    if (this.blocked || !this.list.empty || this.waiting + size > FILL_MAX || size > this.endpoint.peer.frameMax)
      return false
    const { out } = this
    out.reserve(FRAME_HEADER + size)
    putFrameHeader(out.bytes, out.length, size, DATA, END_STREAM, stream.id)
    out.length += FRAME_HEADER
    stream.bytesOut += FRAME_HEADER
    out.text(text)
    this.spend(stream, size)
    this.endpoint.owner.outputWaits()
    this.finish(stream)
    return true
  }

  /** Keeps a piece until its turn comes; its bytes must stay as they are. */
  queue(stream: Stream, bytes: Buffer, last: boolean): void {
    if (bytes.length > 0) stream.enqueue(bytes)
    stream.asked = false
    if (last) stream.ending = true
    if (stream.queued > 0 && stream.sendWindow > 0) this.list.add(stream)
    this.endpoint.owner.outputWaits()
  }

  /** Moves bodies to `out`, one frame of each stream after the other. */
  fill(): void {
    const { list } = this
    while (this.waiting < FILL_MAX && this.window > 0 && !this.blocked) {
      const stream = list.pick()
      if (stream === null) return
      if (stream.sendWindow <= 0) list.remove(stream)
      else this.sendFrame(stream)
    }
  }

  private sendFrame(stream: Stream): void {
    const { out } = this
    const most = Math.min(stream.sendWindow, this.window, stream.frameMax, this.endpoint.peer.frameMax, FILL_MAX)
    out.reserve(FRAME_HEADER + most)
    const start = out.length
    out.length += FRAME_HEADER
    stream.bytesOut += FRAME_HEADER
    const size = this.takeQueue(stream, Math.min(stream.queued, most))
    putFrameHeader(out.bytes, start, size, DATA, 0, stream.id)
    if (stream.queued === 0 && size < most) this.refill(stream, start, most)
    if (stream.closed) return
    if (stream.queued > 0) {
      this.list.rotate(stream)
      stream.onProgress()
    } else {
      this.list.remove(stream)
      if (stream.ending) this.endFrame(stream, start)
      else this.ask(stream)
    }
  }

  /** All of the stream's bytes are in `out`: what its source has at hand joins them, so that frames are full ones. */
  private refill(stream: Stream, start: number, most: number): void {
    const { out } = this
    const stop = out.length
    if (stream.ending || !this.ask(stream)) return
    // Nothing may have come in between, neither frames nor the end of the stream.
    if (stream.closed || stream.queued === 0 || this.writer !== out || out.length !== stop) return
    const size = stop - start - FRAME_HEADER
    const more = this.takeQueue(stream, Math.min(stream.queued, most - size))
    putFrameHeader(out.bytes, start, size + more, DATA, 0, stream.id)
  }

  /** Asks for more, once for what was queued last. */
  private ask(stream: Stream): boolean {
    if (stream.asked) return false
    stream.asked = true
    stream.onRoom()
    return true
  }

  /** The last byte of the body is in `out`; if it is the very last there, its frame ends the stream. */
  private endFrame(stream: Stream, start: number): void {
    const { out } = this
    if (stream.trailers === null) {
      const size = out.bytes.readUIntBE(start, 3)
      if (out.length === start + FRAME_HEADER + size) out.bytes[start + 4] = END_STREAM
      else {
        out.reserve(FRAME_HEADER)
        putFrameHeader(out.bytes, out.length, 0, DATA, END_STREAM, stream.id)
        out.length += FRAME_HEADER
        stream.bytesOut += FRAME_HEADER
      }
    }
    this.finish(stream)
  }

  /** Copies so many bytes of the queue to `out`. */
  private takeQueue(stream: Stream, size: number): number {
    copyQueue(stream, this.out, size)
    if (stream.queued === 0) stream.dropQueue()
    this.spend(stream, size)
    return size
  }

  private spend(stream: Stream, size: number): void {
    stream.sendWindow -= size
    stream.bytesOut += size
    stream.bodyOut += size
    this.window -= size
    // The other side answers it with updates of two windows.
    if (size >= 64) this.endpoint.nuisance.credit(2)
  }

  /** All of the body is in `out`. */
  private finish(stream: Stream): void {
    const { trailers } = stream
    if (trailers === null) this.ended(stream)
    else {
      stream.trailers = null
      this.endpoint.sendHeaders(stream, trailers, true)
    }
  }

  /** The end of the stream, from our side, is in `out`. */
  ended(stream: Stream): void {
    stream.localEnded = true
    if (stream.remoteEnded) this.endpoint.close(stream)
    stream.onSent()
  }

  forget(stream: Stream): void {
    this.list.remove(stream)
    this.list.displace(stream)
    stream.dropQueue()
  }

  /** The connection's window grows. False: beyond what there may be. */
  grow(increment: number): boolean {
    this.window += increment
    if (this.window > WINDOW_MAX) return false
    if (!this.list.empty) this.endpoint.owner.outputWaits()
    return true
  }

  /** A stream's window changes. False: beyond what there may be. */
  growStream(stream: Stream, by: number): boolean {
    stream.sendWindow += by
    if (stream.sendWindow > WINDOW_MAX) return false
    if (stream.sendWindow > 0 && stream.queued > 0 && !stream.waiting) {
      this.list.add(stream)
      this.endpoint.owner.outputWaits()
    }
    return true
  }
}

function copyQueue(stream: Stream, out: ByteWriter, size: number): void {
  let left = size
  while (left > 0) {
    const piece = stream.pieces[stream.first]!
    const part = Math.min(left, piece.length - stream.offset)
    out.append(piece, stream.offset, stream.offset + part)
    left -= part
    stream.offset += part
    if (stream.offset === piece.length) {
      stream.pieces[stream.first++] = EMPTY
      stream.offset = 0
    }
  }
  stream.queued -= size
}

const EMPTY = Buffer.alloc(0)
