// One connection of a `stream` server (ngx_stream_handler.c): what comes before its content (a PROXY protocol header, access
// rules, a TLS handshake, a look at the first message), the content handler, which moves the bytes, and the line in the log.
//
// Modules that the http block has too are handed a session as if it were a request: hence the fields they read.

import type { ProxyProtocol } from '../codec/proxy-protocol.ts'
import { HANDSHAKE, readClientHello, type ClientHello } from '../codec/tls-client-hello.ts'
import { errorText } from '../lib/errno.ts'
import { Timer, timers } from '../lib/timer-wheel.ts'
import { ERR, INFO } from '../log/error-log.ts'
import { accepted, type Connection, type ConnectionHandler } from '../net/connection.ts'
import { keep } from '../net/read-buffer.ts'
import { opensslText } from '../net/tls-errors.ts'
import { freshSlots } from '../http/module.ts'
import { execute } from '../http/regex.ts'
import type { HttpRequest } from '../http/request.ts'
import type { ListenRuntime } from '../http/runtime.ts'
import type { Address, ServerBlock } from '../http/server/server-block.ts'
import { logTlsError, nameIn, Opening, type OpeningOwner } from '../http/session/opening.ts'
import { PassedConnection } from '../http/session/passed-connection.ts'
import type { Session, Sessions } from '../http/session/sessions.ts'
import { isRefused, type ClientTls } from '../http/ssl/client-tls.ts'
import { countClosed } from '../zone/connection-counts.ts'
import type { StreamListen } from './listen.ts'
import { asRequest, logSession, type StreamServer } from './module.ts'

// States.
const OPENING = 0
const PREREAD = 1
const CONTENT = 2
const OVER = 3

// What comes before the content, as the log calls it.
const HEADER = 'reading PROXY protocol'
const HANDSHAKING = 'SSL handshaking'

const NOTHING = Buffer.alloc(0)

export class StreamSession implements OpeningOwner, Session {
  connection: Connection
  readonly protocol = 'TCP'
  readonly listen: ListenRuntime
  readonly connectionNumber: number
  readonly connectedMs = Date.now()
  readonly startMs = this.connectedMs
  readonly idle = false
  readonly kept = false
  proxyProtocol: ProxyProtocol | null = null
  tls: ClientTls | null = null
  server: StreamServer
  clientAddress: string
  clientPort: number
  readonly localAddress: string
  readonly localPort: number
  /** The statuses of ngx_stream.h: 200, 400, 403, 500, 502, 503. */
  status = 0
  readonly slots: unknown[] = freshSlots()
  cleanups: (() => void)[] | null = null
  done = false
  /** What the client's first message says, where it is looked at. */
  hello: ClientHello | null = null
  /** Who hears of the client's connection once the content has begun. */
  taker: ConnectionHandler | null = null
  /** Of its content, for variables. */
  exchange: unknown = null
  /** null: it was accepted here. */
  readonly passed: PassedConnection | null
  /** What lines of the error log say it is about; '': they say it themselves. */
  action = ''
  private state = OPENING
  private opening: Opening | null
  /** Received, and not passed on yet. */
  private received: Buffer = NOTHING
  private readonly sessions: Sessions
  private readonly timer: Timer<StreamSession>

  constructor(handle: unknown, listen: ListenRuntime, sessions: Sessions, number: number) {
    this.listen = listen
    this.sessions = sessions
    this.connectionNumber = number
    this.server = (listen as unknown as StreamListen).defaultServer
    this.timer = new Timer<StreamSession>(this, timedOut)
    const passed = handle instanceof PassedConnection ? handle : null
    this.passed = passed
    if (passed !== null) this.receive(passed)
    const awaitsHello = listen.tls && this.tls === null
    this.opening = listen.proxyProtocol || awaitsHello ? new Opening(this) : null
    this.connection = passed === null ? accepted(handle, this) : passed.take(this)
    if (this.server.tcpNodelay) this.connection.socket.setNoDelay(true)
    const { address = 'unix:', port = 0 } = passed === null ? this.connection.peerName() : passed.peer
    this.clientAddress = address
    this.clientPort = port
    // Of a connection that has broken off nobody could tell.
    const local = passed ?? this.connection
    this.localAddress = local.localAddress
    this.localPort = local.localPort
  }

  private receive(passed: PassedConnection): void {
    this.proxyProtocol = passed.proxyProtocol
    this.tls = passed.tlsFor(this.listen.defaultServer)
  }

  opened(): void {
    const { listen } = this
    this.tell(`client ${this.clientAddress}:${this.clientPort} connected to ${listen.address}`)
    if (listen.proxyProtocol) this.watch(this.server.proxyProtocolTimeout)
    else if (!this.permitted()) return
    else if (this.opening !== null) this.watch(this.server.handshakeTimeout)
    else this.beginSecured()
  }

