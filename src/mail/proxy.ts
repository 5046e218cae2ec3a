// A logged-in client's server (ngx_mail_proxy_module): it is connected to, the client is logged in there with what it has told
// us, and from then on bytes go both ways, each side read only as fast as the other takes them.

import { MAIL, MAIL_SERVER, type Conf } from '../config/directive.ts'
import { accepted, choice, flag, size, time } from '../config/values.ts'
import { introduction } from '../http/session/introduction.ts'
import { errorText } from '../lib/errno.ts'
import { ALERT, ERR, INFO } from '../log/error-log.ts'
import { opensslText } from '../net/tls-errors.ts'
import { connectionRefusal } from '../upstream/connection-limit.ts'
import type { Peer } from '../upstream/peer.ts'
import { PeerConnection, type PeerUser } from '../upstream/peer-connection.ts'
import { GOOD, MORE, type Login } from './module.ts'
import type { MailSession } from './session.ts'

const anywhere = MAIL | MAIL_SERVER

/** Of the PROXY protocol; null: it is not spoken. */
type ProxyVersion = 'v1' | 'v2' | null

export const proxyDirectives = {
  proxy: accepted(flag(anywhere, false)),
  proxy_buffer: size(anywhere, 4096),
  proxy_pass_error_message: flag(anywhere, false),
  proxy_protocol: choice<ProxyVersion, null>(anywhere, { off: null, on: 'v1', v1: 'v1', v2: 'v2' }, null),
  proxy_smtp_auth: flag(anywhere, false),
  proxy_timeout: time(anywhere, 86_400_000),
  xclient: flag(anywhere, true),
}

export interface ProxySettings {
  /** Bytes that an answer to a step of the login may have. */
  readonly bufferSize: number
  readonly passesErrors: boolean
  readonly proxyProtocol: ProxyVersion
  readonly smtpAuth: boolean
  readonly timeout: number
  readonly xclient: boolean
}

export function compileProxy(conf: Conf<typeof proxyDirectives>): ProxySettings {
  return {
    bufferSize: conf.proxy_buffer,
    passesErrors: conf.proxy_pass_error_message,
    proxyProtocol: conf.proxy_protocol,
    smtpAuth: conf.proxy_smtp_auth,
    timeout: conf.proxy_timeout,
    xclient: conf.xclient,
  }
}

export class MailExchange implements PeerUser {
  readonly name: string
  private readonly session: MailSession
  private readonly settings: ProxySettings
  private readonly peer: Peer
  private readonly login: Login
  private link: PeerConnection | null = null
  /** The step that is being answered. */
  private step = 0
  private answer = ''
  private relaying = false
  private clientDone = false
  private upstreamDone = false

  constructor(session: MailSession, peer: Peer, login: Login) {
    this.session = session
    this.settings = session.server.proxy
    this.peer = peer
    this.name = peer.name
    this.login = login
  }

  start(): void {
    const refusal = connectionRefusal()
    if (refusal !== '') {
      this.fail(ALERT, refusal)
      return
    }
    this.link = new PeerConnection(this.peer, this)
    this.link.watch(this.session.server.timeout)
  }

  stop(): void {
    this.link?.close()
    this.link = null
  }

  // ── logging in ───────────────────────────────────────────────────────────────────────────────────────────────────

  onConnect(): void {
    const { session, settings } = this
    if (settings.proxyProtocol === null) return
    session.action = 'sending PROXY protocol header to upstream'
    this.link!.connection.writeText(introduction(session, settings.proxyProtocol))
  }

  onData(chunk: Buffer): void {
    if (this.relaying) {
      this.touch()
      if (!this.session.connection.writeVolatile(chunk)) this.link!.connection.pause()
      return
    }
    this.session.action = 'reading response from upstream'
    const { bufferSize } = this.settings
    this.answer += chunk.toString('latin1')
    const whole = this.answer.length >= 4 && this.answer.endsWith('\r\n')
    if (this.answer.length > bufferSize || (!whole && this.answer.length === bufferSize)) this.refuseLong()
    else if (whole) this.judge()
  }

