// What is written about TLS in http and server blocks (ngx_http_ssl_module). Files are named here and read when the block is
// compiled, by the master, as in nginx.

import {
  HTTP,
  MAIL,
  MAIL_SERVER,
  SERVER,
  STREAM,
  STREAM_SERVER,
  type Directive,
  type Site,
} from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { parseSeconds, parseSize } from '../../config/units.ts'
import { TlsContext } from '../../net/openssl/context.ts'
import { bitmask, flag, list, number, one, oneOf, path, refused, seconds, size, str } from '../../config/values.ts'
import { claimZone } from '../../config/zone-names.ts'
import { passwordFile } from './files.ts'

const contexts = HTTP | SERVER | STREAM | STREAM_SERVER
/** In mail servers, too. */
const everywhere = contexts | MAIL | MAIL_SERVER

export const TLS_1_0 = 1
export const TLS_1_1 = 2
export const TLS_1_2 = 4
export const TLS_1_3 = 8

/** OpenSSL has no other than these any more; the older names are read and mean nothing, as in nginx. */
export const protocols = {
  SSLv2: 16,
  SSLv3: 32,
  TLSv1: TLS_1_0,
  'TLSv1.1': TLS_1_1,
  'TLSv1.2': TLS_1_2,
  'TLSv1.3': TLS_1_3,
}

/** A file that a directive names, and the folder it is in if what variables come to is relative. */
export interface NamedFile {
  readonly name: Template
  readonly folder: string
}

/** With variables, files are looked for when a client comes; a path is made absolute unless it begins with one. */
function certificateFiles(where: number, schemes: readonly string[]): Directive<readonly NamedFile[]> {
  return list(where, [1, 1], ([word], at) => namedFile(word!, schemes, at))
}

export function namedFile(word: string, schemes: readonly string[], at: Site): NamedFile {
  if (word.startsWith('engine:')) at.fail(`"engine:" in "${at.name}" is not supported: OpenSSL 3 has providers instead`)
  const absolute = word.startsWith('$') || schemes.some(scheme => word.startsWith(scheme))
  return { name: Template.parse(absolute ? word : at.confPath(word), at), folder: at.confPath('') }
}

/** Its path, when `text` is what the name has come to. */
export function pathOf({ name, folder }: NamedFile, text: string): string {
  const relative = name.text.startsWith('$') && !text.startsWith('/') && !/^(?:data|store):/.test(text)
  return relative && text !== '' ? `${folder.replace(/\/?$/, '/')}${text}` : text
}

/** Is it to be read? */
export function isFile(path: string): boolean {
  return !path.startsWith('data:') && !path.startsWith('store:')
}

export const CERTIFICATE_SCHEMES = ['data:']
export const KEY_SCHEMES = ['data:', 'store:']

/** Where a server keeps its clients' sessions. */
export interface SessionCache {
  readonly mode: 'off' | 'none' | 'on'
  /** Sessions that OpenSSL keeps in each thread; 0: as many as it likes, -1: none. */
  readonly builtin: number
  readonly shared: { readonly name: string; readonly bytes: number } | null
}

const NO_CACHE: SessionCache = { mode: 'none', builtin: -1, shared: null }

const sessionCache: Directive<SessionCache> = {
  in: everywhere,
  args: [1, 2],
  default: NO_CACHE,
  repeatable: true,
  parse: (words, at, soFar = NO_CACHE) => words.reduce((cache, word) => withCache(cache, word, at), soFar),
}

function withCache(soFar: SessionCache, word: string, at: Site): SessionCache {
  if (word === 'off' || word === 'none') return { ...NO_CACHE, mode: word }
  if (word === 'builtin') return { ...soFar, mode: 'on', builtin: 0 }
  const builtin = /^builtin:(\d+)$/.exec(word)
  if (builtin !== null) return { ...soFar, mode: 'on', builtin: Number(builtin[1]) }
  const shared = /^shared:([^:]+):(.+)$/.exec(word)
  const bytes = (shared === null ? null : parseSize(shared[2]!)) ?? at.fail(`invalid session cache "${word}"`)
  if (bytes < 8 * 4096) at.fail(`session cache "${word}" is too small`)
  const name = shared![1]!
  claimZone(at, name, bytes)
  return { ...soFar, mode: 'on', shared: { name, bytes } }
}

/** Commands for OpenSSL itself (SSL_CONF_cmd). */
export function confCommands(where: number): Directive<readonly ConfCommand[]> {
  return list(where, [2, 2], ([command, value], at) => {
    if (command === 'Certificate' || command === 'PrivateKey' || command === 'DHParameters') {
      return [command, at.confPath(value!)] as const
    }
    return [command!, TlsContext.namesFile(command!) ? at.confPath(value!) : value!] as const
  })
}

