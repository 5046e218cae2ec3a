// A mail client's connection (ngx_mail_handler.c): what comes before the first word (entrance.ts), the dialogue until it is known
// who the client is (conversation.ts), the question whether that is true and where it belongs (auth-http.ts), and from then on the
// connection to that server (proxy.ts).
//
//   OPENING ─▶ GREETING ─▶ COMMANDS ◀─▶ ASKING ─▶ PROXYING        CLOSING: the last words are on their way
//      ▲ STARTTLS ───────────┘

import type { ProxyProtocol } from '../codec/proxy-protocol.ts'
import { freshSlots } from '../http/module.ts'
import type { HttpRequest } from '../http/request.ts'
import type { ListenRuntime } from '../http/runtime.ts'
import { logTlsError, type OpeningOwner } from '../http/session/opening.ts'
import type { Session, Sessions } from '../http/session/sessions.ts'
import type { ClientTls } from '../http/ssl/client-tls.ts'
import { errorText } from '../lib/errno.ts'
import { Timer, timers } from '../lib/timer-wheel.ts'
import { INFO } from '../log/error-log.ts'
import { accepted, type Connection, type ConnectionHandler } from '../net/connection.ts'
import { opensslText } from '../net/tls-errors.ts'
import type { Peer } from '../upstream/peer.ts'
import type { Waiter } from '../upstream/resolver.ts'
import { peerName } from '../upstream/server.ts'
import { countClosed } from '../zone/connection-counts.ts'
import { Authentication } from './auth-http.ts'
import { Conversation } from './conversation.ts'
import { Entrance } from './entrance.ts'
import type { MailListen } from './listen.ts'
import { asRequest, type Dialogue, type MailServer, type StartTls } from './module.ts'
import { MailExchange } from './proxy.ts'
import { makeSalt, type Method } from './sasl.ts'

// States.
const OPENING = 0
const GREETING = 1
const COMMANDS = 2
const ASKING = 3
const PROXYING = 4
const CLOSING = 5
const OVER = 6

/** How long a client may take to hear the last words, in ms. */
const LINGER_MS = 5000
/** What it may go on saying meanwhile, in bytes. */
const LINGER_BYTES = 1 << 20

/** What an SMTP client says before it is let in. */
export interface Envelope {
  helo: string
  extended: boolean
  /** Whole commands. */
  from: string
  to: string
}

export class MailSession implements OpeningOwner, Session {
  connection: Connection
  readonly listen: ListenRuntime
  readonly connectionNumber: number
  readonly server: MailServer
  readonly startMs = Date.now()
  readonly idle = false
  readonly kept = false
  readonly slots: unknown[] = freshSlots()
  readonly dialogue: Dialogue
  private readonly conversation: Conversation
  proxyProtocol: ProxyProtocol | null = null
  tls: ClientTls | null = null
  clientAddress: string
  clientPort: number
  readonly localAddress: string
  readonly localPort: number
  done = false
  /** What lines of the error log say it was doing. */
  action = 'sending client greeting line'
  login = ''
  /** null: nobody has told any. */
  password: string | null = null
  method: Method = 'plain'
  attempts = 0
  /** The client's, as DNS knows it; '' where nobody asks. */
  host = ''
  readonly smtp: Envelope = { helo: '', extended: false, from: '', to: '' }
  /** The client has asked for TLS (STARTTLS). */
  startedTls = false
  /** The session ends with what is said next. */
  quit = false
  /** Somebody is asked for the client's name. */
  waiter: Waiter | null = null
  private state = OPENING
  private readonly entrance: Entrance
  private salt = ''
  private beginsTls = false
  /** Of connection.bytesIn. */
  private bytesMax = Infinity
  private greeting = ''
  private authentication: Authentication | null = null
  private exchange: MailExchange | null = null
  private readonly sessions: Sessions
  private readonly timer: Timer<MailSession>

  constructor(handle: unknown, listen: ListenRuntime, sessions: Sessions, number: number) {
    this.listen = listen
    this.sessions = sessions
    this.connectionNumber = number
    this.server = (listen as unknown as MailListen).defaultServer
    this.timer = new Timer<MailSession>(this, timedOut)
    this.entrance = new Entrance(this)
    this.dialogue = this.server.protocol.dialogue(this)
    this.conversation = new Conversation(this, this.dialogue)
    this.connection = accepted(handle, this)
    this.connection.socket.setNoDelay(true)
    const { address = 'unix:', port = 0 } = this.connection.peerName()
    this.clientAddress = address
    this.clientPort = port
    this.localAddress = this.connection.localAddress
    this.localPort = this.connection.localPort
  }