  // ── what a request has ───────────────────────────────────────────────────────────────────────────────────────────

  get stream(): this {
    return this
  }

  get descriptor(): number {
    return this.connection.descriptor
  }

  /** Sent to the client. */
  get bytesSent(): number {
    return this.connection.bytesOut
  }

  onEnd(): void
  onEnd(cleanup: () => void): void
  /** The client will send no more; or, as HttpRequest.onEnd(), something to run at the session's end. */
  onEnd(cleanup?: () => void): void {
    if (cleanup === undefined) this.clientEnded()
    else if (this.cleanups === null) this.cleanups = [cleanup]
    else this.cleanups.push(cleanup)
  }

  header(): null {
    return null
  }

  /** @param about what else there is to say of it, behind the client and the server */
  log(level: number, message: string, about = ''): void {
    logSession(this, 'client', level, message, about)
  }

  /** As log(), of what speaks for itself. */
  tell(message: string): void {
    this.server.errorLog.log(INFO, message, this.connectionNumber)
  }

  note(level: number, message: string): void {
    this.log(level, message)
  }

  blankRequest(): HttpRequest {
    return asRequest(this)
  }

  // ── before the content ───────────────────────────────────────────────────────────────────────────────────────────

  onData(chunk: Buffer): void {
    if (this.state === CONTENT) {
      if (this.taker !== null) this.taker.onData(chunk)
      else this.hold(chunk)
      return
    }
    const bytes = this.received.length === 0 ? chunk : Buffer.concat([this.received, chunk])
    this.received = NOTHING
    if (this.state === OPENING) this.open(bytes)
    else if (this.state === PREREAD) this.preread(bytes)
  }

  private open(bytes: Buffer): void {
    const { opening } = this
    if (opening === null) return
    const { headed } = opening
    const used = opening.read(bytes, 0, bytes.length)
    if (used < 0) {
      this.closeNow()
      return
    }
    const rest = bytes.subarray(used)
    if (!headed && opening.headed) {
      if (!this.permitted()) return
      this.watch(this.server.handshakeTimeout)
    }
    if (!opening.done) {
      if (used > 0 && rest.length > 0) this.open(rest)
      else this.hold(rest)
      return
    }
    this.opening = null
    if (this.tls === null && this.listen.tls) {
      this.log(INFO, 'client sent plain text to an SSL port while SSL handshaking')
      this.finalize(500)
    } else if (this.tls === null || this.tls.connection?.secured === true) {
      this.hold(rest)
      this.beginSecured()
    }
  }

  private permitted(): boolean {
    this.action = 'initializing session'
    for (const { run, conf } of this.server.access) {
      const status = run(asRequest(this), conf)
      if (status < 200) continue
      this.finalize(status)
      return false
    }
    this.action = ''
    return true
  }

  handshakeDone(): void {
    if (this.state !== OPENING || this.tls === null) return
    this.chooseServer(this.tls.hello)
    this.beginSecured()
  }

  /** As far as TLS is concerned, and the client's certificate. */
  private beginSecured(): void {
    const { tls } = this
    const { verify } = this.server.tls
    if (tls === null || !this.listen.tls) return this.begin()
    const { fault } = tls
    if (verify === 'on' && tls.certificate === null) this.refuseClient('client sent no required SSL certificate')
    else if (isRefused(verify, fault)) {
      this.refuseClient(`client SSL certificate verify error: (${fault.code}:${fault.reason})`)
    } else this.begin()
  }

  private refuseClient(problem: string): void {
    this.log(INFO, `${problem} while SSL handshaking`)
    this.finalize(500)
  }

  speaksHttp2(): ConnectionHandler {
    return this
  }

  private begin(): void {
    const bytes = this.received
    if (!this.server.prereads) {
      this.start()
      return
    }
    this.state = PREREAD
    this.watch(this.server.prereadTimeout)
    if (bytes.length === 0) return
    this.received = NOTHING
    this.preread(bytes)
  }

  /** Looks at the beginning of what the client sends, as far as that is a TLS client's hello. */
  private preread(bytes: Buffer): void {
    const isTls = bytes[0] === HANDSHAKE
    const hello = isTls ? readClientHello(bytes, 0, bytes.length) : null
    if (isTls && hello === null) {
      if (bytes.length >= this.server.prereadBufferSize) {
        this.log(ERR, 'preread buffer full while prereading client data')
        this.finalize(400)
      } else this.received = keep(bytes)
      return
    }
    this.hello = hello
    if (hello !== null) this.chooseServer(hello)
    this.hold(bytes)
    this.start()
  }

