// The core's own directives: servers, locations, and what the connection and the request's life read
// (nginx's ngx_http_core_module). Times in ms, sizes in bytes.

import { CASEFOLD_METHOD, FOLDING, HEADER_SPACES, ODD_METHOD, ODD_VERSION } from '../../codec/h1/head.ts'
import { HTTP, IF_IN_LOCATION, LOCATION, MAIN, SERVER, type Site } from '../../config/directive.ts'
import { parseTime } from '../../config/units.ts'
import {
  accepted,
  block,
  buffers,
  choice,
  flag,
  number,
  offset,
  one,
  oneOf,
  section,
  size,
  str,
  time,
  bitmask,
} from '../../config/values.ts'
import { Template } from '../../config/template.ts'
import { ERR, INFO, NOTICE, WARN } from '../../log/error-log.ts'
import type { Directive } from '../../config/directive.ts'
import { errorLog } from '../../config/error-log.ts'
import { errorPage } from '../error-page.ts'
import { keepaliveDisable } from './keepalive-disable.ts'
import { limitExcept } from '../limit-except.ts'
import { listen } from './listen.ts'
import { parseLocation } from './location-name.ts'
import { defaultTypes, readTypes } from './mime-types.ts'
import { poolSize } from './pool-size.ts'
import { serverName } from './server-names.ts'
import { serverTokens } from './server-tokens.ts'

const everywhere = HTTP | SERVER | LOCATION

/** keepalive_timeout: how long, and what the Keep-Alive field says (seconds, 0: no field). */
export interface KeepaliveTimeout {
  readonly timeout: number
  readonly header: number
}

const keepaliveTimeout: Directive<KeepaliveTimeout> = {
  in: everywhere,
  args: [1, 2],
  default: { timeout: 75000, header: 0 },
  parse([timeout, header], at) {
    return { timeout: timeOf(timeout!, at), header: header === undefined ? 0 : timeOf(header, at) / 1000 }
  },
}

function timeOf(word: string, at: Site): number {
  return parseTime(word) ?? at.fail(`"${at.name}" directive invalid value`)
}

/** `root` and `alias`: made absolute unless they begin with a variable. */
function fileRoot(contexts: number): Directive<Template | null> {
  return one<Template | null>(contexts, null, (word, at) => {
    if (at.scope.has(at.name === 'root' ? 'alias' : 'root')) {
      at.fail(
        `"${at.name}" directive is duplicate, "${at.name === 'root' ? 'alias' : 'root'}" directive was specified earlier`,
      )
    }
    const circle = /\$(?:\{(document_root|realpath_root)\}|(document_root|realpath_root))/.exec(word)
    if (circle !== null) at.fail(`the $${circle[1] ?? circle[2]} variable cannot be used in the "${at.name}" directive`)
    if (at.name === 'alias' && at.scope.args[0]?.startsWith('@') === true)
      at.fail('the "alias" directive cannot be used inside the named location')
    const text = word.startsWith('$') ? word : at.prefixPath(word)
    return Template.parse(at.name === 'root' && text.length > 1 && text.endsWith('/') ? text.slice(0, -1) : text, at)
  })
}

/** A folder for temporary files. Their names do not collide: nginx's levels of subfolders are read, and have nothing to spread. */
export const tempPath: Directive<string | null> = {
  in: everywhere,
  args: [1, 4],
  default: null,
  parse: ([folder, ...levels], at) => {
    for (const level of levels) if (!/^0*[1-9]\d*$/.test(level)) at.fail(`"${at.name}" directive invalid value`)
    return at.prefixPath(folder!)
  },
}

/** What Gunicorn's settings permit of requests, by names like theirs. */
const LENIENCIES = {
  obsolete_folding: FOLDING,
  header_spaces: HEADER_SPACES,
  unconventional_method: ODD_METHOD,
  unconventional_version: ODD_VERSION,
  casefold_method: CASEFOLD_METHOD,
}

