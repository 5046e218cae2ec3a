// A request body that is not collected first (proxy_request_buffering off): what the client sends goes on to the upstream
// as it comes, and the client is held back while the upstream takes no more. It stands in for the request's own body.

import { respondSpecial } from '../output.ts'
import { RequestBody } from '../request-body.ts'
import type { HttpRequest } from '../request.ts'
import { ERR } from '../../log/error-log.ts'
import { keep } from '../../net/read-buffer.ts'
import { OVER } from './exchange.ts'
import type { Exchange } from './exchange.ts'
import { sent, writePieces } from './sending.ts'

/** Bytes held while the upstream is being connected. */
const WAITING_MAX = 65536

export class StreamedBody extends RequestBody {
  private readonly r: HttpRequest
  /** Whom it goes to, once there is a connection. */
  private target: Exchange | null = null
  private waiting: Buffer[] = []
  private waitingBytes = 0
  private held = false

  constructor(r: HttpRequest, declared: number) {
    super(declared)
    this.r = r
  }

  override feed(r: HttpRequest, chunk: Buffer): boolean {
    const limit = r.location.clientMaxBodySize
    if (limit !== 0 && this.length + chunk.length > limit) {
      r.log(ERR, `client intended to send too large chunked body: ${this.length + chunk.length} bytes`)
      this.length += chunk.length
      this.target = null
      respondSpecial(r, 413)
      return false
    }
    this.length += chunk.length
    const x = this.target
    if (x === null || x.state === OVER) {
      if (x === null) this.wait(chunk)
    } else if (this.held) this.wait(chunk)
    else if (!this.put(x, chunk, true)) this.hold(x)
    return true
  }

  override finish(_r: HttpRequest): void {
    this.complete = true
    if (this.target !== null && !this.held) this.end(this.target)
  }

  /** The head has been sent: what waits follows, then what comes. */
  open(x: Exchange): void {
    this.target = x
    this.resume(x)
    if (!this.complete && !this.held) this.r.stream.readBody(true)
  }

  /** The upstream takes more. */
  resume(x: Exchange): void {
    const { waiting } = this
    this.waiting = []
    this.waitingBytes = 0
    let ready = true
    for (const piece of waiting) ready = this.put(x, piece, false)
    if (!ready && !this.complete) {
      this.hold(x)
      return
    }
    const wasHeld = this.held
    this.held = false
    if (this.complete) this.end(x)
    else if (wasHeld) this.r.stream.readBody(true)
  }

  override release(): void {
    this.waiting = []
    this.target = null
    super.release()
  }

  private put(x: Exchange, bytes: Buffer, volatile: boolean): boolean {
    if (x.link === null) return true
    x.link.watch(x.settings.sendTimeout)
    const taken = writePieces(x, bytes, volatile)
    // While it is the client who is waited for, the upstream is not to blame.
    if (taken) x.link.unwatch()
    return taken
  }

  private end(x: Exchange): void {
    if (x.bodySent || x.link === null || x.state === OVER) return
    const end = x.protocol.bodyEnd(x)
    sent(x, end === '' || x.link.connection.writeText(end))
  }

  private wait(chunk: Buffer): void {
    this.waiting.push(keep(chunk))
    this.waitingBytes += chunk.length
    if (this.waitingBytes >= WAITING_MAX) {
      this.held = true
      this.r.stream.readBody(false)
    }
  }

  private hold(x: Exchange): void {
    this.held = true
    if (x.link !== null) x.link.watch(x.settings.sendTimeout)
    this.r.stream.readBody(false)
  }
}
