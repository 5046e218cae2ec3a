// Is a certificate still good? What is asked of an OCSP responder, what its answer says (RFC 6960), and handing the answer to
// clients (stapling, RFC 6066, 8). Certificates are DER here, the leaf's issuer behind it.

import {
  SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB,
  SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP,
  SSL_TLSEXT_ERR_NOACK,
  SSL_TLSEXT_ERR_OK,
} from './constants.ts'
import type { TlsContext } from './context.ts'
import { fail, OpensslFailure, queuedErrors } from './errors.ts'
import { callback, openssl, returns } from './library.ts'
import { derOf, fromDer, given, textAt } from './memory.ts'
import { forgetWith } from './thread-end.ts'

export const GOOD = 0
export const REVOKED = 1
export const UNKNOWN = 2

/** The responder's own signature is not checked. */
export const OCSP_NOVERIFY = 0x10n
/** The chain we have is trusted to sign answers. */
export const OCSP_TRUSTOTHER = 0x200n

/** What a responder has said. */
export interface CertificateStatus {
  readonly status: number
  /** Seconds since 1970; Infinity if it does not say. */
  readonly validUntil: number
}

/** Clocks may differ by so many seconds. */
const SKEW = 300n
const SUCCESSFUL = 0

/** Whoever has issued a certificate, among those sent with it and those the context trusts; null: nobody known. */
export function issuerOf(context: TlsContext, leaf: Buffer, chain: readonly Buffer[]): Buffer | null {
  const o = openssl()
  return decoded([leaf, ...chain], ([certificate, ...others]) => {
    const found = others.findIndex(other => o.X509_check_issued(other, certificate!) === 0)
    if (found >= 0) return chain[found]!
    return trustedIssuer(context, certificate!)
  })
}

function trustedIssuer(context: TlsContext, certificate: bigint): Buffer | null {
  const o = openssl()
  const search = o.X509_STORE_CTX_new()
  o.X509_STORE_CTX_init(search, o.SSL_CTX_get_cert_store(context.pointer), 0n, 0n)
  const target = Buffer.alloc(8)
  const found = o.X509_STORE_CTX_get1_issuer(target, search, certificate)
  o.X509_STORE_CTX_free(search)
  queuedErrors()
  if (found !== 1) return null
  const issuer = target.readBigUInt64LE()
  const der = derOf(o.i2d_X509, issuer)
  o.X509_free(issuer)
  return der
}

/**
 * From a client's certificate to a root that the context trusts; empty: there is no such way. A session that is resumed has
 * kept the certificate alone: the way is looked for again (ngx_ssl_ocsp_validate).
 */
export function verifiedChain(context: TlsContext, ssl: bigint): readonly Buffer[] {
  const o = openssl()
  if (ssl === 0n) return []
  const known = o.SSL_get0_verified_chain(ssl)
  if (known !== 0n) return chainAt(known)
  const certificate = o.SSL_get1_peer_certificate(ssl)
  const search = o.X509_STORE_CTX_new()
  const sent = o.SSL_get_peer_cert_chain(ssl)
  o.X509_STORE_CTX_init(search, o.SSL_CTX_get_cert_store(context.pointer), certificate, sent)
  const chain = o.X509_verify_cert(search) === 1 ? chainAt(o.X509_STORE_CTX_get0_chain(search)) : []
  o.X509_STORE_CTX_free(search)
  o.X509_free(certificate)
  o.ERR_clear_error()
  return chain
}

function chainAt(chain: bigint): readonly Buffer[] {
  const o = openssl()
  const certificates: Buffer[] = []
  for (let i = 0; i < o.OPENSSL_sk_num(chain); i++) certificates.push(derOf(o.i2d_X509, o.OPENSSL_sk_value(chain, i)))
  return certificates
}

/** The responder's URL that a certificate names; '' for none. */
export function responderOf(certificate: Buffer): string {
  const o = openssl()
  return decoded([certificate], ([pointer]) => {
    const urls = o.X509_get1_ocsp(pointer!)
    if (urls === 0n) return ''
    const url = o.OPENSSL_sk_num(urls) > 0 ? textAt(o.OPENSSL_sk_value(urls, 0)) : ''
    o.X509_email_free(urls)
    return url
  })
}

/** The question, in DER. */
export function ocspRequest(certificate: Buffer, issuer: Buffer): Buffer {
  const o = openssl()
  return decoded([certificate, issuer], ([subject, signer]) => {
    const id = o.OCSP_cert_to_id(0n, subject!, signer!)
    if (id === 0n) fail('OCSP_cert_to_id() failed')
    const request = o.OCSP_REQUEST_new()
    o.OCSP_request_add0_id(request, id)
    const der = derOf(o.i2d_OCSP_REQUEST, request)
    o.OCSP_REQUEST_free(request)
    return der
  })
}

