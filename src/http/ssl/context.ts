// From ssl_* values to an OpenSSL context, with nginx's words for what is wrong with a file (ngx_event_openssl.c).

import { createHash } from 'node:crypto'
import { STREAM, type Conf } from '../../config/directive.ts'
import { ConfigError } from '../../config/errors.ts'
import { chooseProtocol } from '../../net/openssl/alpn.ts'
import * as c from '../../net/openssl/constants.ts'
import { TlsContext } from '../../net/openssl/context.ts'
import { OpensslFailure } from '../../net/openssl/errors.ts'
import { openssl } from '../../net/openssl/library.ts'
import { derOf } from '../../net/openssl/memory.ts'
import { readChain } from '../../net/openssl/pem.ts'
import { saveSessions } from '../../net/openssl/client-sessions.ts'
import { TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3, type sslDirectives } from './directives.ts'
import type { HttpSetup } from '../setup.ts'
import { readFile, readPasswords, type PasswordFile, type Read } from './files.ts'

export type SslConf = Conf<typeof sslDirectives>
export type ConfCommand = readonly [command: string, value: string]

const HTTP_PROTOCOLS: readonly string[] = ['h2', 'http/1.1', 'http/1.0', 'http/0.9']

/** What is spoken inside: HTTP, or in the stream block what the configuration says. */
export function protocolsOf(conf: SslConf, http: HttpSetup): readonly string[] {
  return http.scope.context === STREAM ? conf.ssl_alpn : HTTP_PROTOCOLS
}

/** What a server's certificates are, and the context that shows them. */
export interface ServerContext {
  readonly context: TlsContext
  readonly certificates: readonly ShownCertificate[]
}

export interface ShownCertificate {
  /** Of its file. */
  readonly name: string
  /** Where the context has it. */
  readonly pointer: bigint
  /** DER of it, and of those behind it. */
  readonly chain: readonly Buffer[]
}

/** The context of a server that has these certificates. Throws ConfigError. */
export function serverContext(
  conf: SslConf,
  certPaths: readonly string[],
  keyPaths: readonly string[],
  read: Read,
  protocols: readonly string[],
): ServerContext {
  return configuring(() => {
    const context = new TlsContext()
    setVersions(context, conf.ssl_protocols)
    if (!conf.ssl_session_tickets) context.setOptions(c.SSL_OP_NO_TICKET)
    const passwords = readPasswords(conf.ssl_password_file, read)
    const certificates = certPaths.map((path, i) => useCertificate(context, path, keyPaths[i]!, passwords, read))
    context.setCiphers(conf.ssl_ciphers)
    if (conf.ssl_prefer_server_ciphers) context.setOptions(c.SSL_OP_CIPHER_SERVER_PREFERENCE)
    context.setVerifyDepth(conf.ssl_verify_depth)
    if (conf.ssl_verify_client !== 'off') context.askForCertificates()
    if (conf.ssl_verify_client !== 'off') trust(context, conf.ssl_client_certificate, true, read)
    trust(context, conf.ssl_trusted_certificate, false, read)
    setRevoked(context, conf.ssl_crl, read)
    const dh = conf.ssl_dhparam
    if (dh !== null) {
      context.setDhParameters(
        readFile(dh, read, problem => `BIO_new_file("${dh}") failed ${problem}`),
        dh,
      )
    }
    if (conf.ssl_ecdh_curve !== 'auto') context.setCurves(conf.ssl_ecdh_curve)
    context.setSessionTimeout(conf.ssl_session_timeout)
    context.setSessionIdContext(sessionId(conf, certificates, protocols, read))
    if (conf.ssl_early_data) context.setEarlyData(16384)
    // Where nothing is expected inside, clients are not asked.
    if (protocols.length > 0) chooseProtocol(context, protocols, protocols === HTTP_PROTOCOLS)
    runCommands(context, conf.ssl_conf_command, passwords, read)
    // Those that variables name come with the handshake, and as they are.
    if (conf.ssl_certificate_compression && certPaths.length > 0) context.compressCertificates()
    return { context, certificates }
  })
}

/** What a location says of the servers it asks over TLS (proxy_ssl_* and their like). */
export interface PeerTlsConf {
  readonly protocols: number
  readonly ciphers: string
  readonly certificate: string | null
  readonly certificateKey: string | null
  readonly passwordFile: PasswordFile | null
  readonly trustedCertificate: string | null
  readonly verifyDepth: number
  readonly crl: string | null
  readonly sessionReuse: boolean
  readonly commands: readonly ConfCommand[]
}

export function peerContext(conf: PeerTlsConf, read: Read): TlsContext {
  return configuring(() => {
    const context = new TlsContext()
    setVersions(context, conf.protocols)
    const passwords = readPasswords(conf.passwordFile, read)
    if (conf.certificate !== null) useCertificate(context, conf.certificate, conf.certificateKey!, passwords, read)
    context.setCiphers(conf.ciphers)
    trust(context, conf.trustedCertificate, false, read)
    if (conf.trustedCertificate !== null) context.judgePeersLater()
    context.setVerifyDepth(conf.verifyDepth)
    setRevoked(context, conf.crl, read)
    if (conf.sessionReuse) saveSessions(context)
    runCommands(context, conf.commands, passwords, read)
    return context
  })
}