  opened(): void {
    const { listen } = this
    this.tell(`client ${this.clientText} connected to ${listen.address}`)
    this.watch(this.server.timeout)
    if (this.entrance.open) this.begin()
    else this.action = listen.proxyProtocol ? 'reading PROXY protocol' : 'SSL handshaking'
  }

  private get clientText(): string {
    const { clientAddress, clientPort } = this
    return clientAddress === 'unix:' ? clientAddress : peerName(clientAddress, clientPort)
  }

  // ── what a request has ───────────────────────────────────────────────────────────────────────────────────────────

  get stream(): this {
    return this
  }

  header(): null {
    return null
  }

  log(level: number, message: string): void {
    const { errorLog } = this.server
    if (level > errorLog.level) return
    const action = this.action === '' ? '' : ` while ${this.action}`
    const tls = this.startedTls ? ' using starttls' : ''
    const login = this.login === '' ? '' : `, login: "${this.login}"`
    const upstream = this.exchange === null ? '' : `, upstream: ${this.exchange.name}`
    const where = `, client: ${this.clientAddress}${tls}, server: ${this.listen.address}${login}${upstream}`
    errorLog.log(level, message + action + where, this.connectionNumber)
  }

  /** As log(), of what speaks for itself. */
  tell(message: string): void {
    this.server.errorLog.log(INFO, message, this.connectionNumber)
  }

  note(level: number, message: string): void {
    this.log(level, message.replace(/ while (?:SSL handshaking|reading (?:PROXY protocol|client request))$/, ''))
  }

  blankRequest(): HttpRequest {
    return asRequest(this)
  }

  // ── what comes first ─────────────────────────────────────────────────────────────────────────────────────────────

  handshakeDone(): void {
    if (this.state !== OPENING) return
    const refusal = this.entrance.verdict()
    if (refusal !== '') this.end(refusal)
    else if (this.startedTls) this.listenOn()
    else this.begin()
  }

  speaksHttp2(): ConnectionHandler {
    return this
  }

  private begin(): void {
    this.state = GREETING
    this.action = 'sending client greeting line'
    this.connection.pause()
    this.server.protocol.greet(this)
  }

  /** @param delayMs in which the client must not say anything */
  greet(text: string, delayMs = 0): void {
    if (this.state !== GREETING) return
    this.action = 'sending client greeting line'
    this.greeting = text
    if (delayMs > 0) {
      this.action = 'in delay pipelining state'
      this.watch(delayMs)
      this.connection.resume()
      const early = this.entrance.take()
      if (early.length > 0) this.rejectEarly(early)
    } else this.sendGreeting()
  }

  private sendGreeting(): void {
    this.watch(this.server.timeout)
    this.conversation.say(this.greeting)
    this.listenOn()
  }

  private rejectEarly(bytes: Buffer): void {
    const said = bytes.toString('latin1').replaceAll(/[\r\n]/g, '_')
    this.log(INFO, `client was rejected before greeting: "${said}"`)
    this.end(this.server.protocol.tooEarly ?? this.server.protocol.internalError)
  }

  /** Commands are read from now on. */
  private listenOn(): void {
    if (this.state === CLOSING || this.state === OVER) return
    this.state = COMMANDS
    this.action = 'in auth state'
    this.conversation.hear(this.entrance.take().toString('latin1'))
    this.conversation.resume()
  }

  // ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────

  get startTls(): StartTls {
    return this.tls === null ? this.server.starttls : 'off'
  }

  /** The client must not say who it is before the connection is secured. */
  get mustStartTls(): boolean {
    return this.startTls === 'only'
  }

  /** TLS begins behind the answer. False: not here. */
  beginTls(): boolean {
    if (this.startTls === 'off') return false
    this.beginsTls = true
    return true
  }

  /** The challenge of this session, for those who do not say their password. */
  saltText(): string {
    if (this.salt === '') this.salt = makeSalt(this.server.name)
    return this.salt
  }

  /** A command was answered. */
  answered(): void {
    if (this.beginsTls) this.awaitTls()
  }

  /** What has come in plain text behind the command is nobody's (RFC 3207, 6). */
  private awaitTls(): void {
    this.beginsTls = false
    this.conversation.pause()
    this.conversation.rest()
    this.startedTls = true
    this.action = 'in starttls state'
    this.state = OPENING
    this.entrance.beginTls()
  }

  // ── who is it, and where to ──────────────────────────────────────────────────────────────────────────────────────

  /** The client has said who it is. */
  authenticate(): void {
    this.attempts++
    this.conversation.pause()
    this.connection.pause()
    this.unwatch()
    this.state = ASKING
    this.ask()
  }