export const coreDirectives = {
  error_log: errorLog,
  http: section(MAIN, HTTP),
  server: block(HTTP, [0, 0], SERVER, (_args, at) => at.inner!),
  location: block(SERVER | LOCATION, [1, 2], LOCATION, parseLocation),
  listen: listen(SERVER),
  server_name: serverName(SERVER),
  root: fileRoot(everywhere | IF_IN_LOCATION),
  alias: fileRoot(LOCATION),
  internal: {
    in: LOCATION,
    args: [0, 0],
    default: false,
    parse: () => true,
  } satisfies Directive<boolean>,
  limit_except: limitExcept,
  error_page: errorPage,
  recursive_error_pages: flag(everywhere, false),
  msie_padding: flag(everywhere, true),
  msie_refresh: flag(everywhere, false),
  log_subrequest: flag(everywhere, false),
  types: {
    in: everywhere,
    args: [0, 0],
    default: defaultTypes,
    block: 'data',
    parse: readTypes,
    repeatable: true,
  } satisfies Directive<ReadonlyMap<string, string>>,
  default_type: str(everywhere, 'text/plain'),
  server_tokens: serverTokens,
  merge_slashes: flag(HTTP | SERVER, true),
  chunked_transfer_encoding: flag(HTTP | SERVER | LOCATION, true),
  absolute_redirect: flag(everywhere, true),
  server_name_in_redirect: flag(everywhere, false),
  port_in_redirect: flag(everywhere, true),

  client_header_timeout: time(HTTP | SERVER, 60000),
  client_header_buffer_size: size(HTTP | SERVER, 1024),
  large_client_header_buffers: buffers(HTTP | SERVER, { number: 4, size: 8192 }),
  max_headers: number(HTTP | SERVER, 1000),
  ignore_invalid_headers: flag(HTTP | SERVER, true),
  underscores_in_headers: flag(HTTP | SERVER, false),
  strict_requests: flag(HTTP | SERVER, false),
  require_host: flag(HTTP | SERVER, true),
  raw_requests: flag(HTTP | SERVER, false),
  lenient_requests: bitmask(HTTP | SERVER, LENIENCIES, 0),

  client_max_body_size: offset(everywhere, 1048576),
  client_body_buffer_size: size(everywhere, 16384),
  client_body_in_file_only: oneOf(everywhere, ['off', 'on', 'clean'], 'off'),
  client_body_timeout: time(everywhere, 60000),
  client_body_temp_path: tempPath,
  temp_file_log_level: choice(everywhere, { info: INFO, notice: NOTICE, warn: WARN, error: ERR }, WARN),
  send_timeout: time(everywhere, 60000),
  keepalive_timeout: keepaliveTimeout,
  keepalive_min_timeout: time(everywhere, 0),
  keepalive_time: time(everywhere, 3_600_000),
  keepalive_disable: keepaliveDisable,
  keepalive_requests: number(everywhere, 1000),
  lingering_time: time(everywhere, 30000),
  lingering_timeout: time(everywhere, 5000),
  lingering_close: oneOf(everywhere, ['off', 'on', 'always'], 'on'),
  reset_timedout_connection: flag(everywhere, false),
  tcp_nodelay: flag(everywhere, true),
  tcp_nopush: accepted(flag(everywhere, false)),
  sendfile: flag(everywhere | IF_IN_LOCATION, false),
  types_hash_max_size: accepted(number(everywhere, 1024)),
  types_hash_bucket_size: accepted(number(everywhere, 64)),
  server_names_hash_max_size: accepted(number(HTTP, 512)),
  server_names_hash_bucket_size: accepted(number(HTTP, 64)),
  variables_hash_max_size: accepted(number(HTTP, 1024)),
  variables_hash_bucket_size: accepted(number(HTTP, 64)),
  connection_pool_size: poolSize(HTTP | SERVER, 512),
  request_pool_size: poolSize(HTTP | SERVER, 4096),
  client_body_in_single_buffer: accepted(flag(everywhere, false)),
  postpone_output: size(everywhere, 1460),
}
