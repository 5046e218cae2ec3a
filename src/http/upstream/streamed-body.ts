// A request body that is not collected first (proxy_request_buffering off): what the client sends goes on to the upstream
// as it comes, and the client is held back while the upstream takes no more. It stands in for the request's own body.

import { EMPTY, respondSpecial } from '../output.ts'
import { RequestBody } from '../request-body.ts'
import type { HttpRequest } from '../request.ts'
import { ERR } from '../../log/error-log.ts'
import { keep } from '../../net/read-buffer.ts'
import { OVER, RELAYING, upstreamSlot } from './exchange.ts'
import type { Exchange } from './exchange.ts'
import { sent, writePieces } from './sending.ts'

/** Bytes held while the upstream is being connected; more than one read brings. */
const WAITING_MAX = 131072

export class StreamedBody extends RequestBody {
  private readonly r: HttpRequest
  /** Whom it goes to, once there is a connection. */
  private target: Exchange | null = null
  private waiting: Buffer[] = []
  private waitingBytes = 0
  /** What came before the upstream was there, kept: if that was all, $request_body has it, and so has an error page. */
  private first: Buffer[] = []
  private firstBytes = 0
  private held = false
  /** What one read brings, in however many chunks, goes on together. */
  private gathering = false

  constructor(r: HttpRequest, declared: number) {
    super(declared)
    this.wanted = true
    this.r = r
  }

  override feed(r: HttpRequest, chunk: Buffer): boolean {
    const limit = r.location.clientMaxBodySize
    if (limit !== 0 && this.length + chunk.length > limit) {
      r.log(ERR, `client intended to send too large chunked body: ${this.length}+${chunk.length} bytes`)
      this.length += chunk.length
      this.target = null
      respondSpecial(r, 413)
      return false
    }
    this.length += chunk.length
    const x = this.target
    if (x !== null && x.state === OVER) return true
    this.wait(chunk)
    if (x === null || this.held || this.gathering) return true
    this.gathering = true
    process.nextTick(flush, this)
    return true
  }

  override finish(_r: HttpRequest): void {
    this.complete = true
    if (this.target !== null && !this.held && !this.gathering) this.resume(this.target)
  }

  /** What waits follows the head, then what comes. */
  open(x: Exchange, head: string): void {
    this.target = x
    this.send(x, head)
    if (!this.complete && !this.held) this.r.stream.readBody(true)
  }

  /** The upstream takes more. */
  resume(x: Exchange): void {
    this.send(x, '')
  }

  flush(): void {
    this.gathering = false
    if (this.target !== null && this.target.state !== OVER) this.send(this.target, '')
  }

  private send(x: Exchange, head: string): void {
    if (x.link === null || x.state === OVER) return
    const { waiting } = this
    const bytes = waiting.length === 1 ? waiting[0]! : Buffer.concat(waiting)
    this.waiting = []
    this.waitingBytes = 0
    const ended = this.complete && !x.bodySent
    x.link.watch(x.settings.sendTimeout)
    const ready = this.write(x, head, bytes, ended)
    if (ended && this.waitingBytes === 0) {
      this.held = false
      sent(x, ready)
    } else if (!ready) this.hold(x)
    else {
      // While it is the client who is waited for, the upstream is not to blame; unless it has begun to answer.
      if (x.state === RELAYING) x.link.watch(x.settings.readTimeout)
      else x.link.unwatch()
      const wasHeld = this.held
      this.held = false
      if (wasHeld) this.r.stream.readBody(true)
    }
  }

  /** @returns does the connection take more? What the protocol's flow control has stopped waits again */
  private write(x: Exchange, head: string, bytes: Buffer, ended: boolean): boolean {
    const { protocol } = x
    if (protocol.writeBody === undefined) return writePieces(x, bytes, head, ended ? protocol.bodyEnd(x) : '')
    const taken = protocol.writeBody(x, head, bytes, ended)
    if (taken === bytes.length) return x.link!.connection.pending === 0
    this.waiting = [bytes.subarray(taken)]
    this.waitingBytes = bytes.length - taken
    return false
  }

  override bytes(): Buffer {
    return this.complete && this.firstBytes === this.length ? Buffer.concat(this.first) : EMPTY
  }

  /** What has gone is gone: whoever answers instead cannot have the body. */
  override isRefused(): boolean {
    return super.isRefused() || !this.complete
  }

  override release(): void {
    // The rest will not come (it was too large or broken): what the upstream says to a part of it is nobody's answer.
    const x = upstreamSlot.get(this.r)
    if (!this.complete && x !== null && x.streamed === this) x.letGo()
    this.waiting = []
    this.first = []
    this.target = null
    super.release()
  }

  private wait(chunk: Buffer): void {
    const kept = keep(chunk)
    this.waiting.push(kept)
    if (this.target === null) {
      this.first.push(kept)
      this.firstBytes += kept.length
    }
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

/**
 * The body goes on as it comes. What has come with the head is looked at first: if it is all of the body, that is one like
 * any other, its length known; if it is broken, no upstream hears of it.
 */
export function streamBody(x: Exchange, begin: (r: HttpRequest) => void): void {
  const { r } = x
  x.streamed = new StreamedBody(r, r.body!.declared)
  r.body = x.streamed
  r.stream.readBody(true)
  process.nextTick(beginStreaming, x, begin)
}

function beginStreaming(x: Exchange, begin: (r: HttpRequest) => void): void {
  const { r } = x
  // It may have been refused by now.
  if (r.done || r.headSent || r.source !== x) return
  const { complete, trailers } = x.streamed!
  if (complete && (trailers.length === 0 || !x.settings.passTrailers)) x.streamed = null
  begin(r)
}

function flush(body: StreamedBody): void {
  body.flush()
}
