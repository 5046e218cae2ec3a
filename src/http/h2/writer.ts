// The last stage of an HTTP/2 response: the head waits for the first piece of body, so that a response without one ends with
// its HEADERS frame; pieces go to the stream, which sends them as windows and turns allow.

import { ERR } from '../../log/error-log.ts'
import { BodyStage, EMPTY, FLUSH, LAST } from '../output.ts'
import type { HttpRequest } from '../request.ts'
import type { Http2Stream } from './stream.ts'

export class Http2Writer extends BodyStage {
  private readonly stream: Http2Stream
  private headWaits = false
  /** Body bytes that may still be sent, -1 without limit. */
  private left = -1

  constructor(stream: Http2Stream) {
    super()
    this.stream = stream
  }

  begin(r: HttpRequest): void {
    this.headWaits = true
    this.left = r.contentLength
  }

  /** A whole response whose body is latin1 text. */
  writeText(r: HttpRequest, text: string): void {
    if (this.stream.closed) {
      this.stream.answeredNobody(r)
      return
    }
    if (r.bodiless || text === '') {
      this.stream.putHead(r, true)
      return
    }
    this.stream.putHead(r, false)
    r.bodyBytesSent = text.length
    this.stream.putText(r, text)
  }

  flushHead(r: HttpRequest): void {
    // Where no body follows, the head is the end: it waits until all has been done.
    if (!this.headWaits || r.bodiless) return
    this.headWaits = false
    this.stream.putHead(r, false)
  }

  write(r: HttpRequest, bytes: Buffer, flags: number): boolean {
    return this.put(r, bytes, flags)
  }

  override writeVolatile(r: HttpRequest, chunk: Buffer, flags: number): boolean {
    return this.put(r, chunk, flags)
  }

  private put(r: HttpRequest, given: Buffer, flags: number): boolean {
    const { stream } = this
    const last = (flags & LAST) !== 0
    if (r.done) return false
    if (stream.closed) {
      if (last) stream.answeredNobody(r)
      return true
    }
    const bytes = r.bodiless ? EMPTY : this.within(r, given)
    if (last && this.left > 0 && !r.bodiless && bytes.length < this.left) {
      r.log(ERR, `response body is shorter than its Content-Length ${r.contentLength}`)
      this.flushHead(r)
      stream.abort(r)
      return false
    }
    if (this.left > 0) this.left -= bytes.length
    r.bodyBytesSent += bytes.length
    const trailers = last && r.trailers !== null ? r.trailers.fields(r) : null
    if (bytes.length === 0) {
      if (last && (trailers === null || r.bodiless) && this.headWaits) {
        this.headWaits = false
        stream.putHead(r, true)
        return true
      }
      if (last || (flags & FLUSH) !== 0) this.flushHead(r)
      if (!last) return stream.queued === 0
    }
    this.flushHead(r)
    if (trailers !== null) stream.putTrailers(trailers)
    return stream.putBody(r, bytes, last)
  }

  /** Never more than Content-Length promised. */
  private within(r: HttpRequest, bytes: Buffer): Buffer {
    if (this.left < 0 || bytes.length <= this.left) return bytes
    r.log(ERR, `response body is longer than its Content-Length ${r.contentLength}: the rest is dropped`)
    return bytes.subarray(0, this.left)
  }
}
