// One HTTP/1 connection of a client: runs one request after the other, and decides when the connection ends. How requests are
// read is request-reader.ts's.
//
//   IDLE ──bytes──▶ HEAD ──complete──▶ ACTIVE ──response and body done──▶ IDLE (keep-alive) or LINGER or closed
//
// LINGER: the answer is out and the connection will close, but the client still sends; reading on for a while keeps its
// kernel from throwing the answer away (a close with unread data is a reset).

import { RequestHead } from '../../codec/h1/request-head.ts'
import { errorText } from '../../lib/errno.ts'
import { timers } from '../../lib/timer-wheel.ts'
import { INFO } from '../../log/error-log.ts'
import { accepted, type Connection, type ConnectionHandler } from '../../net/connection.ts'
import { opensslText } from '../../net/tls-errors.ts'
import { GONE_EARLY } from './client-session.ts'
import { ClientWriter, type WriterOwner } from './client-writer.ts'
import { returnHead } from './head-pool.ts'
import { lastingOn } from './lasting.ts'
import { Http2Session } from '../h2/session.ts'
import { HttpRequest, type ClientStream } from '../request.ts'
import { endRequest } from '../request-end.ts'
import { NONE, RequestReader } from './request-reader.ts'
import { Tunnel } from './tunnel.ts'
import type { ListenRuntime, LocationRuntime, ServerRuntime } from '../runtime.ts'
import { nextSpare } from '../../upstream/connection-limit.ts'
import { countClosed, countMove, countRequest, GONE, WAITING } from '../../zone/connection-counts.ts'
import { takeName } from './request-start.ts'
import { ACTIVE, CLOSED, HEAD, IDLE, LINGER, TUNNEL } from './states.ts'
import { awaitsOpening, logTlsError, noteBroken, noteGone, Opening, stageOf, type OpeningOwner } from './opening.ts'
import { PassedConnection } from './passed-connection.ts'
import { LAST_REQUEST_GRACE, type Sessions } from './sessions.ts'

export class Http1Session extends RequestReader implements OpeningOwner, ClientStream, WriterOwner {
  connection: Connection
  readonly clientAddress: string
  readonly clientPort: number
  readonly writer: ClientWriter
  private responseWhole = true
  private clientEnded = false
  /** The connection is closed, but its request goes on; and what the client had been sent by then. */
  private lost = false
  private lostAfter = 0
  /** With which error the connection has broken: what a read would have told, '' nothing but an end. */
  private readError = ''
  parting = ''
  private inputBefore = 0
  /** bytesOut of the connection when the request began. */
  private outputBefore = 0
  private queuedBefore = 0
  /** Milliseconds of keepalive_timeout behind those of keepalive_min_timeout, -1 where there are none of the latter. */
  private afterMinimum = -1
  private spareFrom = nextSpare()

  constructor(handle: unknown, listen: ListenRuntime, sessions: Sessions, number: number) {
    const passed = handle instanceof PassedConnection ? handle : null
    super(listen, sessions, number, passed === null ? Date.now() : passed.connectedMs)
    if (passed !== null) this.receive(passed)
    this.opening = awaitsOpening(listen, this.tls) ? new Opening(this) : null
    this.writer = new ClientWriter(this)
    this.connection = passed === null ? accepted(handle, this) : passed.take(this)
    if (listen.tcpNodelay) this.connection.socket.setNoDelay(true)
    const { address = 'unix:', port = 0 } = passed === null ? this.connection.peerName() : passed.peer
    this.clientAddress = address
    this.clientPort = port
    timers.arm(this.timer, listen.defaultServer.clientHeaderTimeout)
    countMove(GONE, WAITING)
  }

  private receive(passed: PassedConnection): void {
    this.passed = passed
    this.proxyProtocol = passed.proxyProtocol
    this.tls = passed.tlsFor(this.listen.defaultServer)
  }

  /** Is the whole program on its way out, so that no connection may be kept? */
  get draining(): boolean {
    return this.sessions.draining
  }

  get idle(): boolean {
    return this.state === IDLE && this.afterMinimum < 0
  }

  /** Idle, and it has had an answer. */
  get kept(): boolean {
    return this.idle && this.requests > 0
  }

