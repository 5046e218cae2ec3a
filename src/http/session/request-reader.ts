// The reading side of an HTTP/1 connection: heads and bodies, each request in its turn. What is read is parsed where it lies, in
// the thread's read buffer; only what is incomplete, or came before its turn (pipelining), is copied.

import type { BodySink } from '../../codec/h1/chunked.ts'
import { giveUpRequestHead, parseRequestHead, type RequestHead } from '../../codec/h1/request-head.ts'
import { Timer, timers } from '../../lib/timer-wheel.ts'
import { ERR, INFO } from '../../log/error-log.ts'
import { countMove } from '../../zone/connection-counts.ts'
import { respondSpecial } from '../output.ts'
import type { HttpRequest } from '../request.ts'
import { RequestBody } from '../request-body.ts'
import { BodyFraming, BROKEN_BODY } from './body-framing.ts'
import { ClientSession } from './client-session.ts'
import { takeHead } from './head-pool.ts'
import type { Opening } from './opening.ts'
import { logDropped, readPart, readTarget, refuseRequest, startRequest } from './request-start.ts'
import { ACTIVE, CLOSED, COUNTED_AS, HEAD, IDLE, LINGER } from './states.ts'

/** Pipelined bytes kept while a request is served; beyond, the client is not read. */
const PIPELINE_MAX = 65536
export const NONE = Buffer.alloc(0)

export abstract class RequestReader extends ClientSession implements BodySink {
  pipelined = false
  protected readonly timer = new Timer<RequestReader>(this, timedOut)
  protected state = IDLE
  protected opening: Opening | null = null
  protected head: RequestHead | null = null
  protected request: HttpRequest | null = null
  /** Bytes received and not yet used: an incomplete head, or requests that wait their turn. */
  protected input: Buffer = NONE
  protected readonly framing = new BodyFraming()
  protected expectsContinue = false
  /** Bytes that came with the head, behind it; known for a client that expects to be asked. */
  private bytesBehindHead = 0
  /** Somebody has read of the body, or tried to. */
  protected bodyRead = false
  /** What of it has come with the head is broken. */
  protected bodyBreaks = false
  protected responseDone = false
  private consuming = false
  /** The bytes being consumed had to wait for their turn. */
  private resuming = false
  /** Until when a client is heard that will get no more. */
  protected lingerUntil = 0
  /** What the request has taken of the input, but for a body that was dropped behind the answer. */
  protected requestBytes = 0

  /** A head has been read, or given up: its request. */
  protected abstract begin(head: RequestHead): HttpRequest
  /** The response has left; the request ends when its body is in too. */
  protected abstract settle(r: HttpRequest): void
  /** Ends a request that cannot be completed, and the connection with it. */
  protected abstract close(r: HttpRequest): void
  /** For Timer. */
  abstract onTimeout(): void

  protected enter(state: number): void {
    countMove(COUNTED_AS[this.state]!, COUNTED_AS[state]!)
    this.state = state
  }

  onData(chunk: Buffer): void {
    if (this.state === LINGER || this.state === CLOSED) return
    if (this.input.length === 0) this.consume(chunk)
    else {
      const all = Buffer.concat([this.input, chunk])
      this.input = NONE
      this.consume(all)
    }
  }

  /** Uses up the bytes as far as it can and keeps the rest. */
  private consume(received: Buffer): void {
    let bytes = received
    let at = 0
    let end = bytes.length
    this.consuming = true
    while (at < end) {
      if (this.opening !== null) {
        const used = this.opening.read(bytes, at, end)
        if (used < 0) break
        at += used
        if (this.opening.done) {
          const { told } = this.opening
          this.opening = null
          if (told === null) continue
          bytes = Buffer.concat([told, bytes.subarray(at, end)])
          at = 0
          end = bytes.length
        } else if (used === 0) break
      } else if (this.state === IDLE || this.state === HEAD) {
        const used = this.readHead(bytes, at, end)
        if (used <= 0) break
        at += used
      } else if (this.state === ACTIVE && this.takesBody()) at += this.readBodyBytes(bytes, at, end)
      else break
    }
    this.consuming = false
    if (at === end || this.state === LINGER || this.state === CLOSED) return
    this.input = Buffer.from(bytes.subarray(at))
    if (this.state === ACTIVE && this.input.length > PIPELINE_MAX) this.connection.pause()
  }

