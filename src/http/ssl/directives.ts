// What is written about TLS in http and server blocks (ngx_http_ssl_module). Files are named here and read when the block is
// compiled, by the master, as in nginx.

import { HTTP, SERVER, type Directive, type Site } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { parseSize } from '../../config/units.ts'
import { accepted, bitmask, flag, list, number, one, oneOf, path, seconds, size, str } from '../../config/values.ts'

const contexts = HTTP | SERVER

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

/** With variables, files are looked for when a client comes; a path is made absolute unless it begins with one. */
function certificateFile(): Directive<readonly Template[]> {
  return list(contexts, [1, 1], ([word], at) => {
    for (const scheme of ['engine:', 'store:']) {
      if (word!.startsWith(scheme)) at.fail(`"${scheme}" in "${at.name}" is not supported by this version`)
    }
    const absolute = word!.startsWith('data:') || word!.startsWith('$')
    return Template.parse(absolute ? word! : at.confPath(word!), at)
  })
}

/** Sessions are kept by the clients themselves, as tickets, whichever cache is asked for. */
const sessionCache: Directive<boolean> = {
  in: contexts,
  args: [1, 2],
  default: false,
  parse(words, at) {
    for (const word of words) checkCache(word, at)
    return true
  },
}

function checkCache(word: string, at: Site): void {
  if (word === 'off' || word === 'none' || word === 'builtin') return
  if (/^builtin:\d+$/.test(word)) return
  const shared = /^shared:([^:]+):(.+)$/.exec(word)
  const bytes = shared === null ? null : parseSize(shared[2]!)
  if (bytes === null) at.fail(`invalid session cache "${word}"`)
  if (bytes < 8 * 4096) at.fail(`session cache "${word}" is too small`)
}

/** What is only faster or more private with it may be asked for in vain, and that is said. */
function withoutEffect(fallback: boolean, why: string): Directive<boolean> {
  const form = flag(contexts, fallback)
  return {
    ...form,
    parse(args, at, soFar) {
      const on = form.parse(args, at, soFar)
      if (on) at.warn(`"${at.name}" is ignored, ${why}`)
      return on
    },
  }
}

export const sslDirectives = {
  ssl_certificate: certificateFile(),
  ssl_certificate_key: certificateFile(),
  ssl_password_file: path(contexts, null, 'configuration'),
  ssl_dhparam: path(contexts, null, 'configuration'),
  ssl_ecdh_curve: str(contexts, 'auto'),
  ssl_protocols: bitmask(contexts, protocols, TLS_1_2 | TLS_1_3),
  ssl_ciphers: str(contexts, 'HIGH:!aNULL:!MD5'),
  ssl_prefer_server_ciphers: flag(contexts, false),
  ssl_buffer_size: accepted(size(contexts, 16384)),
  ssl_verify_client: oneOf(contexts, ['off', 'on', 'optional', 'optional_no_ca'], 'off'),
  ssl_verify_depth: number(contexts, 1),
  ssl_client_certificate: path(contexts, null, 'configuration'),
  ssl_trusted_certificate: path(contexts, null, 'configuration'),
  ssl_crl: path(contexts, null, 'configuration'),
  ssl_session_cache: accepted(sessionCache),
  ssl_session_tickets: flag(contexts, true),
  ssl_session_ticket_key: list(contexts, [1, 1], ([word], at) => at.confPath(word!)),
  ssl_session_timeout: seconds(contexts, 300),
  ssl_reject_handshake: flag(contexts, false),
  ssl_early_data: withoutEffect(false, 'early data is never accepted'),
  ssl_stapling: withoutEffect(false, 'responses of OCSP responders are not stapled'),
  ssl_stapling_verify: accepted(flag(contexts, false)),
  ssl_stapling_file: accepted(str(contexts, '')),
  ssl_stapling_responder: accepted(str(contexts, '')),
  ssl_ocsp: one<false>(contexts, false, (word, at) =>
    word === 'off' ? false : at.fail(`"ssl_ocsp ${word}" is not supported by this version`),
  ),
  http2: withoutEffect(false, 'HTTP/2 is not supported yet: clients are served HTTP/1.1'),
}
