// What issuers have come to, for all threads: certificates with their keys, and answers to challenges. One thread writes it;
// it survives a reload.

import { SharedText } from '../../zone/shared-text.ts'
import type { ChallengeType } from './order.ts'
import type { StateFolder } from './state.ts'

export interface IssuedCertificate {
  readonly certificate: string
  readonly key: string
}

export interface Challenge {
  readonly type: ChallengeType
  readonly token: string
  readonly authorization: string
}

interface Contents {
  /** By the certificate's id. */
  readonly certificates: Readonly<Record<string, IssuedCertificate>>
  /** By identifier and token: several orders may be at the same name. */
  readonly challenges: Readonly<Record<string, Challenge>>
  /** By issuer: the account's key, where no file keeps it. */
  readonly accounts: Readonly<Record<string, string>>
  /** By the certificate's id: until when somebody is at it, in ms. */
  readonly taken: Readonly<Record<string, number>>
}

export const STORE_BYTES = 256 * 1024
const EMPTY: Contents = { certificates: {}, challenges: {}, accounts: {}, taken: {} }

export class AcmeStore {
  /** Where another master may have left answers, as the one that an upgrade has started. */
  beside: readonly StateFolder[] = []
  private text: SharedText | null = null
  private version = 0
  private contents: Contents = EMPTY

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
    return this.answerBeside('http-01', token)
  }

  /** The latest of that identifier. */
  challengeFor(identifier: string): Challenge | null {
    const { challenges } = this.current()
    const key = Object.keys(challenges).findLast(one => one.startsWith(`${identifier} `))
    if (key !== undefined) return challenges[key]!
    const type = 'tls-alpn-01'
    const authorization = this.answerBeside(type, identifier)
    return authorization === null ? null : { type, token: '', authorization }
  }

  private answerBeside(type: ChallengeType, key: string): string | null {
    for (const folder of this.beside) {
      const answer = folder.answerTo(type, key)
      if (answer !== null) return answer
    }
    return null
  }

  /** Is anybody at it: a thread of the configuration before, which finishes what it has begun? */
  isTaken(id: string): boolean {
    return (this.current().taken[id] ?? 0) > Date.now()
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

  addChallenge(identifier: string, challenge: Challenge): boolean {
    const contents = this.current()
    const challenges = { ...contents.challenges, [`${identifier} ${challenge.token}`]: challenge }
    return this.publish({ ...contents, challenges })
  }

  dropChallenge(identifier: string, token: string): void {
    const contents = this.current()
    const { [`${identifier} ${token}`]: _, ...challenges } = contents.challenges
    this.publish({ ...contents, challenges })
  }

  /** @param until in ms; 0: it is nobody's any more */
  take(id: string, until: number): void {
    const contents = this.current()
    const { [id]: _, ...others } = contents.taken
    this.publish({ ...contents, taken: until > 0 ? { ...others, [id]: until } : others })
  }

  private current(): Contents {
    const { text } = this
    if (text !== null && text.version !== this.version) {
      this.version = text.version
      // Threads that a reload has replaced may be of another version.
      this.contents = { ...EMPTY, ...(JSON.parse(text.read()) as Contents) }
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