/** Throws OpensslFailure where the answer is none, or not to be trusted. */
export function readOcspResponse(
  response: Buffer,
  context: TlsContext,
  certificate: Buffer,
  issuer: Buffer,
  chain: readonly Buffer[],
  flags: bigint,
): CertificateStatus {
  const o = openssl()
  queuedErrors()
  const answer = fromDer(o.d2i_OCSP_RESPONSE, response)
  if (answer === 0n) fail('d2i_OCSP_RESPONSE() failed')
  let basic = 0n
  try {
    const status = o.OCSP_response_status(answer)
    if (status !== SUCCESSFUL) {
      const words = textAt(o.OCSP_response_status_str(BigInt(status)))
      throw new OpensslFailure(`OCSP response not successful (${status}: ${words})`)
    }
    basic = o.OCSP_response_get1_basic(answer)
    if (basic === 0n) fail('OCSP_response_get1_basic() failed')
    return decoded([certificate, issuer, ...chain], ([subject, signer, ...others]) => {
      verifySignature(basic, context, others, flags)
      return statusIn(basic, subject!, signer!)
    })
  } finally {
    if (basic !== 0n) o.OCSP_BASICRESP_free(basic)
    o.OCSP_RESPONSE_free(answer)
  }
}

function verifySignature(basic: bigint, context: TlsContext, chain: readonly bigint[], flags: bigint): void {
  const o = openssl()
  const certificates = o.OPENSSL_sk_new_null()
  for (const certificate of chain) o.OPENSSL_sk_push(certificates, certificate)
  const good = o.OCSP_basic_verify(basic, certificates, o.SSL_CTX_get_cert_store(context.pointer), flags)
  o.OPENSSL_sk_free(certificates)
  if (good !== 1) fail('OCSP_basic_verify() failed')
}

function statusIn(basic: bigint, certificate: bigint, issuer: bigint): CertificateStatus {
  const o = openssl()
  const [status, reason] = [Buffer.alloc(4), Buffer.alloc(4)]
  const [revoked, thisUpdate, nextUpdate] = [Buffer.alloc(8), Buffer.alloc(8), Buffer.alloc(8)]
  const id = o.OCSP_cert_to_id(0n, certificate, issuer)
  if (id === 0n) fail('OCSP_cert_to_id() failed')
  const found = o.OCSP_resp_find_status(basic, id, status, reason, revoked, thisUpdate, nextUpdate)
  o.OCSP_CERTID_free(id)
  if (found !== 1) throw new OpensslFailure('certificate status not found in the OCSP response')
  const next = nextUpdate.readBigUInt64LE()
  if (o.OCSP_check_validity(thisUpdate.readBigUInt64LE(), next, SKEW, -1n) !== 1) fail('OCSP_check_validity() failed')
  return { status: status.readInt32LE(), validUntil: next === 0n ? Infinity : secondsOf(next) }
}

/** A time of ASN.1's, by C's struct tm: seconds, minutes, hours, day, month, years since 1900. */
function secondsOf(time: bigint): number {
  const tm = Buffer.alloc(64)
  if (openssl().ASN1_TIME_to_tm(time, tm) !== 1) fail('ASN1_TIME_to_tm() failed')
  const at = (index: number): number => tm.readInt32LE(index * 4)
  return Date.UTC(1900 + at(5), at(4), at(3), at(2), at(1), at(0)) / 1000
}

/** Runs `use` with OpenSSL's form of certificates. */
function decoded<T>(certificates: readonly Buffer[], use: (pointers: readonly bigint[]) => T): T {
  const o = openssl()
  const pointers = certificates.map(der => fromDer(o.d2i_X509, der))
  try {
    if (pointers.includes(0n)) fail('d2i_X509() failed')
    return use(pointers)
  } finally {
    for (const pointer of pointers) if (pointer !== 0n) o.X509_free(pointer)
  }
}

// ── stapling ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** What is to be stapled to a certificate now; null: nothing. */
export type Staple = () => Buffer | null

/** By context, and by the address of one of its certificates. */
const staples = new Map<bigint, Map<bigint, Staple>>()
forgetWith(staples)
let asked = 0n

/** @param certificate as useCertificate() was given it */
export function staple(context: TlsContext, certificate: bigint, response: Staple): void {
  if (asked === 0n) asked = callback(returns('i32', 'pointer', 'pointer'), answerStatus, SSL_TLSEXT_ERR_NOACK)
  const own = staples.get(context.pointer) ?? new Map<bigint, Staple>()
  staples.set(context.pointer, own.set(certificate, response))
  openssl().SSL_CTX_callback_ctrl(context.pointer, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB, asked)
}

function answerStatus(ssl: bigint): number {
  const o = openssl()
  const response = staples.get(o.SSL_get_SSL_CTX(ssl))?.get(o.SSL_get_certificate(ssl))?.() ?? null
  if (response === null) return SSL_TLSEXT_ERR_NOACK
  o.SSL_ctrl(ssl, SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP, BigInt(response.length), given(response))
  return SSL_TLSEXT_ERR_OK
}
