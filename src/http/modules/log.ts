// access_log and log_format, and the variables that tell how a request went (ngx_http_log_module).

import {
  HTTP,
  IF_IN_LOCATION,
  LIMIT_EXCEPT,
  LOCATION,
  SERVER,
  STREAM,
  STREAM_SERVER,
  type Directive,
  type Site,
} from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { parseSyslog } from '../../config/syslog.ts'
import { parseNumber, parseSeconds, parseSize, parseTime } from '../../config/units.ts'
import { list } from '../../config/values.ts'
import { unixMs } from '../../lib/clock.ts'
import { commonLogTime, isoLogTime } from '../../lib/local-time.ts'
import { AccessLogFile, type LogBuffer } from '../log/access-log-file.ts'
import type { Syslog, SyslogServer } from '../../log/syslog.ts'
import { LogFileCache, writeToPath, type LogFileCacheLimits } from '../log/log-file-cache.ts'
import { escapeNamed, LogFormat, type Escape } from '../log/log-format.ts'
import { noteStart, tellsFineTime } from '../log/request-time.ts'
import { httpModule, type LocationBuilder, type Value, type Variable } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import { RegistryKey, type HttpSetup } from '../setup.ts'

const COMBINED =
  '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
const DEFAULT_PATH = 'logs/access.log'

const NO_BUFFER: LogBuffer = { size: 0, flushMs: 0, gzip: 0 }
const GZIP_BUFFER = 65536

interface FormatDeclaration {
  readonly name: string
  readonly escape: Escape
  readonly template: Template
  readonly site: Site | null
}

interface LogDeclaration {
  /** A path, constant or with variables, or a syslog server. */
  readonly path: string
  readonly template: Template | null
  readonly syslog: SyslogServer | null
  readonly format: string
  readonly condition: Template | null
  readonly buffer: LogBuffer
  readonly site: Site
}

/** null: nothing said, the default log; an empty list: off. */
const accessLog: Directive<readonly LogDeclaration[] | null> = {
  in: HTTP | SERVER | LOCATION | IF_IN_LOCATION | LIMIT_EXCEPT | STREAM | STREAM_SERVER,
  args: [1, Infinity],
  default: null,
  repeatable: true,
  parse(args, at, soFar) {
    if (args[0] === 'off') {
      if (args.length > 1) at.fail(`invalid parameter "${args[1]}"`)
      return []
    }
    const log = parseLog(args, at)
    // `off` stays off, whatever else the block says.
    return soFar?.length === 0 ? soFar : [...(soFar ?? []), log]
  },
}

const directives = {
  access_log: accessLog,
  log_format: list(HTTP | STREAM, [2, Infinity], parseFormat),
  open_log_file_cache: {
    in: HTTP | SERVER | LOCATION | STREAM | STREAM_SERVER,
    args: [1, 4],
    default: null,
    parse: parseCache,
  } satisfies Directive<LogFileCacheLimits | null>,
}

function parseCache(words: readonly string[], at: Site): LogFileCacheLimits | null {
  let max = 0
  let inactive: number | null = 10
  let valid: number | null = 60
  let minUses: number | null = 1
  for (const word of words) {
    const value = word.slice(word.indexOf('=') + 1)
    if (word === 'off') return null
    if (word.startsWith('max=')) max = parseNumber(value) ?? refuseCache(word, at)
    else if (word.startsWith('inactive=')) inactive = parseSeconds(value) ?? refuseCache(word, at)
    else if (word.startsWith('valid=')) valid = parseSeconds(value) ?? refuseCache(word, at)
    else if (word.startsWith('min_uses=')) minUses = parseNumber(value) ?? refuseCache(word, at)
    else refuseCache(word, at)
  }
  if (max === 0) at.fail('"open_log_file_cache" must have "max" parameter')
  return { max, inactiveMs: inactive * 1000, validMs: valid * 1000, minUses }
}

function refuseCache(word: string, at: Site): never {
  return at.fail(`invalid "open_log_file_cache" parameter "${word}"`)
}

function parseFormat([name, ...rest]: readonly string[], at: Site): FormatDeclaration {
  const escape = rest[0]!.startsWith('escape=') ? escapeNamed(rest.shift()!.slice(7), at) : 'default'
  return { name: name!, escape, template: Template.parseWords(rest, at), site: at }
}

