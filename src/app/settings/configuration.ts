// What `portico serve` runs: the settings as an ordinary nginx.conf, with one app and one server in front of it. Whoever
// outgrows the options goes on from this text. No input or output here; what must be looked up is in `Surroundings`.

import { basename } from 'node:path'
import { escapedFormat } from './access-log-format.ts'
import type { EscapedFormat } from './access-log-format.ts'
import { addressUrl, listenAddress } from './bind.ts'
import type { BindAddress } from './bind.ts'
import type { CommandLine, Settings } from './command-line.ts'
import { PRODUCT } from '../../lib/product.ts'
import { FACILITIES, levelOf } from './logging.ts'
import { THREADS_MAX } from './serving.ts'
import type { WorkerClass } from './serving.ts'
import { iniFile, isIni } from './paste.ts'
import { logsInPython } from './python-side.ts'
import { HEADER, SettingError, UsageError } from './setting.ts'

export interface Surroundings {
  /** What the first line says of where the text comes from. */
  readonly origin: string
  /** Absolute: where the application is, and what relative names are relative to. */
  readonly folder: string
  /** For what only this run needs; '' where names shall be relative to wherever the text will be. */
  readonly runFolder: string
  /** Names of the user and group to run as; null: as whoever we are. */
  readonly user: { readonly name: string; readonly group: string } | null
  /** Where the application is mounted: $SCRIPT_NAME, '' for the root. */
  readonly scriptName: string
  /** With hosts' names looked up. */
  readonly addresses: readonly Listening[]
  /** Absolute: where commands are taken unless the settings say something else. */
  readonly controlSocket: string
}

/** An address that is known. */
export type Listening = Exclude<BindAddress, { readonly type: 'fd' }>

/** All that a front's thread shall hold: whether there are so many descriptors is the system's matter. */
const CONNECTIONS = 16384
/** The most the front can count for one worker (app/dispatch/seats.ts). */
const CONNECTIONS_OF_WORKER = 65535
/** What HTTP/2 has room for. */
const HTTP2_MAX = 0x7fffffff
/** Of request heads: nginx has 4, Gunicorn as many as there are fields. */
const HEAD_BUFFERS = 8
/** The first buffer of a head where nothing is said of it: what fits in there is not too long. */
const HEADER_BUFFER = 1024
/** The most Gunicorn takes. */
const FIELDS_MAX = 32768
const UNLIMITED_BYTES = 1024 * 1024
/** nginx's levels for Gunicorn's; its `info` is where Gunicorn tells of workers that come and go. */
const LEVELS = { debug: 'debug', info: 'notice', warning: 'warn', error: 'error', critical: 'crit' } as const
/** The longest a word of a configuration can be, quotes included. */
const WORD_MAX = 4000

type Line = string | readonly [opening: string, lines: readonly Line[]]

/** The text has one character per byte. Throws UsageError. */
export function configurationText({ settings, words }: CommandLine, around: Surroundings): string {
  const application = settings.wsgi_app
  if (application === null)
    throw new UsageError('no application is named, as in "portico serve mysite.wsgi:application"')
  const lines: Line[] = [
    `# ${around.origin.replaceAll(/[\r\n]+/g, ' ')}`,
    ...mainLines(settings, around),
    ['events', [`worker_connections ${CONNECTIONS};`]],
    ['http', httpLines(settings, application, words, around)],
  ]
  return Buffer.from(print(lines, ''), 'utf8').toString('latin1')
}

function print(lines: readonly Line[], indent: string): string {
  let text = ''
  for (const line of lines) {
    if (typeof line === 'string') text += `${indent}${line}\n`
    else text += `\n${indent}${line[0]} {\n${print(line[1], `${indent}    `)}${indent}}\n`
  }
  return text
}

