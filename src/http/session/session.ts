// One HTTP/1 connection of a client: reads heads and bodies, runs one request after the other, and decides when the
// connection ends. What it reads is parsed where it lies, in the thread's read buffer; only what is incomplete, or came
// before its turn (pipelining), is copied.
//
//   IDLE ──bytes──▶ HEAD ──complete──▶ ACTIVE ──response and body done──▶ IDLE (keep-alive) or LINGER or closed
//
// LINGER: the answer is out and the connection will close, but the client still sends; reading on for a while keeps its
// kernel from throwing the answer away (a close with unread data is a reset).

import type { BodySink } from '../../codec/h1/chunked.ts'
import { giveUpRequestHead, parseRequestHead, RequestHead } from '../../codec/h1/request-head.ts'
import { Timer, timers } from '../../lib/timer-wheel.ts'
import { ERR, INFO } from '../../log/error-log.ts'
import { accepted, type Connection, type ConnectionHandler } from '../../net/connection.ts'
import { ClientSession } from './client-session.ts'
import { BodyFraming, BROKEN_BODY } from './body-framing.ts'
import { ClientWriter, type WriterOwner } from './client-writer.ts'
import { returnHead, takeHead } from './head-pool.ts'
import { Http2Session } from '../h2/session.ts'
import { respondSpecial } from '../output.ts'
import { execute } from '../regex.ts'
import { HttpRequest, type ClientStream } from '../request.ts'
import { RequestBody } from '../request-body.ts'
import { endRequest } from '../request-end.ts'
import { readTarget, refuseRequest, startRequest } from './request-start.ts'
import { Tunnel } from './tunnel.ts'
import type { ListenRuntime, LocationRuntime, ServerRuntime } from '../runtime.ts'
import { countClosed, countMove, countRequest } from '../../zone/connection-counts.ts'
import { ACTIVE, CLOSED, COUNTED_AS, HEAD, IDLE, LINGER, TUNNEL } from './states.ts'
import { awaitsOpening, logTlsError, Opening, type OpeningOwner } from './opening.ts'
import { LAST_REQUEST_GRACE, type Sessions } from './sessions.ts'

/** Pipelined bytes kept while a request is served; beyond, the client is not read. */
const PIPELINE_MAX = 65536
const NONE = Buffer.alloc(0)

export class Http1Session extends ClientSession implements OpeningOwner, ClientStream, WriterOwner, BodySink {
  connection: Connection
  readonly clientAddress: string
  readonly clientPort: number
  readonly writer: ClientWriter
  pipelined = false
  private readonly timer: Timer<Http1Session>
  private state = IDLE
  private opening: Opening | null
  private head: RequestHead | null = null
  private request: HttpRequest | null = null
  /** Bytes received and not yet used: an incomplete head, or requests that wait their turn. */
  private input: Buffer = NONE
  private readonly framing = new BodyFraming()
  private expectsContinue = false
  private responseDone = false
  private responseWhole = true
  private consuming = false
  /** The bytes being consumed had to wait for their turn. */
  private resuming = false
  private clientEnded = false
  private lingerUntil = 0
  /** What the request has taken of the input, but for a body that was dropped behind the answer. */
  private requestBytes = 0
  private inputBefore = 0
  /** bytesOut of the connection when the request began. */
  private outputBefore = 0
  private queuedBefore = 0

  constructor(handle: unknown, listen: ListenRuntime, sessions: Sessions, number: number) {
    super(listen, sessions, number, Date.now())
    this.opening = awaitsOpening(listen) ? new Opening(this) : null
    this.timer = new Timer<Http1Session>(this, timedOut)
    this.writer = new ClientWriter(this)
    this.connection = accepted(handle, this)
    if (listen.tcpNodelay) this.connection.socket.setNoDelay(true)
    const { address = 'unix:', port = 0 } = this.connection.peerName()
    this.clientAddress = address
    this.clientPort = port
    timers.arm(this.timer, listen.defaultServer.clientHeaderTimeout)
  }

  /** Is the whole program on its way out, so that no connection may be kept? */
  get draining(): boolean {
    return this.sessions.draining
  }

  get idle(): boolean {
    return this.state === IDLE
  }

  /** Idle, and it has had an answer. */
  get kept(): boolean {
    return this.state === IDLE && this.requests > 0
  }

  private enter(state: number): void {
    countMove(COUNTED_AS[this.state]!, COUNTED_AS[state]!)
    this.state = state
  }

  // ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

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

  blankRequest(server: ServerRuntime): HttpRequest {
    return new HttpRequest(this, new RequestHead(), server, this.clientAddress, this.clientPort)
  }

  speaksHttp2(): Http2Session {
    timers.release(this.timer)
    const session = new Http2Session(this, this.sessions)
    this.sessions.replace(this, session)
    return session
  }

  handshakeDone(): void {
    if (this.tls?.connection?.alpnProtocol === 'h2') this.speaksHttp2()
    else if (this.state === IDLE) timers.arm(this.timer, this.mainServer.clientHeaderTimeout)
  }

