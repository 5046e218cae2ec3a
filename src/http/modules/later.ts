// Directives of features that do not exist yet and whose absence harms nobody: a response that is not cached is only slower,
// the windows of HTTP/2 and HTTP/3 have no meaning without these, and their clients fall back to HTTP/1.1. They are read as nginx reads them, so that a mistake is still told, and
// warned about. What protects or serves (access, limits, protocols) has no place here: that works or is refused.

import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import type { Directive, Directives, Site } from '../../config/directive.ts'
import { parseOffset, parseSeconds, parseSize } from '../../config/units.ts'
import {
  accepted,
  bitmask,
  flag,
  later,
  list,
  number,
  offset,
  one,
  size,
  str,
  time,
  words,
} from '../../config/values.ts'
import { httpModule } from '../module.ts'
import type { Variable } from '../module.ts'

const everywhere = HTTP | SERVER | LOCATION

const none: Variable = { get: () => null }

/** It protects files: only what asks for no protection is taken. */
const disableSymlinks: Directive<'off'> = {
  in: everywhere,
  args: [1, 2],
  default: 'off',
  parse: (args, at) =>
    args[0] === 'off' && args.length === 1
      ? 'off'
      : at.fail(`"disable_symlinks ${args.join(' ')}" is not supported yet`),
}

export const laterModule = httpModule({
  name: 'later',
  directives: {
    ...cacheOf('proxy', ['http_500', 'http_502', 'http_503', 'http_504', 'http_403', 'http_404', 'http_429']),
    proxy_cache_convert_head: later(flag(everywhere, true)),
    ...cacheOf('fastcgi', ['http_500', 'http_503', 'http_403', 'http_404', 'http_429']),
    ...cacheOf('uwsgi', ['http_500', 'http_502', 'http_503', 'http_504', 'http_403', 'http_404', 'http_429']),
    ...cacheOf('scgi', ['http_500', 'http_503', 'http_403', 'http_404', 'http_429']),

    disable_symlinks: disableSymlinks,
    send_lowat: accepted(size(everywhere, 0)),
    keepalive_disable: accepted(bitmask(everywhere, { none: 1, msie6: 2, safari: 4 }, 2)),
    keepalive_min_timeout: later(time(everywhere, 0)),
    ...socketBuffersOf('proxy'),
    ...socketBuffersOf('fastcgi'),
    ...socketBuffersOf('uwsgi'),
    ...socketBuffersOf('scgi'),

    http2_max_concurrent_streams: later(number(HTTP | SERVER, 128)),
    http2_chunk_size: later(size(everywhere, 8192)),
    http2_recv_buffer_size: later(size(HTTP, 262144)),
    http2_body_preread_size: later(size(HTTP | SERVER, 65536)),
    http2_pool_size: later(size(HTTP | SERVER, 4096)),
    http2_streams_index_size: later(number(HTTP | SERVER, 32)),
    http3: later(flag(HTTP | SERVER, true)),
    http3_hq: later(flag(HTTP | SERVER, false)),
    http3_max_concurrent_streams: later(number(HTTP | SERVER, 128)),
    http3_stream_buffer_size: later(size(HTTP | SERVER, 65536)),
    quic_retry: later(flag(HTTP | SERVER, false)),
    quic_gso: later(flag(HTTP | SERVER, false)),
    quic_host_key: later(str(HTTP | SERVER, null)),
    quic_active_connection_id_limit: later(number(HTTP | SERVER, 2)),
    http2_recv_timeout: obsolete(HTTP | SERVER, 'client_header_timeout'),
    http2_idle_timeout: obsolete(HTTP | SERVER, 'keepalive_timeout'),
    http2_max_requests: obsolete(HTTP | SERVER, 'keepalive_requests'),
    http2_max_field_size: obsolete(HTTP | SERVER, 'large_client_header_buffers'),
    http2_max_header_size: obsolete(HTTP | SERVER, 'large_client_header_buffers'),
    http2_max_concurrent_pushes: obsolete(HTTP | SERVER, null),
    http2_push: obsolete(everywhere, null),
    http2_push_preload: obsolete(everywhere, null),
  },
  variables: {
    upstream_cache_status: none,
    upstream_cache_last_modified: none,
    upstream_cache_etag: none,
    http3: none,
    quic: none,
  },
})