  /** @returns bytes used; 0: the head is not complete; -1: the connection's fate is sealed */
  private readHead(bytes: Buffer, start: number, end: number): number {
    const head = (this.head ??= takeHead())
    // Whether its server does is seen when that is known.
    head.tunnels = true
    const server = this.mainServer
    const begins = this.state === IDLE
    if (begins) this.pipelined = this.requests > 0 && (start > 0 || this.resuming)
    head.servers = this.listen.limitsDiffer ? this.listen : null
    head.mergeSlashes = server.mergeSlashes
    const used = parseRequestHead(bytes, start, end, server.limits, head)
    if (used === 0) {
      if (begins) this.enter(HEAD)
      if (begins && this.requests > 0) timers.arm(this.timer, server.clientHeaderTimeout)
      return 0
    }
    this.enter(ACTIVE)
    timers.disarm(this.timer)
    const r = this.begin(head)
    // Empty lines before the request are none of it.
    this.requestBytes = (used < 0 ? Math.max(head.scanned, head.lineStart) : used) - head.lineStart
    r.requestLength = this.requestBytes
    if (r.status !== 0) {
      this.close(r)
      return -1
    }
    if (head.dropped !== '') logDropped(r)
    if (used < 0) {
      refuseRequest(r, -used)
      return -1
    }
    this.expectsContinue = head.expectContinue && head.version === 11
    if (this.expectsContinue) this.bytesBehindHead = end - start - used
    const declared = this.framing.begin(head, (head.limits ?? server.limits).strict)
    if (declared !== 0) {
      this.bodyRead = false
      this.bodyBreaks = declared < 0 && start + used < end && this.framing.breaksIn(bytes, start + used, end)
      r.body = new RequestBody(declared)
      r.body.broken = this.bodyBreaks
    }
    startRequest(r, this.mainServer, this.listen.tls, this.tls)
    return used
  }

  // ── the request body ─────────────────────────────────────────────────────────────────────────────────────────────

  /** Is there a use for body bytes, if only to be dropped? */
  private takesBody(): boolean {
    if (this.framing.complete) return false
    const r = this.request
    return this.responseDone || r === null || r.body === null || r.body.wanted || r.headSent
  }

  /** @returns bytes used */
  private readBodyBytes(bytes: Buffer, start: number, end: number): number {
    const r = this.request!
    const before = this.framing.broken
    const used = this.framing.feed(bytes, start, end, this)
    if (used === BROKEN_BODY) {
      if (!before) this.chunksBroken(r)
      return end - start
    }
    if (!this.responseDone) {
      this.requestBytes += used
      r.requestLength = this.requestBytes
    }
    if (this.framing.complete) {
      if (r.body !== null) r.body.trailers = this.framing.trailers
      this.bodyComplete(r)
    } else this.expectMoreBody(r)
    return used
  }

  private chunksBroken(r: HttpRequest): void {
    const { body } = r
    // That was the answer.
    if (this.bodyBreaks && (body === null || body.refused)) return
    r.log(ERR, this.framing.error)
    r.keepAlive = false
    if (this.responseDone) this.close(r)
    else {
      if (body !== null) body.broken = false
      respondSpecial(r, 400)
    }
  }

  onBody(bytes: Buffer, start: number, end: number): void {
    this.expectsContinue = false
    const r = this.request
    if (r === null || r.body === null || this.responseDone) return
    if (!r.body.feed(r, bytes.subarray(start, end))) r.keepAlive = false
  }

  private expectMoreBody(r: HttpRequest): void {
    if (this.state !== ACTIVE) return
    if (!this.responseDone) timers.arm(this.timer, r.location.clientBodyTimeout)
    else {
      const left = this.lingerUntil - performance.now()
      if (left > 0) timers.arm(this.timer, Math.min(r.location.lingeringTimeout, left))
      else this.close(r)
    }
  }

  private bodyComplete(r: HttpRequest): void {
    timers.disarm(this.timer)
    if (this.responseDone) this.settle(r)
    else r.body?.finish(r)
  }

  readBody(wanted: boolean): void {
    if (!wanted) {
      this.connection.pause()
      return
    }
    const r = this.request
    if (r === null) return
    this.bodyRead = true
    this.connection.resume()
    this.sayContinue()
    this.expectMoreBody(r)
    this.consumeLater()
  }

  protected sayContinue(): void {
    if (!this.expectsContinue) return
    this.expectsContinue = false
    this.connection.writeText('HTTP/1.1 100 Continue\r\n\r\n')
  }

  dropBody(): void {
    this.sayContinue()
  }

  /** Has it come unasked? */
  protected isBodyHere(): boolean {
    const { left } = this.framing
    return left >= 0 && left <= (this.consuming ? this.bytesBehindHead : this.input.length)
  }

  /** Goes on with bytes that were kept, unless the loop that would use them is running already. */
  protected consumeLater(): void {
    if (this.consuming || this.input.length === 0) return
    const bytes = this.input
    this.input = NONE
    this.resuming = true
    this.consume(bytes)
    this.resuming = false
  }

  protected giveUpHead(status: number, why: string): void {
    const head = this.head!
    giveUpRequestHead(head, status, this.input)
    this.input = NONE
    const r = this.begin(head)
    this.requestBytes = head.lineStop === 0 ? 0 : head.scanned - head.lineStart
    readTarget(r)
    r.status = status
    r.log(INFO, `${why} while reading client ${readPart(r)}`)
    this.close(r)
  }
}

function timedOut(reader: RequestReader): void {
  reader.onTimeout()
}
