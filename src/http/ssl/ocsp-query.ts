// One question to an OCSP responder, and what it says of a certificate (ngx_ssl_ocsp_request, ngx_ssl_ocsp_verify).

import { escapeUri } from '../../codec/h1/uri.ts'
import type { TlsContext } from '../../net/openssl/context.ts'
import { ocspRequest, readOcspResponse, type CertificateStatus } from '../../net/openssl/ocsp.ts'
import { fetchOnce, parseUrl } from '../fetch.ts'
import type { LocationResolver } from '../resolver.ts'

export interface OcspQuery {
  /** `http://…` */
  readonly responder: string
  readonly context: TlsContext
  readonly certificate: Buffer
  readonly issuer: Buffer
  readonly chain: readonly Buffer[]
  /** OCSP_…, 0n: the answer is verified. */
  readonly flags: bigint
  readonly resolver: LocationResolver | null
}

export interface OcspAnswer extends CertificateStatus {
  readonly response: Buffer
}

const TIMEOUT_MS = 60_000

/** Rejects with what went wrong, in words for the log. */
export async function askResponder(query: OcspQuery): Promise<OcspAnswer> {
  const { responder, context, certificate, issuer, chain, flags, resolver } = query
  const url = parseUrl(responder)
  if (url === null || url.secure) throw new Error(`invalid URL prefix in OCSP responder "${responder}"`)
  const target = { ...url, tls: null, verifies: false, resolver, timeoutMs: TIMEOUT_MS }
  const question = escapeUri(ocspRequest(certificate, issuer).toString('base64'), 'component')
  const path = url.path.endsWith('/') ? url.path : `${url.path}/`
  const request = `GET ${path}${question} HTTP/1.0\r\nHost: ${url.host}\r\n\r\n`
  const answer = await fetchOnce(target, Buffer.from(request, 'latin1'))
  const type = answer.field('content-type')
  if (type !== '' && type.toLowerCase() !== 'application/ocsp-response') {
    throw new Error(`OCSP responder sent invalid "Content-Type" header: "${type}"`)
  }
  if (answer.status !== 200) throw new Error(`OCSP responder answered ${answer.status} (${url.host}:${url.port})`)
  const { body: response } = answer
  return { ...readOcspResponse(response, context, certificate, issuer, chain, flags), response }
}
