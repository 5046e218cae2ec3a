// Answers TLS-ALPN-01 challenges (RFC 8737): a handshake that offers nothing but `acme-tls/1` is shown a certificate made for
// it, with a key of the thread's own.

import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { isIP, SocketAddress } from 'node:net'
import { chooseProtocol } from '../../net/openssl/alpn.ts'
import { TlsContext } from '../../net/openssl/context.ts'
import { openssl } from '../../net/openssl/library.ts'
import { readChain } from '../../net/openssl/pem.ts'
import type { TlsSettings } from '../../net/tls.ts'
import { ACME_TLS, type ChallengeAnswer } from '../ssl/challenges.ts'
import { keyPem } from './keys.ts'
import { challengeCertificate, pemOf } from './requests.ts'
import type { AcmeStore } from './store.ts'

export class TlsAlpn {
  private readonly store: AcmeStore
  private key: KeyObject | null = null
  /** The last one made: an authority asks from several places. */
  private authorization = ''
  private settings: TlsSettings | null = null

  constructor(store: AcmeStore) {
    this.store = store
  }

  readonly answer: ChallengeAnswer = serverName => {
    const identifier = addressIn(serverName) ?? serverName
    const challenge = this.store.challengeFor(identifier)
    if (challenge === null || challenge.type !== 'tls-alpn-01') return null
    if (challenge.authorization !== this.authorization || this.settings === null) {
      this.settings = { context: this.contextFor(identifier, challenge.authorization), bufferSize: 16384 }
      this.authorization = challenge.authorization
    }
    return this.settings
  }

  private contextFor(identifier: string, authorization: string): TlsContext {
    this.key ??= generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey
    const context = new TlsContext()
    const chain = readChain(pemOf('CERTIFICATE', challengeCertificate(this.key, identifier, authorization)))
    context.useCertificate(chain, 'challenge')
    for (const certificate of chain) openssl().X509_free(certificate)
    context.useKey(keyPem(this.key), [], 'challenge')
    chooseProtocol(context, [ACME_TLS])
    return context
  }
}

/** An address goes by its name in reverse (RFC 8738, 6). null: the name is none of these. */
export function addressIn(name: string): string | null {
  const labels = name.split('.').toReversed()
  const [arpa, kind, ...digits] = labels
  if (arpa !== 'arpa') return null
  const text = kind === 'ip6' ? (digits.join('').match(/.{1,4}/g) ?? []).join(':') : digits.join('.')
  const version = isIP(text)
  // As it is written everywhere else.
  return version === 0 ? null : new SocketAddress({ address: text, family: `ipv${version as 4 | 6}` }).address
}