function configuring<T>(make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (error instanceof OpensslFailure) throw new ConfigError(error.message)
    throw error
  }
}

/** As configuring(), for a file that OpenSSL has not understood. */
function loading<T>(what: string, make: () => T): T {
  try {
    return make()
  } catch (error) {
    if (error instanceof OpensslFailure) throw new ConfigError(`${what}: ${error.message}`)
    throw error
  }
}

function setVersions(context: TlsContext, wanted: number): void {
  let refused = 0n
  if ((wanted & TLS_1_0) === 0) refused |= c.SSL_OP_NO_TLSV1
  if ((wanted & TLS_1_1) === 0) refused |= c.SSL_OP_NO_TLSV1_1
  if ((wanted & TLS_1_2) === 0) refused |= c.SSL_OP_NO_TLSV1_2
  if ((wanted & TLS_1_3) === 0) refused |= c.SSL_OP_NO_TLSV1_3
  context.setVersions(refused)
}

const STORE = 'store:'

function useCertificate(
  context: TlsContext,
  path: string,
  keyPath: string,
  passwords: readonly string[],
  read: Read,
): ShownCertificate {
  const shown = showCertificate(context, path, read)
  useKey(context, keyPath, passwords, read)
  return shown
}

function showCertificate(context: TlsContext, path: string, read: Read): ShownCertificate {
  const o = openssl()
  const what = `cannot load certificate "${path}"`
  const text = readFile(path, read, problem => `${what}: BIO_new_file() failed ${problem}`)
  const chain = loading(what, () => readChain(text))
  try {
    context.useCertificate(chain, path)
    const der = chain.map(certificate => derOf(o.i2d_X509, certificate))
    return { name: path, pointer: chain[0]!, chain: der }
  } finally {
    for (const certificate of chain) o.X509_free(certificate)
  }
}

function useKey(context: TlsContext, path: string, passwords: readonly string[], read: Read): void {
  const what = `cannot load certificate key "${path}"`
  if (path.startsWith(STORE)) {
    loadingKey(what, () => context.useStoredKey(path.slice(STORE.length), passwords, path))
    return
  }
  const text = readFile(path, read, problem => `${what}: BIO_new_file() failed ${problem}`)
  loadingKey(what, () => context.useKey(text, passwords, path))
}

/** That a key does not belong to its certificate is told as it is. */
function loadingKey(what: string, use: () => void): void {
  try {
    use()
  } catch (error) {
    if (!(error instanceof OpensslFailure)) throw error
    throw new ConfigError(error.message.startsWith('SSL_CTX_') ? error.message : `${what}: ${error.message}`)
  }
}

function trust(context: TlsContext, path: string | null, told: boolean, read: Read): void {
  if (path === null) return
  const what = `cannot load certificate "${path}"`
  const text = readFile(path, read, problem => `${what}: BIO_new_file() failed ${problem}`)
  loading(what, () => context.trust(text, path, told))
}

function setRevoked(context: TlsContext, path: string | null, read: Read): void {
  if (path === null) return
  const what = `cannot load CRL "${path}"`
  const text = readFile(path, read, problem => `${what}: BIO_new_file() failed ${problem}`)
  loading(what, () => context.setRevoked(text, path))
}

/** ssl_conf_command: files are read here as all others are, since a thread has no right to any more. */
function runCommands(
  context: TlsContext,
  commands: readonly ConfCommand[],
  passwords: readonly string[],
  read: Read,
): void {
  const others: ConfCommand[] = []
  for (const [command, value] of commands) {
    if (command === 'Certificate') showCertificate(context, value, read)
    else if (command === 'PrivateKey') useKey(context, value, passwords, read)
    else if (command === 'DHParameters') {
      context.setDhParameters(
        readFile(value, read, problem => `BIO_new_file("${value}") failed ${problem}`),
        value,
      )
    } else others.push([command, value])
  }
  if (others.length > 0) context.run(others)
}

/** A session may be resumed where the same certificates are shown, and clients' are judged in the same way, and nowhere else:
 *  what was found of a client's certificate is a part of the session, and nobody looks at it again. */
function sessionId(
  conf: SslConf,
  certificates: readonly ShownCertificate[],
  protocols: readonly string[],
  read: Read,
): Buffer {
  const hash = createHash('sha256').update(protocols === HTTP_PROTOCOLS ? 'HTTP' : 'STREAM')
  const variable = conf.ssl_certificate.some(({ name }) => name.constant === null)
  // Certificates that variables name are known by their names.
  if (variable) for (const { name } of conf.ssl_certificate) hash.update(name.text, 'latin1')
  else for (const { chain } of certificates) hash.update(chain[0]!)
  if (conf.ssl_verify_client !== 'off') {
    for (const path of [conf.ssl_client_certificate, conf.ssl_trusted_certificate, conf.ssl_crl]) {
      const text = path === null ? '' : read(path).text
      hash.update(`\n${path === null} ${text.length}\n`).update(text, 'latin1')
    }
    hash.update(JSON.stringify([conf.ssl_verify_depth, conf.ssl_conf_command]))
  }
  return hash.digest()
}
