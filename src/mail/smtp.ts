// SMTP (RFC 5321, RFC 4954) as far as it is spoken before a client has logged in, or has named a recipient where nobody has to:
// ngx_mail_smtp_module.

import { MAIL, MAIL_SERVER, type Conf } from '../config/directive.ts'
import { bitmask, size, time } from '../config/values.ts'
import { escapeUri } from '../codec/h1/uri.ts'
import { SMTP } from '../codec/mail-command.ts'
import { INFO, ERR } from '../log/error-log.ts'
import { capabilities, type Capabilities } from './capabilities.ts'
import { findClientHost } from './client-host.ts'
import { LineDialogue } from './line-dialogue.ts'
import { BAD, GOOD, MORE, type Dialogue, type Login, type LoginStep, type MailProtocol } from './module.ts'
import { CRAM_MD5, EXTERNAL, LOGIN, mechanisms, NONE, PLAIN } from './sasl.ts'
import type { MailSession } from './session.ts'

const anywhere = MAIL | MAIL_SERVER

const METHODS = { plain: PLAIN, login: LOGIN, 'cram-md5': CRAM_MD5, external: EXTERNAL, none: NONE }

export const smtpDirectives = {
  smtp_auth: bitmask(anywhere, METHODS, PLAIN | LOGIN),
  smtp_capabilities: capabilities(anywhere, []),
  smtp_client_buffer: size(anywhere, 4096),
  smtp_greeting_delay: time(anywhere, 0),
}

const OK = '250 2.0.0 OK\r\n'
const BYE = '221 2.0.0 Bye\r\n'
const READY = '220 2.0.0 Start TLS\r\n'
const INVALID = '500 5.5.1 Invalid command\r\n'
const BAD_ARGUMENT = '501 5.5.4 Invalid argument\r\n'
const AUTH_REQUIRED = '530 5.7.1 Authentication required\r\n'
const BAD_SEQUENCE = '503 5.5.1 Bad sequence of commands\r\n'
/** Of who has no other code for a login that is refused. */
const REFUSED = '535 5.7.0'

/** @param serverName what it calls itself */
export function compileSmtp(conf: Conf<typeof smtpDirectives>, serverName: string): MailProtocol {
  return new Smtp(conf, serverName)
}

class Smtp implements MailProtocol {
  readonly name = 'smtp'
  readonly internalError = '451 4.3.2 Internal server error\r\n'
  readonly certificateError = '421 4.7.1 SSL certificate error\r\n'
  readonly noCertificate = '421 4.7.1 No required SSL certificate\r\n'
  readonly tooEarly = '503 5.5.0 Improper use of SMTP command pipelining\r\n'
  readonly bufferSize: number
  readonly enabled: number
  readonly serverName: string
  readonly capabilities: Capabilities
  private readonly delayMs: number

  constructor(conf: Conf<typeof smtpDirectives>, serverName: string) {
    this.bufferSize = conf.smtp_client_buffer
    this.enabled = conf.smtp_auth
    this.delayMs = conf.smtp_greeting_delay
    this.serverName = serverName
    const names = mechanisms(this.enabled)
    const auth = names.length === 0 ? [] : [`AUTH ${names.join(' ')}`]
    const words = [serverName, ...conf.smtp_capabilities]
    this.capabilities = {
      off: reply([...words, ...auth]),
      on: reply([...words, ...auth, 'STARTTLS']),
      only: reply([...words, 'STARTTLS']),
    }
  }

  greet(session: MailSession): void {
    findClientHost(session, () => session.greet(`220 ${this.serverName} ESMTP ready\r\n`, this.delayMs))
  }

  dialogue(session: MailSession): Dialogue {
    return new SmtpDialogue(session, this)
  }

  refusal(_session: MailSession, message: string, code: string): string {
    return `${code === '' ? REFUSED : code} ${message}\r\n`
  }