  /** @returns bytes used; 0: the head is not complete; -1: the connection's fate is sealed */
  private readHead(bytes: Buffer, start: number, end: number): number {
    const head = (this.head ??= takeHead())
    // Whether its server does is seen when that is known.
    head.tunnels = true
    const server = this.mainServer
    const begins = this.state === IDLE
    if (begins) {
      this.enter(HEAD)
      this.pipelined = this.requests > 0 && (start > 0 || this.resuming)
    }
    const used = parseRequestHead(bytes, start, end, server.limits, head)
    if (used === 0 && begins && this.requests > 0) timers.arm(this.timer, server.clientHeaderTimeout)
    if (used === 0) return 0
    this.enter(ACTIVE)
    timers.disarm(this.timer)
    const r = this.begin(head)
    this.requestBytes = used < 0 ? head.scanned : used
    if (used < 0) {
      refuseRequest(r, -used)
      return -1
    }
    this.expectsContinue = head.expectContinue && head.version === 11
    const declared = this.framing.begin(head)
    if (declared !== 0) r.body = new RequestBody(declared)
    startRequest(r, this.listen.tls, this.tls)
    return used
  }

  private begin(head: RequestHead): HttpRequest {
    this.requests++
    countRequest()
    this.responseDone = false
    this.responseWhole = true
    this.outputBefore = this.connection.bytesOut
    this.writer.reset()
    const r = new HttpRequest(this, head, this.serverOf(head), this.clientAddress, this.clientPort)
    if (head.host !== null && this.listen.matchedName !== null) execute(r, this.listen.matchedName, head.host)
    this.request = r
    return r
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
    const used = this.framing.feed(bytes, start, end, this)
    if (used === BROKEN_BODY) {
      r.log(ERR, this.framing.error)
      r.keepAlive = false
      if (this.responseDone) this.close(r)
      else respondSpecial(r, 400)
      return end - start
    }
    if (!this.responseDone) this.requestBytes += used
    if (this.framing.complete) {
      if (r.body !== null) r.body.trailers = this.framing.trailers
      this.bodyComplete(r)
    } else this.expectMoreBody(r)
    return used
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
    else if (performance.now() < this.lingerUntil) timers.arm(this.timer, r.location.lingeringTimeout)
    else this.close(r)
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
    this.connection.resume()
    this.sayContinue()
    this.expectMoreBody(r)
    this.consumeLater()
  }

  private sayContinue(): void {
    if (!this.expectsContinue) return
    this.expectsContinue = false
    this.connection.writeText('HTTP/1.1 100 Continue\r\n\r\n')
  }

  /** Goes on with bytes that were kept, unless the loop that would use them is running already. */
  private consumeLater(): void {
    if (this.consuming || this.input.length === 0) return
    const bytes = this.input
    this.input = NONE
    this.resuming = true
    this.consume(bytes)
    this.resuming = false
  }

  // ── the response (ClientStream) ──────────────────────────────────────────────────────────────────────────────────

  sendHead(r: HttpRequest): void {
    this.beforeHead(r)
    this.writer.begin(r)
  }

  sendText(r: HttpRequest, body: string): void {
    this.beforeHead(r)
    this.writer.writeText(r, body)
  }

  sendInterim(text: string): void {
    this.connection.writeText(text)
  }

  /** nginx asks for a body nobody reads when the answer is a good one: the connection can then be kept. */
  private beforeHead(r: HttpRequest): void {
    if (this.expectsContinue && r.status < 400) this.sayContinue()
    if (this.expectsContinue && !this.framing.complete) r.keepAlive = false
  }

  responseWritten(r: HttpRequest, whole: boolean): void {
    this.responseWhole = whole
    this.responseDone = true
    if (this.connection.pending === 0) this.settle(r)
    else this.awaitClient(r)
  }

  clientSlow(r: HttpRequest): void {
    if (!this.responseDone && !r.done) this.awaitClient(r)
  }

  private awaitClient(r: HttpRequest): void {
    this.queuedBefore = this.connection.queued
    timers.arm(this.timer, r.location.sendTimeout)
  }

  onDrain(): void {
    const r = this.request
    if (r === null || this.state !== ACTIVE) return
    if (this.responseDone) this.settle(r)
    else {
      if (this.framing.complete) timers.disarm(this.timer)
      this.writer.drain(r)
    }
  }

  abort(r: HttpRequest): void {
    if (r.done || r !== this.request) return
    r.keepAlive = false
    this.close(r)
  }

  upgrade(r: HttpRequest, handler: ConnectionHandler): { connection: Connection; received: Buffer } {
    const received = this.input
    this.input = NONE
    this.enter(TUNNEL)
    this.writer.flushHead()
    timers.disarm(this.timer)
    this.connection.handler = new Tunnel(this, r, handler)
    return { connection: this.connection, received }
  }

  finish(r: HttpRequest): void {
    r.keepAlive = false
    r.complete = true
    this.endRequest(r)
    this.connection.destroy()
  }

  // ── between requests ─────────────────────────────────────────────────────────────────────────────────────────────

