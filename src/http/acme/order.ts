// From names to a certificate for them (RFC 8555, 7.4): account, order, a challenge for each name, request, certificate.

import type { KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { AcmeProblem, type Answer, type Authority } from './authority.ts'
import { externalBinding, keyAuthorization } from './keys.ts'
import { certificateRequest } from './requests.ts'

export type ChallengeType = 'http-01' | 'tls-alpn-01'

/** Shows the authority what it wants to see, in all threads. */
export interface Responder {
  show(type: ChallengeType, identifier: string, token: string, authorization: string): void
  hide(identifier: string, token: string): void
}

export interface Account {
  readonly key: KeyObject
  readonly contacts: readonly string[]
  readonly acceptsTerms: boolean
  readonly external: { readonly kid: string; readonly mac: Buffer } | null
  readonly profile: string
}

/** For how long a resource may be on its way, and how often it is asked for. */
const SETTLED_MAX_MS = 600_000
const POLL_MS = 1000
const POLL_MAX_MS = 10_000
/** As often as the authority likes, within reason. */
const ASKED_MAX_MS = 60_000

/** Registers, or finds out that we are. Safe to be repeated (RFC 8555, 7.3). */
export async function register(authority: Authority, account: Account): Promise<void> {
  if (authority.accountUrl !== '') return
  const { newAccount, meta } = await authority.open()
  if (meta?.termsOfService !== undefined && !account.acceptsTerms) {
    throw new Error(`the terms of service at "${meta.termsOfService}" must be agreed to with "accept_terms_of_service"`)
  }
  if (meta?.externalAccountRequired === true && account.external === null) {
    throw new Error('the authority wants an "external_account_key"')
  }
  const { external } = account
  const binding = external === null ? null : externalBinding(account.key, external.kid, external.mac, newAccount)
  const { location } = await authority.post(newAccount, {
    ...(account.acceptsTerms ? { termsOfServiceAgreed: true } : {}),
    ...(account.contacts.length > 0 ? { contact: account.contacts } : {}),
    ...(binding === null ? {} : { externalAccountBinding: binding }),
  })
  if (location === '') throw new Error('the authority has not said where the account is')
  authority.accountUrl = location
}

/** @returns the certificate and those behind it, in PEM */
export async function issue(
  authority: Authority,
  account: Account,
  identifiers: readonly string[],
  key: KeyObject,
  type: ChallengeType,
  responder: Responder,
): Promise<string> {
  await register(authority, account)
  const { newOrder } = await authority.open()
  const wanted = identifiers.map(value => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }))
  const profile = account.profile === '' ? {} : { profile: account.profile }
  const made = await authority.post(newOrder, { identifiers: wanted, ...profile })
  if (made.location === '') throw new Error('the authority has not said where the order is')
  const finalize = textOf(made.json, 'finalize', 'the order')
  for (const url of listOf(made.json, 'authorizations', 'the order')) {
    await authorize(authority, account, url, type, responder)
  }
  const ready = await settled(authority, made.location, order => order.status !== 'pending')
  if (ready.status === 'invalid') throw refusal('the order', ready)
  const csr = certificateRequest(key, identifiers).toString('base64url')
  await authority.post(finalize, { csr })
  const order = await settled(authority, made.location, ({ status }) => status === 'valid' || status === 'invalid')
  if (order.status !== 'valid') throw refusal('the order', order)
  return (await authority.post(textOf(order, 'certificate', 'the order'), null)).body.toString('latin1')
}

async function authorize(
  authority: Authority,
  account: Account,
  url: string,
  type: ChallengeType,
  responder: Responder,
): Promise<void> {
  const { json } = await authority.post(url, null)
  if (json?.status === 'valid') return
  const identifier = textOf(json?.identifier, 'value', 'the authorization')
  const challenge = listOf(json, 'challenges', 'the authorization').find(one => one?.type === type)
  if (challenge === undefined) throw new Error(`the authority offers no "${type}" challenge for "${identifier}"`)
  const token = textOf(challenge, 'token', 'the challenge')
  responder.show(type, identifier, token, keyAuthorization(token, account.key))
  try {
    await authority.post(textOf(challenge, 'url', 'the challenge'), {})
    const done = await settled(authority, url, ({ status }) => status !== 'pending')
    if (done.status !== 'valid') throw refusal(`the authorization of "${identifier}"`, done)
  } finally {
    responder.hide(identifier, token)
  }
}

function textOf(resource: any, name: string, what: string): string {
  const value: unknown = resource?.[name]
  if (typeof value !== 'string') throw new Error(`${what} that the authority gives has no "${name}"`)
  return value
}

function listOf(resource: any, name: string, what: string): any[] {
  const value: unknown = resource?.[name]
  if (!Array.isArray(value)) throw new Error(`${what} that the authority gives has no "${name}"`)
  return value
}

/** Asks for a resource until it is as it should be. */
async function settled(authority: Authority, url: string, done: (resource: any) => boolean): Promise<any> {
  const until = performance.now() + SETTLED_MAX_MS
  for (let polls = 1; performance.now() < until; polls++) {
    const answer: Answer = await authority.post(url, null)
    textOf(answer.json, 'status', `"${url}"`)
    if (done(answer.json)) return answer.json
    const asked = Math.min(answer.retryAfter * 1000, ASKED_MAX_MS)
    await sleep(asked > 0 ? asked : Math.min(POLL_MS * polls, POLL_MAX_MS), undefined, { ref: false })
  }
  throw new Error(`"${url}" takes too long`)
}

/** Why something has become invalid: the authority says it of the challenge, or of the order. */
function refusal(what: string, resource: any): Error {
  const errors = [resource.error, ...(resource.challenges ?? []).map((one: any) => one.error)].filter(Boolean)
  const [first] = errors
  if (first === undefined) return new Error(`${what} is ${resource.status}`)
  return new AcmeProblem(0, String(first.type ?? '').replace(/^.*:/, ''), `${what}: ${first.detail ?? ''}`, 0)
}