type ConfCommand = readonly [command: string, value: string]

/** How long what variables have led to is remembered (ssl_certificate_cache). Times in ms. */
export interface CertificateCacheConf {
  readonly max: number
  readonly valid: number
  readonly inactive: number
}

export function certificateCache(where: number): Directive<CertificateCacheConf | null> {
  return {
    in: where,
    args: [1, 3],
    default: null,
    parse(words, at) {
      let max = 0
      let valid = 60_000
      let inactive = 10_000
      for (const word of words) {
        if (word === 'off') return null
        const [, name, value] = /^(max|valid|inactive)=(.*)$/.exec(word) ?? []
        const number = name === 'max' ? Number(/^\d+$/.exec(value!)?.[0] ?? 0) : (parseSeconds(value ?? '') ?? 0) * 1000
        if (number <= 0) at.fail(`invalid parameter "${word}"`)
        if (name === 'max') max = number
        else if (name === 'valid') valid = number
        else inactive = number
      }
      if (max === 0) at.fail(`"${at.name}" must have the "max" parameter`)
      return { max, valid, inactive }
    },
  }
}

/** What is remembered of clients' certificates: `off`, or `shared:NAME:SIZE`. */
const ocspCache: Directive<{ readonly name: string; readonly bytes: number } | null> = one(
  contexts,
  null,
  (word, at) => {
    if (word === 'off') return null
    const shared = /^shared:([^:]+):(.+)$/.exec(word)
    const bytes = (shared === null ? null : parseSize(shared[2]!)) ?? at.fail(`invalid OCSP cache "${word}"`)
    if (bytes < 8 * 4096) at.fail(`OCSP cache "${word}" is too small`)
    claimZone(at, shared![1]!, bytes)
    return { name: shared![1]!, bytes }
  },
)

export const sslDirectives = {
  /** Of the stream block alone. */
  ssl_alpn: {
    in: STREAM | STREAM_SERVER,
    args: [1, Infinity],
    default: [],
    parse: (protocols, at) => {
      if (protocols.some(protocol => protocol.length > 255)) at.fail('"ssl_alpn" directive protocol too long')
      return protocols
    },
  } satisfies Directive<readonly string[]>,
  ssl_certificate: certificateFiles(everywhere, CERTIFICATE_SCHEMES),
  ssl_certificate_key: certificateFiles(everywhere, KEY_SCHEMES),
  ssl_certificate_cache: certificateCache(contexts),
  ssl_certificate_compression: flag(everywhere, false),
  ssl_ech_file: refused(contexts, 'Encrypted Client Hello needs OpenSSL 4, which Node does not have'),
  ssl_password_file: passwordFile(everywhere),
  ssl_dhparam: path(everywhere, null, 'configuration'),
  ssl_ecdh_curve: str(everywhere, 'auto'),
  ssl_protocols: bitmask(everywhere, protocols, TLS_1_2 | TLS_1_3),
  ssl_ciphers: str(everywhere, 'HIGH:!aNULL:!MD5'),
  ssl_prefer_server_ciphers: flag(everywhere, false),
  ssl_buffer_size: size(contexts, 16384),
  ssl_verify_client: oneOf(everywhere, ['off', 'on', 'optional', 'optional_no_ca'], 'off'),
  ssl_verify_depth: number(everywhere, 1),
  ssl_client_certificate: path(everywhere, null, 'configuration'),
  ssl_trusted_certificate: path(everywhere, null, 'configuration'),
  ssl_crl: path(everywhere, null, 'configuration'),
  ssl_session_cache: sessionCache,
  ssl_session_tickets: flag(everywhere, true),
  ssl_session_ticket_key: list(everywhere, [1, 1], ([word], at) => at.confPath(word!)),
  ssl_session_timeout: seconds(everywhere, 300),
  ssl_reject_handshake: flag(contexts, false),
  ssl_conf_command: confCommands(everywhere),
  ssl_early_data: flag(contexts, false),
  ssl_stapling: flag(contexts, false),
  ssl_stapling_verify: flag(contexts, false),
  ssl_stapling_file: path(contexts, null, 'configuration'),
  ssl_stapling_responder: str(contexts, null),
  ssl_ocsp: oneOf(contexts, ['off', 'on', 'leaf'], 'off'),
  ssl_ocsp_responder: str(contexts, null),
  ssl_ocsp_cache: ocspCache,
}
