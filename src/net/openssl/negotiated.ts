// What the two sides have agreed on, and what the other has shown: of an SSL whose handshake is over, or as far as it got.

import { X509Certificate } from 'node:crypto'
import { SSL_CTRL_GET_NEGOTIATED_GROUP, TLSEXT_NID_UNKNOWN } from './constants.ts'
import { openssl } from './library.ts'
import { bytesAt, derOf, textAt } from './memory.ts'

/** Why a peer's certificate is not to be trusted: OpenSSL's number for it and its words. */
export interface VerifyFault {
  readonly code: number
  readonly reason: string
}

const pointer = Buffer.alloc(8)
const length = Buffer.alloc(4)

export function cipherOf(ssl: bigint): string {
  const o = openssl()
  const cipher = o.SSL_get_current_cipher(ssl)
  return cipher === 0n ? '' : textAt(o.SSL_CIPHER_get_name(cipher))
}

/** The group that keys were exchanged in. */
export function curveOf(ssl: bigint): string {
  const o = openssl()
  const group = Number(o.SSL_ctrl(ssl, SSL_CTRL_GET_NEGOTIATED_GROUP, 0n, 0n))
  if (group === 0) return ''
  if ((group & TLSEXT_NID_UNKNOWN) === 0) return textAt(o.OBJ_nid2sn(group))
  const name = textAt(o.SSL_group_to_name(ssl, group))
  return name === '' ? `0x${(group & 0xffff).toString(16).padStart(4, '0')}` : name
}

export function alpnOf(ssl: bigint): string {
  openssl().SSL_get0_alpn_selected(ssl, pointer, length)
  return bytesAt(pointer.readBigUInt64LE(), length.readUInt32LE()).toString('latin1')
}

/** In hexadecimal digits; '' without one. */
export function sessionIdOf(ssl: bigint): string {
  const o = openssl()
  const session = o.SSL_get_session(ssl)
  if (session === 0n) return ''
  const id = o.SSL_SESSION_get_id(session, length)
  return bytesAt(id, length.readUInt32LE()).toString('hex')
}

/** null: it has shown none. */
export function certificateOf(ssl: bigint): X509Certificate | null {
  const o = openssl()
  const certificate = o.SSL_get1_peer_certificate(ssl)
  if (certificate === 0n) return null
  const der = derOf(o.i2d_X509, certificate)
  o.X509_free(certificate)
  return new X509Certificate(der)
}

/** How our own certificate is made: how it is signed, and its key, by name and bits; '' of what has no name. */
export interface OwnCertificate {
  readonly signature: string
  readonly key: string
}

/** OpenSSL's numbers for kinds of keys. */
const KEYS: Readonly<Record<number, string>> = { 6: 'RSA', 912: 'RSA', 408: 'EC', 116: 'DSA' }

export function ownCertificateOf(ssl: bigint): OwnCertificate {
  const o = openssl()
  const certificate = o.SSL_get_certificate(ssl)
  if (certificate === 0n) return { signature: '', key: '' }
  const key = o.X509_get0_pubkey(certificate)
  const kind = key === 0n ? undefined : KEYS[o.EVP_PKEY_get_base_id(key)]
  return {
    signature: textAt(o.OBJ_nid2sn(o.X509_get_signature_nid(certificate))),
    key: kind === undefined ? '' : `${kind}${o.EVP_PKEY_get_bits(key)}`,
  }
}

const RSA_PSS = 912

/** Is the key of our certificate one for PSS signatures alone? */
export function hasPssKey(ssl: bigint): boolean {
  const o = openssl()
  const certificate = o.SSL_get_certificate(ssl)
  const key = certificate === 0n ? 0n : o.X509_get0_pubkey(certificate)
  return key !== 0n && o.EVP_PKEY_get_base_id(key) === RSA_PSS
}

/** null: its certificate is good. */
export function faultOf(ssl: bigint): VerifyFault | null {
  const o = openssl()
  const code = o.SSL_get_verify_result(ssl)
  return code === 0n ? null : { code: Number(code), reason: textAt(o.X509_verify_cert_error_string(code)) }
}
