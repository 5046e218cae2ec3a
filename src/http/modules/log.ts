// access_log and log_format, and the variables that tell how a request went (ngx_http_log_module).

import {
  HTTP,
  IF_IN_LOCATION,
  LIMIT_EXCEPT,
  LOCATION,
  SERVER,
  type Directive,
  type Site,
} from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { parseSize, parseTime } from '../../config/units.ts'
import { accepted, list, words } from '../../config/values.ts'
import { commonLogTime, isoLogTime } from '../../lib/local-time.ts'
import { AccessLogFile, type LogBuffer } from '../access-log-file.ts'
import { escapeNamed, LogFormat, type Escape } from '../log-format.ts'
import { httpModule, type LocationBuilder, type Value, type Variable } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import { RegistryKey, type HttpSetup } from '../setup.ts'

const COMBINED =
  '$remote_addr - $remote_user [$time_local] "$request" $status $body_bytes_sent "$http_referer" "$http_user_agent"'
const DEFAULT_PATH = 'logs/access.log'

const NO_BUFFER: LogBuffer = { size: 0, flushMs: 0 }

interface FormatDeclaration {
  readonly name: string
  readonly escape: Escape
  readonly template: Template
  readonly site: Site | null
}

interface LogDeclaration {
  readonly path: string
  readonly format: string
  readonly condition: Template | null
  readonly buffer: LogBuffer
  readonly site: Site
}

/** null: nothing said, the default log; an empty list: off. */
const accessLog: Directive<readonly LogDeclaration[] | null> = {
  in: HTTP | SERVER | LOCATION | IF_IN_LOCATION | LIMIT_EXCEPT,
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
  log_format: list(HTTP, [2, Infinity], parseFormat),
  open_log_file_cache: accepted(words(HTTP | SERVER | LOCATION, [1, 4], null)),
}

function parseFormat([name, ...rest]: readonly string[], at: Site): FormatDeclaration {
  const escape = rest[0]!.startsWith('escape=') ? escapeNamed(rest.shift()!.slice(7), at) : 'default'
  return { name: name!, escape, template: Template.parse(rest.join(''), at), site: at }
}

function parseLog([path, format, ...parameters]: readonly string[], at: Site): LogDeclaration {
  if (path!.startsWith('syslog:')) at.fail('access_log cannot write to syslog in this version')
  if (path!.includes('$')) at.fail(`access_log cannot have variables in its path "${path}" in this version`)
  let condition: Template | null = null
  let size = 0
  let flushMs = 0
  for (const parameter of parameters) {
    const [, key, value] = /^([a-z]+)=(.*)$/s.exec(parameter) ?? ['', parameter, '']
    if (key === 'buffer') size = parseSize(value) || at.fail(`invalid buffer size "${value}"`)
    else if (key === 'flush') flushMs = parseTime(value) || at.fail(`invalid flush time "${value}"`)
    else if (key === 'if') condition = Template.parse(value, at)
    else if (key === 'gzip') at.fail('access_log cannot compress in this version')
    else at.fail(`invalid parameter "${parameter}"`)
  }
  if (flushMs > 0 && size === 0) at.fail(`no buffer is defined for access_log "${path}"`)
  return { path: at.prefixPath(path!), format: format ?? 'combined', condition, buffer: { size, flushMs }, site: at }
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
    // Whether a request had to wait for the one before it is not noted.
    pipe: get(() => '.'),
    request_length: get(r => `${r.requestLength}`),
    request_time: get(r => seconds(Math.max(Date.now() - r.startMs, 0))),
    status: get(statusText),
    time_iso8601: get(isoLogTime),
    time_local: get(commonLogTime),
  },
  compile(conf, at, http) {
    const formats = logFormats(http)
    const logs = conf.access_log
    if (logs === null) {
      at.log(writeAlways, { format: formats.get('combined')!, file: logFile(http, defaultPath(at), NO_BUFFER, null) })
      return
    }
    for (const { path, format, condition, buffer, site } of logs) {
      const file = logFile(http, path, buffer, site)
      // Formats of one spelling or another are the same here: nginx compares without case.
      const compiled = formats.get(format.toLowerCase()) ?? site.fail(`unknown log format "${format}"`)
      if (condition === null) at.log(writeAlways, { format: compiled, file })
      else at.log(writeIf, { format: compiled, file, condition: at.value(condition) })
    }
  },
})

function get(getter: (r: HttpRequest) => string): Variable {
  return { get: getter }
}

function statusText(r: HttpRequest): string {
  if (r.status === 0) return r.version === 9 ? '009' : '000'
  return r.status < 100 ? `${r.status}`.padStart(3, '0') : `${r.status}`
}

/** Milliseconds as seconds with three digits behind the point. */
function seconds(ms: number): string {
  const rest = ms % 1000
  return `${(ms - rest) / 1000}.${rest < 10 ? '00' : rest < 100 ? '0' : ''}${rest}`
}

// ── compiling ────────────────────────────────────────────────────────────────────────────────────────────────────────

const formatsKey = new RegistryKey<LogFormat>('log format')
const filesKey = new RegistryKey<AccessLogFile>('access log')

/** All formats by lower-case name. They are bound when the first location is compiled: every variable is known then. */
function logFormats(http: HttpSetup): { get(name: string): LogFormat | null } {
  const formats = http.registry(formatsKey)
  if (formats.get('combined') !== null) return formats
  formats.set('combined', new LogFormat(Template.builtIn(COMBINED), 'default', http))
  const { log_format } = http.scope.conf(directives)
  for (const { name, escape, template, site } of log_format) {
    if (formats.get(name.toLowerCase()) !== null) site!.fail(`duplicate "log_format" name "${name}"`)
    formats.set(name.toLowerCase(), new LogFormat(template, escape, http))
  }
  return formats
}

/** One object per path, however many locations log there. */
function logFile(http: HttpSetup, path: string, buffer: LogBuffer, site: Site | null): AccessLogFile {
  const files = http.registry(filesKey)
  const known = files.get(path)
  if (known !== null) {
    const conflicts = known.buffer.size !== buffer.size || known.buffer.flushMs !== buffer.flushMs
    if (conflicts && site !== null) site.fail(`access_log "${path}" already defined with conflicting parameters`)
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

interface LogTarget {
  readonly format: LogFormat
  readonly file: AccessLogFile
}

function writeAlways(r: HttpRequest, { format, file }: LogTarget): void {
  file.append(format.line(r))
}

function writeIf(r: HttpRequest, { format, file, condition }: LogTarget & { readonly condition: Value }): void {
  const value = condition.get(r)
  if (value !== '' && value !== '0') file.append(format.line(r))
}
