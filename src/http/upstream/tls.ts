// The directives that say how an upstream is spoken to over TLS, under each kind's own prefix (proxy_ssl_*), and what they
// come to for one location (ngx_http_proxy_set_ssl).

import { HTTP, LOCATION, SERVER, type Directive, type Site } from '../../config/directive.ts'
import { ConfigError } from '../../config/errors.ts'
import type { Template } from '../../config/template.ts'
import { bitmask, flag, number, one, path, str, template } from '../../config/values.ts'
import type { PeerTlsSettings } from '../../upstream/peer-tls.ts'
import type { HttpSetup } from '../setup.ts'
import { peerContext } from '../ssl/context.ts'
import { confCommands, protocols, TLS_1_2, TLS_1_3 } from '../ssl/directives.ts'

const anywhere = HTTP | SERVER | LOCATION

function file(): Directive<string | null> {
  return one<string | null>(anywhere, null, (word, at: Site) => {
    if (word.includes('$')) at.fail(`variables in "${at.name}" are not supported by this version`)
    return word === '' ? null : at.confPath(word)
  })
}

function common() {
  return {
    ssl_session_reuse: flag(anywhere, true),
    ssl_protocols: bitmask(anywhere, protocols, TLS_1_2 | TLS_1_3),
    ssl_ciphers: str(anywhere, 'DEFAULT'),
    ssl_name: template(anywhere, null),
    ssl_server_name: flag(anywhere, false),
    ssl_verify: flag(anywhere, false),
    ssl_verify_depth: number(anywhere, 1),
    ssl_trusted_certificate: path(anywhere, null, 'configuration'),
    ssl_crl: path(anywhere, null, 'configuration'),
    ssl_certificate: file(),
    ssl_certificate_key: file(),
    ssl_password_file: path(anywhere, null, 'configuration'),
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
  const certificateKey = get('ssl_certificate_key')
  if (certificate !== null && certificateKey === null) {
    throw new ConfigError(`no "${prefix}_ssl_certificate_key" is defined for certificate "${certificate}"`)
  }
  const context = peerContext(
    {
      protocols: get('ssl_protocols'),
      ciphers: get('ssl_ciphers'),
      certificate,
      certificateKey,
      passwordFile: get('ssl_password_file'),
      trustedCertificate: trusted,
      verifyDepth: get('ssl_verify_depth'),
      crl: get('ssl_crl'),
      sessionReuse: get('ssl_session_reuse'),
      commands: get('ssl_conf_command'),
    },
    name => http.readData(name),
  )
  return {
    settings: {
      context,
      sendsName: get('ssl_server_name'),
      verifies: get('ssl_verify'),
      sessions: get('ssl_session_reuse') ? new Map() : null,
      protocols,
    },
    name: get('ssl_name'),
  }
}