  private ask(): void {
    this.action = 'in http auth state'
    this.authentication = new Authentication(this)
    this.authentication.start()
  }

  /** The client is not let in. @param waitMs until it is told; 0: at once, and no more */
  refuse(message: string, code: string, waitMs: number): void {
    this.authentication = null
    this.log(INFO, `client login failed: "${message}"`)
    const text = this.server.protocol.refusal(this, message, code)
    if (waitMs === 0) this.end(text)
    else {
      this.greeting = text
      this.watch(waitMs)
    }
  }

  /** Whoever was asked wants to be asked again. */
  askAgain(waitMs: number): void {
    this.authentication = null
    this.greeting = ''
    this.watch(waitMs)
  }

  private waited(): void {
    if (this.greeting === '') {
      this.ask()
      return
    }
    const text = this.greeting
    this.greeting = ''
    this.method = 'plain'
    this.dialogue.restart()
    this.watch(this.server.timeout)
    this.conversation.say(text)
    this.listenOn()
  }

  connect(peer: Peer): void {
    this.authentication = null
    this.action = 'connecting to upstream'
    const login = this.server.protocol.login(this)
    if (login === null) {
      this.fail()
      return
    }
    this.exchange = new MailExchange(this, peer, login)
    this.exchange.start()
  }

  /** The client is logged in. @param text what it is told @returns what it has said meanwhile */
  proxied(text: string): string {
    this.state = PROXYING
    this.connection.writeText(text)
    this.connection.resume()
    return this.conversation.rest() + this.entrance.take().toString('latin1')
  }

  /** Something here or behind it does not work. */
  fail(): void {
    this.end(this.server.protocol.internalError)
  }

  // ── what happens on the connection ───────────────────────────────────────────────────────────────────────────────

  onData(chunk: Buffer): void {
    if (this.state === COMMANDS) this.conversation.hear(chunk.toString('latin1'))
    else if (this.state === OPENING) this.entrance.read(chunk)
    else if (this.state === PROXYING) this.exchange!.fromClient(chunk)
    else if (this.state === GREETING && this.greeting !== '') this.rejectEarly(chunk)
    else if (this.state < PROXYING) this.entrance.hold(chunk)
    else if (this.connection.bytesIn > this.bytesMax) this.finalize()
  }

  onDrain(): void {
    if (this.state === PROXYING) this.exchange!.clientDrained()
    else if (this.state === OPENING) this.connection.resume()
    else this.conversation.drained()
  }

  onEnd(): void
  onEnd(cleanup: () => void): void
  /** The client will send no more. */
  onEnd(_cleanup?: () => void): void {
    if (this.state === PROXYING) {
      this.exchange!.clientEnded()
      return
    }
    if (this.handshaking) this.log(INFO, 'peer closed connection in SSL handshake')
    this.closeNow()
  }

  private get handshaking(): boolean {
    return this.state === OPENING && this.entrance.handshaking
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    if (this.state === PROXYING) this.exchange!.broken(error, 'client')
    else if (error !== null && this.state < CLOSING) this.logBroken(error)
    this.finalize()
  }

  private logBroken(error: NodeJS.ErrnoException): void {
    if (opensslText(error) !== null) logTlsError(this, error)
    else {
      const call = `${error.syscall === 'write' ? 'send' : 'recv'}() failed`
      this.log(INFO, `${this.handshaking ? 'peer closed connection in SSL handshake' : call} (${errorText(error)})`)
    }
  }

  // ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Says the last words and ends the session when they are heard. */
  end(text: string): void {
    if (this.state >= CLOSING) return
    this.state = CLOSING
    this.conversation.pause()
    this.letGo()
    this.watch(LINGER_MS)
    this.bytesMax = this.connection.bytesIn + LINGER_BYTES
    this.connection.writeText(text)
    this.connection.shutdown()
    // What the client still says is of no interest, but its end is.
    this.connection.resume()
  }

  closeNow(): void {
    this.finalize()
  }

  finalize(): void {
    if (this.state === OVER) return
    this.state = OVER
    this.done = true
    timers.release(this.timer)
    this.conversation.pause()
    this.letGo()
    this.connection.destroy()
    countClosed()
    this.sessions.remove(this)
  }

  private letGo(): void {
    this.waiter?.cancel()
    this.waiter = null
    this.authentication?.stop()
    this.authentication = null
    this.exchange?.stop()
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
    if (this.state === ASKING) this.waited()
    else if (this.state === GREETING && this.greeting !== '') this.sendGreeting()
    else {
      if (this.state !== CLOSING) this.log(INFO, 'client timed out (110: Connection timed out)')
      this.finalize()
    }
  }
}

function timedOut(session: MailSession): void {
  session.onTimeout()
}