function mainLines(settings: Settings, around: Surroundings): Line[] {
  const { errorlog, loglevel, pidfile, graceful_timeout } = settings
  const log = errorlog === '-' ? 'stderr' : word(within(around.folder, errorlog))
  const level = loglevel === null ? 'warn' : LEVELS[levelOf(loglevel)]
  const lines = [
    `worker_processes ${settings.front_threads};`,
    `daemon ${settings.daemon ? 'on' : 'off'};`,
    `pid ${pidfile === null ? word(within(around.runFolder, 'portico.pid')) : word(within(around.folder, pidfile))};`,
    `error_log ${log} ${level};`,
    ...(settings.syslog ? [`error_log ${word(syslogWord(settings, 'error'))} ${level};`] : []),
    // 0 would be as long as it takes.
    `worker_shutdown_timeout ${graceful_timeout === 0 ? '1ms' : `${graceful_timeout}s`};`,
    ...controlLines(settings, around),
  ]
  if (around.user !== null) lines.push(`user ${word(around.user.name)} ${word(around.user.group)};`)
  return lines
}

/** Where nobody has asked for it, it may be another server's of the same user. */
function controlLines(settings: Settings, { folder, controlSocket }: Surroundings): string[] {
  const { control_socket: asked, control_socket_mode: mode, control_socket_disable: disabled } = settings
  if (disabled) return []
  const path = asked === null ? controlSocket : within(folder, asked)
  return [`control_socket ${word(path)} mode=0${mode.toString(8)}${asked === null ? ' optional' : ''};`]
}

/** Uvicorn's worker class pays no heed to the setting, and sets no limit. */
function connectionsOf({ worker_class, worker_connections }: Settings): number {
  return worker_class === 'uvicorn' ? CONNECTIONS_OF_WORKER : clamp(worker_connections, CONNECTIONS_OF_WORKER)
}

function httpLines(settings: Settings, application: string, words: readonly string[], around: Surroundings): Line[] {
  const name = appName(application)
  return [
    ...accessLogLines(settings, around),
    `client_body_temp_path ${word(bodyFolder(settings, around))};`,
    `app_temp_path ${word(within(around.runFolder, 'response'))};`,
    [`app ${name}`, appLines(settings, application, words, around)],
    ['server', serverLines(settings, name, around)],
  ]
}

function bodyFolder({ tmp_upload_dir }: Settings, { folder, runFolder }: Surroundings): string {
  return tmp_upload_dir === null ? within(runFolder, 'body') : within(folder, tmp_upload_dir)
}

function accessLogLines(settings: Settings, { folder }: Surroundings): Line[] {
  const { accesslog, access_log_format, syslog, disable_redirect_access_to_syslog } = settings
  const targets: string[] = []
  if (accesslog !== null) targets.push(accesslog === '-' ? '/dev/stdout' : within(folder, accesslog))
  if (targets[0]?.includes('$')) throw new UsageError(`the name of the access log cannot have a "$": "${targets[0]}"`)
  if (syslog && !disable_redirect_access_to_syslog) targets.push(syslogWord(settings, 'access'))
  const inPython = kindOf(settings) !== 'node' && logsInPython(settings)
  if (targets.length === 0 || inPython) return ['access_log off;']
  if (access_log_format === null) return targets.map(target => `access_log ${word(target)};`)
  const { format, dashed } = translated(access_log_format)
  const lines = [...dashed.map(dashedLines), `log_format gunicorn escape=json ${word(format)};`]
  return [...lines, ...targets.map(target => `access_log ${word(target)} gunicorn;`)]
}

function dashedLines(name: string): Line {
  return [`map $${name} $logged_${name}`, ['"" -;', `default $${name};`]]
}

/** Gunicorn's name in syslog has points, which no tag of nginx's has. */
function syslogWord(settings: Settings, log: 'access' | 'error'): string {
  const { syslog_addr: address, syslog_prefix, proc_name, wsgi_app } = settings
  const syslog_facility = settings.syslog_facility.toLowerCase()
  if (address.problem !== '')
    throw new UsageError(`invalid value "${address.path}" for --log-syslog-to: ${address.problem}`)
  if (!FACILITIES.includes(syslog_facility))
    throw new UsageError(
      `invalid value "${syslog_facility}" for --log-syslog-facility: it must be one of ${FACILITIES.join(', ')}`,
    )
  const server = address.path === '' ? `${hostWord(address.host)}:${address.port}` : `unix:${address.path}`
  const name = (syslog_prefix ?? proc_name ?? wsgi_app!).replaceAll(/[^A-Za-z0-9]+/g, '_').slice(0, 32 - 17)
  const facility = syslog_facility === 'security' ? 'auth' : syslog_facility
  return `syslog:server=${server},facility=${facility},tag=gunicorn_${name}_${log},nohostname`
}