  /** The response has left; the request ends when its body is in too. */
  private settle(r: HttpRequest): void {
    if (r.done || r !== this.request) return
    if (!this.responseWhole) return this.close(r)
    r.complete = true
    if (!this.framing.complete && r.keepAlive && !this.clientEnded) {
      // The rest of an unwanted body is read and dropped, within lingering_time.
      this.lingerUntil = performance.now() + r.location.lingeringTime
      timers.arm(this.timer, r.location.lingeringTimeout)
      this.connection.resume()
      this.consumeLater()
      return
    }
    const { location, keepAlive } = r
    // After a refusal nobody knows what else is on its way.
    const more = !this.framing.complete || this.input.length > 0 || r.status >= 400
    const lingers = location.lingeringClose === 'on' ? more : location.lingeringClose === 'always'
    this.endRequest(r)
    if (keepAlive && !this.clientEnded) this.keep(location)
    else if (lingers && !this.clientEnded) this.linger(location)
    else this.closeNow()
  }

  private keep(location: LocationRuntime): void {
    this.enter(IDLE)
    this.connection.resume()
    timers.arm(
      this.timer,
      this.draining ? Math.min(location.keepaliveTimeout, LAST_REQUEST_GRACE) : location.keepaliveTimeout,
    )
    this.consumeLater()
  }

  /** Sends FIN and reads on until the client has seen it, or lingering_time is over. */
  private linger(location: LocationRuntime): void {
    this.enter(LINGER)
    this.input = NONE
    this.connection.shutdown()
    this.connection.resume()
    this.lingerUntil = performance.now() + location.lingeringTime
    this.inputBefore = this.connection.bytesIn
    timers.arm(this.timer, Math.min(location.lingeringTimeout, location.lingeringTime))
  }

  private endRequest(r: HttpRequest): void {
    r.requestLength = this.requestBytes
    r.bytesSent = this.connection.bytesOut - this.outputBefore
    this.request = null
    endRequest(r)
    const head = this.head
    this.head = null
    if (head !== null && !r.headShared) returnHead(head)
  }

  /** Ends a request that cannot be completed, and the connection with it. */
  private close(r: HttpRequest): void {
    this.endRequest(r)
    this.closeNow()
  }

  /** Its answers say that they are the last (ClientWriter). */
  retire(): void {}

  closeNow(): void {
    if (this.state === CLOSED) return
    this.enter(CLOSED)
    timers.release(this.timer)
    this.connection.destroy()
  }

  onEnd(): void {
    this.clientEnded = true
    const r = this.request
    if (r === null || this.state !== ACTIVE) {
      if (this.state === HEAD) this.giveUpHead(400, 'client prematurely closed connection')
      else if (r === null) {
        if (this.state === IDLE && this.opening === null) this.noteLeft()
        this.closeNow()
      }
      return
    }
    // As nginx: a client that hangs up before it has an answer is gone; one that is being answered may have half-closed.
    if (!r.headSent || !this.framing.complete || r.source?.needsClient === true) this.clientGone(r)
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    if (error !== null && this.tls !== null && this.state !== CLOSED) logTlsError(this, error)
    const r = this.request
    if (r !== null) this.clientGone(r)
    this.enter(CLOSED)
    timers.release(this.timer)
    countClosed()
    this.sessions.remove(this)
  }

  private clientGone(r: HttpRequest): void {
    if (r.status === 0 || !r.headSent) r.status = !this.framing.complete ? 400 : 499
    r.log(INFO, !this.framing.complete ? 'client prematurely closed connection' : 'client closed connection')
    this.close(r)
  }

  /** For Timer. */
  onTimeout(): void {
    const r = this.request
    if (this.state === ACTIVE && r !== null) this.requestTimedOut(r)
    else if (this.state === HEAD) this.giveUpHead(408, 'client timed out (110: Connection timed out)')
    else if (
      this.state === LINGER &&
      performance.now() < this.lingerUntil &&
      this.connection.bytesIn !== this.inputBefore
    ) {
      // Still sending: it gets its time, up to lingering_time in all.
      this.inputBefore = this.connection.bytesIn
      timers.arm(this.timer, this.mainServer.outside.lingeringTimeout)
    } else this.closeNow()
  }

  private requestTimedOut(r: HttpRequest): void {
    const { connection } = this
    if (connection.pending > 0) {
      if (connection.queued !== this.queuedBefore) {
        this.awaitClient(r)
        return
      }
      r.log(INFO, 'client timed out (110: Connection timed out)')
    } else if (this.framing.complete) return
    else if (!r.headSent) {
      r.log(INFO, 'client timed out (110: Connection timed out)')
      r.status = 408
    }
    if (r.location.resetTimedoutConnection) connection.reset()
    this.close(r)
  }

  private giveUpHead(status: number, why: string): void {
    const head = this.head!
    giveUpRequestHead(head, status, this.input)
    this.input = NONE
    const r = this.begin(head)
    this.requestBytes = head.lineStop === 0 ? 0 : head.scanned
    readTarget(r)
    r.status = status
    r.log(INFO, `${why} while reading client request ${head.lineStop === 0 ? 'line' : 'headers'}`)
    this.close(r)
  }
}

function timedOut(session: Http1Session): void {
  session.onTimeout()
}
