// An authority in the manner of RFC 8555 that can be made to behave oddly, which a real one does at its worst moments only. It
// believes every signature; what it issues is for the key of the request.

import { createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import { bits, integer, objectId, sequence, set, tagged, time, utf8 } from '../../src/codec/der.ts'
import { pemOf } from '../../src/http/acme/requests.ts'
import { get } from './raw.ts'
import { atEnd, type Scope } from './scope.ts'

/** What is asked for. */
export type Step =
  | 'directory'
  | 'nonce'
  | 'account'
  | 'new-order'
  | 'order'
  | 'authorization'
  | 'challenge'
  | 'finalize'
  | 'certificate'

export interface Reply {
  readonly status?: number
  readonly fields?: Record<string, string>
  readonly json?: unknown
  readonly text?: string
}

interface Order {
  status: string
  readonly identifiers: readonly { type: string; value: string }[]
  readonly authorizations: readonly { status: string; readonly token: string; readonly value: string }[]
  certificate: string
}

export function problem(status: number, type: string, fields: Record<string, string> = {}): Reply {
  return { status, fields, json: { type: `urn:ietf:params:acme:error:${type}`, detail: `odd: ${type}` } }
}

const DAY_MS = 86_400_000
const CA = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey
const ECDSA_WITH_SHA256 = sequence(objectId('1.2.840.10045.4.3.2'))

export class AcmeAuthority {
  /** Every step that was asked for, in order. */
  readonly steps: Step[] = []
  /** Of protected heads: who has signed. */
  readonly signers: string[] = []
  /** What is to be answered in place of what is right; null: nothing else. */
  odd: (step: Step, times: number) => Reply | null | Promise<Reply | null> = () => null
  /** Where it looks for answers to challenges; 0: it does not. */
  httpPort = 0
  /** Of certificates. */
  lastsMs = 90 * DAY_MS
  /** In its paths: a new one is another authority at the same place. */
  era = 'one'
  port = 0
  private readonly orders: Order[] = []

  get uri(): string {
    return `http://127.0.0.1:${this.port}/directory`
  }

  count(step: Step): number {
    return this.steps.filter(one => one === step).length
  }

  async answer(path: string, body: string): Promise<Reply> {
    const [era, step, number = '0', part = '0'] = path === '/directory' ? ['', 'directory'] : path.slice(1).split('/')
    this.steps.push(step as Step)
    if (era !== '' && era !== this.era) return problem(404, 'malformed')
    const odd = await this.odd(step as Step, this.count(step as Step))
    if (odd !== null) return odd
    const { protected: head, payload } = body === '' ? { protected: '', payload: '' } : JSON.parse(body)
    const { kid } = head === '' ? { kid: '' } : JSON.parse(Buffer.from(head, 'base64url').toString())
    if (kid !== '' && kid !== undefined) {
      this.signers.push(kid)
      if (kid !== this.url('account/1')) return problem(400, 'accountDoesNotExist')
    }
    const said = (payload ?? '') === '' ? {} : JSON.parse(Buffer.from(payload, 'base64url').toString())
    return this.step(step as Step, Number(number), Number(part), said)
  }

  private step(step: Step, number: number, part: number, said: any): Reply | Promise<Reply> {
    const order = this.orders[number]
    switch (step) {
      case 'directory':
        return {
          json: { newNonce: this.url('nonce'), newAccount: this.url('account'), newOrder: this.url('new-order') },
        }
      case 'nonce':
        return {}
      case 'account':
        return { status: 201, fields: { Location: this.url('account/1') }, json: { status: 'valid' } }
      case 'new-order':
        return this.begin(said.identifiers)
      case 'order':
        return { json: this.shown(number) }
      case 'authorization':
        return { json: this.authorization(number, part) }
      case 'challenge':
        return this.validate(number, part)
      case 'finalize':
        order!.certificate = issued(Buffer.from(said.csr, 'base64url'), order!.identifiers[0]!.value, this.lastsMs)
        order!.status = 'valid'
        return { json: this.shown(number) }
      default:
        return { fields: { 'Content-Type': 'application/pem-certificate-chain' }, text: order!.certificate }
    }
  }

  private begin(identifiers: Order['identifiers']): Reply {
    const authorizations = identifiers.map(({ value }) => {
      return { status: 'pending', token: randomBytes(16).toString('base64url'), value }
    })
    const number = this.orders.push({ status: 'pending', identifiers, authorizations, certificate: '' }) - 1
    return { status: 201, fields: { Location: this.url(`order/${number}`) }, json: this.shown(number) }
  }

  private shown(number: number): object {
    const { status, identifiers, authorizations } = this.orders[number]!
    return {
      status: status === 'pending' && authorizations.every(one => one.status === 'valid') ? 'ready' : status,
      identifiers,
      authorizations: authorizations.map((_, i) => this.url(`authorization/${number}/${i}`)),
      finalize: this.url(`finalize/${number}`),
      ...(status === 'valid' ? { certificate: this.url(`certificate/${number}`) } : {}),
    }
  }

  private authorization(number: number, part: number): object {
    const { status, token, value } = this.orders[number]!.authorizations[part]!
    const challenge = { type: 'http-01', url: this.url(`challenge/${number}/${part}`), token, status }
    return { status, identifier: { type: 'dns', value }, challenges: [challenge] }
  }

  private async validate(number: number, part: number): Promise<Reply> {
    const authorization = this.orders[number]!.authorizations[part]!
    const { token } = authorization
    const right =
      this.httpPort === 0 ||
      (await get(this.httpPort, `/.well-known/acme-challenge/${token}`)).body.toString().startsWith(`${token}.`)
    authorization.status = right ? 'valid' : 'invalid'
    return { json: { status: authorization.status } }
  }

  private url(path: string): string {
    return `http://127.0.0.1:${this.port}/${this.era}/${path}`
  }
}

/** One that listens. */
export async function acmeAuthority(t: Scope): Promise<AcmeAuthority> {
  const authority = new AcmeAuthority()
  const server = http.createServer((request, response) => {
    const pieces: Buffer[] = []
    request.on('data', (piece: Buffer) => pieces.push(piece))
    request.on('end', () => {
      void authority.answer(request.url!, Buffer.concat(pieces).toString()).then(reply => {
        const { status = 200, fields = {}, json, text = json === undefined ? '' : JSON.stringify(json) } = reply
        response.writeHead(status, { 'Replay-Nonce': randomBytes(8).toString('hex'), ...fields })
        response.end(text)
      })
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  atEnd(t, () => {
    server.closeAllConnections()
    server.close()
  })
  authority.port = (server.address() as AddressInfo).port
  return authority
}

/** A certificate for the key of a request. */
function issued(request: Buffer, name: string, lastsMs: number): string {
  const [info] = items(request)
  const key = items(info!)[2]!
  const subject = sequence(set(sequence(objectId('2.5.4.3'), utf8(name))))
  const now = Date.now()
  const times = sequence(time(now - 1000), time(now - 1000 + lastsMs))
  const serial = integer(Buffer.concat([Buffer.from([1]), randomBytes(8)]))
  const body = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    serial,
    ECDSA_WITH_SHA256,
    subject,
    times,
    subject,
    key,
  )
  createPublicKey({ key, format: 'der', type: 'spki' })
  return pemOf('CERTIFICATE', sequence(body, ECDSA_WITH_SHA256, bits(sign('sha256', body, CA))))
}

/** What a value in DER is made of. */
function items(der: Buffer): Buffer[] {
  const found: Buffer[] = []
  for (let at = contentAt(der, 0); at < der.length;) {
    const start = at
    const lengthAt = contentAt(der, at)
    const more = lengthAt - at - 2
    at = lengthAt + (more === 0 ? der[start + 1]! : der.readUIntBE(start + 2, more))
    found.push(der.subarray(start, at))
  }
  return found
}

function contentAt(der: Buffer, at: number): number {
  const first = der[at + 1]!
  return at + 2 + (first < 0x80 ? 0 : first & 0x7f)
}
