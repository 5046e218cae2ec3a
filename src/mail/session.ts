// A mail client's connection (ngx_mail_handler.c): what comes before the first word (http/session/entrance.ts), the dialogue until
// it is known who the client is (conversation.ts), the question whether that is true and where it belongs (admission.ts), and from
// then on the connection to that server (proxy.ts).
//
//   OPENING ─▶ GREETING ─▶ COMMANDS ◀─▶ ASKING ─▶ PROXYING        CLOSING: the last words are on their way
//      ▲ STARTTLS ───────────┘

import type { ListenRuntime } from '../http/runtime.ts'
import { ConnectionSession } from '../http/session/connection-session.ts'
import { Entrance } from '../http/session/entrance.ts'
import type { Sessions } from '../http/session/sessions.ts'
import { certificateProblem } from '../http/ssl/client-tls.ts'
import { INFO } from '../log/error-log.ts'
import type { Peer } from '../upstream/peer.ts'
import type { Waiter } from '../upstream/lookup.ts'
import { peerName } from '../upstream/server.ts'
import { Admission } from './admission.ts'
import { Conversation } from './conversation.ts'
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

export class MailSession extends ConnectionSession<MailServer> {
  readonly dialogue: Dialogue
  readonly admission: Admission
  private readonly conversation: Conversation
  login = ''
  /** null: nobody has told any. */
  password: string | null = null
  method: Method = 'plain'
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
  /** What the client is told first, as long as it has to wait for it; '' otherwise. */
  private greeting = ''
  private salt = ''
  private beginsTls = false
  /** Of connection.bytesIn. */
  private bytesMax = Infinity
  private exchange: MailExchange | null = null

  constructor(handle: unknown, listen: ListenRuntime, sessions: Sessions, number: number) {
    super(handle, listen, sessions, number)
    this.action = 'sending client greeting line'
    this.entrance = new Entrance(this)
    this.dialogue = this.server.protocol.dialogue(this)
    this.conversation = new Conversation(this, this.dialogue)
    this.admission = new Admission(this)
    this.connection.socket.setNoDelay(true)
  }

  opened(): void {
    const { listen } = this
    this.tell(`client ${peerName(this.clientAddress, this.clientPort)} connected to ${listen.address}`)
    this.watch(this.server.timeout)
    if (this.entrance.open) this.entered()
    else this.action = listen.proxyProtocol ? 'reading PROXY protocol' : 'SSL handshaking'
  }

  // ── the log ──────────────────────────────────────────────────────────────────────────────────────────────────────

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

  note(level: number, message: string): void {
    this.log(level, message.replace(/ while (?:SSL handshaking|reading (?:PROXY protocol|client request))$/, ''))
  }

  // ── what comes first ─────────────────────────────────────────────────────────────────────────────────────────────

  introduced(): boolean {
    for (const { run, conf } of this.server.access) run(asRequest(this), conf)
    if (this.listen.tls) this.action = 'SSL handshaking'
    return true
  }

  spokePlainly(): void {
    this.log(INFO, 'client sent plain text where TLS was to begin')
    this.close()
  }

  handshakeDone(): void {
    if (!this.done && this.state === OPENING) this.entered()
  }

  entered(): void {
    const { server, tls } = this
    const problem = tls === null ? '' : certificateProblem(tls, server.tls.verify)
    if (problem !== '') {
      tls!.connection?.forgetSession()
      this.log(INFO, problem)
      this.end(tls!.certificate === null ? server.protocol.noCertificate : server.protocol.certificateError)
    } else if (this.startedTls) this.listenOn()
    else this.begin()
  }

  private begin(): void {
    this.state = GREETING
    this.action = 'sending client greeting line'
    this.connection.pause()
    this.server.protocol.greet(this)
  }

  /** @param delayMs in which the client must not say anything */
  greet(text: string, delayMs = 0): void {
    if (this.done || this.state !== GREETING) return
    this.greeting = text
    if (delayMs === 0) this.sendGreeting()
    else {
      this.action = 'in delay pipelining state'
      this.watch(delayMs)
      this.connection.resume()
      const early = this.entrance.take()
      if (early.length > 0) this.rejectEarly(early)
    }
  }

  private sendGreeting(): void {
    const { greeting } = this
    this.greeting = ''
    this.action = 'sending client greeting line'
    this.watch(this.server.timeout)
    this.conversation.say(greeting)
    this.listenOn()
  }

  private rejectEarly(bytes: Buffer): void {
    const said = bytes.toString('latin1').replaceAll(/[\r\n]/g, '_')
    this.log(INFO, `client was rejected before greeting: "${said}"`)
    this.end(this.server.protocol.tooEarly ?? this.server.protocol.internalError)
  }

  /** Commands are read from now on. */
  private listenOn(): void {
    if (this.done || this.state === CLOSING) return
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
    this.conversation.pause()
    this.unwatch()
    this.state = ASKING
    this.admission.begin()
  }

  /** The client may say again who it is. @param text what it is told */
  refused(text: string): void {
    this.method = 'plain'
    this.dialogue.restart()
    this.watch(this.server.timeout)
    this.conversation.say(text)
    this.listenOn()
  }

  connect(peer: Peer): void {
    this.action = 'connecting to upstream'
    const login = this.server.protocol.login(this)
    if (login === null) this.fail()
    else {
      this.exchange = new MailExchange(this, peer, login)
      this.exchange.start()
    }
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
    else if (this.greeting !== '') this.rejectEarly(chunk)
    else if (this.state < PROXYING) this.hold(chunk)
    else if (this.connection.bytesIn > this.bytesMax) this.close()
  }

  /** It is too early. What comes goes on being read, for then it is known, too, when the client leaves: as far as there is room. */
  private hold(chunk: Buffer): void {
    this.entrance.hold(chunk)
    if (this.entrance.held.length >= this.server.protocol.bufferSize) this.connection.pause()
  }

  onDrain(): void {
    if (this.state === PROXYING) this.exchange!.clientDrained()
    else if (this.state === OPENING) this.connection.resume()
    else this.conversation.drained()
  }

  /** The client will send no more. */
  onEnd(): void {
    if (this.state === PROXYING) {
      this.exchange!.clientEnded()
      return
    }
    if (this.handshaking) this.log(INFO, 'peer closed connection in SSL handshake')
    else if (this.state === ASKING) this.log(INFO, 'client prematurely closed connection')
    this.close()
  }

  private get handshaking(): boolean {
    return this.state === OPENING && this.entrance.headed
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    if (this.done) return
    if (this.state === PROXYING) this.exchange!.broken(error, 'client')
    else if (error !== null && this.state !== CLOSING) this.logBroken(error, this.handshaking, '')
    this.close()
  }

  // ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Says the last words and ends the session when they are heard. */
  end(text: string): void {
    if (this.done || this.state === CLOSING) return
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
    this.close()
  }

  protected settle(): void {
    this.conversation.pause()
    this.letGo()
  }

  private letGo(): void {
    this.waiter?.cancel()
    this.waiter = null
    this.admission.stop()
    this.exchange?.stop()
  }

  onTimeout(): void {
    if (this.state === ASKING) this.admission.waited()
    else if (this.greeting !== '') this.sendGreeting()
    else {
      if (this.state !== CLOSING) this.log(INFO, 'client timed out (110: Connection timed out)')
      this.close()
    }
  }
}
