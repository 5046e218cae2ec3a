// The directives that every kind of upstream has under its own prefix (proxy_, fastcgi_, uwsgi_, scgi_), and what they
// come to for one location.

import type { Directive, Scope } from '../../config/directive.ts'
import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { parseSize } from '../../config/units.ts'
import { accepted, bitmask, buffers, flag, list, number, one, size, time } from '../../config/values.ts'
import type { Buffers } from '../../config/values.ts'
import type { HeadLimits } from '../../codec/h1/head.ts'
import { socketBuffers, type SocketBuffers } from '../../net/socket-options.ts'
import { tempPath } from '../core/core.ts'
import { fileSending } from '../files/send-file.ts'
import type { LocationBuilder, Value } from '../module.ts'
import type { BufferLimits } from '../response-buffer.ts'
import { Bind, bindDirective } from './bind.ts'
import { storeAccessDirective, storeDirective } from './store.ts'
import type { StoreConf } from './store.ts'
import type { CacheSettings } from '../cache/settings.ts'

// What may go wrong (proxy_next_upstream), as bits.
export const ERROR = 1
export const TIMEOUT = 2
export const INVALID_HEADER = 4
export const HTTP_500 = 8
export const HTTP_502 = 16
export const HTTP_503 = 32
export const HTTP_504 = 64
export const HTTP_403 = 128
export const HTTP_404 = 256
export const HTTP_429 = 512
export const UPDATING = 1024
export const NON_IDEMPOTENT = 2048
export const NO_LIVE = 4096
export const OFF = 8192

export const NEXT_UPSTREAM: Readonly<Record<string, number>> = {
  error: ERROR,
  timeout: TIMEOUT,
  invalid_header: INVALID_HEADER,
  non_idempotent: NON_IDEMPOTENT,
  http_500: HTTP_500,
  http_502: HTTP_502,
  http_503: HTTP_503,
  http_504: HTTP_504,
  http_403: HTTP_403,
  http_404: HTTP_404,
  http_429: HTTP_429,
  updating: UPDATING,
  off: OFF,
}

/** Only who passes on HTTP knows gateways behind it, and only who caches updates (ngx_http_fastcgi_next_upstream_masks). */
export function nextUpstreamWords(prefix: string): Readonly<Record<string, number>> {
  const { http_502: _badGateway, http_504: _gatewayTimeout, ...ofGateways } = NEXT_UPSTREAM
  const { updating: _updating, ...ofGrpc } = NEXT_UPSTREAM
  // There is nobody else to ask.
  const { non_idempotent: _nonIdempotent, invalid_header: _invalidHeader, ...ofApplications } = NEXT_UPSTREAM
  if (prefix === 'app') return ofApplications
  return prefix === 'proxy' ? NEXT_UPSTREAM : prefix === 'grpc' ? ofGrpc : ofGateways
}

// Fields of a response the server would act on (proxy_ignore_headers), as bits.
export const IGNORE_ACCEL_REDIRECT = 1
export const IGNORE_ACCEL_EXPIRES = 2
export const IGNORE_EXPIRES = 4
export const IGNORE_CACHE_CONTROL = 8
export const IGNORE_SET_COOKIE = 16
export const IGNORE_ACCEL_LIMIT_RATE = 32
export const IGNORE_ACCEL_BUFFERING = 64
export const IGNORE_ACCEL_CHARSET = 128
export const IGNORE_VARY = 256

export const IGNORABLE: Readonly<Record<string, number>> = {
  'X-Accel-Redirect': IGNORE_ACCEL_REDIRECT,
  'X-Accel-Expires': IGNORE_ACCEL_EXPIRES,
  'X-Accel-Limit-Rate': IGNORE_ACCEL_LIMIT_RATE,
  'X-Accel-Buffering': IGNORE_ACCEL_BUFFERING,
  'X-Accel-Charset': IGNORE_ACCEL_CHARSET,
  Expires: IGNORE_EXPIRES,
  'Cache-Control': IGNORE_CACHE_CONTROL,
  'Set-Cookie': IGNORE_SET_COOKIE,
  Vary: IGNORE_VARY,
}

const anywhere = HTTP | SERVER | LOCATION
const PAGE = 4096
const TEMP_FILE_MAX = 1024 * 1024 * 1024

/** Where less than so much is not to be sent: nothing that Linux could be told. */
export const lowat: Directive<number> = accepted({
  ...size(anywhere, 0),
  parse(args, at, soFar) {
    const bytes = size(anywhere, 0).parse(args, at, soFar)
    at.warn(`"${at.name}" is not supported, ignored`)
    return bytes
  },
})

