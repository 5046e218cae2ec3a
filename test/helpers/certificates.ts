// Certificates made by openssl for one test: self-signed, or signed by another of them.

import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

export interface CertificateOptions {
  /** Whose it is: `/CN=…` */
  readonly subject?: string
  /** Base name of the certificate that signs; by default it signs itself. */
  readonly issuer?: string
  readonly ec?: boolean
  /** The key is encrypted with it. */
  readonly password?: string
}

/** Writes NAME.crt and NAME.key to the folder. */
export function certificate(dir: string, name: string, options: CertificateOptions = {}): void {
  const { subject = `/CN=${name}`, issuer, ec = false, password } = options
  const key = ec ? ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'] : ['-newkey', 'rsa:2048']
  const lock = password === undefined ? ['-nodes'] : ['-passout', `pass:${password}`]
  const signer = issuer === undefined ? [] : ['-CA', join(dir, `${issuer}.crt`), '-CAkey', join(dir, `${issuer}.key`)]
  const files = ['-keyout', join(dir, `${name}.key`), '-out', join(dir, `${name}.crt`)]
  const ca = ['-addext', 'basicConstraints=critical,CA:TRUE']
  execFileSync(
    'openssl',
    ['req', '-x509', '-new', ...key, ...lock, '-utf8', '-subj', subject, '-days', '3', ...ca, ...signer, ...files],
    {
      stdio: 'pipe',
    },
  )
}
