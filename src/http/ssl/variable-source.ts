// Certificates whose files variables name: read for each handshake, as the front's user, unless ssl_certificate_cache allows
// to remember them.

import { ConfigError } from '../../config/errors.ts'
import { readDataFile, type DataFile } from '../../config/source.ts'
import type { TlsContext } from '../../net/openssl/context.ts'
import type { TlsSettings } from '../../net/tls.ts'
import type { Value } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import type { HttpSetup } from '../setup.ts'
import { CertificateCache } from './certificate-cache.ts'
import { protocolsOf, serverContext, type ServerContext, type SslConf } from './context.ts'
import { isFile, pathOf } from './directives.ts'
import type { TlsSource } from './server-tls.ts'

/** Contexts remembered of a server: what its files hold has not changed. */
const CONTEXTS_MAX = 128

/** Why a variable is empty that has certificates; '' if that is not known. Said by whoever has such a variable. */
type WhyEmpty = (r: HttpRequest) => string

let whyEmpty: WhyEmpty = () => ''

export function explainEmpty(why: WhyEmpty): void {
  whyEmpty = why
}

export class VariableSource implements TlsSource {
  readonly variable = true
  private readonly conf: SslConf
  private readonly certs: readonly Value[]
  private readonly keys: readonly Value[]
  private readonly http: HttpSetup
  private readonly prepare: (made: ServerContext) => TlsContext
  private readonly cache: CertificateCache | null
  private readonly known = new Map<string, TlsSettings>()

  constructor(conf: SslConf, http: HttpSetup, prepare: (made: ServerContext) => TlsContext) {
    this.conf = conf
    this.http = http
    this.prepare = prepare
    this.cache = conf.ssl_certificate_cache === null ? null : CertificateCache.of(conf.ssl_certificate_cache)
    // All that has no variables is read, and found good, by the master.
    serverContext(conf, [], [], path => http.readData(path), protocolsOf(conf, http))
    this.certs = conf.ssl_certificate.map(({ name }) => http.value(name))
    this.keys = conf.ssl_certificate_key.map(({ name }) => http.value(name))
  }

  settingsFor(r: HttpRequest | null): TlsSettings {
    const { ssl_certificate: certFiles, ssl_certificate_key: keyFiles } = this.conf
    const certs = this.certs.map((value, i) => pathOf(certFiles[i]!, value.get(r!)))
    const keys = this.keys.map((value, i) => pathOf(keyFiles[i]!, value.get(r!)))
    if (certs.includes('')) this.refuseEmpty(r!, certs.indexOf(''))
    const files = new Map<string, DataFile>()
    for (const path of [...certs, ...keys]) if (isFile(path)) files.set(path, this.read(path))
    const key = [...certs, ...keys, ...[...files.values()].map(({ text }) => text)].join('\0')
    let settings = this.known.get(key)
    if (settings === undefined) {
      // What the configuration names itself has been read by the master.
      const read = (path: string): DataFile => files.get(path) ?? this.http.readData(path)
      const made = serverContext(this.conf, certs, keys, read, protocolsOf(this.conf, this.http))
      settings = {
        context: this.prepare(made),
        bufferSize: this.conf.ssl_buffer_size,
        earlyData: this.conf.ssl_early_data,
      }
      if (this.known.size >= CONTEXTS_MAX) this.known.clear()
      this.known.set(key, settings)
    }
    return settings
  }

  /** There is no such file, and nobody would know from its name which one is meant. */
  private refuseEmpty(r: HttpRequest, i: number): never {
    const name = this.conf.ssl_certificate[i]!.name.text
    throw new ConfigError(`cannot load certificate "": ${whyEmpty(r) || `"${name}" is empty`}`)
  }

  private read(path: string): DataFile {
    return this.cache === null ? readDataFile(path) : this.cache.read(path)
  }
}
