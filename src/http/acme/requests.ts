// What is signed with a certificate's key: the request for the certificate (PKCS #10, RFC 2986), and the certificate that
// answers a TLS-ALPN-01 challenge (RFC 8737, 3). Node can make neither.

import { createHash, createPublicKey, randomBytes, sign, type KeyObject } from 'node:crypto'
import { isIP } from 'node:net'
import { bits, boolean, integer, objectId, octets, sequence, set, tagged, time, utf8 } from '../../codec/der.ts'
import { addressBytes } from '../../lib/networks.ts'

const COMMON_NAME = '2.5.4.3'
const SUBJECT_ALT_NAME = '2.5.29.17'
const EXTENSION_REQUEST = '1.2.840.113549.1.9.14'
const ACME_IDENTIFIER = '1.3.6.1.5.5.7.1.31'
const RSA_WITH_SHA256 = '1.2.840.113549.1.1.11'
const ECDSA_WITH = { 256: '1.2.840.10045.4.3.2', 384: '1.2.840.10045.4.3.3', 512: '1.2.840.10045.4.3.4' } as const

const NULL = tagged(5)
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** A request for a certificate that is good for these names and addresses, in DER. */
export function certificateRequest(key: KeyObject, identifiers: readonly string[]): Buffer {
  const info = sequence(
    integer(Buffer.from([0])),
    sequence(),
    publicKeyOf(key),
    tagged(0xa0, sequence(objectId(EXTENSION_REQUEST), set(sequence(alternativeNames(identifiers))))),
  )
  return signed(info, key)
}

/** A certificate of the key's own, which proves that whoever shows it has the account with that authorization. */
export function challengeCertificate(key: KeyObject, identifier: string, keyAuthorization: string): Buffer {
  const now = Date.now()
  const proof = octets(createHash('sha256').update(keyAuthorization).digest())
  const name = sequence(set(sequence(objectId(COMMON_NAME), utf8('ACME challenge'))))
  const serial = randomBytes(16)
  serial[0]! &= 0x7f
  const body = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(serial),
    algorithmOf(key),
    name,
    sequence(time(now - HOUR_MS), time(now + DAY_MS)),
    name,
    publicKeyOf(key),
    tagged(
      0xa3,
      sequence(alternativeNames([identifier]), sequence(objectId(ACME_IDENTIFIER), boolean(true), octets(proof))),
    ),
  )
  return signed(body, key)
}

export function pemOf(kind: 'CERTIFICATE', der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g)!
  return `-----BEGIN ${kind}-----\n${lines.join('\n')}\n-----END ${kind}-----\n`
}

function alternativeNames(identifiers: readonly string[]): Buffer {
  const names = identifiers.map(name =>
    isIP(name) === 0
      ? tagged(0x82, Buffer.from(name, 'latin1'))
      : tagged(0x87, Buffer.from(addressBytes(name), 'latin1')),
  )
  return sequence(objectId(SUBJECT_ALT_NAME), octets(sequence(...names)))
}

function publicKeyOf(key: KeyObject): Buffer {
  return createPublicKey(key as unknown as Parameters<typeof createPublicKey>[0]).export({
    type: 'spki',
    format: 'der',
  })
}

function signed(info: Buffer, key: KeyObject): Buffer {
  const hash = key.asymmetricKeyType === 'rsa' ? 'sha256' : `sha${hashBits(key)}`
  return sequence(info, algorithmOf(key), bits(sign(hash, info, key)))
}

function algorithmOf(key: KeyObject): Buffer {
  if (key.asymmetricKeyType === 'rsa') return sequence(objectId(RSA_WITH_SHA256), NULL)
  return sequence(objectId(ECDSA_WITH[hashBits(key)]))
}

/** As strong as its curve. */
export function hashBits(key: KeyObject): 256 | 384 | 512 {
  const curve = key.asymmetricKeyDetails?.namedCurve
  return curve === 'secp384r1' ? 384 : curve === 'secp521r1' ? 512 : 256
}
