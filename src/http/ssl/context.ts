// From ssl_* values to an OpenSSL context, with nginx's words for what is wrong with a file.

import { createHash, createPrivateKey, constants, X509Certificate, type KeyObject } from 'node:crypto'
import type tls from 'node:tls'
import type { Conf } from '../../config/directive.ts'
import { ConfigError } from '../../config/errors.ts'
import type { DataFile } from '../../config/source.ts'
import { tlsModule } from '../../net/tls.ts'
import { TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3, type sslDirectives } from './directives.ts'

export type SslConf = Conf<typeof sslDirectives>
type Read = (path: string) => DataFile

/** Suites of TLS 1.3 are a list of their own in OpenSSL, which ssl_ciphers does not touch. */
const SUITES = 'TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256'
const PEM = /-----BEGIN ((?:TRUSTED |X509 )?CERTIFICATE)-----[^-]+-----END \1-----/g

/** The context of a server that has these certificates. Throws ConfigError. */
export function secureContext(
  conf: SslConf,
  certPaths: readonly string[],
  keyPaths: readonly string[],
  read: Read,
): tls.SecureContext {
  const certs = certPaths.map(path => readCertificate(path, read))
  const keys = readKeys(certPaths, keyPaths, conf.ssl_password_file, certs, read)
  const cas = readAuthorities([conf.ssl_client_certificate, conf.ssl_trusted_certificate], read)
  const options: tls.SecureContextOptions = {
    cert: certs,
    key: keys,
    ecdhCurve: conf.ssl_ecdh_curve,
    ciphers: `${SUITES}:${conf.ssl_ciphers}`,
    honorCipherOrder: conf.ssl_prefer_server_ciphers,
    sessionTimeout: conf.ssl_session_timeout,
    sessionIdContext: sessionIdOf([...certs, ...cas]),
    ...versions(conf.ssl_protocols, conf.ssl_session_tickets),
  }
  // Without any, Node would trust what browsers trust.
  options.ca = conf.ssl_verify_client === 'off' ? [] : cas
  if (conf.ssl_crl !== null) options.crl = readCrl(conf.ssl_crl, read)
  if (conf.ssl_dhparam !== null) {
    options.dhparam = readFile(
      conf.ssl_dhparam,
      read,
      problem => `BIO_new_file("${conf.ssl_dhparam}") failed ${problem}`,
    )
  }
  return create(options, conf.ssl_ciphers, conf.ssl_ecdh_curve)
}

/** What a location says of the servers it asks over TLS (proxy_ssl_* and their like). */
export interface PeerTlsConf {
  readonly protocols: number
  readonly ciphers: string
  readonly certificate: string | null
  readonly certificateKey: string | null
  readonly passwordFile: string | null
  readonly trustedCertificate: string | null
  readonly crl: string | null
}

export function peerContext(conf: PeerTlsConf, read: Read): tls.SecureContext {
  const options: tls.SecureContextOptions = {
    ciphers: `${SUITES}:${conf.ciphers}`,
    ca: readAuthorities([conf.trustedCertificate], read),
    ...versions(conf.protocols, true),
  }
  if (conf.certificate !== null) {
    const certs = [readCertificate(conf.certificate, read)]
    options.cert = certs
    const keys = conf.certificateKey === null ? [] : [conf.certificateKey]
    options.key = readKeys([conf.certificate], keys, conf.passwordFile, certs, read)
  }
  if (conf.crl !== null) options.crl = readCrl(conf.crl, read)
  return create(options, conf.ciphers, 'auto')
}

function readCrl(path: string, read: Read): string {
  return readFile(path, read, problem => `cannot load CRL "${path}": BIO_new_file() failed ${problem}`)
}

function create(options: tls.SecureContextOptions, ciphers: string, curve: string): tls.SecureContext {
  try {
    return tlsModule().createSecureContext(options)
  } catch (error) {
    const { message, code } = error as NodeJS.ErrnoException
    if (code === 'ERR_CRYPTO_OPERATION_FAILED' && message.includes('ECDH')) {
      throw new ConfigError(
        `SSL_CTX_set1_curves_list("${curve}") failed (SSL: error:0A080106:SSL routines::passed invalid argument)`,
      )
    }
    if (message.includes('cipher match')) {
      throw new ConfigError(`SSL_CTX_set_cipher_list("${ciphers}") failed (SSL: ${message})`)
    }
    throw new ConfigError(`SSL_CTX_new() failed (SSL: ${message})`)
  }
}

