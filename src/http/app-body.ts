// A request body that an application gets as it comes (app_request_buffering off): each read of the client's connection goes on
// in a BODY frame, and the client is held back while the worker takes no more. It stands in for the request's own body.

import type { Call, Carrier } from '../app/dispatch/call.ts'
import { encodeBodyHeader } from '../codec/frames.ts'
import { ERR } from '../log/error-log.ts'
import { EMPTY, respondSpecial } from './output.ts'
import { RequestBody } from './request-body.ts'
import type { HttpRequest } from './request.ts'

/** Bytes held while no worker is there; more than one read brings. */
const WAITING_MAX = 131_072

export class AppBody extends RequestBody {
  private readonly r: HttpRequest
  private call: Call | null = null
  private waiting: Buffer[] = []
  private waitingBytes = 0
  private held = false
  /** Its end has been sent, or nobody wants it any more. */
  private over = false

  constructor(r: HttpRequest, declared: number) {
    super(declared)
    this.r = r
    this.wanted = true
  }

  override feed(r: HttpRequest, chunk: Buffer): boolean {
    const limit = r.location.clientMaxBodySize
    this.length += chunk.length
    if (limit !== 0 && this.length > limit) {
      r.log(ERR, `client intended to send too large chunked body: ${this.length} bytes`)
      this.close()
      respondSpecial(r, 413)
      return false
    }
    if (this.over) return true
    // Another connection may read into the same memory before this has gone.
    this.waiting.push(Buffer.from(chunk))
    this.waitingBytes += chunk.length
    this.flush()
    if (this.waitingBytes >= WAITING_MAX) this.hold()
    return true
  }

  override finish(_r: HttpRequest): void {
    this.complete = true
    this.flush()
  }

  /** The worker has the request: what waits follows it, then what comes. */
  open(call: Call): void {
    this.call = call
    call.sending = true
    if (!this.complete) this.r.stream.readBody(true)
    this.flush()
  }

  /** The worker takes more. */
  flush(): void {
    const { call } = this
    const link = call === null ? null : call.link
    if (this.over || call === null || link === null) return
    let ready = true
    while (ready && this.waiting.length > 0) ready = this.send(call, link, this.waiting.shift()!)
    if (this.waiting.length === 0 && this.complete) {
      link.write(encodeBodyHeader(link.stream, 0, true))
      call.sending = false
      this.over = true
    } else if (!ready) this.hold()
    else if (this.held) {
      this.held = false
      this.r.stream.readBody(true)
    }
  }

  /** False: no more at present. */
  private send(call: Call, link: Carrier, bytes: Buffer): boolean {
    this.waitingBytes -= bytes.length
    link.credit -= bytes.length
    call.repeatable = false
    link.write(encodeBodyHeader(link.stream, bytes.length, false))
    return link.write(bytes) && link.credit > 0
  }

  private hold(): void {
    if (this.held || this.complete) return
    this.held = true
    this.r.stream.readBody(false)
  }

  /** Nobody listens any more: what still comes is dropped. */
  close(): void {
    this.over = true
    this.waiting = []
    if (this.held) {
      this.held = false
      this.r.stream.readBody(true)
    }
  }

  override bytes(): Buffer {
    return EMPTY
  }

  /** What has gone is gone: whoever answers instead cannot have the body. */
  override isRefused(): boolean {
    return super.isRefused() || !this.complete
  }

  override release(): void {
    this.over = true
    this.waiting = []
    super.release()
  }
}

/** As the application is told; -1 for a body that comes in chunks and is not complete. */
export function bodyLength(body: RequestBody): number {
  return body.complete ? body.length : body.declared
}