  login(session: MailSession): Login | null {
    const { smtp, method, login, server } = session
    const { xclient, smtpAuth } = server.proxy
    const steps: LoginStep[] = [{ text: '', action: 'reading greeting from upstream', judge: answers('220') }]
    const say = (text: string, action: string, judge = answers('250')): void =>
      void steps.push({ text: `${text}\r\n`, action, judge })
    const hello = smtp.extended || xclient ? 'EHLO' : 'HELO'
    say(`${hello} ${this.serverName}`, 'sending HELO/EHLO to upstream')
    if (xclient) {
      const told = login === '' || smtpAuth ? '' : ` LOGIN=${escapeUri(login, 'xtext')}`
      say(
        `XCLIENT ADDR=${told6(session)}${told} NAME=${session.host}`,
        'sending XCLIENT to upstream',
        answers('220', '250'),
      )
      if (smtp.helo !== '') {
        say(`${smtp.extended ? 'EHLO' : 'HELO'} ${smtp.helo}`, 'sending client HELO/EHLO to upstream')
      }
    }
    if (method === 'none') {
      say(smtp.from, 'sending MAIL FROM to upstream')
      say(smtp.to, 'sending RCPT TO to upstream', whole)
      return { steps, answer: null }
    }
    if (smtpAuth) {
      if (session.password === null) {
        session.log(ERR, 'no password available')
        return null
      }
      const secret = Buffer.from(`\0${login}\0${session.password}`, 'latin1').toString('base64')
      say(`AUTH PLAIN ${secret}`, 'sending AUTH to upstream', answers('235'))
    }
    return { steps, answer: '235 2.0.0 OK\r\n' }
  }
}

function told6({ clientAddress }: MailSession): string {
  return clientAddress.includes(':') && clientAddress !== 'unix:' ? `IPV6:${clientAddress}` : clientAddress
}

/** Lines of one answer (RFC 5321, 4.2.1). */
function reply(lines: readonly string[]): string {
  return lines.map((line, i) => `250${i === lines.length - 1 ? ' ' : '-'}${line}\r\n`).join('')
}

function isWhole(answer: string): boolean {
  const last = answer.lastIndexOf('\r\n', answer.length - 3)
  return answer[last < 0 ? 3 : last + 5] !== '-'
}

function answers(...codes: readonly string[]): (answer: string) => number {
  return answer => (!isWhole(answer) ? MORE : codes.some(code => answer.startsWith(code)) ? GOOD : BAD)
}

/** Whatever it is, the client gets to hear it. */
function whole(answer: string): number {
  return isWhole(answer) ? GOOD : MORE
}

class SmtpDialogue extends LineDialogue {
  private readonly protocol: Smtp

  constructor(session: MailSession, protocol: Smtp) {
    super(session, SMTP, '334 ', protocol.enabled, INVALID)
    this.protocol = protocol
  }

  protected override obey(): string | null {
    const { command, session } = this
    const { smtp } = session
    switch (command.name) {
      case 'HELO':
      case 'EHLO':
        return this.hello()
      case 'AUTH':
        return this.auth()
      case 'QUIT':
        session.quit = true
        return BYE
      case 'MAIL':
        return this.mail()
      case 'RCPT':
        return this.recipient()
      case 'RSET':
        smtp.from = ''
        smtp.to = ''
        return OK
      case 'NOOP':
        return OK
      case 'STARTTLS':
        return this.startTls()
      default:
        return this.invalid()
    }
  }

  private hello(): string {
    const { command, session } = this
    const { smtp } = session
    if (command.args.length !== 1) return BAD_ARGUMENT
    smtp.helo = command.args[0]!
    smtp.from = ''
    smtp.to = ''
    if (command.name === 'HELO') return `250 ${this.protocol.serverName}\r\n`
    smtp.extended = true
    return this.protocol.capabilities[session.startTls]
  }

  private auth(): string | null {
    const { command, session } = this
    if (session.mustStartTls) return this.invalid()
    return command.args.length === 0 ? BAD_ARGUMENT : this.step(this.sasl.begin(command.args))
  }

  private mail(): string {
    const { command, session } = this
    if ((this.protocol.enabled & NONE) === 0) {
      session.log(INFO, `client was rejected: "${command.line}"`)
      return AUTH_REQUIRED
    }
    if (session.smtp.from !== '') return BAD_SEQUENCE
    if (command.args.length === 0) return BAD_ARGUMENT
    session.smtp.from = command.line
    session.login = ''
    session.password = null
    return OK
  }

  private recipient(): string | null {
    const { command, session } = this
    if (session.smtp.from === '') return BAD_SEQUENCE
    if (command.args.length === 0) return BAD_ARGUMENT
    session.smtp.to = command.line
    session.method = 'none'
    return null
  }

  /** What was said before counts no more (RFC 3207, 4.2). */
  private startTls(): string {
    const { session } = this
    if (!session.beginTls()) return this.invalid()
    session.smtp.helo = ''
    session.smtp.from = ''
    session.smtp.to = ''
    return READY
  }
}
