// What comes on a mail client's connection before anything is said: a PROXY protocol header, and TLS, at once or where the client
// has asked for it (STARTTLS). Certificates of clients are looked at here, and what comes too early is kept.

import { Opening } from '../http/session/opening.ts'
import { isRefused } from '../http/ssl/client-tls.ts'
import { INFO } from '../log/error-log.ts'
import { keep } from '../net/read-buffer.ts'
import { asRequest } from './module.ts'
import type { MailSession } from './session.ts'

const NOTHING = Buffer.alloc(0)

export class Entrance {
  private readonly session: MailSession
  private opening: Opening | null
  private received: Buffer = NOTHING

  constructor(session: MailSession) {
    const { proxyProtocol, tls } = session.listen
    this.session = session
    this.opening = proxyProtocol || tls ? new Opening(session) : null
  }

  /** Nothing has to come first. */
  get open(): boolean {
    return this.opening === null
  }

  /** TLS is what is awaited. */
  get handshaking(): boolean {
    return this.opening === null || this.opening.headed
  }

  /** TLS begins now, on a connection in use. */
  beginTls(): void {
    this.opening = new Opening(this.session, true)
  }

  read(chunk: Buffer): void {
    const bytes = this.received.length === 0 ? chunk : Buffer.concat([this.received, chunk])
    this.received = NOTHING
    this.pass(bytes)
  }

  /** Keeps what it is too early for. */
  hold(bytes: Buffer): void {
    if (bytes.length === 0) return
    this.received = this.received.length === 0 ? keep(bytes) : Buffer.concat([this.received, bytes])
  }

  /** Gives away what was kept. */
  take(): Buffer {
    const { received } = this
    this.received = NOTHING
    return received
  }

  private pass(bytes: Buffer): void {
    const { opening, session } = this
    if (opening === null) {
      this.hold(bytes)
      return
    }
    const { headed } = opening
    const used = opening.read(bytes, 0, bytes.length)
    if (used < 0) {
      session.closeNow()
      return
    }
    if (!headed && opening.headed) this.introduced()
    const rest = bytes.subarray(used)
    if (opening.done) this.opened(rest)
    else if (used > 0 && rest.length > 0) this.pass(rest)
    else this.hold(rest)
  }

  /** The PROXY protocol has told of the client. */
  private introduced(): void {
    const { session } = this
    for (const { run, conf } of session.server.access) run(asRequest(session), conf)
    if (session.listen.tls) session.action = 'SSL handshaking'
  }

  private opened(rest: Buffer): void {
    const { session } = this
    const { tls } = session
    this.opening = null
    if (tls === null && (session.listen.tls || session.startedTls)) {
      session.log(INFO, 'client sent plain text where TLS was to begin')
      session.closeNow()
      return
    }
    this.hold(rest)
    if (tls === null || tls.connection?.secured === true) session.handshakeDone()
  }

  /** What a client hears whose certificate is not good enough; '' for one that is, or that none is asked of. */
  verdict(): string {
    const { session } = this
    const { tls, server } = session
    if (tls === null) return ''
    const { fault } = tls
    if (isRefused(server.tls.verify, fault)) {
      session.log(INFO, `client SSL certificate verify error: (${fault.code}:${fault.reason})`)
      return server.protocol.certificateError
    }
    if (server.tls.verify !== 'on' || tls.certificate !== null) return ''
    session.log(INFO, 'client sent no required SSL certificate')
    return server.protocol.noCertificate
  }
}
