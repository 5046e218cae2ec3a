// Whom we believe to be an authority's server: what is configured, or what this system believes.

import { existsSync, readFileSync } from 'node:fs'
import { TLS_1_2, TLS_1_3 } from '../ssl/directives.ts'
import { peerContext } from '../ssl/context.ts'
import type { TlsContext } from '../../net/openssl/context.ts'

/** Where distributions keep it. */
const BUNDLES = ['/etc/ssl/certs/ca-certificates.crt', '/etc/pki/tls/certs/ca-bundle.crt', '/etc/ssl/cert.pem']

/** @param trusted certificates in PEM; null: the system's */
export function trustedContext(trusted: string | null): TlsContext {
  const certificates = trusted ?? systemBundle()
  return peerContext(
    {
      protocols: TLS_1_2 | TLS_1_3,
      ciphers: 'DEFAULT',
      certificate: null,
      certificateKey: null,
      passwordFile: null,
      trustedCertificate: certificates === '' ? null : `data:${certificates}`,
      verifyDepth: 10,
      crl: null,
      sessionReuse: false,
      commands: [],
    },
    () => ({ text: '', error: 'No such file or directory', errno: 2 }),
  )
}

function systemBundle(): string {
  const found = BUNDLES.find(existsSync)
  return found === undefined ? '' : readFileSync(found, 'latin1')
}
