// Who a client is, as SASL mechanisms tell it: PLAIN (RFC 4616), LOGIN, CRAM-MD5 (RFC 2195), EXTERNAL (RFC 4422, appendix A).
// Nothing is verified here; auth-http.ts asks somebody who can.

import { randomInt } from 'node:crypto'
import { INFO } from '../log/error-log.ts'
import type { MailSession } from './session.ts'

/** As the authentication server is told; `none` is SMTP without any. */
export type Method = 'plain' | 'apop' | 'cram-md5' | 'external' | 'none'

/** The mechanisms that can be switched on, as bits. */
export const PLAIN = 1
export const LOGIN = 2
export const APOP = 4
export const CRAM_MD5 = 8
export const EXTERNAL = 16
export const NONE = 32

const NAMES: readonly (readonly [bit: number, name: string])[] = [
  [PLAIN, 'PLAIN'],
  [LOGIN, 'LOGIN'],
  [CRAM_MD5, 'CRAM-MD5'],
  [EXTERNAL, 'EXTERNAL'],
]

/** What clients are told that they can use. */
export function mechanisms(enabled: number): string[] {
  return NAMES.flatMap(([bit, name]) => ((enabled & bit) === 0 ? [] : [name]))
}

/** A challenge that nobody was given before (RFC 1939, 7). */
export function makeSalt(serverName: string): string {
  return `<${randomInt(2 ** 47)}.${Math.floor(Date.now() / 1000)}@${serverName}>`
}

const USERNAME = 'VXNlcm5hbWU6'
const PASSWORD = 'UGFzc3dvcmQ6'
const MD5_LENGTH = 32

/** What a step has come to: a challenge, null when all has been said, false if it cannot be understood. */
type Step = string | null | false

export class Sasl {
  private readonly session: MailSession
  private readonly prefix: string
  private readonly enabled: number
  private awaited: 'nothing' | 'username' | 'password' | 'plain' | 'cram-md5' | 'external' = 'nothing'

  /** @param prefix of challenges @param enabled as bits */
  constructor(session: MailSession, prefix: string, enabled: number) {
    this.session = session
    this.prefix = prefix
    this.enabled = enabled
  }

  /** Is the client's next line the answer to a challenge? */
  get pending(): boolean {
    return this.awaited !== 'nothing'
  }

  reset(): void {
    this.awaited = 'nothing'
  }

  /** The arguments of AUTH, AUTHENTICATE: a mechanism, and perhaps its first answer (RFC 4959). */
  begin([mechanism = '', first, ...others]: readonly string[]): Step {
    if (this.session.mustStartTls || others.length > 0) return false
    switch (mechanism.toUpperCase()) {
      case 'LOGIN':
        return first === undefined ? this.ask('username', USERNAME) : this.username(first)
      case 'PLAIN':
        return first === undefined ? this.ask('plain', '') : this.plain(first)
      case 'CRAM-MD5':
        if (first !== undefined || (this.enabled & CRAM_MD5) === 0) return false
        return this.ask('cram-md5', Buffer.from(this.session.saltText(), 'latin1').toString('base64'))
      case 'EXTERNAL':
        if ((this.enabled & EXTERNAL) === 0) return false
        return first === undefined ? this.ask('external', USERNAME) : this.external(first)
      default:
        return false
    }
  }

  answer(text: string): Step {
    const { awaited } = this
    this.reset()
    if (awaited === 'username') return this.username(text)
    if (awaited === 'password') return this.password(text)
    if (awaited === 'plain') return this.plain(text)
    return awaited === 'cram-md5' ? this.cramMd5(text) : this.external(text)
  }

  private ask(awaited: Sasl['awaited'], challenge: string): string {
    this.awaited = awaited
    return `${this.prefix}${challenge}\r\n`
  }

  private plain(encoded: string): Step {
    const text = this.decoded(encoded, 'PLAIN')
    if (text === null) return false
    // Whom to act as, who it is, and the password.
    const [, login, ...password] = text.split('\0')
    if (login === undefined || (login === '' && password.length === 0))
      return this.refuse('invalid login in AUTH PLAIN command')
    if (password.length === 0) return this.refuse('invalid password in AUTH PLAIN command')
    this.session.login = login
    this.session.password = password.join('\0')
    return null
  }

  private username(encoded: string): Step {
    const text = this.decoded(encoded, 'LOGIN')
    if (text === null) return false
    this.session.login = text
    return this.ask('password', PASSWORD)
  }

  private password(encoded: string): Step {
    const text = this.decoded(encoded, 'LOGIN')
    if (text === null) return false
    this.session.password = text
    return null
  }

  private cramMd5(encoded: string): Step {
    const text = this.decoded(encoded, 'CRAM-MD5')
    if (text === null) return false
    const space = text.indexOf(' ')
    const hash = text.slice(space + 1)
    this.session.login = space < 0 ? text : text.slice(0, space)
    if (space < 0 || hash.length !== MD5_LENGTH) return this.refuse('invalid CRAM-MD5 hash in AUTH CRAM-MD5 command')
    this.session.password = hash
    this.session.method = 'cram-md5'
    return null
  }

  private external(encoded: string): Step {
    const text = this.decoded(encoded, 'EXTERNAL')
    if (text === null) return false
    this.session.login = text
    this.session.method = 'external'
    return null
  }

  private decoded(encoded: string, mechanism: string): string | null {
    const text = decodeBase64(encoded)
    if (text === null) this.refuse(`invalid base64 encoding in AUTH ${mechanism} command`)
    return text
  }

  private refuse(what: string): false {
    this.session.log(INFO, `client sent ${what}`)
    return false
  }
}

/** null: it is none. What stands behind a padding is of no interest (ngx_decode_base64). */
function decodeBase64(encoded: string): string | null {
  const [digits] = encoded.split('=', 1)
  if (!/^[A-Za-z0-9+/]*$/.test(digits!) || digits!.length % 4 === 1) return null
  return Buffer.from(digits!, 'base64').toString('latin1')
}