function versions(protocols: number, tickets: boolean): tls.SecureContextOptions {
  const names = [
    [TLS_1_0, 'TLSv1', constants.SSL_OP_NO_TLSv1],
    [TLS_1_1, 'TLSv1.1', constants.SSL_OP_NO_TLSv1_1],
    [TLS_1_2, 'TLSv1.2', constants.SSL_OP_NO_TLSv1_2],
    [TLS_1_3, 'TLSv1.3', constants.SSL_OP_NO_TLSv1_3],
  ] as const
  const wanted = names.filter(([bit]) => (protocols & bit) !== 0)
  if (wanted.length === 0) throw new ConfigError('"ssl_protocols" leaves no protocol that OpenSSL supports')
  let secureOptions = constants.SSL_OP_NO_RENEGOTIATION
  for (const [bit, , option] of names) if ((protocols & bit) === 0) secureOptions |= option
  if (!tickets) secureOptions |= constants.SSL_OP_NO_TICKET
  return { minVersion: wanted[0]![1], maxVersion: wanted.at(-1)![1], secureOptions }
}

/** A session may be resumed where the same certificates are shown and the same authorities trusted, and nowhere else. */
function sessionIdOf(texts: readonly string[]): string {
  return createHash('sha256').update(texts.join('\n'), 'latin1').digest('hex').slice(0, 32)
}

// ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function readFile(path: string, read: Read, words: (problem: string) => string): string {
  if (path.startsWith('data:')) return path.slice(5)
  const { text, error, errno } = read(path)
  if (error === '') return text
  const number = (0x80000000 + errno).toString(16).toUpperCase()
  const missing =
    errno === 2 ? ' error:10000080:BIO routines::no such file' : ' error:10080002:BIO routines::system lib'
  throw new ConfigError(words(`(SSL: error:${number}:system library::${error}:calling fopen(${path}, r)${missing})`))
}

function readCertificate(path: string, read: Read): string {
  const text = readFile(path, read, problem => `cannot load certificate "${path}": BIO_new_file() failed ${problem}`)
  const [first] = text.match(PEM) ?? []
  const failed = (problem: string): never => {
    throw new ConfigError(`cannot load certificate "${path}": PEM_read_bio_X509_AUX() failed (SSL: ${problem})`)
  }
  if (first === undefined) failed('error:0480006C:PEM routines::no start line:Expecting: TRUSTED CERTIFICATE')
  try {
    tlsModule().createSecureContext({ cert: text })
  } catch (error) {
    failed((error as Error).message)
  }
  return text
}

function readKeys(
  certPaths: readonly string[],
  paths: readonly string[],
  passwordFile: string | null,
  certs: readonly string[],
  read: Read,
): string[] {
  if (paths.length < certs.length) {
    throw new ConfigError(`no "ssl_certificate_key" is defined for certificate "${certPaths.at(-1)}"`)
  }
  const passwords = readPasswords(passwordFile, read)
  return certs.map((cert, i) => {
    const path = paths[i]!
    const words = (problem: string): string => `cannot load certificate key "${path}": BIO_new_file() failed ${problem}`
    const key = decrypt(path, readFile(path, read, words), passwords)
    if (!belongs(key, cert)) {
      throw new ConfigError(
        `SSL_CTX_use_PrivateKey("${path}") failed (SSL: error:05800074:x509 certificate routines::key values mismatch)`,
      )
    }
    return key.export({ type: 'pkcs8', format: 'pem' })
  })
}

function belongs(key: KeyObject, cert: string): boolean {
  // A trusted certificate is a certificate with more behind it, which only OpenSSL's own reader takes.
  if (cert.match(PEM)![0].includes('TRUSTED')) return true
  return new X509Certificate(cert).checkPrivateKey(key)
}

function decrypt(path: string, text: string, passwords: readonly string[]): KeyObject {
  // `openssl ecparam -genkey` puts the parameters in front of the key.
  const key = text.replace(/-----BEGIN EC PARAMETERS-----[^-]+-----END EC PARAMETERS-----/, '')
  let problem = ''
  for (const passphrase of passwords.length === 0 ? [''] : passwords) {
    try {
      return createPrivateKey({ key, passphrase: Buffer.from(passphrase, 'latin1') })
    } catch (error) {
      problem = (error as Error).message
    }
  }
  throw new ConfigError(`cannot load certificate key "${path}": PEM_read_bio_PrivateKey() failed (SSL: ${problem})`)
}

function readPasswords(path: string | null, read: Read): string[] {
  if (path === null) return []
  const { text, error, errno } = read(path)
  if (error !== '') throw new ConfigError(`open() "${path}" failed (${errno}: ${error})`)
  return text
    .split('\n')
    .map(line => line.replace(/\r$/, ''))
    .filter(line => line !== '')
}

/** Certificates that clients' ones may be signed with, each once. */
function readAuthorities(paths: readonly (string | null)[], read: Read): string[] {
  const found = new Set<string>()
  for (const path of paths) {
    if (path === null) continue
    const text = readFile(path, read, problem => `cannot load certificate "${path}": BIO_new_file() failed ${problem}`)
    const certificates = text.match(PEM)
    if (certificates === null) {
      throw new ConfigError(
        `cannot load certificate "${path}": PEM_read_bio_X509() failed (SSL: error:0480006C:PEM routines::no start line)`,
      )
    }
    for (const certificate of certificates) found.add(certificate)
  }
  return [...found]
}
