// What issuers have come to, for all threads: certificates with their keys, and answers to challenges. One thread writes it;
// it survives a reload.

import { SharedText } from '../../zone/shared-text.ts'

export interface IssuedCertificate {
  readonly certificate: string
  readonly key: string
}

export interface Challenge {
  readonly type: 'http-01' | 'tls-alpn-01'
  readonly token: string
  readonly authorization: string
}

interface Contents {
  /** By the certificate's id. */
  readonly certificates: Readonly<Record<string, IssuedCertificate>>
  /** By identifier. */
  readonly challenges: Readonly<Record<string, Challenge>>
  /** By issuer: the account's key, where no file keeps it. */
  readonly accounts: Readonly<Record<string, string>>
}

export const STORE_BYTES = 256 * 1024

export class AcmeStore {
  private text: SharedText | null = null
  private version = 0
  private contents: Contents = { certificates: {}, challenges: {}, accounts: {} }

  use(memory: SharedArrayBuffer): void {
    this.text = new SharedText(memory)
  }

  certificate(id: string): IssuedCertificate | null {
    return this.current().certificates[id] ?? null
  }

  account(issuer: string): string | null {
    return this.current().accounts[issuer] ?? null
  }

  /** What an http-01 token is answered with. */
  authorizationOf(token: string): string | null {
    for (const challenge of Object.values(this.current().challenges)) {
      if (challenge.type === 'http-01' && challenge.token === token) return challenge.authorization
    }
    return null
  }

  challengeFor(identifier: string): Challenge | null {
    return this.current().challenges[identifier] ?? null
  }

  // For the thread that issues. False: there is no room for it, and nothing has changed.

  setCertificate(id: string, issued: IssuedCertificate): boolean {
    const contents = this.current()
    return this.publish({ ...contents, certificates: { ...contents.certificates, [id]: issued } })
  }

  setAccount(issuer: string, key: string): boolean {
    const contents = this.current()
    return this.publish({ ...contents, accounts: { ...contents.accounts, [issuer]: key } })
  }

  setChallenge(identifier: string, challenge: Challenge | null): boolean {
    const contents = this.current()
    const challenges = { ...contents.challenges }
    if (challenge === null) delete challenges[identifier]
    else challenges[identifier] = challenge
    return this.publish({ ...contents, challenges })
  }

  private current(): Contents {
    const { text } = this
    if (text !== null && text.version !== this.version) {
      this.version = text.version
      this.contents = JSON.parse(text.read()) as Contents
    }
    return this.contents
  }

  private publish(contents: Contents): boolean {
    // JSON in latin1: what is above is written as \u….
    const json = JSON.stringify(contents).replace(
      /[\u0100-\uffff]/g,
      character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
    return this.text !== null && this.text.write(json)
  }
}