/** The cache directives of one protocol's module. */
function cacheOf(protocol: string, statuses: readonly string[]): Directives {
  const stale = ['error', 'timeout', 'invalid_header', 'updating', ...statuses, 'off']
  const directives: Directives = {
    cache: str(everywhere, 'off'),
    cache_path: list(HTTP, [2, Infinity], (args, at) => checkPath(args, at)),
    cache_key: str(everywhere, null),
    cache_bypass: words(everywhere, [1, Infinity], null),
    cache_valid: list(everywhere, [1, Infinity], (args, at) => checkValid(args, at)),
    cache_min_uses: number(everywhere, 1),
    cache_max_range_offset: offset(everywhere, null),
    cache_use_stale: bitmask(everywhere, bits(stale), 0),
    cache_methods: bitmask(everywhere, bits(['GET', 'HEAD', 'POST']), 0),
    cache_lock: flag(everywhere, false),
    cache_lock_timeout: time(everywhere, 5000),
    cache_lock_age: time(everywhere, 5000),
    cache_revalidate: flag(everywhere, false),
    cache_background_update: flag(everywhere, false),
    no_cache: words(everywhere, [1, Infinity], null),
  }
  return Object.fromEntries(Object.entries(directives).map(([name, form]) => [`${protocol}_${name}`, later(form)]))
}

/** The kernel sizes them by itself. */
function socketBuffersOf(protocol: string): Directives {
  const form = accepted(size(everywhere, 0))
  return { [`${protocol}_socket_rcvbuf`]: form, [`${protocol}_socket_sndbuf`]: form }
}

function bits(names: readonly string[]): Record<string, number> {
  return Object.fromEntries(names.map((name, i) => [name, 1 << i]))
}

/** `PATH levels=1:2 keys_zone=NAME:SIZE inactive=10m max_size=1g …` */
function checkPath(args: readonly string[], at: Site): readonly string[] {
  for (const word of args.slice(1)) {
    const name = word.slice(0, word.indexOf('=') + 1)
    const value = word.slice(name.length)
    const check = pathParameters[name] ?? at.fail(`invalid parameter "${word}"`)
    if (!check(value)) at.fail(`invalid ${name.slice(0, -1)} value "${value}" in "${word}"`)
  }
  if (!args.some(word => word.startsWith('keys_zone='))) at.fail(`"${at.name}" must have "keys_zone" parameter`)
  return args
}

const isNumber = (value: string): boolean => /^\d+$/.test(value)
const isTime = (value: string): boolean => parseSeconds(value) !== null
const isOffset = (value: string): boolean => parseOffset(value) !== null

const pathParameters: Readonly<Record<string, (value: string) => boolean>> = {
  'levels=': value => /^[12](?::[12]){0,2}$/.test(value),
  'use_temp_path=': value => value === 'on' || value === 'off',
  'keys_zone=': value => /^[^:]+:.+$/.test(value) && parseSize(value.slice(value.indexOf(':') + 1)) !== null,
  'inactive=': isTime,
  'max_size=': isOffset,
  'min_free=': isOffset,
  'loader_files=': isNumber,
  'loader_sleep=': isTime,
  'loader_threshold=': isTime,
  'manager_files=': isNumber,
  'manager_sleep=': isTime,
  'manager_threshold=': isTime,
}

/** `200 302 10m`, `any 1m`, `5m` */
function checkValid(args: readonly string[], at: Site): readonly string[] {
  const last = args.at(-1)!
  if (parseSeconds(last) === null) at.fail(`invalid time value "${last}"`)
  for (const status of args.slice(0, -1)) {
    const number = /^\d+$/.test(status) ? Number(status) : 0
    if (status !== 'any' && (number < 100 || number > 599)) at.fail(`invalid status "${status}"`)
  }
  return args
}

/** nginx accepts these too, and ignores them: something else has taken their place, or nothing has. */
function obsolete(contexts: number, instead: string | null): Directive<string> {
  const advice = instead === null ? 'ignored' : `use the "${instead}" directive instead`
  const form = one(contexts, '', (word, at) => {
    at.warn(`the "${at.name}" directive is obsolete, ${advice}`)
    return word
  })
  return { ...form, idle: true }
}