function hostWord(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function translated(format: string): EscapedFormat {
  try {
    return escapedFormat(format)
  } catch (error) {
    if (!(error instanceof SettingError)) throw error
    throw new UsageError(`invalid value "${format}" for --access-logformat: ${error.message}`, { cause: error })
  }
}

function appLines(settings: Settings, application: string, words: readonly string[], { folder }: Surroundings): Line[] {
  const { threads, timeout, max_requests, max_requests_jitter, python } = settings
  const kind = kindOf(settings)
  const lines = [
    `directory ${word(folder)};`,
    `module ${word(application)};`,
    ...(words.length > 0 ? [`arguments ${words.map(word).join(' ')};`] : []),
    ...settings.raw_paste_global_conf
      .filter(() => settings.paste !== null)
      .map(([name, value]) => `paste_global ${word(name)} ${word(value)};`),
    `kind ${kind};`,
    `workers ${settings.workers}${settings.max_workers > settings.workers ? `..${settings.max_workers}` : ''};`,
    ...(kind === 'threads' ? [`threads ${clamp(threads, THREADS_MAX)};`] : []),
    ...(kind === 'asgi' || kind === 'gevent' ? [`worker_connections ${connectionsOf(settings)};`] : []),
    ...(kind === 'asgi' && settings.lifespan_state !== 'copy' ? [`lifespan_state ${settings.lifespan_state};`] : []),
    // As they are, since they may be JSON.
    ...(kind === 'asgi' || kind === 'node' ? [] : ['wsgi_errors plain;']),
    `timeout ${timeout}s;`,
    `graceful_timeout ${settings.graceful_timeout}s;`,
    `preload ${settings.preload_app ? 'on' : 'off'};`,
    // Gunicorn lets them wait for as long as their clients do: what is given up here has been waited for in vain.
    `queue ${Math.max(settings.backlog, 1)} timeout=${Math.max(timeout, 30)}s;`,
  ]
  if (max_requests > 0) lines.push(`max_requests ${max_requests} jitter=${max_requests_jitter};`)
  if (python !== null) lines.push(`python ${word(python.includes('/') ? within(folder, python) : python)};`)
  // Gunicorn puts each in front of those before it.
  for (const path of settings.pythonpath.toReversed()) lines.push(`python_path ${word(within(folder, path))};`)
  for (const [name, value] of settings.raw_env) lines.push(`environment ${word(`${name}=${value}`)};`)
  return [...lines, ...stickyLines(settings), ...taskLines(settings)]
}

function stickyLines(settings: Settings): string[] {
  if (settings.sticky === null) return []
  const kind = kindOf(settings)
  if (kind === 'sync' || kind === 'threads')
    throw new UsageError('--sticky is for workers of kind asgi, gevent or node')
  if (settings.sticky === 'cookie') return ['sticky cookie portico_worker path=/ httponly;']
  if (settings.sticky === 'address') return ['sticky hash $remote_addr;']
  const name = settings.sticky.slice(HEADER.length).toLowerCase().replaceAll('-', '_')
  return [`sticky learn create=$upstream_http_${name} lookup=$http_${name} zone=portico_sessions:1m header;`]
}

/** Gunicorn's second pool; without processes it has none. */
function taskLines(settings: Settings): string[] {
  const { dirty_apps, dirty_workers, dirty_threads, dirty_timeout, dirty_graceful_timeout } = settings
  if (dirty_apps.length === 0 || dirty_workers === 0) return []
  if (kindOf(settings) === 'node') throw new UsageError('--dirty-app is for applications in Python')
  return [
    ...dirty_apps.map(name => `dirty_app ${word(name)};`),
    `dirty_workers ${dirty_workers};`,
    `dirty_threads ${Math.max(dirty_threads, 1)};`,
    `dirty_timeout ${dirty_timeout}s;`,
    `dirty_graceful_timeout ${dirty_graceful_timeout}s;`,
  ]
}

function serverLines(settings: Settings, name: string, { addresses, folder, scriptName }: Surroundings): Line[] {
  // Gunicorn's ASGI workers have `root_path`.
  const mount = kindOf(settings) === 'asgi' ? '' : scriptName
  const { limit_request_line, limit_request_field_size } = settings
  const longest = Math.max(limit_request_line || UNLIMITED_BYTES, limit_request_field_size || UNLIMITED_BYTES)
  // Where there is an nginx, it is before us, as it was before Gunicorn.
  const pass = [`app_pass ${name};`, 'app_accel off;', 'early_hints 1;']
  return [
    ...addresses.map(address => `listen ${listenWords(address, folder)}${listenOptions(settings, address)};`),
    ...tlsLines(settings, folder),
    'client_max_body_size 0;',
    // Gunicorn says nothing of that.
    'temp_file_log_level info;',
    `server_tokens ${settings.server_tokens} name=${PRODUCT};`,
    // Paths are the application's: a URL may be a part of one.
    asGunicorn(settings) ? 'raw_requests on;' : 'merge_slashes off;',
    `keepalive_timeout ${settings.keepalive}s;`,
    // The line's end is counted here, and not in Gunicorn's limits.
    ...(longest + 2 < HEADER_BUFFER ? [`client_header_buffer_size ${longest + 2};`] : []),
    `large_client_header_buffers ${HEAD_BUFFERS} ${longest + 2};`,
    `max_headers ${settings.limit_request_fields || FIELDS_MAX};`,
    // Gunicorn takes any token for a field's name, and refuses what is none.
    ...(settings.protocol === 'uwsgi' ? [] : ['ignore_invalid_headers off;', 'strict_requests on;']),
    ...leniencyLines(settings),
    // Nor does it ask for a Host field, and some that look after a server's health send none.
    ...(asGunicorn(settings) ? ['require_host off;'] : []),
    ...(kindOf(settings) === 'node' ? nodeTrustLines(settings) : trustLines(settings, mount)),
    ...statsdLines(settings),
    // `OPTIONS *` asks about no path in particular.
    ...['location /', 'location = *'].map((location): Line => [location, pass]),
  ]
}

/** What comes is taken as Gunicorn takes it. Behind uwsgi an nginx has judged it, and Node does not know of all of that. */
function asGunicorn(settings: Settings): boolean {
  return settings.protocol !== 'uwsgi' && kindOf(settings) !== 'node'
}

function leniencyLines(settings: Settings): string[] {
  const words = [
    settings.permit_obsolete_folding ? ' obsolete_folding' : '',
    settings.strip_header_spaces ? ' header_spaces' : '',
    settings.permit_unconventional_http_method ? ' unconventional_method' : '',
    settings.permit_unconventional_http_version ? ' unconventional_version' : '',
    settings.casefold_http_method ? ' casefold_method' : '',
  ].join('')
  return words === '' ? [] : [`lenient_requests${words};`]
}

function listenOptions(settings: Settings, { type }: Listening): string {
  const { certfile, proxy_protocol, protocol } = settings
  const reuseport = settings.reuse_port && type === 'tcp' ? ' reuseport' : ''
  const backlog = ` backlog=${Math.max(settings.backlog, 1)}${reuseport}`
  if (protocol === 'uwsgi') return ` uwsgi${backlog}`
  const proxy = proxy_protocol === 'off' ? '' : ` proxy_protocol=${proxy_protocol}`
  return `${certfile === null ? '' : ' ssl'}${proxy}${backlog}`
}

function clamp(number: number, most: number): number {
  return Math.min(Math.max(number, 1), most)
}

function tlsLines(settings: Settings, folder: string): string[] {
  const { certfile, keyfile, ca_certs, cert_reqs, ciphers } = settings
  if (settings.protocol === 'uwsgi' && (certfile !== null || settings.proxy_protocol !== 'off')) {
    throw new UsageError('--protocol uwsgi goes neither with TLS nor with the PROXY protocol')
  }
  if (certfile === null) {
    if (keyfile !== null) throw new UsageError('--keyfile needs --certfile')
    if (settings.hsts !== null) throw new UsageError('--hsts needs --certfile')
    return cleartextLines(settings)
  }
  if (settings.ssl_context) {
    throw new UsageError('the hook ssl_context is not supported: TLS is spoken by the front, which is not Python')
  }
  const lines = [
    `ssl_certificate ${word(within(folder, certfile))};`,
    `ssl_certificate_key ${word(within(folder, keyfile ?? certfile))};`,
  ]
  lines.push(...http2Lines(settings))
  if (settings.hsts !== null) lines.push(`add_header Strict-Transport-Security "max-age=${settings.hsts}" always;`)
  if (ciphers !== null) lines.push(`ssl_ciphers ${word(ciphers)};`)
  if (ca_certs !== null) lines.push(`ssl_client_certificate ${word(within(folder, ca_certs))};`)
  if (cert_reqs !== 0) {
    if (ca_certs === null) throw new UsageError('--cert-reqs needs --ca-certs')
    // As deep as Python's own.
    lines.push(`ssl_verify_client ${cert_reqs === 1 ? 'optional' : 'on'};`, 'ssl_verify_depth 100;')
  }
  return lines
}

function http2Lines(settings: Settings): string[] {
  const { http_protocols, http2_max_frame_size, http2_max_header_list_size } = settings
  if (http_protocols !== null && !http_protocols.includes('h2')) return []
  return [
    'http2 on;',
    `http2_max_concurrent_streams ${Math.min(settings.http2_max_concurrent_streams, HTTP2_MAX)};`,
    `http2_body_preread_size ${Math.min(settings.http2_initial_window_size, HTTP2_MAX)};`,
    `http2_max_frame_size ${http2_max_frame_size};`,
    `http2_max_header_list_size ${Math.min(http2_max_header_list_size, HTTP2_MAX)};`,
  ]
}

/** Without TLS, those may speak HTTP/2 whose word is taken, who are a proxy. */
function cleartextLines(settings: Settings): string[] {
  const { http2_cleartext: mode, protocol } = settings
  const lines = (mode === 'prior-knowledge' || mode === 'both') && protocol !== 'uwsgi' ? http2Lines(settings) : []
  return lines.length === 0 ? [] : [...lines, `http2_cleartext_from ${addressWords(settings.forwarded_allow_ips)};`]
}

/** Whose word is taken for how a client came. */
function trustLines(settings: Settings, scriptName: string): string[] {
  const { forwarder_headers, secure_scheme_headers, proxy_protocol, header_map } = settings
  if (settings.protocol === 'uwsgi') {
    // What the front has to say it says in its packets; fields are the client's own.
    const lines = ['app_trusted_proxies none;', `app_proxy_protocol_from ${addressWords(settings.uwsgi_allow_ips)};`]
    return scriptName === '' ? lines : [...lines, `app_script_name ${word(scriptName)};`]
  }
  const mode = settings.forwarded ?? (settings.worker_class === 'uvicorn' ? 'x-forwarded' : 'off')
  const lines = ['underscores_in_headers on;', `app_trusted_proxies ${addressWords(settings.forwarded_allow_ips)};`]
  for (const [name, value] of secure_scheme_headers) lines.push(`app_scheme_header ${word(name)} ${word(value)};`)
  if (forwarder_headers.length > 0) lines.push(`app_forwarder_headers ${forwarder_headers.map(word).join(' ')};`)
  if (header_map !== 'drop') lines.push(`app_header_map ${header_map};`)
  if (mode !== 'off') lines.push(`app_forwarded ${mode};`)
  if (scriptName !== '') lines.push(`app_script_name ${word(scriptName)};`)
  if (proxy_protocol !== 'off') lines.push(`app_proxy_protocol_from ${addressWords(settings.proxy_allow_ips)};`)
  return lines
}

/** Node applications are told by X-Forwarded-For and -Proto: a proxy's are passed on. */
function nodeTrustLines({ forwarded_allow_ips, protocol, secure_scheme_headers }: Settings): string[] {
  if (protocol === 'uwsgi') return []
  const lines = [`app_trusted_proxies ${addressWords(forwarded_allow_ips)};`]
  for (const [name, value] of secure_scheme_headers) lines.push(`app_scheme_header ${word(name)} ${word(value)};`)
  return lines
}

function addressWords(addresses: readonly string[]): string {
  return addresses.length === 0 ? 'none' : addresses.join(' ')
}

function statsdLines({
  statsd_host: server,
  statsd_prefix,
  dogstatsd_tags,
  enable_backlog_metric,
}: Settings): string[] {
  if (server === null) return []
  const place = server.path === '' ? `${hostWord(server.host)}:${server.port}` : `unix:${server.path}`
  const prefix = statsd_prefix === '' ? '' : ` ${word(`prefix=${statsd_prefix}`)}`
  const tags = dogstatsd_tags === '' ? '' : ` ${word(`tags=${dogstatsd_tags}`)}`
  return [`statsd ${word(place)}${prefix}${tags}${enable_backlog_metric ? ' backlog' : ''};`]
}

function listenWords(address: Listening, folder: string): string {
  if (address.type === 'unix') return word(`unix:${within(folder, address.path)}`)
  // Gunicorn's sockets for [::] take IPv4 as well.
  return address.host === '::' ? `${listenAddress(address)} ipv6only=off` : listenAddress(address)
}

/** Threads asked of sync workers make them gthread, as in Gunicorn. */
export function kindOf({ worker_class, threads, wsgi_app }: Settings): Exclude<WorkerClass, 'uvicorn'> {
  if (/\.[cm]?[jt]s$/.test(wsgi_app ?? '')) return 'node'
  if (worker_class === 'uvicorn') return 'asgi'
  return threads > 1 && worker_class === 'sync' ? 'threads' : worker_class
}

/** What the log calls it: the module, where that may be a name. */
function appName(application: string): string {
  const module = isIni(application) ? basename(iniFile(application), '.ini') : application.replace(/:.*$/s, '')
  return /^[A-Za-z0-9_.-]{1,32}$/.test(module) ? module : 'application'
}

export function within(folder: string, path: string): string {
  if (path.startsWith('/') || folder === '') return path
  return folder.endsWith('/') ? folder + path : `${folder}/${path}`
}

/** As it has to be written to be read as one word. */
function word(text: string): string {
  if (/^[A-Za-z0-9_./:=,@%+~-]+$/.test(text)) return text
  if (text.includes('\0')) throw new UsageError(`"${text.replaceAll('\0', '\\0')}" has a NUL`)
  const quoted = `"${text.replaceAll(/["\\]/g, '\\$&').replaceAll('\n', '\\n').replaceAll('\r', '\\r').replaceAll('\t', '\\t')}"`
  if (quoted.length > WORD_MAX) throw new UsageError(`"${text.slice(0, 40)}…" is too long`)
  return quoted
}

/** `portico 0.1.0 listening at http://127.0.0.1:8000 (123), 8 sync workers of "mysite.wsgi"` */
export function greeting(settings: Settings, addresses: readonly BindAddress[], program: string, pid: number): string {
  const { workers, threads, wsgi_app } = settings
  const kind = kindOf(settings)
  const each = kind === 'threads' ? ` with ${threads} ${threads === 1 ? 'thread' : 'threads each'}` : ''
  const what = `${workers} ${kind === 'threads' ? '' : `${kind} `}${workers === 1 ? 'worker' : 'workers'}${each}`
  return `${program} listening at ${addresses.map(addressUrl).join(', ')} (${pid}), ${what} of "${wsgi_app}"`
}