/** The value is the text; compared in lower case. */
export const fieldNames = list(anywhere, [1, 1], ([name]) => name!.toLowerCase())

const common = {
  bind: bindDirective,
  buffering: flag(anywhere, true),
  request_buffering: flag(anywhere, true),
  ignore_client_abort: flag(anywhere, false),
  socket_keepalive: flag(anywhere, false),
  socket_rcvbuf: size(anywhere, 0),
  socket_sndbuf: size(anywhere, 0),
  connect_timeout: time(anywhere, 60_000),
  send_timeout: time(anywhere, 60_000),
  read_timeout: time(anywhere, 60_000),
  intercept_errors: flag(anywhere, false),
  limit_rate: one<Template | null>(anywhere, null, (word, at) => {
    if (!word.includes('$') && parseSize(word) === null) at.fail(`"${at.name}" directive invalid value`)
    return Template.parse(word, at)
  }),
  force_ranges: flag(anywhere, false),
  store: storeDirective,
  store_access: storeAccessDirective,
  pass_request_headers: flag(anywhere, true),
  pass_request_body: flag(anywhere, true),
  buffer_size: size(anywhere, PAGE),
  buffers: buffers<Buffers>(anywhere, { number: 8, size: PAGE }),
  // Both are only checked, as nginx does: what a client has not taken may be all of the buffers, and a chunk goes to the file
  // as it came.
  busy_buffers_size: accepted(size<number | null>(anywhere, null)),
  max_temp_file_size: size<number | null>(anywhere, null),
  temp_file_write_size: accepted(size<number | null>(anywhere, null)),
  next_upstream: bitmask(anywhere, NEXT_UPSTREAM, ERROR | TIMEOUT),
  next_upstream_tries: number(anywhere, 0),
  next_upstream_timeout: time(anywhere, 0),
  pass_header: fieldNames,
  hide_header: fieldNames,
  ignore_headers: bitmask(anywhere, IGNORABLE, 0),
}
type Common = typeof common
type Prefixed<P extends string> = { readonly [K in keyof Common as `${P}_${K}`]: Common[K] } & {
  readonly [K in `${P}_temp_path`]: Directive<string | null>
}

/** The common directives as `PREFIX_name`. */
export function upstreamDirectives<const P extends string>(prefix: P): Prefixed<P> {
  const all: Record<string, Directive<any>> = { [`${prefix}_temp_path`]: tempPath }
  for (const [name, directive] of Object.entries(common)) all[`${prefix}_${name}`] = directive
  all[`${prefix}_next_upstream`] = bitmask(anywhere, nextUpstreamWords(prefix), ERROR | TIMEOUT)
  return all as unknown as Prefixed<P>
}

/** One location's settings, as the exchange reads them. Sizes in bytes, times in ms. */
export interface UpstreamSettings {
  /** Null: responses are not cached. */
  readonly cache: CacheSettings | null
  readonly buffering: boolean
  readonly requestBuffering: boolean
  readonly bind: Bind | null
  readonly ignoreClientAbort: boolean
  readonly socketKeepalive: boolean
  readonly socketBuffers: SocketBuffers | null
  readonly connectTimeout: number
  readonly sendTimeout: number
  readonly readTimeout: number
  readonly interceptErrors: boolean
  /** Bytes a second a response is read at; null: without limit. */
  readonly limitRate: Value | null
  readonly forceRanges: boolean
  /** Of which no more than one is given here. */
  readonly maxRanges: number
  /** Null: responses are not stored. */
  readonly store: StoreConf | null
  /** Do trailers go on, both ways? */
  readonly passTrailers: boolean
  readonly passRequestHeaders: boolean
  readonly passRequestBody: boolean
  /** Bits of what another server is asked after; OFF alone: nothing. */
  readonly nextUpstream: number
  /** 0: as many as there are. */
  readonly nextUpstreamTries: number
  /** 0: without limit. */
  readonly nextUpstreamTimeout: number
  /** Bits of fields that the server does not act on. */
  readonly ignoreHeaders: number
  readonly headLimits: HeadLimits
  readonly bufferLimits: BufferLimits
  /** Lower-case names of response fields that do not go on to the client. */
  readonly hidden: ReadonlySet<string>
}

/**
 * Reads them and checks them against each other, in nginx's words.
 * @param hiddenByDefault lower-case names
 * @param defaultTempPath used where PREFIX_temp_path is not set
 */
