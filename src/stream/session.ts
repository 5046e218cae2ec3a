// One connection of a `stream` server (ngx_stream_handler.c): what comes before its content (a PROXY protocol header and TLS, as
// entrance.ts reads them, access rules, a look at the first message), the content handler, which moves the bytes, and the line in
// the log.

import { HANDSHAKE, readClientHello, readOldHello, UNREADABLE, type ClientHello } from '../codec/tls-client-hello.ts'
import { ALERT, ERR, INFO } from '../log/error-log.ts'
import type { ConnectionHandler } from '../net/connection.ts'
import { opensslText } from '../net/tls-errors.ts'
import { peerName } from '../upstream/server.ts'
import { execute, gaveUp } from '../http/regex.ts'
import type { ListenRuntime } from '../http/runtime.ts'
import type { Address, ServerBlock } from '../http/server/server-block.ts'
import { ConnectionSession } from '../http/session/connection-session.ts'
import { Entrance } from '../http/session/entrance.ts'
import { nameIn } from '../http/session/opening.ts'
import type { PassedConnection } from '../http/session/passed-connection.ts'
import type { Sessions } from '../http/session/sessions.ts'
import { certificateProblem } from '../http/ssl/client-tls.ts'
import { asRequest, logSession, type StreamServer } from './module.ts'

// States.
const OPENING = 0
const PREREAD = 1
const CONTENT = 2

/** Of all versions of TLS there are, and of SSL 3. */
const TLS_MAJOR = 3

// What comes before the content, as the log calls it.
const HEADER = 'reading PROXY protocol'
const HANDSHAKING = 'SSL handshaking'

export class StreamSession extends ConnectionSession<StreamServer> {
  readonly protocol = 'TCP'
  /** The statuses of ngx_stream.h: 200, 400, 403, 500, 502, 503. */
  status = 0
  /** As a request of a client's own. */
  readonly parent = null
  readonly errorStatus = 0
  cleanups: (() => void)[] | null = null
  /** What the client's first message says, where it is looked at. */
  hello: ClientHello | null = null
  /** Who hears of the client's connection once the content has begun. */
  taker: ConnectionHandler | null = null
  /** Bytes of the client's that were passed on. What came before them, or was of no interest, does not count. */
  bytesReceived = 0
  /** Of its content, for variables. */
  exchange: unknown = null
  private state = OPENING
  private readonly entrance: Entrance

  constructor(handle: unknown, listen: ListenRuntime, sessions: Sessions, number: number) {
    super(handle, listen, sessions, number)
    this.entrance = new Entrance(this)
    if (this.server.tcpNodelay) this.connection.socket.setNoDelay(true)
  }

  opened(): void {
    const { listen } = this
    this.tell(`client ${peerName(this.clientAddress, this.clientPort)} connected to ${listen.address}`)
    if (listen.proxyProtocol) this.watch(this.server.proxyProtocolTimeout)
    else if (!this.permitted()) return
    else if (this.entrance.open) this.entered()
    else this.watch(this.server.handshakeTimeout)
  }

  // ── what a request has ───────────────────────────────────────────────────────────────────────────────────────────

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

  /** @param about what else there is to say of it, behind the client and the server */
  log(level: number, message: string, about = ''): void {
    logSession(this, 'client', level, message, about)
  }

  note(level: number, message: string): void {
    this.log(level, message.replace(/, server name: ".*"$/s, ''))
  }

  // ── before the content ───────────────────────────────────────────────────────────────────────────────────────────

  onData(chunk: Buffer): void {
    if (this.state === OPENING) this.entrance.read(chunk)
    else if (this.state === PREREAD) this.prereadNext(chunk)
    else if (this.taker !== null) this.taker.onData(chunk)
    else this.entrance.hold(chunk)
  }

  introduced(): boolean {
    if (!this.permitted()) return false
    this.watch(this.server.handshakeTimeout)
    return true
  }

  spokePlainly(): void {
    this.log(INFO, `client sent plain text to an SSL port while ${HANDSHAKING}`)
    this.finalize(500)
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
    if (this.done || this.state !== OPENING || this.tls === null) return
    if (this.chooseServer(this.tls.hello)) this.entered()
  }

  entered(): void {
    const { tls } = this
    const problem = tls === null || !this.listen.tls ? '' : certificateProblem(tls, this.server.tls.verify)
    if (problem === '') this.begin()
    else {
      tls!.connection?.forgetSession()
      this.log(INFO, `${problem} while ${HANDSHAKING}`)
      this.finalize(500)
    }
  }

  private begin(): void {
    if (!this.server.prereads) {
      this.start()
      return
    }
    this.state = PREREAD
    this.watch(this.server.prereadTimeout)
    const bytes = this.entrance.take()
    if (bytes.length > 0) this.preread(bytes)
  }