function parseLog([path, format, ...parameters]: readonly string[], at: Site): LogDeclaration {
  const syslog = path!.startsWith('syslog:') ? parseSyslog(path!, at) : null
  const template = syslog === null && path!.includes('$') ? Template.parse(at.prefixPath(path!), at) : null
  let condition: Template | null = null
  let size = 0
  let flushMs = 0
  let gzip = 0
  for (const parameter of parameters) {
    const [, key, value] = /^([a-z]+)=(.*)$/s.exec(parameter) ?? ['', parameter, '']
    if (key === 'buffer') size = parseSize(value) || at.fail(`invalid buffer size "${value}"`)
    else if (key === 'flush') flushMs = parseTime(value) || at.fail(`invalid flush time "${value}"`)
    else if (key === 'if') condition = Template.parse(value, at)
    else if (parameter === 'gzip') gzip = 1
    else if (key === 'gzip')
      gzip = /^[1-9]$/.test(value) ? Number(value) : at.fail(`invalid compression level "${value}"`)
    else at.fail(`invalid parameter "${parameter}"`)
  }
  // A stream block has no format of its own.
  if (format === undefined && (at.context & (STREAM | STREAM_SERVER)) !== 0) at.fail('log format is not specified')
  if (gzip > 0 && size === 0) size = GZIP_BUFFER
  if (flushMs > 0 && size === 0) at.fail(`no buffer is defined for access_log "${path}"`)
  if (size > 0 && template !== null) at.fail('buffered logs cannot have variables in name')
  if (size > 0 && syslog !== null) at.fail('logs to syslog cannot be buffered')
  const buffer = { size, flushMs, gzip }
  const constant = syslog === null ? at.prefixPath(path!) : ''
  return { path: constant, template, syslog, format: format ?? 'combined', condition, buffer, site: at }
}

export const log = httpModule({
  name: 'log',
  directives,
  variables: {
    body_bytes_sent: get(r => `${r.bodyBytesSent}`),
    bytes_sent: get(r => `${r.bytesSent}`),
    connection: get(r => `${r.stream.connectionNumber}`),
    connection_requests: get(r => `${r.stream.requests}`),
    msec: get(() => seconds(Date.now())),
    pipe: get(r => (r.stream.pipelined ? 'p' : '.')),
    request_length: get(r => `${r.requestLength}`),
    request_time: get(r => seconds(Math.max(unixMs() - r.startMs, 0))),
    status: get(statusText),
    time_iso8601: get(isoLogTime),
    time_local: get(commonLogTime),
  },
  inStream: true,
  setup(_conf, http) {
    checkNames(http)
  },
  connection(conf, at, stream) {
    const formats = logFormats(stream)
    for (const log of conf.access_log ?? []) addLog(log, conf.open_log_file_cache, formats, at, stream)
  },
  compile(conf, at, http) {
    const formats = logFormats(http)
    const { log_format } = http.scope.conf(directives)
    if (at.kind === 'server' && log_format.some(({ template }) => tellsFineTime(template.variables())))
      at.step('post-read', noteStart, null)
    const logs = conf.access_log
    if (logs === null) {
      at.log(writeAlways, { format: formats.get('combined')!, sink: logFile(http, defaultPath(at), NO_BUFFER, null) })
      return
    }
    for (const log of logs) addLog(log, conf.open_log_file_cache, formats, at, http)
  },
})

function addLog(
  log: LogDeclaration,
  cache: LogFileCacheLimits | null,
  formats: Formats,
  at: Pick<LocationBuilder, 'log' | 'value'>,
  http: HttpSetup,
): void {
  // Formats of one spelling or another are the same here: nginx compares without case.
  const format = formats.get(log.format.toLowerCase())
  if (format === null || isLater(format, log.site)) log.site.fail(`unknown log format "${log.format}"`)
  const sink = sinkOf(log, cache, at, http)
  if (log.condition === null) at.log(writeAlways, { format, sink })
  else at.log(writeIf, { format, sink, condition: at.value(log.condition) })
}

function get(getter: (r: HttpRequest) => string): Variable {
  return { get: getter }
}

function statusText(r: HttpRequest): string {
  // What an error page is made for is known before it is answered; and `=200` stays what it says, if a part is sent or nothing.
  const status = r.status === 0 || r.errorStatus === 200 ? r.errorStatus : r.status
  if (status === 0) return r.version === 9 ? '009' : '000'
  return status < 100 ? `${status}`.padStart(3, '0') : `${status}`
}

/** Milliseconds as seconds with three digits behind the point. */
function seconds(ms: number): string {
  const rest = ms % 1000
  return `${(ms - rest) / 1000}.${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}`
}

// ── compiling ────────────────────────────────────────────────────────────────────────────────────────────────────────

const formatsKey = new RegistryKey<LogFormat>('log format')
const filesKey = new RegistryKey<AccessLogFile>('access log')

interface Formats {
  get(name: string): LogFormat | null
}

const bound = new WeakSet<object>()