export function upstreamSettings(
  prefix: string,
  conf: Readonly<Record<string, unknown>>,
  at: LocationBuilder,
  hiddenByDefault: readonly string[],
  defaultTempPath: string,
): UpstreamSettings {
  const get: Get = name => (conf[`${prefix}_${name}`] ?? common[name].default) as Common[typeof name]['default']
  const folder = (conf[`${prefix}_temp_path`] as string | null) ?? defaultTempPath
  const [bind, limitRate] = [get('bind'), get('limit_rate')]
  const next = get('next_upstream')
  return {
    cache: null,
    buffering: get('buffering'),
    requestBuffering: get('request_buffering'),
    bind: bind === null ? null : new Bind(at.value(bind.address), bind),
    ignoreClientAbort: get('ignore_client_abort'),
    socketKeepalive: get('socket_keepalive'),
    socketBuffers: socketBuffers(get('socket_rcvbuf'), get('socket_sndbuf')),
    connectTimeout: get('connect_timeout'),
    sendTimeout: get('send_timeout'),
    readTimeout: get('read_timeout'),
    interceptErrors: get('intercept_errors'),
    limitRate: limitRate === null ? null : at.value(limitRate),
    forceRanges: get('force_ranges'),
    maxRanges: fileSending(at).maxRanges,
    store: storeConf(get, at, folder),
    passTrailers: conf[`${prefix}_pass_trailers`] === true,
    passRequestHeaders: get('pass_request_headers'),
    passRequestBody: get('pass_request_body'),
    nextUpstream: (next & OFF) === 0 ? next : OFF,
    nextUpstreamTries: get('next_upstream_tries'),
    nextUpstreamTimeout: get('next_upstream_timeout'),
    ignoreHeaders: get('ignore_headers'),
    headLimits: headLimits(get('buffer_size')),
    bufferLimits: bufferLimits(prefix, get, at, folder),
    hidden: hiddenFields(hiddenByDefault, get),
  }
}

/** A directive's value by its name without the prefix. */
type Get = <K extends keyof Common>(name: K) => Common[K]['default']

function hiddenFields(byDefault: readonly string[], get: Get): ReadonlySet<string> {
  const hidden = new Set([...byDefault, ...get('hide_header')])
  for (const name of get('pass_header')) hidden.delete(name)
  return hidden
}

function storeConf(get: Get, at: LocationBuilder, tempPath: string): StoreConf | null {
  const store = get('store')
  if (store === 'off') return null
  return { path: store === 'on' ? null : at.value(store), access: get('store_access'), tempPath }
}

/** A head may be as long as the buffer it is read into (PREFIX_buffer_size), however its fields share that. */
function headLimits(size: number): HeadLimits {
  return { lineMax: size, fieldMax: size, headMax: size, fieldsMax: size, underscores: true, ignoreInvalid: true }
}

function bufferLimits(prefix: string, get: Get, at: LocationBuilder, tempPath: string): BufferLimits {
  const { number, size } = get('buffers')
  const most = Math.max(get('buffer_size'), size)
  const busy = get('busy_buffers_size') ?? 2 * most
  const fileMax = get('max_temp_file_size') ?? TEMP_FILE_MAX
  const writeSize = get('temp_file_write_size') ?? 2 * most
  const each = `the maximum of the value of "${prefix}_buffer_size" and one of the "${prefix}_buffers"`
  const refuse = (name: string, problem: string): void => {
    for (let scope: Scope | null = at.scope; scope !== null; scope = scope.parent) {
      for (const directive of [name, 'buffers', 'buffer_size']) scope.site(`${prefix}_${directive}`)?.fail(problem)
    }
    throw new Error(problem)
  }
  if (number < 2) refuse('buffers', `there must be at least 2 "${prefix}_buffers"`)
  if (busy < most) refuse('busy_buffers_size', `"${prefix}_busy_buffers_size" must be equal to or greater than ${each}`)
  if (busy > (number - 1) * size) {
    const all = `the size of all "${prefix}_buffers" minus one buffer`
    refuse('busy_buffers_size', `"${prefix}_busy_buffers_size" must be less than ${all}`)
  }
  if (writeSize < most) {
    refuse('temp_file_write_size', `"${prefix}_temp_file_write_size" must be equal to or greater than ${each}`)
  }
  if (fileMax !== 0 && fileMax < most) {
    const zero = `"${prefix}_max_temp_file_size" must be equal to zero to disable temporary files usage`
    refuse('max_temp_file_size', `${zero} or must be equal to or greater than ${each}`)
  }
  return { memoryMax: number * size, fileMax, tempPath }
}
