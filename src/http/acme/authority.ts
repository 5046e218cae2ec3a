// An authority as it is spoken to (RFC 8555): its directory, nonces, signed requests and what they are answered with.

import type { KeyObject } from 'node:crypto'
import type { TlsContext } from '../../net/openssl/context.ts'
import { fetchOnce, parseUrl, type Fetched } from '../fetch.ts'
import type { LocationResolver } from '../resolver.ts'
import { signedRequest } from './keys.ts'

/** The authority has said no. */
export class AcmeProblem extends Error {
  /** `malformed`, `rateLimited` …: RFC 8555, 6.7. */
  readonly type: string
  readonly status: number
  /** Seconds it asks us to wait, 0 if it does not say. */
  readonly retryAfter: number

  constructor(status: number, type: string, detail: string, retryAfter: number) {
    const what = type === '' ? `status ${status}` : type
    super(detail === '' ? what : `${what}: ${detail}`)
    this.status = status
    this.type = type
    this.retryAfter = retryAfter
  }
}

export interface Answer {
  readonly status: number
  /** Of the resource that was made. */
  readonly location: string
  readonly body: Buffer
  readonly json: any
  readonly retryAfter: number
}

interface Directory {
  readonly newNonce: string
  readonly newAccount: string
  readonly newOrder: string
  readonly meta?: { readonly termsOfService?: string; readonly externalAccountRequired?: boolean }
}

const TIMEOUT_MS = 60_000
const NONCE_TRIES = 5

export class Authority {
  directory: Directory | null = null
  /** '' until there is one. */
  accountUrl = ''
  private readonly uri: string
  private readonly tls: TlsContext
  private readonly verifies: boolean
  private readonly resolver: LocationResolver | null
  private readonly key: KeyObject
  private nonce = ''

  constructor(uri: string, tls: TlsContext, verifies: boolean, resolver: LocationResolver | null, key: KeyObject) {
    this.uri = uri
    this.tls = tls
    this.verifies = verifies
    this.resolver = resolver
    this.key = key
  }

  async open(): Promise<Directory> {
    if (this.directory !== null) return this.directory
    const answer = await this.fetch('GET', this.uri, null)
    const directory = jsonOf(answer) as Directory | null
    if (answer.status !== 200 || directory === null) throw problemOf(answer)
    for (const name of ['newNonce', 'newAccount', 'newOrder'] as const) {
      if (typeof directory[name] !== 'string') throw new Error(`the directory at "${this.uri}" has no "${name}"`)
    }
    this.directory = directory
    return directory
  }

  /** A signed request. Throws AcmeProblem unless it is answered with 2xx. */
  async post(url: string, payload: object | null): Promise<Answer> {
    for (let tries = 1; ; tries++) {
      const nonce = await this.takeNonce()
      const body = signedRequest(this.key, this.accountUrl, url, nonce, payload)
      const answer = await this.fetch('POST', url, body)
      if (answer.status >= 200 && answer.status < 300) return answerOf(answer)
      const problem = problemOf(answer)
      if (problem.type !== 'badNonce' || tries === NONCE_TRIES) throw problem
    }
  }

  private async takeNonce(): Promise<string> {
    const { nonce } = this
    this.nonce = ''
    if (nonce !== '') return nonce
    const { newNonce } = await this.open()
    const answer = await this.fetch('HEAD', newNonce, null)
    const fresh = this.nonce
    this.nonce = ''
    if (fresh !== '') return fresh
    throw answer.status >= 400 ? problemOf(answer) : new Error(`"${newNonce}" gave no nonce`)
  }

  private async fetch(method: string, url: string, body: string | null): Promise<Fetched> {
    const parts = parseUrl(url)
    if (parts === null) throw new Error(`invalid URL "${url}"`)
    const { secure, host, port, path } = parts
    const head = [
      `${method} ${path} HTTP/1.1`,
      `Host: ${host}:${port}`,
      'User-Agent: Portico',
      'Accept-Language: en',
      'Connection: close',
      ...(body === null ? [] : ['Content-Type: application/jose+json', `Content-Length: ${Buffer.byteLength(body)}`]),
    ]
    const target = {
      host,
      port,
      tls: secure ? this.tls : null,
      verifies: this.verifies,
      resolver: this.resolver,
      timeoutMs: TIMEOUT_MS,
      bodyless: method === 'HEAD',
    }
    const answer = await fetchOnce(target, Buffer.from(`${head.join('\r\n')}\r\n\r\n${body ?? ''}`))
    const nonce = answer.field('replay-nonce')
    if (nonce !== '') this.nonce = nonce
    return answer
  }
}

function answerOf(answer: Fetched): Answer {
  return {
    status: answer.status,
    location: answer.field('location'),
    body: answer.body,
    json: jsonOf(answer),
    retryAfter: retryAfterOf(answer),
  }
}

function jsonOf(answer: Fetched): unknown {
  try {
    return JSON.parse(answer.body.toString())
  } catch {
    // A certificate, or nothing.
    return null
  }
}

function problemOf(answer: Fetched): AcmeProblem {
  const { type = '', detail = '' } = (jsonOf(answer) ?? {}) as { type?: unknown; detail?: unknown }
  const kind = String(type).replace('urn:ietf:params:acme:error:', '')
  return new AcmeProblem(answer.status, kind, String(detail), retryAfterOf(answer))
}

/** Seconds, or a date (RFC 9110, 10.2.3). */
function retryAfterOf(answer: Fetched): number {
  const value = answer.field('retry-after')
  if (/^\d+$/.test(value)) return Number(value)
  const date = Date.parse(value)
  return Number.isNaN(date) ? 0 : Math.max(0, Math.ceil((date - Date.now()) / 1000))
}
