// A request body that an application gets as it comes (app_request_buffering off): each read of the client's connection goes on
// in a BODY frame.

import type { Call, Carrier } from '../../app/dispatch/call.ts'
import { encodeBodyHeader } from '../../codec/frames.ts'
import { EMPTY } from '../output.ts'
import type { RequestBody } from '../request-body.ts'
import type { HttpRequest } from '../request.ts'
import { UnbufferedBody } from '../session/unbuffered-body.ts'

export class AppBody extends UnbufferedBody {
  private call: Call | null = null
  /** Its end has been sent, or nobody wants it any more. */
  private over = false

  protected override take(chunk: Buffer): void {
    if (this.over) return
    // Another connection may read into the same memory before this has gone.
    this.wait(Buffer.from(chunk))
    this.flush()
    if (this.isFull) this.pause()
  }

  protected override abandon(): void {
    this.close()
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
    } else if (!ready) this.pause()
    else this.letOn()
  }

  /** False: no more at present. */
  private send(call: Call, link: Carrier, bytes: Buffer): boolean {
    this.waitingBytes -= bytes.length
    link.credit -= bytes.length
    call.repeatable = false
    link.write(encodeBodyHeader(link.stream, bytes.length, false))
    return link.write(bytes) && link.credit > 0
  }

  private pause(): void {
    if (!this.held && !this.complete) this.hold()
  }

  /** Nobody listens any more: what still comes is dropped. */
  close(): void {
    this.over = true
    this.waiting = []
    this.letOn()
  }

  override bytes(): Buffer {
    return EMPTY
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