  get spareSince(): number {
    return this.idle || this.state === LINGER ? this.spareFrom : 0
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

  protected begin(head: RequestHead): HttpRequest {
    this.requests++
    countRequest()
    this.responseDone = false
    this.responseWhole = true
    this.outputBefore = this.connection.bytesOut
    this.writer.reset()
    const r = new HttpRequest(this, head, this.serverOf(head), this.clientAddress, this.clientPort)
    if (head.host !== null && this.listen.matchedName !== null) takeName(r, this.listen.matchedName, head.host)
    this.request = r
    return r
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

  /** A body nobody reads is asked for when the answer is a good one: the connection can then be kept. A client that is sent
   *  away may do as it likes with its body, unless that has come. */
  private beforeHead(r: HttpRequest): void {
    if (!this.expectsContinue) return
    if (r.status < 300 || r.status === 304) this.sayContinue()
    else if (!this.isBodyHere()) r.keepAlive = false
  }

  responseWritten(r: HttpRequest, whole: boolean): void {
    this.responseWhole = whole
    this.responseDone = true
    if (this.lost) this.close(r)
    else if (this.connection.pending === 0) this.settle(r)
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
    if (r.status === 444 && r.location.resetTimedoutConnection) this.connection.reset()
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
  protected settle(r: HttpRequest): void {
    if (r.done || r !== this.request) return
    if (!this.responseWhole) return this.close(r)
    r.complete = true
    if (this.dropsRest(r)) {
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

  /** Nobody wants the rest of the body: it is waited for, whether the connection is kept or not, unless there is no telling
   *  whether any will come, or where it ends. */
  private dropsRest(r: HttpRequest): boolean {
    if (this.framing.complete || this.framing.broken || this.clientEnded) return false
    return r.keepAlive || !(this.bodyRead || this.bodyBreaks || this.expectsContinue)
  }

  private keep(location: LocationRuntime): void {
    const { keepaliveTimeout, keepaliveMinTimeout } = location
    this.enter(IDLE)
    this.spareFrom = nextSpare()
    this.connection.resume()
    this.afterMinimum = keepaliveMinTimeout > 0 ? Math.max(keepaliveTimeout - keepaliveMinTimeout, 0) : -1
    if (this.afterMinimum >= 0) timers.arm(this.timer, Math.min(keepaliveTimeout, keepaliveMinTimeout))
    else timers.arm(this.timer, this.draining ? Math.min(keepaliveTimeout, LAST_REQUEST_GRACE) : keepaliveTimeout)
    this.consumeLater()
  }

  /** It has been left alone as long as keepalive_min_timeout says. @returns may it be idle for longer? */
  private outlastsMinimum(): boolean {
    const left = this.draining ? 0 : this.afterMinimum
    this.afterMinimum = -1
    this.spareFrom = nextSpare()
    if (left > 0) timers.arm(this.timer, left)
    return left > 0
  }

  /** Sends FIN and reads on until the client has seen it, or lingering_time is over. */
  private linger(location: LocationRuntime): void {
    this.enter(LINGER)
    this.spareFrom = nextSpare()
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
    if (this.lost) this.forgetUnsent(r)
    this.request = null
    endRequest(r)
    const head = this.head
    this.head = null
    if (head !== null && !r.headShared) returnHead(head)
  }

  /** Ends a request that cannot be completed, and the connection with it. */
  protected close(r: HttpRequest): void {
    this.endRequest(r)
    this.closeNow()
  }

  /** Its answers say that they are the last (ClientWriter). */
  retire(): void {}

  get lasting(): boolean {
    const { state } = this
    return state === ACTIVE ? lastingOn(this.connectionNumber) > 0 : state >= LINGER
  }

  keepNone(): void {
    if (this.request !== null) this.request.keepAlive = false
  }

  dismiss(): void {
    this.request?.source?.dismiss?.()
  }

  closeNow(): void {
    if (this.state === CLOSED) return
    this.enter(CLOSED)
    timers.release(this.timer)
    this.connection.destroy()
    if (this.lost) this.leave()
  }

  cut(): void {
    const r = this.request
    this.closeNow()
    if (r !== null && !r.done) this.clientGone(r)
  }

  onEnd(): void {
    this.clientEnded = true
    const r = this.request
    if (r === null || this.state !== ACTIVE) {
      if (this.state === HEAD) this.giveUpHead(400, GONE_EARLY)
      else if (r === null) {
        if (this.state === IDLE && this.requests === 0) noteGone(this, this.opening, this.input.length > 0)
        else if (this.state === IDLE) this.noteLeft()
        this.closeNow()
      }
      return
    }
    if (this.goesOn(r)) return
    // As nginx: a client that hangs up before it has an answer is gone; one that is being answered may have half-closed.
    if (!r.headSent || !this.framing.complete || r.source?.needsClient === true) this.clientGone(r)
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    if (error !== null && this.state !== CLOSED) this.breaks(error)
    const r = this.request
    if (r !== null) {
      if (this.goesOn(r) && this.connection.pending === 0) {
        this.lose(r)
        return
      }
      this.clientGone(r)
    }
    this.enter(CLOSED)
    timers.release(this.timer)
    this.leave()
  }

  /** The connection has ended with an error: who reads from it tells that, as nginx's read() would have had it. */
  private breaks(error: NodeJS.ErrnoException): void {
    const tls = opensslText(error)
    const secured = this.tls?.connection?.secured === true
    if (this.tls !== null && !secured && tls !== null) logTlsError(this, error)
    else if (this.state === IDLE && this.requests === 0 && !secured)
      noteBroken(this, this.opening, this.input.length > 0, error)
    else {
      const text = tls === null ? errorText(error) : `SSL: ${tls}`
      // To OpenSSL a connection that breaks between two records has but ended.
      this.readError = tls !== null ? `SSL_read() failed (${text})` : secured ? '' : `recv() failed (${text})`
      if (tls === null && error.code !== 'EPIPE') this.parting = ` (${text})`
      if (this.state === HEAD) this.giveUpHead(400, this.readError || GONE_EARLY)
      else if (this.state === IDLE) this.breaksIdle(tls !== null)
    }
  }

  private breaksIdle(inRecord: boolean): void {
    if (this.requests === 0)
      this.note(INFO, `${this.readError || 'client closed connection'} while ${stageOf(this, null)}`)
    else if (inRecord) this.note(INFO, `${this.readError} while keepalive`)
    else this.noteLeft(this.parting)
  }

  private leave(): void {
    countClosed()
    this.sessions.remove(this)
  }

  /** Is the request gone through with, whether its client is there or not (proxy_ignore_client_abort)? */
  private goesOn(r: HttpRequest): boolean {
    return this.state === ACTIVE && !r.done && this.framing.complete && r.source?.outlivesClient === true
  }

  /** What is written from now on goes nowhere; the request is logged when it is over. */
  private lose(r: HttpRequest): void {
    r.log(INFO, 'client closed connection')
    this.lost = true
    this.lostAfter = this.connection.bytesOut
    timers.disarm(this.timer)
  }

  private forgetUnsent(r: HttpRequest): void {
    const unsent = this.connection.bytesOut - this.lostAfter
    r.bytesSent -= unsent
    r.bodyBytesSent = Math.max(0, r.bodyBytesSent - unsent)
  }

  private clientGone(r: HttpRequest): void {
    // A body that nobody has asked for yet is not missed: the client is gone as any other.
    const reading = !this.framing.complete && (r.body === null || r.body.wanted)
    if (r.status === 0 || !r.headSent) r.status = reading ? 400 : 499
    // Answered, it owes us a body that nobody wants. An exchange with an upstream tells by itself what becomes of that.
    if (!this.responseDone && reading) r.log(INFO, this.readError || GONE_EARLY)
    else if (!this.responseDone && r.asked === null) r.log(INFO, GONE_EARLY + this.parting)
    this.close(r)
  }

  onTimeout(): void {
    const r = this.request
    if (this.state === ACTIVE && r !== null) this.requestTimedOut(r)
    else if (this.state === HEAD) {
      if (this.mainServer.outside.resetTimedoutConnection) this.connection.reset()
      this.giveUpHead(408, 'client timed out (110: Connection timed out)')
    } else if (this.state === LINGER && this.mayLinger()) {
      this.inputBefore = this.connection.bytesIn
    } else if (this.state !== IDLE || this.afterMinimum < 0 || !this.outlastsMinimum()) {
      if (this.state === IDLE && this.requests === 0) {
        this.note(INFO, `client timed out (110: Connection timed out) while ${stageOf(this, this.opening)}`)
      }
      this.closeNow()
    }
  }

  /** It is still sending: it gets its time, up to lingering_time in all. */
  private mayLinger(): boolean {
    const left = this.lingerUntil - performance.now()
    if (left <= 0 || this.connection.bytesIn === this.inputBefore) return false
    timers.arm(this.timer, Math.min(this.mainServer.outside.lingeringTimeout, left))
    return true
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
    else if (!r.headSent) r.status = 408
    if (r.location.resetTimedoutConnection) connection.reset()
    this.close(r)
  }
}
