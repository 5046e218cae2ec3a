// A request body that an upstream gets as it comes (proxy_request_buffering off).

import { EMPTY } from '../output.ts'
import type { HttpRequest } from '../request.ts'
import { UnbufferedBody } from '../session/unbuffered-body.ts'
import { keep } from '../../net/read-buffer.ts'
import { OVER, RELAYING } from './exchange-state.ts'
import { upstreamSlot } from './exchange.ts'
import type { Exchange } from './exchange.ts'
import { sent, writePieces } from './sending.ts'

export class StreamedBody extends UnbufferedBody {
  /** Whom it goes to, once there is a connection. */
  private target: Exchange | null = null
  /** What came before the upstream was there, kept: if that was all, $request_body has it, and so has an error page. */
  private first: Buffer[] = []
  private firstBytes = 0
  /** What one read brings, in however many chunks, goes on together. */
  private gathering = false

  protected override take(chunk: Buffer): void {
    const x = this.target
    if (x !== null && x.state === OVER) return
    const kept = keep(chunk)
    this.wait(kept)
    if (x === null) {
      this.first.push(kept)
      this.firstBytes += kept.length
    }
    if (this.isFull) this.hold()
    if (x === null || this.held || this.gathering) return
    this.gathering = true
    process.nextTick(flush, this)
  }

  protected override abandon(): void {
    this.target = null
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
    } else if (!ready) this.holdFor(x)
    else {
      // While it is the client who is waited for, the upstream is not to blame; unless it has begun to answer.
      if (x.state === RELAYING) x.link.watch(x.settings.readTimeout)
      else x.link.unwatch()
      this.letOn()
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

  override release(): void {
    // The rest will not come (it was too large or broken): what the upstream says to a part of it is nobody's answer.
    const x = upstreamSlot.get(this.r)
    if (!this.complete && x !== null && x.streamed === this) x.letGo()
    this.waiting = []
    this.first = []
    this.target = null
    super.release()
  }

  private holdFor(x: Exchange): void {
    if (x.link !== null) x.link.watch(x.settings.sendTimeout)
    this.hold()
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
