// Where a request's body ends on its connection, and what of the bytes behind the head belongs to it (RFC 9112, 6).

import { ChunkedDecoder, type BodySink } from '../../codec/h1/chunked.ts'
import type { RequestHead } from '../../codec/h1/request-head.ts'

/** Answer of feed(): the framing is broken, see `error`. */
export const BROKEN_BODY = -1

const foreseeing = new ChunkedDecoder('request')
const nobody: BodySink = { onBody() {} }

export class BodyFraming {
  /** Bytes still to come, -1 while a chunked body is decoded, 0 when there is none or it is complete. */
  left = 0
  error = ''
  /** Nobody knows where the body ends. */
  broken = false
  private chunks: ChunkedDecoder | null = null

  /** Begins with a request. @param strict see strict_requests @returns the declared length, -1 for a chunked body, 0 for none */
  begin(head: RequestHead, strict: boolean): number {
    this.broken = false
    if (head.chunked) {
      this.chunks ??= new ChunkedDecoder('request')
      this.chunks.restart()
      this.chunks.strict = strict
      this.left = -1
    } else this.left = Math.max(head.contentLength, 0)
    return this.left
  }

  get complete(): boolean {
    return this.left === 0
  }

  /** Names and values in turn, of a chunked body that is complete. */
  get trailers(): readonly string[] {
    return this.chunks?.trailers ?? []
  }

  /** Will feed() find the chunks broken in these bytes, which are the body's first? Trailers are another matter. */
  breaksIn(bytes: Buffer, start: number, end: number): boolean {
    foreseeing.restart()
    return foreseeing.feed(bytes, start, end, nobody) < 0 && foreseeing.block === null
  }

  /** Hands the body's bytes to the sink. @returns bytes used, or BROKEN_BODY */
  feed(bytes: Buffer, start: number, end: number, sink: BodySink): number {
    if (this.left > 0) {
      const size = Math.min(this.left, end - start)
      this.left -= size
      sink.onBody(bytes, start, start + size)
      return size
    }
    const chunks = this.chunks!
    const stop = chunks.feed(bytes, start, end, sink)
    if (stop < 0) {
      this.error = chunks.error
      this.broken = true
      return BROKEN_BODY
    }
    if (chunks.done) this.left = 0
    return stop - start
  }
}