  private prereadNext(chunk: Buffer): void {
    const before = this.entrance.take()
    this.preread(before.length === 0 ? chunk : Buffer.concat([before, chunk]))
  }

  /** Looks at the beginning of what the client sends, as far as that is a TLS client's hello. */
  private preread(bytes: Buffer): void {
    const isTls = bytes[0] === HANDSHAKE && (bytes.length === 1 || bytes[1] === TLS_MAJOR)
    // What is behind the buffer's end is not looked at, however much has come at once.
    const end = Math.min(bytes.length, this.server.prereadBufferSize)
    const hello = isTls ? readClientHello(bytes, 0, end) : readOldHello(bytes)
    if (isTls && hello === null) {
      if (end === this.server.prereadBufferSize) {
        this.log(ERR, 'preread buffer full while prereading client data')
        this.finalize(400)
      } else this.entrance.hold(bytes)
      return
    }
    if (hello !== null && hello !== UNREADABLE) {
      this.hello = hello
      if (!this.chooseServer(hello)) return
    }
    this.entrance.hold(bytes)
    this.start()
  }

  /** False: nobody can tell, and that is the end of it. */
  private chooseServer(hello: ClientHello): boolean {
    const name = nameIn(hello)
    if (name === null) return true
    const named = this.listen.serverNamed(name)
    const { matchedName, nameFailed } = this.listen
    if (nameFailed) {
      this.log(ALERT, gaveUp(matchedName!, name))
      this.finalize(500)
      return false
    }
    if (named === null) return true
    this.server = named as unknown as StreamServer
    if (matchedName !== null) execute(asRequest(this), matchedName, name)
    return true
  }

  private start(): void {
    this.state = CONTENT
    this.unwatch()
    // Neither what the client says nor that it ends is heard before somebody listens, who resumes.
    this.connection.pause()
    this.server.content.begin(this)
  }

  // ── the content ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** From now on the taker hears of the client's connection. Answers what came before. */
  take(taker: ConnectionHandler): Buffer {
    this.taker = taker
    return this.entrance.take()
  }

  /** Has TLS given bytes that were looked at and not passed on? */
  get hasPrereadTls(): boolean {
    return this.tls !== null && this.entrance.held.length > 0
  }

  /** Bytes of the client's that were read, and not taken. */
  get heldBytes(): number {
    return this.entrance.held.length
  }

  /** The connection goes on as another session, which reads what this one has not used. Here it ends without a line. */
  passOn(passed: PassedConnection, block: ServerBlock<any>, address: Address<any>): void {
    const { connection } = this
    const received = this.entrance.take()
    this.done = true
    this.forgetTimer()
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
    this.log(ERR, `broken header: "${this.entrance.held.toString('latin1')}" while ${HEADER}`)
  }

  /** What has to be there before its content begins. */
  private get awaited(): string {
    if (this.state === CONTENT || this.done) return ''
    if (this.state === PREREAD) return 'prereading client data'
    return this.entrance.headed ? HANDSHAKING : HEADER
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    const { awaited, done } = this
    if (error !== null && !done && (awaited !== '' || opensslText(error) !== null)) {
      this.logBroken(error, awaited === HANDSHAKING, ` while ${awaited}`)
    }
    if (this.taker !== null && !done) this.taker.onClose(error)
    const torn = awaited === HEADER && this.entrance.held.length > 0
    this.finalize(torn ? 400 : awaited === HANDSHAKING ? 500 : 200)
  }

  /** Ends the session: both connections, then the line in the log. */
  finalize(status: number): void {
    if (this.status === 0) this.status = status
    this.close()
  }

  protected settle(): void {
    const r = asRequest(this)
    // First what it used is given back: then its numbers are final.
    this.cleanUp()
    for (const { run, conf } of this.server.logs) run(r, conf)
  }

  private cleanUp(): void {
    for (const cleanup of this.cleanups ?? []) cleanup()
  }

  closeNow(): void {
    const { awaited } = this
    this.finalize(awaited === HANDSHAKING ? 500 : awaited === HEADER ? 400 : 200)
  }

  onTimeout(): void {
    if (this.done) return
    const { awaited } = this
    const late = awaited === HEADER && this.entrance.held.length > 0
    if (late) this.logHeader()
    else if (awaited === HEADER) this.log(INFO, `client timed out (110: Connection timed out) while ${HEADER}`)
    else if (awaited === '') this.log(INFO, 'connection timed out (110: Connection timed out)')
    this.finalize(late ? 400 : awaited === HANDSHAKING ? 500 : 200)
  }
}
