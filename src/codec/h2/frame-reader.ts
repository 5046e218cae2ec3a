// Bytes to frames (RFC 9113, 4.1). DATA goes on in pieces, as it comes; every other frame is handed over whole, where it lies
// if it has come in one piece and from a copy otherwise.

import { DATA, DEFAULT_FRAME_SIZE, FRAME_HEADER, PADDED } from './constants.ts'

/** Takes what was read. Each answers whether reading goes on; after a false, the reader takes nothing more. */
export interface FrameSink {
  /** Any other frame begins. */
  onFrameHeader(type: number, stream: number, length: number): boolean
  /** It is whole. */
  onFrame(type: number, flags: number, stream: number, bytes: Buffer, start: number, end: number): boolean
  /** A DATA frame begins; `length` is what counts for flow control, padding and all. */
  onDataFrame(flags: number, stream: number, length: number): boolean
  onDataBytes(bytes: Buffer, start: number, end: number): boolean
  onDataFrameEnd(flags: number): boolean
  /** A frame is longer than was agreed on. */
  onTooLong(type: number, stream: number, length: number): void
  /** A DATA frame says that it has more padding than bytes; of none at all, it does not even say how much. */
  onBadPadding(length: number, padding: number): void
}

const AT_HEADER = 0
const IN_FRAME = 1
const AT_PADDING_LENGTH = 2
const IN_DATA = 3
const IN_PADDING = 4

const NONE = Buffer.alloc(0)

export class FrameReader {
  /** The longest payload we take (our SETTINGS_MAX_FRAME_SIZE). */
  lengthMax = DEFAULT_FRAME_SIZE
  private readonly sink: FrameSink
  private state = AT_HEADER
  private type = 0
  private flags = 0
  private stream = 0
  /** Payload bytes still to come, padding excluded. */
  private left = 0
  private padding = 0
  /** What has come of a header, or of a frame that is not DATA. */
  private readonly header = Buffer.allocUnsafe(FRAME_HEADER)
  private payload: Buffer = NONE
  private gathered = 0

  constructor(sink: FrameSink) {
    this.sink = sink
  }

  /** The stream whose frame of that type has come in part, 0: none. */
  midway(type: number): number {
    return this.state === IN_FRAME && this.type === type ? this.stream : 0
  }

  /** Has a frame come in part? */
  get partial(): boolean {
    return this.state !== AT_HEADER || this.gathered > 0
  }

  /** The payload of the frame that has come in part, padding excluded. */
  get length(): number {
    return this.left
  }

  /** False: the sink wants no more. */
  feed(bytes: Buffer, start: number, end: number): boolean {
    let at = start
    for (;;) {
      switch (this.state) {
        case AT_HEADER:
          if (this.gathered === 0 && end - at >= FRAME_HEADER) {
            if (!this.begin(bytes, at)) return false
            at += FRAME_HEADER
          } else {
            const size = Math.min(FRAME_HEADER - this.gathered, end - at)
            bytes.copy(this.header, this.gathered, at, at + size)
            at += size
            this.gathered += size
            if (this.gathered < FRAME_HEADER) return true
            if (!this.begin(this.header, 0)) return false
          }
          break
        case IN_FRAME:
          if (this.gathered === 0 && end - at >= this.left) {
            const from = at
            at += this.left
            this.state = AT_HEADER
            if (!this.sink.onFrame(this.type, this.flags, this.stream, bytes, from, at)) return false
          } else {
            at = this.gather(bytes, at, end)
            if (this.gathered < this.left) return true
            const { payload } = this
            this.payload = NONE
            this.gathered = 0
            this.state = AT_HEADER
            if (!this.sink.onFrame(this.type, this.flags, this.stream, payload, 0, this.left)) return false
          }
          break
        case AT_PADDING_LENGTH:
          if (at === end) return true
          this.padding = bytes[at++]!
          if (this.padding >= this.left) {
            this.sink.onBadPadding(this.left, this.padding)
            return false
          }
          this.left -= this.padding + 1
          this.state = IN_DATA
          break
        case IN_DATA: {
          const size = Math.min(this.left, end - at)
          if (size > 0) {
            at += size
            this.left -= size
            if (!this.sink.onDataBytes(bytes, at - size, at)) return false
          }
          if (this.left > 0) return true
          this.state = IN_PADDING
          break
        }
        case IN_PADDING: {
          const size = Math.min(this.padding, end - at)
          at += size
          this.padding -= size
          if (this.padding > 0) return true
          this.state = AT_HEADER
          if (!this.sink.onDataFrameEnd(this.flags)) return false
          break
        }
      }
    }
  }

  private begin(bytes: Buffer, at: number): boolean {
    const length = (bytes[at]! << 16) | (bytes[at + 1]! << 8) | bytes[at + 2]!
    const stream = ((bytes[at + 5]! & 0x7f) << 24) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 8) | bytes[at + 8]!
    this.type = bytes[at + 3]!
    this.flags = bytes[at + 4]!
    this.stream = stream
    this.left = length
    this.gathered = 0
    if (length > this.lengthMax) {
      this.sink.onTooLong(this.type, stream, length)
      return false
    }
    if (this.type !== DATA) {
      this.state = IN_FRAME
      return this.sink.onFrameHeader(this.type, stream, length)
    }
    this.padding = 0
    this.state = IN_DATA
    if (!this.sink.onDataFrame(this.flags, stream, length)) return false
    if ((this.flags & PADDED) === 0) return true
    this.state = AT_PADDING_LENGTH
    if (length > 0) return true
    this.sink.onBadPadding(0, 0)
    return false
  }

  /** Copies what there is of a frame. What a header promises costs no memory before it comes. @returns bytes used up to */
  private gather(bytes: Buffer, start: number, end: number): number {
    const size = Math.min(this.left - this.gathered, end - start)
    const needed = this.gathered + size
    if (needed > this.payload.length) {
      const larger = Buffer.allocUnsafe(Math.min(this.left, Math.max(needed, this.payload.length * 2, 256)))
      this.payload.copy(larger, 0, 0, this.gathered)
      this.payload = larger
    }
    bytes.copy(this.payload, this.gathered, start, start + size)
    this.gathered = needed
    return start + size
  }
}
