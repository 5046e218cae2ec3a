// One request of an HTTP/2 connection: the client's side of it, as handlers see it (ClientStream), and one stream of the
// connection, as the codec sees it.
//
//   HEADERS ─▶ head ─▶ startRequest ─▶ … handlers … ─▶ Http2Writer ─▶ Stream's queue ─▶ frames
//   DATA ─▶ held back until somebody wants the body ─▶ RequestBody
//
// The request ends when the last byte of its answer is in a frame, or when either side has reset the stream.

import { mayTrail } from '../../codec/h1/chunked.ts'
import { FieldList, NAME_INVALID, NAME_ODD, PSEUDO, VALUE_INVALID } from '../../codec/h2/hpack-decoder.ts'
import { CANCEL, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR, WINDOW_MAX } from '../../codec/h2/constants.ts'
import { Stream } from '../../codec/h2/stream.ts'
import { urgencyOf } from '../../codec/h2/priority-field.ts'
import type { Priority } from '../../codec/h2/priority-tree.ts'
import { ByteWriter } from '../../codec/h2/byte-writer.ts'
import { Timer, timers } from '../../lib/timer-wheel.ts'
import { INFO } from '../../log/error-log.ts'
import type { Connection, ConnectionHandler } from '../../net/connection.ts'
import { keep } from '../../net/read-buffer.ts'
import { countRequest } from '../../zone/connection-counts.ts'
import { GONE_EARLY } from '../session/client-session.ts'
import { returnHead, takeHead } from '../session/head-pool.ts'
import { respondSpecial } from '../output.ts'
import { HttpRequest, type ClientStream } from '../request.ts'
import { RequestBody } from '../request-body.ts'
import { endRequest } from '../request-end.ts'
import { refuseRequest, startRequest, takeName } from '../session/request-start.ts'
import { CHUNK_SIZE, chunkSizes } from './directives.ts'
import { takeHead as takeHttp2Head } from './request-head.ts'
import { encodeHead, interimPairs, trailerPairs } from './response-head.ts'
import type { Http2Session } from './session.ts'
import { Http2Writer } from './writer.ts'

/** Header blocks are encoded here first. */
const block = new ByteWriter(4096)
const NONE: Buffer[] = []
const NO_FIELDS = new FieldList()
const READING_HEAD = ' while reading client request headers'
/** What a request that is answered makes up for (see codec/h2/nuisance.ts). */
const ANSWERED = 8
/** How long a client may take to end its side of a stream that is answered. */
const LINGER_MS = 200

export class Http2Stream extends Stream implements ClientStream {
  readonly writer: Http2Writer
  readonly requests: number
  readonly pipelined = false
  private readonly session: Http2Session
  private request: HttpRequest | null = null
  private begun = false
  /** The answer is out, and the client has not ended its side. */
  private lingering = false
  /** Body that came before anybody wanted it. */
  private held: Buffer[] = NONE
  private heldBytes = 0
  private wanted = false
  private bodyLength = 0
  private bodyEnded = false
  /** Content-Length, -1 without one; it holds when the request is over, too. */
  private declared = -1
  private expectsContinue = false
  /** The request breaks the protocol: behind the answer, its stream is reset. */
  private malformed = false
  private timer: Timer<Http2Stream> | null = null
  /** Bytes of headers and of the body as they came, for the logs. */
  private received = 0
  /** The client has gone, and the request is gone through with for all that. */
  unheard = false

  constructor(session: Http2Session, id: number, number: number) {
    super(session.endpoint, id)
    this.session = session
    this.requests = number
    this.writer = new Http2Writer(this)
  }

  get connectionNumber(): number {
    return this.session.connectionNumber
  }
  get localAddress(): string {
    return this.session.localAddress
  }

  get serverAddress(): string {
    return this.session.serverAddress
  }
  get localPort(): number {
    return this.session.localPort
  }
  get connectedMs(): number {
    return this.session.connectedMs
  }
  get descriptor(): number {
    return this.session.descriptor
  }
  get tls(): ClientStream['tls'] {
    return this.session.tls
  }
  get proxyProtocol(): ClientStream['proxyProtocol'] {
    return this.session.proxyProtocol
  }
  get priority(): Priority | null {
    return this.endpoint.sender.list.priorityOf(this.id)
  }

  // ── the request ──────────────────────────────────────────────────────────────────────────────────────────────────

