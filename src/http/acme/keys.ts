// Keys of accounts and certificates, and what an account signs: requests in JSON Web Signature's flat form (RFC 7515, RFC 8555, 6.2).

import { createHash, createHmac, generateKeyPair, sign, type KeyObject } from 'node:crypto'
import { promisify } from 'node:util'
import { hashBits } from './requests.ts'

/** `ecdsa:256` and its like. */
export interface KeyKind {
  readonly type: 'ecdsa' | 'rsa'
  readonly bits: number
}

const generate = promisify(generateKeyPair) as unknown as (
  type: string,
  options: object,
) => Promise<{ privateKey: KeyObject }>

const CURVES: Readonly<Record<number, string>> = { 256: 'prime256v1', 384: 'secp384r1', 521: 'secp521r1' }
const RSA_BITS = [2048, 3072, 4096]

/** null: there is no such kind. */
export function keyKind(word: string): KeyKind | null {
  const [, type, size] = /^(ecdsa|rsa)(?::(\d+))?$/.exec(word) ?? []
  if (type === undefined) return null
  const bits = size === undefined ? (type === 'rsa' ? 2048 : 256) : Number(size)
  const known = type === 'rsa' ? RSA_BITS.includes(bits) : bits in CURVES
  return known ? { type: type as KeyKind['type'], bits } : null
}

export async function newKey({ type, bits }: KeyKind): Promise<KeyObject> {
  const options = type === 'rsa' ? { modulusLength: bits } : { namedCurve: CURVES[bits] }
  return (await generate(type === 'rsa' ? 'rsa' : 'ec', options)).privateKey
}

export function keyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' })
}

/** The public half, its members in the order that the thumbprint wants (RFC 7638). */
function publicJwk(key: KeyObject): Record<string, string> {
  const { crv, e, kty, n, x, y } = key.export({ format: 'jwk' }) as Record<string, string>
  return kty === 'RSA' ? { e: e!, kty, n: n! } : { crv: crv!, kty: kty!, x: x!, y: y! }
}

/** What proves to whoever asks that a challenge is this account's (RFC 8555, 8.1). */
export function keyAuthorization(token: string, account: KeyObject): string {
  const thumbprint = createHash('sha256')
    .update(JSON.stringify(publicJwk(account)))
    .digest('base64url')
  return `${token}.${thumbprint}`
}

/** @param payload null: an empty one, which asks for a resource (POST as GET) */
export function signedRequest(
  key: KeyObject,
  accountUrl: string,
  url: string,
  nonce: string,
  payload: object | null,
): string {
  const identity = accountUrl === '' ? { jwk: publicJwk(key) } : { kid: accountUrl }
  const rsa = key.asymmetricKeyType === 'rsa'
  const bits = rsa ? 256 : hashBits(key)
  const head = encode({ alg: `${rsa ? 'RS' : 'ES'}${bits}`, nonce, url, ...identity })
  const body = payload === null ? '' : encode(payload)
  const signature = sign(`sha${bits}`, Buffer.from(`${head}.${body}`), { key, dsaEncoding: 'ieee-p1363' })
  return JSON.stringify({ protected: head, payload: body, signature: signature.toString('base64url') })
}

/** The authority's other customer number, tied to this account (RFC 8555, 7.3.4). */
export function externalBinding(account: KeyObject, kid: string, mac: Buffer, url: string): object {
  const head = encode({ alg: 'HS256', kid, url })
  const body = encode(publicJwk(account))
  const signature = createHmac('sha256', mac).update(`${head}.${body}`).digest('base64url')
  return { protected: head, payload: body, signature }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}
