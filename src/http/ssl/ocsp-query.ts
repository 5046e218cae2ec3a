// One question to an OCSP responder, and what it says of a certificate (ngx_ssl_ocsp_request, ngx_ssl_ocsp_verify).

import { escapeUri } from '../../codec/h1/uri.ts'
import type { TlsContext } from '../../net/openssl/context.ts'
import { ocspRequest, readOcspResponse, type CertificateStatus } from '../../net/openssl/ocsp.ts'
import { addressesOf, fetchFrom, FetchError, parseUrl, type Fetched, type FetchTarget } from '../fetch.ts'
import type { LocationResolver } from '../resolver.ts'

export interface OcspQuery {
  /** `http://…` */
  readonly responder: string
  readonly context: TlsContext
  readonly certificate: Buffer
  /** The certificate's file; '' for a client's. */
  readonly name: string
  readonly issuer: Buffer
  readonly chain: readonly Buffer[]
  /** OCSP_…, 0n: the answer is verified. */
  readonly flags: bigint
  readonly resolver: LocationResolver | null
}

export interface OcspAnswer extends CertificateStatus {
  readonly response: Buffer
  /** The address that has given it. */
  readonly peer: string
}

const TIMEOUT_MS = 60_000

/** The answer of one address is of no use: there may be others. */
class ResponderError extends Error {}

/**
 * Asks the responder at one of its addresses after the other, until one has an answer.
 * @param tell hears of those that have none, but for the last
 * Rejects with what went wrong, in words for the log.
 */
export async function askResponder(query: OcspQuery, tell: (problem: string) => void): Promise<OcspAnswer> {
  const url = parseUrl(query.responder)
  if (url === null || url.secure) throw new Error(`invalid URL prefix in OCSP responder "${query.responder}"`)
  const target = { ...url, tls: null, verifies: false, resolver: query.resolver, timeoutMs: TIMEOUT_MS }
  const addresses = await addressesOf(target).catch((error: Error) => fail(query, error.message))
  for (const [i, address] of addresses.entries()) {
    const peer = address.includes(':') ? `[${address}]:${url.port}` : `${address}:${url.port}`
    try {
      return take(query, await ask(query, target, address, url.path), peer)
    } catch (error) {
      const message = described(query, (error as Error).message, peer)
      if (!(error instanceof ResponderError) || i === addresses.length - 1) throw new Error(message, { cause: error })
      tell(message)
    }
  }
  return fail(query, 'OCSP responder has no address')
}

function fail(query: OcspQuery, problem: string): never {
  throw new Error(described(query, problem))
}

/** What a log says about a question, as nginx has it. @param peer who was asked, '' nobody yet */
export function described({ responder, name }: OcspQuery, problem: string, peer = ''): string {
  const about = `, responder: ${parseUrl(responder)?.host ?? responder}${peer === '' ? '' : `, peer: ${peer}`}`
  return `${problem} while requesting certificate status${about}${name === '' ? '' : `, certificate: "${name}"`}`
}

async function ask(query: OcspQuery, target: FetchTarget, address: string, path: string): Promise<Fetched> {
  const { certificate, issuer } = query
  const question = escapeUri(ocspRequest(certificate, issuer).toString('base64'), 'component')
  const request = `GET ${path}${path.endsWith('/') ? '' : '/'}${question} HTTP/1.0\r\nHost: ${target.host}\r\n\r\n`
  const answer = await fetchFrom(target, address, Buffer.from(request, 'latin1')).catch(refuse)
  const type = answer.field('content-type')
  if (type === '' || type.toLowerCase() === 'application/ocsp-response') return answer
  throw new ResponderError(`OCSP responder sent invalid "Content-Type" header: "${type}"`)
}

function refuse(error: FetchError): never {
  switch (error.problem) {
    case 'timed out':
      throw new ResponderError('OCSP responder timed out (110: Connection timed out)')
    case 'closed':
      throw new ResponderError('OCSP responder prematurely closed connection')
    case 'broken':
      throw new ResponderError(error.detail)
    default:
      throw new ResponderError('OCSP responder sent invalid response')
  }
}

function take({ context, certificate, issuer, chain, flags }: OcspQuery, answer: Fetched, peer: string): OcspAnswer {
  if (answer.status !== 200) throw new ResponderError(`OCSP responder answered ${answer.status}`)
  const { body: response } = answer
  return { ...readOcspResponse(response, context, certificate, issuer, chain, flags), response, peer }
}