  private chooseServer(hello: ClientHello): void {
    const name = nameIn(hello)
    const named = name === null ? null : this.listen.serverNamed(name)
    if (name === null || named === null) return
    this.server = named as unknown as StreamServer
    if (this.listen.matchedName !== null) execute(asRequest(this), this.listen.matchedName, name)
  }

  private start(): void {
    this.state = CONTENT
    this.unwatch()
    // Neither what the client says nor that it ends is heard before somebody listens, who resumes.
    this.connection.pause()
    this.server.content.begin(this)
  }

  private hold(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.received = this.received.length === 0 ? keep(bytes) : Buffer.concat([this.received, bytes])
  }

  // ── the content ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** From now on the taker hears of the client's connection. Answers what came before. */
  take(taker: ConnectionHandler): Buffer {
    const { received } = this
    this.received = NOTHING
    this.taker = taker
    return received
  }

  /** Has TLS given bytes that were looked at and not passed on? */
  get hasPrereadTls(): boolean {
    return this.tls !== null && this.received.length > 0
  }

  /** The connection goes on as another session, which reads what this one has not used. Here it ends without a line. */
  passOn(passed: PassedConnection, block: ServerBlock<any>, address: Address<any>): void {
    const { connection, received } = this
    this.state = OVER
    this.done = true
    timers.release(this.timer)
    this.received = NOTHING
    const ended = this.sessions.passOn(this)
    connection.socket.once('close', () => {
      this.cleanUp()
      ended()
    })
    connection.resume()
    block.receive(passed, address)
    if (received.length > 0) connection.handler.onData(received)
  }

  onDrain(): void {
    this.taker?.onDrain()
  }

  private clientEnded(): void {
    if (this.state === CONTENT && this.taker !== null) {
      this.taker.onEnd()
      return
    }
    const { awaited } = this
    if (awaited === HEADER) this.logHeader()
    else if (awaited === HANDSHAKING) this.log(INFO, `peer closed connection in SSL handshake while ${awaited}`)
    this.closeNow()
  }

  /** Of one that is not whole. */
  private logHeader(): void {
    this.log(ERR, `broken header: "${this.received.toString('latin1')}" while ${HEADER}`)
  }

  /** What has to be there before its content begins. */
  private get awaited(): string {
    if (this.state === CONTENT || this.state === OVER) return ''
    if (this.state === PREREAD) return 'prereading client data'
    return this.opening !== null && !this.opening.headed ? HEADER : HANDSHAKING
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    if (error !== null && this.state !== OVER) this.logBroken(error)
    if (this.taker !== null && this.state === CONTENT) this.taker.onClose(error)
    this.finalize(this.awaited === HANDSHAKING ? 500 : 200)
  }

  private logBroken(error: NodeJS.ErrnoException): void {
    const { awaited } = this
    if (opensslText(error) !== null) logTlsError(this, error)
    else if (awaited !== '') {
      const what = awaited === HANDSHAKING ? 'peer closed connection in SSL handshake' : 'recv() failed'
      this.log(INFO, `${what} (${errorText(error)}) while ${awaited}`)
    }
  }

  /** Ends the session: both connections, then the line in the log. */
  finalize(status: number): void {
    if (this.state === OVER) return
    this.state = OVER
    timers.release(this.timer)
    if (this.status === 0) this.status = status
    this.done = true
    const r = asRequest(this)
    // First what it used is given back: then its numbers are final.
    this.cleanUp()
    for (const { run, conf } of this.server.logs) run(r, conf)
    this.connection.destroy()
    countClosed()
    this.sessions.remove(this)
  }

  private cleanUp(): void {
    for (const cleanup of this.cleanups ?? []) cleanup()
  }

  closeNow(): void {
    const { awaited } = this
    this.finalize(awaited === HANDSHAKING ? 500 : awaited === HEADER ? 400 : 200)
  }

  /** The thread retires: a session goes on until it ends, or worker_shutdown_timeout is over. */
  retire(): void {}

  watch(ms: number): void {
    timers.arm(this.timer, ms)
  }

  unwatch(): void {
    timers.disarm(this.timer)
  }

  onTimeout(): void {
    if (this.state === OVER) return
    const { awaited } = this
    if (awaited === HEADER && this.received.length > 0) {
      this.logHeader()
      this.finalize(400)
      return
    }
    const action = awaited === '' ? '' : ` while ${awaited}`
    this.log(INFO, `client timed out (110: Connection timed out)${action}`)
    this.finalize(awaited === HANDSHAKING ? 500 : 200)
  }
}

function timedOut(session: StreamSession): void {
  session.onTimeout()
}