  onHeaders(fields: FieldList, ended: boolean): void {
    if (this.begun) this.onTrailers(fields)
    else this.begin(fields, ended)
  }

  private begin(fields: FieldList, ended: boolean): void {
    this.begun = true
    const { session } = this
    const { listen } = session
    countRequest()
    const head = takeHead()
    head.mergeSlashes = session.server.mergeSlashes
    const taken = takeHttp2Head(head, fields, session.server.limits, ended, listen)
    const { headerListMax } = session.server.http2
    const tooLarge = headerListMax > 0 && fields.size > headerListMax
    const status = tooLarge ? head.refuse(431, 'client sent too large header list') : taken
    const server = head.host !== null ? listen.serverFor(head.host) : session.server
    const r = new HttpRequest(this, head, server, session.clientAddress, session.clientPort)
    if (head.host !== null && listen.matchedName !== null) takeName(r, listen.matchedName, head.host)
    this.request = r
    this.received = this.endpoint.receiver.blockLength
    this.declared = head.contentLength
    r.requestLength = this.received
    if (!ended) r.body = new RequestBody(head.contentLength)
    r.host = head.host ?? ''
    if (r.status !== 0) {
      this.abort(r)
      return
    }
    if (head.dropped !== '') r.log(INFO, `client sent invalid header: "${head.dropped}"${READING_HEAD}`)
    if (status !== 0) {
      this.malformed = status === 400
      refuseRequest(r, status)
      return
    }
    this.expectsContinue = head.expectContinue && !ended
    const priority = r.header('priority')
    if (priority !== null) this.endpoint.sender.list.hurry(this, urgencyOf(priority))
    if (!server.http2.enabled && !listen.http2) {
      const why = 'client attempted to request the server name for which the negotiated protocol is disabled'
      r.log(INFO, why + READING_HEAD)
      r.uri = r.unparsedUri = head.path
      respondSpecial(r, 421)
    } else startRequest(r, server, listen.tls, session.tls)
  }

  /** It never begins: its head has not come to its end. */
  begone(length: number, status: number, message: string): void {
    const { session } = this
    countRequest()
    const head = takeHead()
    takeHttp2Head(head, NO_FIELDS, session.server.limits, true)
    const r = new HttpRequest(this, head, session.server, session.clientAddress, session.clientPort)
    this.received = length
    r.status = status
    if (message !== '') r.log(INFO, message + READING_HEAD)
    this.endRequest(r)
  }

  onData(bytes: Buffer, start: number, end: number): void {
    const r = this.request
    this.received += end - start
    this.bodyLength += end - start
    if (this.declared >= 0 && this.bodyLength > this.declared) {
      this.refuseBody(r, 'client intended to send body data larger than declared')
      return
    }
    // The answer is out: nobody reads what else there is, and no window is opened for more.
    if (r === null || r.done) return
    if (this.wanted && this.heldBytes === 0) this.take(r, bytes.subarray(start, end))
    else {
      if (this.held === NONE) this.held = []
      this.held.push(Buffer.from(bytes.subarray(start, end)))
      this.heldBytes += end - start
    }
    if (this.timer !== null && this.wanted && !r.done) timers.arm(this.timer, r.location.clientBodyTimeout)
  }

  onEnded(): void {
    this.bodyEnded = true
    const r = this.request
    if (this.declared >= 0 && this.bodyLength < this.declared) {
      const sizes = `only ${this.bodyLength} out of ${this.declared} bytes of request body received`
      this.refuseBody(r, `client prematurely closed stream: ${sizes}`)
      return
    }
    if (r === null || r.done) this.unlinger()
    else if (this.wanted && this.heldBytes === 0) this.bodyComplete(r)
  }

  private onTrailers(fields: FieldList): void {
    const r = this.request
    const trailers: string[] = []
    for (let i = 0; i < fields.count; i++) {
      if ((fields.faults[i]! & (PSEUDO | NAME_INVALID | VALUE_INVALID)) !== 0) {
        this.refuseBody(r, `client sent invalid trailer: "${fields.names[i]}"`)
        return
      }
      const odd = (fields.faults[i]! & NAME_ODD) !== 0
      if (!odd && mayTrail(fields.names[i]!)) trailers.push(fields.names[i]!, fields.values[i]!)
    }
    if (r !== null && r.body !== null) r.body.trailers = trailers
    this.onEnded()
  }

