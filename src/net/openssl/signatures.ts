// The signature algorithms that two sides have proven themselves by, as TLS calls them (RFC 8446, 4.2.3). This OpenSSL tells
// the kind of key and the hash, and they make up the name.

import { getRawPointer } from 'node:ffi'
import { SSL_CTRL_GET_PEER_SIGNATURE_NID, SSL_CTRL_GET_SIGNATURE_NID } from './constants.ts'
import { openssl } from './library.ts'
import { textAt } from './memory.ts'

const RSA = 6
const RSA_PSS = 912
const EC = 408
/** The curves that go with hashes in TLS 1.3. */
const CURVES: Readonly<Record<string, string>> = { sha256: 'secp256r1_', sha384: 'secp384r1_', sha512: 'secp521r1_' }

const number = Buffer.alloc(4)

/** How we have signed; '' where nobody had to. @param pssKey is the key one for this kind of signature alone? */
export function signatureOf(ssl: bigint, pssKey: boolean): string {
  const o = openssl()
  if (o.SSL_get_signature_type_nid(ssl, number) !== 1) return ''
  return nameOf(number.readInt32LE(), hashOf(ssl, SSL_CTRL_GET_SIGNATURE_NID), pssKey)
}

/** How the peer has signed; '' where it had not to. */
export function peerSignatureOf(ssl: bigint, pssKey: boolean): string {
  const o = openssl()
  if (o.SSL_get_peer_signature_type_nid(ssl, number) !== 1) return ''
  return nameOf(number.readInt32LE(), hashOf(ssl, SSL_CTRL_GET_PEER_SIGNATURE_NID), pssKey)
}

function hashOf(ssl: bigint, command: number): string {
  const o = openssl()
  number.writeInt32LE(0)
  if (o.SSL_ctrl(ssl, command, 0n, getRawPointer(number)) !== 1n) return ''
  const nid = number.readInt32LE()
  return nid === 0 ? '' : textAt(o.OBJ_nid2sn(nid)).toLowerCase()
}

function nameOf(kind: number, hash: string, pssKey: boolean): string {
  if (kind === RSA) return `rsa_pkcs1_${hash}`
  if (kind === RSA_PSS) return `rsa_pss_${pssKey ? 'pss' : 'rsae'}_${hash}`
  if (kind === EC) return `ecdsa_${CURVES[hash] ?? ''}${hash}`
  // Ed25519, ML-DSA-44: the hash is a part of it.
  return textAt(openssl().OBJ_nid2sn(kind)).toLowerCase().replaceAll('-', '')
}