/** All formats by lower-case name. They are bound when the first location is compiled: every variable is known then. */
function logFormats(http: HttpSetup): Formats {
  const formats = http.registry(formatsKey)
  if (bound.has(formats)) return formats
  bound.add(formats)
  if (http.scope.context === HTTP) formats.set('combined', new LogFormat(Template.builtIn(COMBINED), 'default', http))
  const { log_format } = http.scope.conf(directives)
  for (const { name, escape, template, site } of log_format) {
    const format = new LogFormat(template, escape, http)
    formats.set(name.toLowerCase(), format)
    if (site !== null) formatSites.set(format, site)
  }
  return formats
}

/** Also of formats that nobody uses. */
function checkNames({ scope }: HttpSetup): void {
  const names = new Set(scope.context === HTTP ? ['combined'] : [])
  for (const { name, site } of scope.conf(directives).log_format) {
    const lower = name.toLowerCase()
    if (names.has(lower)) site!.fail(`duplicate "log_format" name "${name}"`)
    names.add(lower)
  }
}

const formatSites = new WeakMap<LogFormat, Site>()

/** nginx knows only formats that stand before the log. */
function isLater(format: LogFormat, log: Site): boolean {
  const site = formatSites.get(format)
  return site !== undefined && site.order > log.order
}

/** One object per path, however many locations log there. */
function logFile(http: HttpSetup, path: string, buffer: LogBuffer, site: Site | null): AccessLogFile {
  const files = http.registry(filesKey)
  const known = files.get(path)
  if (known !== null) {
    if (buffer.size === 0) return known
    const { size, flushMs, gzip } = known.buffer
    const conflicts = size !== buffer.size || flushMs !== buffer.flushMs || gzip !== buffer.gzip
    if (size > 0 && conflicts) site?.fail(`access_log "${path}" already defined with conflicting parameters`)
    known.buffer = buffer
    return known
  }
  const file = new AccessLogFile(path, buffer)
  files.set(path, file)
  if (!path.startsWith('/dev/')) http.needsLogFile(path)
  http.onStart(services => file.open(services.logFiles))
  http.onStop(() => file.flush())
  return file
}

/** Relative to the prefix, which every site knows; a server has one. */
function defaultPath(at: LocationBuilder): string {
  for (let scope: LocationBuilder['scope'] | null = at.scope; scope !== null; scope = scope.parent) {
    const site = scope.site('server') ?? scope.site('http')
    if (site !== null) return site.prefixPath(DEFAULT_PATH)
  }
  return DEFAULT_PATH
}

// ── handlers ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Where lines go; they come with their ends. */
interface Sink {
  append(line: string, r: HttpRequest): void
}

interface LogTarget {
  readonly format: LogFormat
  readonly sink: Sink
}

function writeAlways(r: HttpRequest, { format, sink }: LogTarget): void {
  sink.append(format.line(r), r)
}

function writeIf(r: HttpRequest, { format, sink, condition }: LogTarget & { readonly condition: Value }): void {
  const value = condition.get(r)
  if (value !== '' && value !== '0') sink.append(format.line(r), r)
}

class SyslogSink implements Sink {
  private syslog: Syslog | null = null

  constructor(server: SyslogServer, http: HttpSetup) {
    http.onStart(services => {
      this.syslog = services.logFiles.syslog(server)
    })
  }

  append(line: string): void {
    this.syslog?.send(line.slice(0, -1))
  }
}

/** A path with variables in it. */
class PathSink implements Sink {
  private readonly path: Value
  private readonly cache: LogFileCache | null

  constructor(path: Value, cache: LogFileCache | null) {
    this.path = path
    this.cache = cache
  }

  append(line: string, r: HttpRequest): void {
    writeToPath(r, this.path.get(r), line, this.cache)
  }
}

function sinkOf(
  log: LogDeclaration,
  limits: LogFileCacheLimits | null,
  at: Pick<LocationBuilder, 'value'>,
  http: HttpSetup,
): Sink {
  if (log.syslog !== null) return new SyslogSink(log.syslog, http)
  if (log.template === null) return logFile(http, log.path, log.buffer, log.site)
  return new PathSink(at.value(log.template), limits === null ? null : cacheFor(limits, http))
}

/** One for each directive. */
const caches = new WeakMap<LogFileCacheLimits, LogFileCache>()

function cacheFor(limits: LogFileCacheLimits, http: HttpSetup): LogFileCache {
  let cache = caches.get(limits)
  if (cache === undefined) {
    const fresh = new LogFileCache(limits)
    caches.set(limits, fresh)
    http.onStop(() => fresh.clear())
    cache = fresh
  }
  return cache
}
