// Certificates for one test: self-signed, or signed by another of them. Made here and not by openssl(1), which not every
// machine has.

import { createHash, createPublicKey, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { bits, boolean, integer, objectId, octets, sequence, set, tagged, time, utf8 } from '../../src/codec/der.ts'
import { pemOf } from '../../src/http/acme/requests.ts'

export interface CertificateOptions {
  /** Whose it is: `/CN=…` */
  readonly subject?: string
  /** Base name of the certificate that signs; by default it signs itself. */
  readonly issuer?: string
  readonly ec?: boolean
  /** The key is encrypted with it. */
  readonly password?: string
}

interface Signer {
  readonly key: KeyObject
  readonly name: Buffer
  /** Tells its key from others. */
  readonly keyId: Buffer
}

const DAYS_MS = 3 * 24 * 3_600_000
const NAME_TYPES: Readonly<Record<string, string>> = { CN: '2.5.4.3', O: '2.5.4.10' }
const RSA_WITH_SHA256 = sequence(objectId('1.2.840.113549.1.1.11'), tagged(5))
const ECDSA_WITH_SHA256 = sequence(objectId('1.2.840.10045.4.3.2'))
const BASIC_CONSTRAINTS = '2.5.29.19'
const SUBJECT_KEY_ID = '2.5.29.14'
const AUTHORITY_KEY_ID = '2.5.29.35'

/** Those made so far, by the paths of their files without the extension. */
const made = new Map<string, Signer>()

/** Writes NAME.crt and NAME.key to the folder. */
export function certificate(dir: string, name: string, options: CertificateOptions = {}): void {
  const { subject = `/CN=${name}`, issuer, ec = false, password } = options
  const key = newKey(ec)
  const spki = createPublicKey(key as unknown as Parameters<typeof createPublicKey>[0]).export({
    type: 'spki',
    format: 'der',
  })
  const own: Signer = { key, name: nameOf(subject), keyId: createHash('sha1').update(spki).digest() }
  const signer = issuer === undefined ? own : made.get(join(dir, issuer))
  if (signer === undefined) throw new Error(`there is no certificate "${issuer}" in ${dir}`)
  made.set(join(dir, name), own)
  const lock = password === undefined ? {} : { cipher: 'aes-256-cbc', passphrase: password }
  writeFileSync(join(dir, `${name}.key`), key.export({ type: 'pkcs8', format: 'pem', ...lock }), { mode: 0o600 })
  writeFileSync(join(dir, `${name}.crt`), pemOf('CERTIFICATE', signed(own, spki, signer)))
}

function newKey(ec: boolean): KeyObject {
  return ec
    ? generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey
    : generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey
}

/** `/O=Mail, Inc./CN=client` */
function nameOf(subject: string): Buffer {
  const parts = subject.split('/').slice(1)
  return sequence(
    ...parts.map(part => {
      const [type = '', ...value] = part.split('=')
      return set(sequence(objectId(NAME_TYPES[type]!), utf8(value.join('='))))
    }),
  )
}

/** In DER: RFC 5280, 4.1. */
function signed(own: Signer, spki: Buffer, signer: Signer): Buffer {
  const serial = randomBytes(16)
  serial[0]! &= 0x7f
  const now = Date.now()
  const algorithm = signer.key.asymmetricKeyType === 'rsa' ? RSA_WITH_SHA256 : ECDSA_WITH_SHA256
  const body = sequence(
    tagged(0xa0, integer(Buffer.from([2]))),
    integer(serial),
    algorithm,
    signer.name,
    sequence(time(now), time(now + DAYS_MS)),
    own.name,
    spki,
    tagged(
      0xa3,
      sequence(
        sequence(objectId(SUBJECT_KEY_ID), octets(octets(own.keyId))),
        sequence(objectId(AUTHORITY_KEY_ID), octets(sequence(tagged(0x80, signer.keyId)))),
        sequence(objectId(BASIC_CONSTRAINTS), boolean(true), octets(sequence(boolean(true)))),
      ),
    ),
  )
  return sequence(body, algorithm, bits(sign('sha256', body, signer.key)))
}
