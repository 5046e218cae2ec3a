// The directives that say how an upstream is spoken to over TLS, under each kind's own prefix (proxy_ssl_*), and what they
// come to for one location (ngx_http_proxy_set_ssl).

import { HTTP, LOCATION, SERVER, type Directive } from '../../config/directive.ts'
import { ConfigError } from '../../config/errors.ts'
import { readDataFile, type DataFile } from '../../config/source.ts'
import type { Template } from '../../config/template.ts'
import { bitmask, flag, number, one, path, str, template } from '../../config/values.ts'
import { ERR } from '../../log/error-log.ts'
import type { TlsContext } from '../../net/openssl/context.ts'
import type { PeerTlsSettings } from '../../upstream/peer-tls.ts'
import type { Value } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import type { HttpSetup } from '../setup.ts'
import { CertificateCache } from '../ssl/certificate-cache.ts'
import { peerContext, type PeerTlsConf } from '../ssl/context.ts'
import {
  CERTIFICATE_SCHEMES,
  certificateCache,
  confCommands,
  isFile,
  KEY_SCHEMES,
  namedFile,
  pathOf,
  protocols as versions,
  TLS_1_2,
  TLS_1_3,
  type CertificateCacheConf,
  type NamedFile,
} from '../ssl/directives.ts'
import { passwordFile } from '../ssl/files.ts'

const anywhere = HTTP | SERVER | LOCATION

/** null: none, which an empty name asks for. */
function file(schemes: readonly string[]): Directive<NamedFile | null> {
  return one<NamedFile | null>(anywhere, null, (word, at) => (word === '' ? null : namedFile(word, schemes, at)))
}

function common() {
  return {
    ssl_session_reuse: flag(anywhere, true),
    ssl_protocols: bitmask(anywhere, versions, TLS_1_2 | TLS_1_3),
    ssl_ciphers: str(anywhere, 'DEFAULT'),
    ssl_name: template(anywhere, null),
    ssl_server_name: flag(anywhere, false),
    ssl_verify: flag(anywhere, false),
    ssl_verify_depth: number(anywhere, 1),
    ssl_trusted_certificate: path(anywhere, null, 'configuration'),
    ssl_crl: path(anywhere, null, 'configuration'),
    ssl_certificate: file(CERTIFICATE_SCHEMES),
    ssl_certificate_key: file(KEY_SCHEMES),
    ssl_certificate_cache: certificateCache(anywhere),
    ssl_password_file: passwordFile(anywhere),
    ssl_conf_command: confCommands(anywhere),
  }
}

type Common = ReturnType<typeof common>
type Prefixed<P extends string> = { [K in keyof Common as `${P}_${K & string}`]: Common[K] }

export function tlsDirectives<const P extends string>(prefix: P): Prefixed<P> {
  const entries = Object.entries(common()).map(([name, directive]) => [`${prefix}_${name}`, directive])
  return Object.fromEntries(entries) as Prefixed<P>
}

export interface UpstreamTls {
  readonly settings: PeerTlsSettings
  /** Null: the name the upstream has in the configuration. */
  readonly name: Template | null
}