  /** The body breaks the protocol. */
  private refuseBody(r: HttpRequest | null, message: string): void {
    this.malformed = true
    this.stopTimer()
    if (r === null || r.done) {
      this.lingered()
      this.endpoint.resetClosed(this, PROTOCOL_ERROR)
      return
    }
    r.log(INFO, message)
    if (r.headSent) this.abortWith(r, PROTOCOL_ERROR)
    else respondSpecial(r, 400)
  }

  private take(r: HttpRequest, bytes: Buffer): void {
    const { body } = r
    if (body !== null && body.feed(r, bytes)) this.open(r)
  }

  /** Lets as much come as whoever reads the body can hold. */
  private open(r: HttpRequest): void {
    if (!this.wanted || this.remoteEnded || r.body === null) return
    const { body } = r
    const target = body.collecting ? WINDOW_MAX : Math.max(this.session.prereadSize, r.location.clientBodyBufferSize)
    if (this.receiveWindow < (body.collecting ? target / 4 : target / 2))
      this.endpoint.grant(this, target - this.receiveWindow)
  }

  readBody(wanted: boolean): void {
    this.wanted = wanted
    const r = this.request
    if (r === null || r.done) return
    if (!wanted) {
      // It is not the client who is waited for now.
      if (this.queued === 0) this.stopTimer()
      return
    }
    if (this.expectsContinue && !this.bodyEnded && this.bodyLength === 0)
      this.endpoint.sendHeaders(this, [':status', '100'], false)
    this.expectsContinue = false
    while (this.heldBytes > 0 && this.wanted && !r.done) {
      const piece = this.held.shift()!
      this.heldBytes -= piece.length
      this.take(r, piece)
    }
    if (r.done || !this.wanted || this.heldBytes > 0) return
    if (this.bodyEnded) this.bodyComplete(r)
    else {
      this.open(r)
      this.arm(r.location.clientBodyTimeout)
    }
  }

  private bodyComplete(r: HttpRequest): void {
    this.stopTimer()
    const { body } = r
    if (body !== null && !body.complete) body.finish(r)
  }

  // ── the response ─────────────────────────────────────────────────────────────────────────────────────────────────

  sendHead(r: HttpRequest): void {
    this.writer.begin(r)
  }

  sendText(r: HttpRequest, body: string): void {
    this.writer.writeText(r, body)
  }

  sendInterim(text: string): void {
    if (!this.closed) this.endpoint.sendHeaders(this, interimPairs(text), false)
  }

  /** Sends the head, and with it the end of the response where there is no body. */
  putHead(r: HttpRequest, ends: boolean): void {
    if (this.closed) return
    this.frameMax = chunkSizes.get(r) ?? CHUNK_SIZE
    block.length = 0
    encodeHead(r, this.endpoint.encoder, block)
    this.endpoint.sendBlock(this, block.bytes, block.length, ends)
  }

  putText(r: HttpRequest, text: string): void {
    if (this.endpoint.sender.trySendText(this, text)) return
    this.endpoint.sender.queue(this, Buffer.from(text, 'latin1'), true)
    this.awaitClient(r)
  }

  putTrailers(fields: readonly string[]): void {
    const pairs = trailerPairs(fields)
    if (pairs.length > 0) this.trailers = pairs
  }

  /** @returns may more be given at once? `bytes` is valid during the call only */
  putBody(r: HttpRequest, bytes: Buffer, last: boolean): boolean {
    const { sender } = this.endpoint
    if (sender.trySend(this, bytes, last)) return true
    sender.queue(this, keep(bytes), last)
    this.awaitClient(r)
    return false
  }

  onRoom(): void {
    const r = this.request
    if (r === null || r.done) return
    this.stopTimer()
    this.writer.drain(r)
  }

  onProgress(): void {
    if (this.timer !== null && this.request !== null) timers.arm(this.timer, this.request.location.sendTimeout)
  }

  onSent(): void {
    const r = this.request
    if (r === null) return
    this.endpoint.nuisance.credit(ANSWERED)
    r.complete = true
    this.endRequest(r)
    if (this.malformed) this.endpoint.resetClosed(this, PROTOCOL_ERROR)
    else if (!this.remoteEnded) this.linger()
  }

  /** The client may be about to end its side, or to break the rules; after a moment it is told to stop. */
  private linger(): void {
    if (!this.session.mayLinger()) {
      this.endpoint.reset(this, NO_ERROR)
      return
    }
    this.lingering = true
    this.arm(LINGER_MS)
  }

