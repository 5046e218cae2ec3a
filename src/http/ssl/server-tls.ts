// TLS as one server has it configured, and the keys that session tickets are sealed with: those are the same in all threads,
// so that a client may come back to any of them, and stay over a reload.

import { createHash, randomFillSync } from 'node:crypto'
import type tls from 'node:tls'
import type { Scope } from '../../config/directive.ts'
import { ConfigError } from '../../config/errors.ts'
import { readDataFile, type DataFile } from '../../config/source.ts'
import type { Template } from '../../config/template.ts'
import type { TlsSettings } from '../../net/tls.ts'
import type { Value } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import type { HttpSetup, ThreadServices } from '../setup.ts'
import { secureContext, type SslConf } from './context.ts'
import { sslDirectives } from './directives.ts'

export interface ServerTls {
  readonly verify: 'off' | 'on' | 'optional' | 'optional_no_ca'
  readonly verifyDepth: number
  /** Handshakes for this server's names are refused (ssl_reject_handshake). */
  readonly rejects: boolean
  /** null: it has no certificate of its own, the address's default server has to do. */
  readonly settings: TlsSource | null
}

/** Where a handshake's settings come from. */
export interface TlsSource {
  /** Throws ConfigError where variables lead to what cannot be used. */
  settingsFor(r: HttpRequest | null): TlsSettings
  /** Do they depend on the client? Then it wants a request, which has nothing but the client's hello. */
  readonly variable: boolean
}

const TICKET_KEYS = 'tls-ticket-keys'
const KEYS_SIZE = 48
const KEYS_AT = 16

/** Servers that inherit all their values share one context. */
const compiled = new WeakMap<SslConf, ServerTls>()
/** Blocks for which the memory has been asked for. */
const withKeys = new WeakSet<HttpSetup>()

export function compileServerTls(scope: Scope, http: HttpSetup): ServerTls {
  const conf = scope.conf(sslDirectives)
  let server = compiled.get(conf)
  if (server === undefined) {
    server = serverTls(conf, scope, http)
    compiled.set(conf, server)
  }
  return server
}

function serverTls(conf: SslConf, scope: Scope, http: HttpSetup): ServerTls {
  const verify = conf.ssl_verify_client
  return {
    verify,
    verifyDepth: conf.ssl_verify_depth,
    rejects: conf.ssl_reject_handshake,
    settings: conf.ssl_certificate.length === 0 ? null : settings(conf, scope, http),
  }
}

function settings(conf: SslConf, scope: Scope, http: HttpSetup): TlsSource {
  const verify = conf.ssl_verify_client
  const unverifiable = conf.ssl_client_certificate === null && conf.ssl_trusted_certificate === null
  if ((verify === 'on' || verify === 'optional') && unverifiable) {
    throw new ConfigError('no ssl_client_certificate or ssl_trusted_certificate for ssl_verify_client')
  }
  const { ssl_certificate: certs, ssl_certificate_key: keys } = conf
  const requestCert = verify !== 'off'
  const [keyFile] = conf.ssl_session_ticket_key
  const own = keyFile === undefined ? null : readTicketKeys(keyFile, scope, http)
  if (!withKeys.has(http)) http.sharedMemory(TICKET_KEYS, KEYS_AT + KEYS_SIZE)
  withKeys.add(http)
  let ticketKeys: Buffer | null = null
  const seal = (context: tls.SecureContext): void => {
    if (ticketKeys !== null) (context.context as { setTicketKeys(keys: Buffer): void }).setTicketKeys(ticketKeys)
  }
  const setKeys = (services: ThreadServices): void => {
    ticketKeys = own ?? sharedKeys(services.shared(TICKET_KEYS))
  }
  if ([...certs, ...keys].some(({ constant }) => constant === null)) {
    http.onStart(setKeys)
    return new VariableSource(conf, http, requestCert, seal)
  }
  const paths = (templates: readonly Template[]): string[] => templates.map(({ text }) => text)
  const context = secureContext(conf, paths(certs), paths(keys), path => http.readData(path))
  http.onStart(services => {
    setKeys(services)
    seal(context)
  })
  const fixed = { secureContext: context, requestCert }
  return { variable: false, settingsFor: () => fixed }
}

/** Contexts remembered of a server whose certificates variables name. */
const CONTEXTS_MAX = 128

/** Files are read for each handshake, as the front's user; what has not changed since is not set up again. */
class VariableSource implements TlsSource {
  readonly variable = true
  private readonly conf: SslConf
  private readonly certs: readonly Value[]
  private readonly keys: readonly Value[]
  private readonly http: HttpSetup
  private readonly requestCert: boolean
  private readonly seal: (context: tls.SecureContext) => void
  private readonly known = new Map<string, TlsSettings>()

  constructor(conf: SslConf, http: HttpSetup, requestCert: boolean, seal: (context: tls.SecureContext) => void) {
    this.conf = conf
    this.http = http
    this.requestCert = requestCert
    this.seal = seal
    this.certs = conf.ssl_certificate.map(template => http.value(template))
    this.keys = conf.ssl_certificate_key.map(template => http.value(template))
  }

  settingsFor(r: HttpRequest | null): TlsSettings {
    const certs = this.certs.map(value => value.get(r!))
    const keys = this.keys.map(value => value.get(r!))
    const files = new Map<string, DataFile>()
    for (const path of [...certs, ...keys]) if (!path.startsWith('data:')) files.set(path, readDataFile(path))
    const key = [...certs, ...keys, ...[...files.values()].map(({ text }) => text)].join('\0')
    let settings = this.known.get(key)
    if (settings === undefined) {
      // What the configuration names itself has been read by the master.
      const context = secureContext(this.conf, certs, keys, path => files.get(path) ?? this.http.readData(path))
      this.seal(context)
      settings = { secureContext: context, requestCert: this.requestCert }
      if (this.known.size >= CONTEXTS_MAX) this.known.clear()
      this.known.set(key, settings)
    }
    return settings
  }
}

/** One file's 48 or 80 bytes make our keys; whoever has the same file has the same keys. */
function readTicketKeys(path: string, scope: Scope, http: HttpSetup): Buffer {
  const { text, error, errno } = http.readData(path)
  const site = scope.site('ssl_session_ticket_key') ?? scope.parent?.site('ssl_session_ticket_key')
  const fail = (problem: string): never =>
    site === null || site === undefined ? failUnplaced(problem) : site.fail(problem)
  if (error !== '') fail(`open() "${path}" failed (${errno}: ${error})`)
  if (text.length !== 48 && text.length !== 80) fail(`"${path}" must be 48 or 80 bytes`)
  return createHash('sha512').update(text, 'latin1').digest().subarray(0, KEYS_SIZE)
}

function failUnplaced(problem: string): never {
  throw new ConfigError(problem)
}

const UNSET = 0
const BEING_SET = 1
const SET = 2

/** The first thread that comes draws them. */
function sharedKeys(memory: SharedArrayBuffer): Buffer {
  const state = new Int32Array(memory, 0, 1)
  const keys = Buffer.from(memory, KEYS_AT, KEYS_SIZE)
  if (Atomics.compareExchange(state, 0, UNSET, BEING_SET) === UNSET) {
    randomFillSync(keys)
    Atomics.store(state, 0, SET)
    Atomics.notify(state, 0)
  } else while (Atomics.load(state, 0) === BEING_SET) Atomics.wait(state, 0, BEING_SET, 100)
  // OpenSSL is handed memory that nobody shares.
  return Buffer.from(keys)
}
