// What `portico serve` runs: the settings as an ordinary nginx.conf, with one app and one server in front of it. Whoever
// outgrows the options goes on from this text. No input or output here; what must be looked up is in `Surroundings`.

import { logFormatOf } from './access-log-format.ts'
import { addressUrl, listenAddress } from './bind.ts'
import type { BindAddress } from './bind.ts'
import type { CommandLine, Settings } from './command-line.ts'
import type { WorkerClass } from './serving.ts'
import { SettingError, UsageError } from './setting.ts'

export interface Surroundings {
  /** What the first line says of where the text comes from. */
  readonly origin: string
  /** Absolute: where the application is, and what relative names are relative to. */
  readonly folder: string
  /** For what only this run needs; '' where names shall be relative to wherever the text will be. */
  readonly runFolder: string
  /** Names of the user and group to run as; null: as whoever we are. */
  readonly user: { readonly name: string; readonly group: string } | null
  /** With hosts' names looked up. */
  readonly addresses: readonly BindAddress[]
}

/** All that a front's thread shall hold: whether there are so many descriptors is the system's matter. */
const CONNECTIONS = 16384
/** The most the front can count for one worker (app/dispatch/seats.ts). */
const CONNECTIONS_OF_WORKER = 1023
/** Of request heads: nginx has 4, Gunicorn as many as there are fields. */
const HEAD_BUFFERS = 8
const UNLIMITED_BYTES = 1024 * 1024
/** nginx's levels for Gunicorn's; its `info` is where Gunicorn tells of workers that come and go. */
const LEVELS = { debug: 'debug', info: 'notice', warning: 'warn', error: 'error', critical: 'crit' } as const
/** The longest a word of a configuration can be, quotes included. */
const WORD_MAX = 4000

type Line = string | readonly [opening: string, lines: readonly Line[]]

/** The text has one character per byte. Throws UsageError. */
export function configurationText({ settings }: CommandLine, around: Surroundings): string {
  const application = settings.wsgi_app
  if (application === null)
    throw new UsageError('no application is named, as in "portico serve mysite.wsgi:application"')
  const lines: Line[] = [
    `# ${around.origin.replaceAll(/[\r\n]+/g, ' ')}`,
    ...mainLines(settings, around),
    ['events', [`worker_connections ${CONNECTIONS};`]],
    ['http', httpLines(settings, application, around)],
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
  const lines = [
    `worker_processes ${settings.front_threads};`,
    `daemon ${settings.daemon ? 'on' : 'off'};`,
    `pid ${pidfile === null ? word(within(around.runFolder, 'portico.pid')) : word(within(around.folder, pidfile))};`,
    `error_log ${log} ${loglevel === null ? 'warn' : LEVELS[loglevel]};`,
    `worker_shutdown_timeout ${graceful_timeout}s;`,
  ]
  if (around.user !== null) lines.push(`user ${word(around.user.name)} ${word(around.user.group)};`)
  return lines
}

function httpLines(settings: Settings, application: string, around: Surroundings): Line[] {
  const name = appName(application)
  return [
    ...accessLogLines(settings, around),
    `client_body_temp_path ${word(within(around.runFolder, 'body'))};`,
    `app_temp_path ${word(within(around.runFolder, 'response'))};`,
    [`app ${name}`, appLines(settings, application, around)],
    ['server', serverLines(settings, name, around)],
  ]
}

function accessLogLines({ accesslog, access_log_format }: Settings, { folder }: Surroundings): Line[] {
  if (accesslog === null) return ['access_log off;']
  const file = accesslog === '-' ? '/dev/stdout' : within(folder, accesslog)
  if (file.includes('$')) throw new UsageError(`the name of the access log cannot have a "$": "${file}"`)
  if (access_log_format === null) return [`access_log ${word(file)};`]
  return [`log_format gunicorn ${word(translated(access_log_format))};`, `access_log ${word(file)} gunicorn;`]
}

function translated(format: string): string {
  try {
    return logFormatOf(format)
  } catch (error) {
    if (!(error instanceof SettingError)) throw error
    throw new UsageError(`invalid value "${format}" for --access-logformat: ${error.message}`, { cause: error })
  }
}

function appLines(settings: Settings, application: string, { folder }: Surroundings): Line[] {
  const { threads, timeout, max_requests, max_requests_jitter, python, umask } = settings
  const kind = kindOf(settings)
  const lines = [
    `directory ${word(folder)};`,
    `module ${word(application)};`,
    `kind ${kind};`,
    `workers ${settings.workers};`,
    ...(kind === 'threads' ? [`threads ${threads};`] : []),
    ...(kind === 'asgi' || kind === 'gevent'
      ? [`worker_connections ${Math.min(settings.worker_connections, CONNECTIONS_OF_WORKER)};`]
      : []),
    `timeout ${timeout}s;`,
    `graceful_timeout ${settings.graceful_timeout}s;`,
    `preload ${settings.preload_app ? 'on' : 'off'};`,
    // Gunicorn lets them wait for as long as their clients do: what is given up here has been waited for in vain.
    `queue ${settings.backlog} timeout=${Math.max(timeout, 30)}s;`,
  ]
  if (max_requests > 0) lines.push(`max_requests ${max_requests} jitter=${max_requests_jitter};`)
  if (python !== null) lines.push(`python ${word(python.includes('/') ? within(folder, python) : python)};`)
  if (umask !== null) lines.push(`umask 0${umask.toString(8)};`)
  // Gunicorn puts each in front of those before it.
  for (const path of settings.pythonpath.toReversed()) lines.push(`python_path ${word(within(folder, path))};`)
  for (const [name, value] of settings.raw_env) lines.push(`environment ${word(`${name}=${value}`)};`)
  return lines
}

function serverLines(settings: Settings, name: string, { addresses, folder }: Surroundings): Line[] {
  const { limit_request_line, limit_request_field_size } = settings
  const longest = Math.max(limit_request_line || UNLIMITED_BYTES, limit_request_field_size || UNLIMITED_BYTES)
  return [
    ...addresses.map(address => `listen ${listenWords(address, folder)} backlog=${settings.backlog};`),
    'client_max_body_size 0;',
    `keepalive_timeout ${settings.keepalive}s;`,
    // The line's end is counted here, and not in Gunicorn's limits.
    `large_client_header_buffers ${HEAD_BUFFERS} ${longest + 2};`,
    `max_headers ${settings.limit_request_fields};`,
    ['location /', [`app_pass ${name};`]],
  ]
}

function listenWords(address: BindAddress, folder: string): string {
  if (address.type === 'unix') return word(`unix:${within(folder, address.path)}`)
  // Gunicorn's sockets for [::] take IPv4 as well.
  return address.host === '::' ? `${listenAddress(address)} ipv6only=off` : listenAddress(address)
}

/** Threads asked of sync workers make them gthread, as in Gunicorn. */
export function kindOf({ worker_class, threads, wsgi_app }: Settings): WorkerClass | 'node' {
  if (/\.[cm]?[jt]s$/.test(wsgi_app ?? '')) return 'node'
  return threads > 1 && worker_class === 'sync' ? 'threads' : worker_class
}

/** What the log calls it: the module, where that may be a name. */
function appName(application: string): string {
  const module = application.replace(/:.*$/s, '')
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