/** @param protocols what is offered by ALPN */
export function upstreamTls(
  prefix: string,
  conf: Readonly<Record<string, unknown>>,
  http: HttpSetup,
  protocols: readonly string[] = [],
): UpstreamTls {
  const get = <K extends keyof Common>(name: K): Common[K]['default'] =>
    conf[`${prefix}_${name}`] as Common[K]['default']
  const trusted = get('ssl_trusted_certificate')
  if (get('ssl_verify') && trusted === null) {
    throw new ConfigError(`no ${prefix}_ssl_trusted_certificate for ${prefix}_ssl_verify`)
  }
  const certificate = get('ssl_certificate')
  const key = get('ssl_certificate_key')
  if (certificate !== null && key === null) {
    throw new ConfigError(`no "${prefix}_ssl_certificate_key" is defined for certificate "${certificate.name.text}"`)
  }
  const base: PeerTlsConf = {
    protocols: get('ssl_protocols'),
    ciphers: get('ssl_ciphers'),
    certificate: null,
    certificateKey: null,
    passwordFile: get('ssl_password_file'),
    // Nobody looks at them otherwise, not even whether they are there.
    trustedCertificate: get('ssl_verify') ? trusted : null,
    verifyDepth: get('ssl_verify_depth'),
    crl: get('ssl_verify') ? get('ssl_crl') : null,
    sessionReuse: get('ssl_session_reuse'),
    commands: get('ssl_conf_command'),
  }
  const settings = (context: TlsContext): PeerTlsSettings => ({
    context,
    sendsName: get('ssl_server_name'),
    verifies: get('ssl_verify'),
    sessions: get('ssl_session_reuse') ? new Map() : null,
    protocols,
  })
  const read = (path: string): DataFile => http.readData(path)
  const variable = certificate !== null && (certificate.name.constant === null || key!.name.constant === null)
  if (!variable) {
    const files = { certificate: certificate?.name.text ?? null, certificateKey: key?.name.text ?? null }
    return { settings: settings(peerContext({ ...base, ...files }, read)), name: get('ssl_name') }
  }
  const plain = settings(peerContext(base, read))
  variables.set(plain, new VariablePeer(base, certificate, key!, get('ssl_certificate_cache'), http, plain, settings))
  return { settings: plain, name: get('ssl_name') }
}

/** Settings whose certificate depends on the request. */
const variables = new WeakMap<PeerTlsSettings, VariablePeer>()

/** A location's settings as this request has them; null: its variables lead to what cannot be used, which has been logged. */
export function peerTlsFor(r: HttpRequest, settings: PeerTlsSettings): PeerTlsSettings | null {
  const variable = variables.get(settings)
  return variable === undefined ? settings : variable.settingsFor(r)
}

const CONTEXTS_MAX = 128

class VariablePeer {
  private readonly conf: PeerTlsConf
  private readonly certificate: NamedFile
  private readonly key: NamedFile
  private readonly certificateValue: Value
  private readonly keyValue: Value
  private readonly cache: CertificateCache | null
  private readonly http: HttpSetup
  private readonly plain: PeerTlsSettings
  private readonly make: (context: TlsContext) => PeerTlsSettings
  private readonly known = new Map<string, PeerTlsSettings>()

  constructor(
    conf: PeerTlsConf,
    certificate: NamedFile,
    key: NamedFile,
    cache: CertificateCacheConf | null,
    http: HttpSetup,
    plain: PeerTlsSettings,
    make: (context: TlsContext) => PeerTlsSettings,
  ) {
    this.conf = conf
    this.certificate = certificate
    this.key = key
    this.certificateValue = http.value(certificate.name)
    this.keyValue = http.value(key.name)
    this.cache = cache === null ? null : CertificateCache.of(cache)
    this.http = http
    this.plain = plain
    this.make = make
  }

  settingsFor(r: HttpRequest): PeerTlsSettings | null {
    const certificate = pathOf(this.certificate, this.certificateValue.get(r))
    const certificateKey = pathOf(this.key, this.keyValue.get(r))
    if (certificate === '') return this.plain
    const files = new Map<string, DataFile>()
    for (const path of [certificate, certificateKey]) if (isFile(path)) files.set(path, this.read(path))
    const key = [certificate, certificateKey, ...[...files.values()].map(({ text }) => text)].join('\0')
    const known = this.known.get(key)
    if (known !== undefined) return known
    try {
      const read = (path: string): DataFile => files.get(path) ?? this.http.readData(path)
      const settings = this.make(peerContext({ ...this.conf, certificate, certificateKey }, read))
      if (this.known.size >= CONTEXTS_MAX) this.known.clear()
      this.known.set(key, settings)
      return settings
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      r.log(ERR, `${error.message} while connecting to upstream`)
      return null
    }
  }

  private read(path: string): DataFile {
    return this.cache === null ? readDataFile(path) : this.cache.read(path)
  }
}
