// IMAP (RFC 3501) as far as it is spoken before a client has logged in: ngx_mail_imap_module.

import { MAIL, MAIL_SERVER, type Conf } from '../config/directive.ts'
import { bitmask, size } from '../config/values.ts'
import { CONTINUE, MailCommand, readAnswer } from '../codec/mail-command.ts'
import { endsInLiteral, readImapCommand } from '../codec/imap-command.ts'
import { capabilities, type Capabilities } from './capabilities.ts'
import { BAD, GOOD, MORE, type Dialogue, type Login, type MailProtocol } from './module.ts'
import { CRAM_MD5, EXTERNAL, LOGIN, mechanisms, PLAIN, Sasl } from './sasl.ts'
import type { MailSession } from './session.ts'

const anywhere = MAIL | MAIL_SERVER

export const imapDirectives = {
  imap_auth: bitmask(anywhere, { plain: PLAIN, login: LOGIN, 'cram-md5': CRAM_MD5, external: EXTERNAL }, PLAIN),
  imap_capabilities: capabilities(anywhere, ['IMAP4', 'IMAP4rev1', 'UIDPLUS']),
  imap_client_buffer: size(anywhere, 4096),
}

export function compileImap(conf: Conf<typeof imapDirectives>): MailProtocol {
  return new Imap(conf.imap_client_buffer, conf.imap_auth, conf.imap_capabilities)
}

class Imap implements MailProtocol {
  readonly name = 'imap'
  readonly internalError = '* BAD internal server error\r\n'
  readonly certificateError = '* BYE SSL certificate error\r\n'
  readonly noCertificate = '* BYE No required SSL certificate\r\n'
  readonly bufferSize: number
  readonly enabled: number
  readonly capabilities: Capabilities

  constructor(bufferSize: number, enabled: number, words: readonly string[]) {
    this.bufferSize = bufferSize
    this.enabled = enabled
    const line = (more: readonly string[]): string => `* CAPABILITY ${[...words, ...more].join(' ')}\r\n`
    const auth = mechanisms(enabled).map(name => `AUTH=${name}`)
    this.capabilities = {
      off: line(auth),
      on: line([...auth, 'STARTTLS']),
      only: line(['STARTTLS', 'LOGINDISABLED']),
    }
  }

  greet(session: MailSession): void {
    session.greet('* OK IMAP4 ready\r\n')
  }

  dialogue(session: MailSession): Dialogue {
    return new ImapDialogue(session, this)
  }

  refusal({ dialogue }: MailSession, message: string): string {
    return `${dialogue.command.tag}NO ${message}\r\n`
  }

  /** Name and password are literals: whatever is in them cannot be taken for a command. */
  login({ dialogue, login, password }: MailSession): Login {
    const { tag } = dialogue.command
    const secret = password ?? ''
    const steps = [
      { text: '', action: 'reading greeting from upstream', judge: begins('* OK') },
      { text: `${tag}LOGIN {${login.length}}\r\n`, action: 'sending LOGIN command to upstream', judge: begins('+') },
      { text: `${login} {${secret.length}}\r\n`, action: 'sending user name to upstream', judge: begins('+') },
      { text: `${secret}\r\n`, action: 'sending password to upstream', judge: tagged(tag) },
    ]
    return { steps, answer: null }
  }
}

function begins(text: string): (answer: string) => number {
  return answer => (answer.startsWith(text) ? GOOD : BAD)
}

/** Untagged lines may come first: what the server can do. */
function tagged(tag: string): (answer: string) => number {
  return answer => {
    let start = 0
    while (answer.startsWith('* ', start)) start = answer.indexOf('\r\n', start) + 2
    if (start === answer.length) return MORE
    return answer.startsWith(`${tag}OK`, start) ? GOOD : BAD
  }
}

class ImapDialogue implements Dialogue {
  readonly command = new MailCommand()
  private readonly session: MailSession
  private readonly protocol: Imap
  private readonly sasl: Sasl
  /** Literals that this command's client has been asked for. */
  private asked = 0

  constructor(session: MailSession, protocol: Imap) {
    this.session = session
    this.protocol = protocol
    this.sasl = new Sasl(session, '+ ', protocol.enabled)
  }

  read(text: string): number {
    if (this.sasl.pending) return readAnswer(text, this.command)
    const used = readImapCommand(text, this.asked, this.command)
    if (used === CONTINUE) this.asked++
    else if (used > 0) this.asked = 0
    return used
  }

  answer(): string | null {
    const { command } = this
    if (this.sasl.pending) return this.step(this.sasl.answer(command.args[0]!))
    switch (command.name) {
      case 'LOGIN':
        return this.login(command.args)
      case 'AUTHENTICATE':
        return this.step(this.sasl.begin(command.args))
      case 'CAPABILITY':
        return this.protocol.capabilities[this.session.startTls] + this.done
      case 'LOGOUT':
        this.session.quit = true
        return `* BYE\r\n${this.done}`
      case 'STARTTLS':
        return this.session.beginTls() ? this.done : this.bad
      default:
        return this.done
    }
  }

  private get done(): string {
    return `${this.command.tag}OK completed\r\n`
  }

  private get bad(): string {
    this.sasl.reset()
    return `${this.command.tag === '' ? '* ' : this.command.tag}BAD invalid command\r\n`
  }

  private step(step: string | null | false): string | null {
    return step === false ? this.bad : step
  }

  private login([login = '', password, ...others]: readonly string[]): string | null {
    const { session } = this
    if (session.mustStartTls || login === '' || password === undefined || others.length > 0) return this.bad
    session.login = login
    session.password = password
    return null
  }

  invalid(line: string): string {
    this.asked = 0
    // Of a literal that follows nobody knows what is in it.
    if (endsInLiteral(line)) this.session.quit = true
    return this.bad
  }

  restart(): void {
    this.asked = 0
    this.sasl.reset()
  }
}
