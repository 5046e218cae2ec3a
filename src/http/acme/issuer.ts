// An issuer at work, in one thread: gets the certificates that are asked of it, renews each when two thirds of its time are
// over, and tries again, later and later, what has failed.

import { createHash, createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto'
import { ERR, INFO, NOTICE, WARN, type ErrorLog } from '../../log/error-log.ts'
import type { TlsContext } from '../../net/openssl/context.ts'
import type { LocationResolver } from '../resolver.ts'
import { AcmeProblem, Authority } from './authority.ts'
import { keyPem, newKey, type KeyKind } from './keys.ts'
import { issue, type Account, type ChallengeType } from './order.ts'
import type { StateFiles, StateFolder } from './state.ts'
import type { AcmeStore, IssuedCertificate } from './store.ts'

export interface IssuerSettings {
  readonly name: string
  readonly uri: string
  /** A key's kind, or the PEM text of one. */
  readonly accountKey: KeyKind | string
  readonly challenge: ChallengeType
  readonly contacts: readonly string[]
  readonly acceptsTerms: boolean
  readonly external: Account['external']
  readonly profile: string
  readonly tls: TlsContext
  readonly verifies: boolean
  readonly resolver: LocationResolver | null
  /** null: nothing is kept. */
  readonly state: StateFolder | null
}

export interface CertificateOrder {
  readonly id: string
  readonly identifiers: readonly string[]
  readonly key: KeyKind
}

const ACCOUNT_KEY = 'account.key'
const NO_ROOM = '"acme_shared_zone" is too small'
/** Of a certificate's time, when a new one is asked for. */
const RENEWAL = 2 / 3
const RETRY_FIRST_MS = 10_000
const RETRY_MAX_MS = 6 * 3_600_000
/** Of what an authority asks us to wait. */
const ASKED_MAX_MS = 24 * 3_600_000
/** For so long a certificate is somebody's who does not say so again, and so often others look. */
const TAKEN_MS = 10_000
const LOOK_MS = 1000
/** What could not be kept on disk is written again so often. */
const KEEP_AGAIN_MS = 600_000
/** Longer timers do not exist. */
const SLEEP_MAX_MS = 24 * 3_600_000

/** The same for the same wishes: what a restart finds again. */
export function certificateId(issuer: string, identifiers: readonly string[], { type, bits }: KeyKind): string {
  const wish = [issuer, ...identifiers, type, bits].join(' ')
  const first = identifiers[0]!.replace(/[^a-z0-9.-]/gi, '_')
  return `${first}-${createHash('sha256').update(wish, 'latin1').digest('hex').slice(0, 16)}`
}

export class Issuer {
  private readonly settings: IssuerSettings
  private readonly orders: readonly CertificateOrder[]
  private readonly store: AcmeStore
  private readonly errorLog: ErrorLog
  private readonly retryMs: number
  private readonly timers = new Map<string, NodeJS.Timeout>()
  private readonly failures = new Map<string, number>()
  /** What is in use and could not be written to the state folder, by what it is. */
  private readonly unkept = new Map<string, StateFiles>()
  /** Certificates for which the shared memory has no room. */
  private readonly unplaced = new Map<string, IssuedCertificate>()
  private authority: Authority | null = null
  private account: Account | null = null
  /** One order after the other. */
  private queue: Promise<void> = Promise.resolve()
  private stopped = false

  /** @param retryMs after which what has failed is tried again for the first time */
  constructor(
    settings: IssuerSettings,
    orders: readonly CertificateOrder[],
    store: AcmeStore,
    errorLog: ErrorLog,
    retryMs = RETRY_FIRST_MS,
  ) {
    this.settings = settings
    this.orders = orders
    this.store = store
    this.errorLog = errorLog
    this.retryMs = retryMs
  }

  /** What is on disk is there before the first client; the rest follows. */
  start(): void {
    this.settings.state?.forgetStale()
    for (const order of this.orders) {
      const issued = this.store.certificate(order.id)
      if (issued === null) this.load(order)
      else if (this.isLost(order)) this.keep(order.id, filesOf(order, issued))
      this.schedule(order, this.untilRenewal(order))
    }
  }

  /** What is being got is got all the same, for those that go on. */
  stop(): void {
    this.stopped = true
    for (const timer of this.timers.values()) clearTimeout(timer)
  }

  private load(order: CertificateOrder): void {
    const kept = this.kept(order)
    if (kept !== null) this.store.setCertificate(order.id, kept)
  }

  /** What the state folder has. */
  private kept({ id }: CertificateOrder): IssuedCertificate | null {
    const { state, name } = this.settings
    if (state === null) return null
    try {
      const certificate = state.read(`${id}.crt`)
      const key = state.read(`${id}.key`)
      if (certificate === null || key === null) return null
      if (new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key))) return { certificate, key }
      this.log(WARN, `issuer "${name}": the key of "${id}" in the state folder is another certificate's`)
    } catch (error) {
      this.log(WARN, `issuer "${name}": cannot load "${id}" from the state folder: ${(error as Error).message}`)
    }
    return null
  }

  /** Milliseconds; 0: there is none, or its time has come. */
  private untilRenewal({ id }: CertificateOrder): number {
    const issued = this.store.certificate(id)
    return issued === null ? 0 : untilRenewalOf(issued)
  }

  private schedule(order: CertificateOrder, ms: number): void {
    if (this.stopped) return
    const timer = setTimeout(() => this.due(order), Math.min(ms, this.unkept.size === 0 ? SLEEP_MAX_MS : KEEP_AGAIN_MS))
    this.timers.set(order.id, timer.unref())
  }

  private due(order: CertificateOrder): void {
    for (const [what, files] of this.unkept) this.keep(what, files)
    const left = this.failures.has(order.id) ? 0 : this.untilRenewal(order)
    if (left > 0) this.schedule(order, left)
    else if (this.store.isTaken(order.id)) this.schedule(order, LOOK_MS)
    else this.queue = this.queue.then(() => this.issue(order))
  }

  private async issue(order: CertificateOrder): Promise<void> {
    if (this.stopped) return
    const { name } = this.settings
    const { id, identifiers } = order
    try {
      const how = await this.get(order)
      this.failures.delete(id)
      this.log(NOTICE, `issuer "${name}": certificate ${how} for ${identifiers.join(', ')}`)
      this.schedule(order, Math.max(this.untilRenewal(order), this.retryMs))
    } catch (error) {
      const failures = (this.failures.get(id) ?? 0) + 1
      this.failures.set(id, failures)
      const ms = pause(this.retryMs, failures, error instanceof AcmeProblem ? error.retryAfter : 0)
      // It may be that the authority has another directory by now, or does not know the account any more.
      this.account = null
      const why = (error as Error).message
      this.log(
        ERR,
        `issuer "${name}": no certificate for ${identifiers.join(', ')}: ${why}, next try in ${Math.round(ms / 1000)} s`,
      )
      this.schedule(order, ms)
    }
  }

  /** @returns how it was got */
  private async get(order: CertificateOrder): Promise<string> {
    const { id } = order
    // Another master may have got it, or there was no room for it.
    const got = this.unplaced.get(id) ?? this.kept(order)
    if (got !== null && untilRenewalOf(got) > 0) {
      this.place(id, got)
      return 'found'
    }
    const hold = (): void => this.store.take(id, Date.now() + TAKEN_MS)
    const holding = setInterval(hold, TAKEN_MS / 4).unref()
    hold()
    try {
      const issued = await this.ask(order)
      this.keep(id, filesOf(order, issued))
      this.place(id, issued)
      const until = new X509Certificate(issued.certificate).validTo
      if (untilRenewalOf(issued) === 0)
        throw new Error(`the one that was issued is good until ${until}: is this machine's clock right?`)
      return 'issued'
    } finally {
      clearInterval(holding)
      this.store.take(id, 0)
    }
  }

  private place(id: string, issued: IssuedCertificate): void {
    this.unplaced.set(id, issued)
    if (!this.store.setCertificate(id, issued)) throw new Error(NO_ROOM)
    this.unplaced.delete(id)
  }

  private async ask({ identifiers, key: kind }: CertificateOrder): Promise<IssuedCertificate> {
    const { challenge, state } = this.settings
    const account = await this.registered()
    const key = await newKey(kind)
    const certificate = await issue(this.authority!, account, identifiers, key, challenge, {
      show: (type, identifier, token, authorization) => {
        const name = identifier.toLowerCase()
        if (!this.store.addChallenge(name, { type, token, authorization })) throw new Error(NO_ROOM)
        state?.setAnswer(type, type === 'http-01' ? token : name, authorization)
      },
      hide: (identifier, token) => {
        const name = identifier.toLowerCase()
        this.store.dropChallenge(name, token)
        state?.setAnswer(challenge, challenge === 'http-01' ? token : name, null)
      },
    })
    if (!fits(certificate, key)) throw new Error('the certificate is for another key')
    return { certificate, key: keyPem(key) }
  }

  /** Has it never come to the disk? What somebody else has put there is not ours to replace. */
  private isLost({ id }: CertificateOrder): boolean {
    const { state } = this.settings
    try {
      return state !== null && (state.read(`${id}.key`) === null || state.read(`${id}.crt`) === null)
    } catch {
      // Why, is told when it is written.
      return true
    }
  }

  /** It is used all the same where the disk is full, and kept later: authorities do not give another one at will. */
  private keep(what: string, files: StateFiles): void {
    const { name, state } = this.settings
    if (state === null) return
    try {
      if (Object.entries(files).some(([file, text]) => state.read(file) !== text)) state.write(files)
      this.unkept.delete(what)
    } catch (error) {
      if (!this.unkept.has(what))
        this.log(WARN, `issuer "${name}": cannot keep "${what}" in the state folder: ${(error as Error).message}`)
      this.unkept.set(what, files)
    }
  }

  private async registered(): Promise<Account> {
    if (this.account !== null) return this.account
    const { settings } = this
    const key = await this.accountKey()
    const { contacts, acceptsTerms, external, profile } = settings
    this.authority = new Authority(settings.uri, settings.tls, settings.verifies, settings.resolver, key)
    this.account = { key, contacts, acceptsTerms, external, profile }
    return this.account
  }

  private async accountKey(): Promise<KeyObject> {
    const { accountKey, name, state } = this.settings
    if (typeof accountKey === 'string') return createPrivateKey(accountKey)
    let text = this.store.account(name) ?? state?.read(ACCOUNT_KEY) ?? null
    if (text === null) {
      text = keyPem(await newKey(accountKey))
      if (!this.store.setAccount(name, text)) throw new Error(NO_ROOM)
      this.log(INFO, `issuer "${name}": new account key`)
    }
    this.keep('account key', { [ACCOUNT_KEY]: text })
    try {
      return createPrivateKey(text)
    } catch (error) {
      throw new Error(`"${ACCOUNT_KEY}" in the state folder is no key: ${(error as Error).message}`, { cause: error })
    }
  }

  private log(level: number, message: string): void {
    this.errorLog.log(level, `acme: ${message}`)
  }
}

function untilRenewalOf({ certificate }: IssuedCertificate): number {
  const { validFromDate, validToDate } = new X509Certificate(certificate)
  const [from, to] = [validFromDate.getTime(), validToDate.getTime()]
  return Math.max(0, from + (to - from) * RENEWAL - Date.now())
}

/** Nobody waits exactly as long as everybody else, and nobody less than was asked. @returns ms */
function pause(first: number, failures: number, retryAfter: number): number {
  const own = Math.min(first * 2 ** (failures - 1), RETRY_MAX_MS)
  const asked = Math.min(retryAfter * 1000, ASKED_MAX_MS)
  return Math.round(Math.max(asked, own * 0.9) + own * 0.2 * Math.random())
}

function fits(certificate: string, key: KeyObject): boolean {
  try {
    return new X509Certificate(certificate).checkPrivateKey(key)
  } catch (error) {
    throw new Error('what the authority gives is no certificate', { cause: error })
  }
}

function filesOf({ id }: CertificateOrder, { certificate, key }: IssuedCertificate): StateFiles {
  return { [`${id}.key`]: key, [`${id}.crt`]: certificate }
}
