// POP3 (RFC 1939, RFC 5034) as far as it is spoken before a client has logged in: ngx_mail_pop3_module.

import { MAIL, MAIL_SERVER, type Conf } from '../config/directive.ts'
import { bitmask } from '../config/values.ts'
import { POP3 } from '../codec/mail-command.ts'
import { ERR } from '../log/error-log.ts'
import { capabilities, type Capabilities } from './capabilities.ts'
import { LineDialogue } from './line-dialogue.ts'
import { BAD, GOOD, type Dialogue, type Login, type MailProtocol } from './module.ts'
import { APOP, CRAM_MD5, EXTERNAL, LOGIN, mechanisms, PLAIN } from './sasl.ts'
import type { MailSession } from './session.ts'

const anywhere = MAIL | MAIL_SERVER

export const pop3Directives = {
  pop3_auth: bitmask(anywhere, { plain: PLAIN, apop: APOP, 'cram-md5': CRAM_MD5, external: EXTERNAL }, PLAIN),
  pop3_capabilities: capabilities(anywhere, ['TOP', 'USER', 'UIDL']),
}

/** A command, with what its name or password may be long. RFC 2449, 4: 255 bytes. */
const BUFFER_SIZE = 1024

const OK = '+OK\r\n'
const INVALID = '-ERR invalid command\r\n'

export function compilePop3(conf: Conf<typeof pop3Directives>): MailProtocol {
  const plain = (conf.pop3_auth & PLAIN) !== 0
  return new Pop3(plain ? conf.pop3_auth | LOGIN : conf.pop3_auth, conf.pop3_capabilities)
}

class Pop3 implements MailProtocol {
  readonly name = 'pop3'
  readonly bufferSize = BUFFER_SIZE
  readonly internalError = '-ERR internal server error\r\n'
  readonly certificateError = '-ERR SSL certificate error\r\n'
  readonly noCertificate = '-ERR No required SSL certificate\r\n'
  readonly enabled: number
  readonly capabilities: Capabilities
  /** Answers AUTH without an argument. */
  readonly mechanisms: string

  constructor(enabled: number, words: readonly string[]) {
    this.enabled = enabled
    const names = mechanisms(enabled)
    const listed = (first: string, lines: readonly string[]): string => [first, ...lines, '.', ''].join('\r\n')
    const told = (lines: readonly string[]): string => listed('+OK Capability list follows', lines)
    const usual = [...words, ['SASL', ...names].join(' ')]
    this.capabilities = {
      off: told(usual),
      on: told([...usual, 'STLS']),
      only: told([...words.filter(word => word.toUpperCase() !== 'USER'), 'STLS']),
    }
    this.mechanisms = listed('+OK methods supported:', names)
  }

  greet(session: MailSession): void {
    const salted = (this.enabled & (APOP | CRAM_MD5)) !== 0
    session.greet(salted ? `+OK POP3 ready ${session.saltText()}\r\n` : '+OK POP3 ready\r\n')
  }

  dialogue(session: MailSession): Dialogue {
    return new Pop3Dialogue(session, this)
  }

  refusal(_session: MailSession, message: string): string {
    return `-ERR ${message}\r\n`
  }

  login(session: MailSession): Login | null {
    const { login, password } = session
    // What AUTH has brought may be anything: as a line it must not become two.
    if (/[\r\n]/.test(`${login}${password}`)) {
      session.log(ERR, 'user name or password with a line break cannot be passed to upstream')
      return null
    }
    const judge = (answer: string): number => (answer.startsWith('+OK') ? GOOD : BAD)
    const steps = [
      { text: '', action: 'reading greeting from upstream', judge },
      { text: `USER ${login}\r\n`, action: 'sending user name to upstream', judge },
      { text: `PASS ${password ?? ''}\r\n`, action: 'sending password to upstream', judge },
    ]
    return { steps, answer: null }
  }
}

class Pop3Dialogue extends LineDialogue {
  private readonly protocol: Pop3
  /** USER has been said. */
  private named = false

  constructor(session: MailSession, protocol: Pop3) {
    super(session, POP3, '+ ', protocol.enabled, INVALID)
    this.protocol = protocol
  }

  protected override obey(): string | null {
    const { command, session } = this
    if (command.name === 'NOOP') return OK
    if (command.name === 'QUIT') {
      session.quit = true
      return OK
    }
    // Once named, a client is not told of TLS: it would have to begin again.
    if (command.name === 'CAPA') return this.protocol.capabilities[this.named ? 'off' : session.startTls]
    return this.named ? this.password() : this.begin()
  }

  private begin(): string | null {
    const { command, session } = this
    switch (command.name) {
      case 'USER':
        return this.user()
      case 'APOP':
        return this.apop()
      case 'AUTH':
        if (session.mustStartTls) return this.invalid()
        return command.args.length === 0 ? this.protocol.mechanisms : this.step(this.sasl.begin(command.args))
      case 'STLS':
        return session.beginTls() ? OK : this.invalid()
      default:
        return this.invalid()
    }
  }

  private user(): string {
    const { command, session } = this
    if (session.mustStartTls || command.args.length !== 1) return this.invalid()
    session.login = command.args[0]!
    this.named = true
    return OK
  }

  private password(): string | null {
    const { command, session } = this
    if (command.name !== 'PASS' || command.args.length !== 1) return this.invalid()
    session.password = command.args[0]!
    return null
  }

  private apop(): string | null {
    const { command, session } = this
    if (session.mustStartTls || command.args.length !== 2 || (this.protocol.enabled & APOP) === 0) return this.invalid()
    session.login = command.args[0]!
    session.password = command.args[1]!
    session.method = 'apop'
    return null
  }

  override restart(): void {
    super.restart()
    this.named = false
  }
}