  private lingered(): void {
    if (!this.lingering) return
    this.lingering = false
    this.releaseTimer()
    this.session.lingered()
  }

  private unlinger(): void {
    this.lingered()
    this.endpoint.reset(this, NO_ERROR)
  }

  abort(r: HttpRequest): void {
    // Who is to have no answer has done wrong, as nginx says it.
    this.abortWith(r, r.status === 444 ? PROTOCOL_ERROR : INTERNAL_ERROR)
  }

  private abortWith(r: HttpRequest, code: number): void {
    if (r.done) return
    this.endpoint.reset(this, code)
    this.endRequest(r)
  }

  finish(r: HttpRequest): void {
    this.abort(r)
  }

  /** There is no connection to take over: `head.upgrade` is never set here. */
  upgrade(_r: HttpRequest, _handler: ConnectionHandler): { connection: Connection; received: Buffer } {
    throw new Error('a stream of HTTP/2 cannot be upgraded')
  }

  // ── the stream's end ─────────────────────────────────────────────────────────────────────────────────────────────

  onReset(code: number): void {
    const { id } = this
    const why = code === INTERNAL_ERROR ? 'due to internal error' : `with status ${code}`
    const what = code === CANCEL ? `client canceled stream ${id}` : `client terminated stream ${id} ${why}`
    if (this.request?.done === false) this.request.log(INFO, what)
    this.clientGone()
  }

  onError(_code: number, message: string): void {
    this.session.note(INFO, `client ${message}`)
    this.clientGone()
  }

  /** The client has gone, with the connection or without. */
  clientGone(): void {
    this.lingered()
    const r = this.request
    if (r === null || r.done || this.unheard) return
    if (this.goesOn(r)) {
      this.lose(r)
      return
    }
    if (r.status === 0 || !r.headSent) r.status = 499
    this.noteGone(r)
    this.endRequest(r)
  }

  /** Why has been told; who waits for the client says that it is not there, but exchanges with upstreams do not (nginx). */
  private noteGone(r: HttpRequest): void {
    if (this.session.connection.pending > 0) return
    const { body } = r
    if (body !== null && !body.complete && (r.asked === null || body.collecting))
      r.log(INFO, 'client prematurely closed stream')
    else if (r.asked === null) r.log(INFO, GONE_EARLY)
  }

  /** Is it done whether its client is there or not (proxy_ignore_client_abort)? */
  private goesOn(r: HttpRequest): boolean {
    return !this.session.final && (r.body === null || r.body.complete) && r.source?.outlivesClient === true
  }

  /** What is written from now on goes nowhere; the request is logged when it is over. */
  private lose(r: HttpRequest): void {
    this.unheard = true
    this.stopTimer()
    this.held = NONE
    // Whoever waited for the client need not wait any more.
    if (r.headSent) this.writer.drain(r)
  }

  /** All of the answer is there, and the client is not. */
  answeredNobody(r: HttpRequest): void {
    if (!r.done) this.endRequest(r)
  }

  private endRequest(r: HttpRequest): void {
    this.releaseTimer()
    this.held = NONE
    this.heldBytes = 0
    r.requestLength = this.received
    r.bytesSent = this.bytesOut
    r.bodyBytesSent = this.bodyOut
    endRequest(r)
    if (!r.headShared) returnHead(r.head)
    this.request = null
    this.session.requestEnded()
  }

  // ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  private arm(ms: number): void {
    this.timer ??= new Timer<Http2Stream>(this, timedOut)
    timers.arm(this.timer, ms)
  }

  private stopTimer(): void {
    if (this.timer !== null) timers.disarm(this.timer)
  }

  private releaseTimer(): void {
    if (this.timer !== null) timers.release(this.timer)
  }

  private awaitClient(r: HttpRequest): void {
    this.arm(r.location.sendTimeout)
  }

  onTimeout(): void {
    const r = this.request
    if (this.lingering) this.unlinger()
    if (r === null || r.done) return
    if (this.queued > 0) {
      r.log(INFO, 'client timed out (110: Connection timed out)')
      this.abortWith(r, PROTOCOL_ERROR)
    } else if (!this.bodyEnded && !r.headSent) {
      r.log(INFO, 'client timed out (110: Connection timed out)')
      r.status = 408
      this.abortWith(r, PROTOCOL_ERROR)
    }
  }
}

function timedOut(stream: Http2Stream): void {
  stream.onTimeout()
}
