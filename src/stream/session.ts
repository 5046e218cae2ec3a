// One connection of a `stream` server (ngx_stream_handler.c): what comes before its content (a PROXY protocol header, access
// rules, a TLS handshake, a look at the first message), the content handler, which moves the bytes, and the line in the log.
//
// Modules that the http block has too are handed a session as if it were a request: hence the fields they read.

import type { ProxyProtocol } from '../codec/proxy-protocol.ts'
import { HANDSHAKE, readClientHello, type ClientHello } from '../codec/tls-client-hello.ts'
import { Timer, timers } from '../lib/timer-wheel.ts'
import { ERR, INFO } from '../log/error-log.ts'
import { accepted, type Connection, type ConnectionHandler } from '../net/connection.ts'
import { keep } from '../net/read-buffer.ts'
import { freshSlots } from '../http/module.ts'
import { execute } from '../http/regex.ts'
import type { HttpRequest } from '../http/request.ts'
import type { ListenRuntime } from '../http/runtime.ts'
import { logTlsError, nameIn, Opening, type OpeningOwner } from '../http/session/opening.ts'
import type { Session, Sessions } from '../http/session/sessions.ts'
import { isRefused, type ClientTls } from '../http/ssl/client-tls.ts'
import { countClosed } from '../zone/connection-counts.ts'
import type { StreamListen } from './listen.ts'
import { asRequest, type StreamServer } from './module.ts'

// States.
const OPENING = 0
const PREREAD = 1
const CONTENT = 2
const OVER = 3

const NOTHING = Buffer.alloc(0)

export class StreamSession implements OpeningOwner, Session {
  connection: Connection
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
    this.opening = listen.proxyProtocol || listen.tls ? new Opening(this) : null
    this.connection = accepted(handle, this)
    if (this.server.tcpNodelay) this.connection.socket.setNoDelay(true)
    const { address = 'unix:', port = 0 } = this.connection.peerName()
    this.clientAddress = address
    this.clientPort = port
  }

  opened(): void {
    const { listen } = this
    this.log(INFO, `client ${this.clientAddress}:${this.clientPort} connected to ${listen.address}`)
    if (listen.proxyProtocol) this.watch(this.server.proxyProtocolTimeout)
    else if (this.permitted() && this.opening === null) this.begin()
    else this.watch(this.server.handshakeTimeout)
  }

  // ── what a request has ───────────────────────────────────────────────────────────────────────────────────────────

  get stream(): this {
    return this
  }

  get descriptor(): number {
    return this.connection.descriptor
  }

  get localAddress(): string {
    return this.connection.localAddress
  }

  get localPort(): number {
    return this.connection.localPort
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
    const { errorLog } = this.server
    if (level > errorLog.level) return
    const where = `client: ${this.clientAddress}, server: ${this.listen.address}`
    errorLog.log(level, `${message}, ${where}${about}`, this.connectionNumber)
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
    const headed = this.proxyProtocol !== null || !this.listen.proxyProtocol
    const used = opening.read(bytes, 0, bytes.length)
    if (used < 0) {
      if (!this.done) this.finalize(400)
      return
    }
    const rest = bytes.subarray(used)
    if (!headed && this.proxyProtocol !== null && !this.permitted()) return
    if (!opening.done) {
      if (used > 0 && rest.length > 0) this.open(rest)
      else this.hold(rest)
      return
    }
    this.opening = null
    if (this.tls === null && this.listen.tls) {
      this.log(INFO, 'client sent plain text to an SSL port')
      this.finalize(400)
    } else if (this.tls === null) {
      this.hold(rest)
      this.begin()
    }
  }

  private permitted(): boolean {
    for (const { run, conf } of this.server.access) {
      const status = run(asRequest(this), conf)
      if (status < 200) continue
      this.finalize(status)
      return false
    }
    return true
  }

  handshakeDone(): void {
    if (this.state !== OPENING || this.tls === null) return
    this.chooseServer(this.tls.hello)
    const { verify } = this.server.tls
    const { fault } = this.tls
    if (verify === 'on' && this.tls.certificate === null) this.refuseClient('client sent no required SSL certificate')
    else if (isRefused(verify, fault)) {
      this.refuseClient(`client SSL certificate verify error: (${fault.code}:${fault.reason})`)
    } else this.begin()
  }

  private refuseClient(problem: string): void {
    this.log(INFO, problem)
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
        this.log(ERR, 'preread buffer full')
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
    for (const { variable, value } of this.server.assignments) {
      variable.set?.(asRequest(this), value.get(asRequest(this)))
    }
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

  onDrain(): void {
    this.taker?.onDrain()
  }

  private clientEnded(): void {
    if (this.state !== CONTENT) this.finalize(400)
    else if (this.taker !== null) this.taker.onEnd()
    else this.finalize(200)
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    if (error !== null && this.tls !== null && this.state !== OVER) logTlsError(this, error)
    if (this.taker !== null && this.state === CONTENT) this.taker.onClose(error)
    this.finalize(this.state === CONTENT ? 200 : 400)
  }

  /** Ends the session: both connections, then the line in the log. */
  finalize(status: number): void {
    if (this.state === OVER) return
    this.state = OVER
    this.unwatch()
    if (this.status === 0) this.status = status
    this.done = true
    const r = asRequest(this)
    // First what it used is given back: then its numbers are final.
    for (const cleanup of this.cleanups ?? []) cleanup()
    for (const { run, conf } of this.server.logs) run(r, conf)
    this.connection.destroy()
    countClosed()
    this.sessions.remove(this)
  }

  closeNow(): void {
    this.finalize(this.state === CONTENT ? 200 : 400)
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
    this.log(
      INFO,
      `client timed out (110: Connection timed out) while ${this.state === PREREAD ? 'prereading client data' : 'SSL handshaking'}`,
    )
    this.finalize(this.state === PREREAD ? 200 : 400)
  }
}

function timedOut(session: StreamSession): void {
  session.onTimeout()
}