  private judge(): void {
    const verdict = this.login.steps[this.step]!.judge(this.answer)
    if (verdict === GOOD) this.proceed()
    else if (verdict !== MORE) this.refuse()
    else if (this.answer.length >= this.settings.bufferSize) this.refuseLong()
  }

  private proceed(): void {
    this.step++
    const { steps, answer } = this.login
    const next = steps[this.step]
    if (next === undefined) {
      this.relay(answer ?? this.answer)
      return
    }
    this.answer = ''
    this.session.action = next.action
    this.link!.connection.writeText(next.text)
  }

  private refuseLong(): void {
    this.fail(ERR, `upstream sent too long response line: "${this.answer.slice(0, this.settings.bufferSize)}"`)
  }

  private refuse(): void {
    const { session, answer } = this
    const problem = `upstream sent invalid response: "${answer.trimEnd()}"`
    if (!this.settings.passesErrors) {
      this.fail(ERR, problem)
      return
    }
    session.log(INFO, problem)
    session.end(answer)
  }

  private fail(level: number, problem: string): void {
    this.session.log(level, problem)
    this.session.fail()
  }

  // ── passing on ───────────────────────────────────────────────────────────────────────────────────────────────────

  private relay(answer: string): void {
    const { session } = this
    this.relaying = true
    this.link!.unwatch()
    session.action = ''
    session.log(INFO, 'client logged in')
    session.action = 'proxying'
    this.touch()
    const said = session.proxied(answer)
    if (said !== '' && !this.link!.connection.writeText(said)) session.connection.pause()
  }

  /** Who says nothing for long is given up, whichever side it is. */
  private touch(): void {
    this.session.watch(this.settings.timeout)
  }

  fromClient(chunk: Buffer): void {
    this.touch()
    if (!this.link!.connection.writeVolatile(chunk)) this.session.connection.pause()
  }

  clientDrained(): void {
    if (this.upstreamDone) this.finish()
    else this.link?.connection.resume()
  }

  clientEnded(): void {
    this.clientDone = true
    if (this.upstreamDone || this.link === null || this.link.connection.pending === 0) this.finish()
  }

  onDrain(): void {
    if (!this.relaying) return
    if (this.clientDone) this.finish()
    else this.session.connection.resume()
  }

  onEnd(): void {
    if (!this.relaying) {
      this.session.action = 'reading response from upstream'
      this.fail(ERR, 'upstream prematurely closed connection')
      return
    }
    this.upstreamDone = true
    if (this.clientDone || this.session.connection.pending === 0) this.finish()
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    if (this.relaying) this.broken(error, 'upstream')
    else if (error === null) this.onEnd()
    else {
      if (error.syscall !== 'connect') this.session.action = 'reading response from upstream'
      this.fail(ERR, `${error.syscall === 'connect' ? 'connect' : 'recv'}() failed (${errorText(error)})`)
    }
  }

  onTimeout(): void {
    this.fail(ERR, 'upstream timed out (110: Connection timed out)')
  }

  /** One side is gone. */
  broken(error: NodeJS.ErrnoException | null, side: 'client' | 'upstream'): void {
    const { session } = this
    if (error !== null) {
      const tls = opensslText(error)
      const [call, doing] = error.syscall === 'write' ? ['send', 'sending to'] : ['recv', 'reading from']
      session.action = `proxying and ${doing} ${side}`
      const problem = tls === null ? `${call}() failed (${errorText(error)})` : `SSL_read() failed (SSL: ${tls})`
      session.log(side === 'client' ? INFO : ERR, problem)
    }
    this.finish()
  }

  private finish(): void {
    const { session } = this
    session.action = ''
    session.log(INFO, 'proxied session done')
    session.closeNow()
  }
}
