// TLS as one server has it configured: its contexts, and what clients may come back with. Sessions and the keys that tickets
// are sealed with are the same in all threads, so that a client may come back to any of them, and stay over a reload.

import type { Scope } from '../../config/directive.ts'
import { ConfigError } from '../../config/errors.ts'
import type { DataFile } from '../../config/source.ts'
import type { ErrorLog } from '../../log/error-log.ts'
import type { TlsContext } from '../../net/openssl/context.ts'
import type { TlsSettings } from '../../net/tls.ts'
import { KeyTable } from '../../zone/key-table.ts'
import { parseUrl } from '../fetch.ts'
import type { HttpRequest } from '../request.ts'
import { resolverDirectives, resolverOf } from '../resolver.ts'
import type { HttpSetup } from '../setup.ts'
import { ClientOcsp } from './client-ocsp.ts'
import { protocolsOf, serverContext, type ServerContext, type SslConf } from './context.ts'
import { sslDirectives, type NamedFile } from './directives.ts'
import { readPasswords } from './files.ts'
import { Resumption } from './resumption.ts'
import { stapleAll } from './stapling.ts'
import { VariableSource } from './variable-source.ts'

export interface ServerTls {
  readonly verify: 'off' | 'on' | 'optional' | 'optional_no_ca'
  /** Handshakes for this server's names are refused (ssl_reject_handshake). */
  readonly rejects: boolean
  /** null: it has no certificate of its own, the address's default server has to do. */
  readonly settings: TlsSource | null
  /** Whether clients' certificates have been revoked; null: nobody is asked. */
  readonly ocsp: ClientOcsp | null
}

/** Where a handshake's settings come from. */
export interface TlsSource {
  /** Throws ConfigError where variables lead to what cannot be used. */
  settingsFor(r: HttpRequest | null): TlsSettings
  /** Do they depend on the client? Then it wants a request, which has nothing but the client's hello. */
  readonly variable: boolean
}

/** Servers that inherit all their values share one context. */
const compiled = new WeakMap<SslConf, ServerTls>()

export function compileServerTls(scope: Scope, http: HttpSetup): ServerTls {
  const conf = scope.conf(sslDirectives)
  let server = compiled.get(conf)
  if (server === undefined) {
    server = serverTlsFor(conf, scope, http, protocolsOf(conf, http))
    compiled.set(conf, server)
  }
  return server
}

/** As compileServerTls(), for a server that speaks what its neighbours may not. */
export function compileServerTlsFor(protocol: string, scope: Scope, http: HttpSetup): ServerTls {
  return serverTlsFor(scope.conf(sslDirectives), scope, http, [protocol])
}

function serverTlsFor(conf: SslConf, scope: Scope, http: HttpSetup, protocols: readonly string[]): ServerTls {
  // A missing file is told of, even where no key needs it.
  readPasswords(conf.ssl_password_file, path => http.readData(path))
  return {
    verify: conf.ssl_verify_client,
    rejects: conf.ssl_reject_handshake,
    settings: conf.ssl_certificate.length === 0 ? null : sourceOf(conf, scope, http, protocols),
    ocsp: conf.ssl_ocsp === 'off' || conf.ssl_certificate.length === 0 ? null : clientOcsp(conf, scope, http),
  }
}

function sourceOf(conf: SslConf, scope: Scope, http: HttpSetup, protocols: readonly string[]): TlsSource {
  const { ssl_verify_client: verify, ssl_certificate: certs, ssl_certificate_key: keys } = conf
  const unverifiable = conf.ssl_client_certificate === null && conf.ssl_trusted_certificate === null
  if ((verify === 'on' || verify === 'optional') && unverifiable) {
    throw new ConfigError('no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client')
  }
  if (keys.length < certs.length) {
    throw new ConfigError(`no "ssl_certificate_key" is defined for certificate "${certs.at(-1)!.name.text}"`)
  }
  const resumption = new Resumption(conf, scope, http)
  const resolver = resolverOf(scope.conf(resolverDirectives), http)
  let errorLog: ErrorLog | null = null
  http.onStart(services => {
    errorLog = services.errorLog
  })
  const read = (path: string): DataFile => http.readData(path)
  const prepare = (made: ServerContext): TlsContext => {
    resumption.prepare(made.context)
    return made.context
  }
  if (conf.ssl_stapling && conf.ssl_certificate_compression) {
    throw new ConfigError('"ssl_stapling" is incompatible with "ssl_certificate_compression"')
  }
  if ([...certs, ...keys].some(({ name }) => name.constant === null)) return new VariableSource(conf, http, prepare)
  const paths = (files: readonly NamedFile[]): string[] => files.map(({ name }) => name.text)
  const made = serverContext(conf, paths(certs), paths(keys), read, protocols)
  if (conf.ssl_stapling) {
    const site = scope.site('ssl_stapling') ?? scope.parent?.site('ssl_stapling')
    const staplings = stapleAll(made, conf, read, resolver, problem => site?.warn(problem))
    http.onStart(() => staplings.forEach(stapling => (stapling.errorLog = errorLog)))
  }
  http.onStart(() => void prepare(made))
  const settings = { context: made.context, bufferSize: conf.ssl_buffer_size, earlyData: conf.ssl_early_data }
  return { variable: false, settingsFor: () => settings }
}

function clientOcsp(conf: SslConf, scope: Scope, http: HttpSetup): ClientOcsp {
  if (conf.ssl_verify_client === 'optional_no_ca') {
    throw new ConfigError('"ssl_ocsp" is incompatible with "ssl_verify_client optional_no_ca"')
  }
  const responder = conf.ssl_ocsp_responder
  const url = responder === null ? null : parseUrl(responder)
  if (responder !== null && (url === null || url.secure)) {
    throw new ConfigError(`invalid URL prefix in OCSP responder "${responder}" in "ssl_ocsp_responder"`)
  }
  const resolver = resolverOf(scope.conf(resolverDirectives), http)
  const ocsp = new ClientOcsp({ leafOnly: conf.ssl_ocsp === 'leaf', responder, resolver })
  const zone = conf.ssl_ocsp_cache
  if (zone === null) return ocsp
  const key = `ssl_ocsp_cache "${zone.name}"`
  http.sharedMemory(key, Math.floor(zone.bytes / 4) * 4)
  http.onStart(services => {
    ocsp.cache = new KeyTable(services.shared(key))
  })
  return ocsp
}
