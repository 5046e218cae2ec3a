// add_header, add_trailer and expires (ngx_http_headers_filter_module). They are for clients: subrequests' answers are left.

import {
  HTTP,
  IF_IN_LOCATION,
  LOCATION,
  SERVER,
  type Directive,
  type Scope,
  type Site,
} from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { parseSeconds } from '../../config/units.ts'
import { list, oneOf } from '../../config/values.ts'
import { formatHttpDate, NO_DATE, parseHttpDate } from '../../lib/http-date.ts'
import { dropField } from '../altered-body.ts'
import { httpModule, type LocationBuilder, type Value } from '../module.ts'
import type { BodyStage } from '../output.ts'
import type { HttpRequest, Trailers } from '../request.ts'
import { fieldValue } from '../field-value.ts'

const everywhere = HTTP | SERVER | LOCATION | IF_IN_LOCATION

interface AddedHeader {
  readonly name: string
  readonly value: Template
  readonly always: boolean
}

type ExpiresKind = 'off' | 'epoch' | 'max' | 'access' | 'modified' | 'daily'

interface Expires {
  readonly kind: ExpiresKind
  /** Seconds from access, modification, or midnight. */
  readonly seconds: number
}

/** As written: a value known now, or a template and whether it counts from the modification. */
interface ExpiresDeclaration {
  readonly fixed: Expires | null
  readonly template: Template
  readonly fromModified: boolean
}

const expires: Directive<ExpiresDeclaration | null> = {
  in: everywhere,
  args: [1, 2],
  default: null,
  parse(args, at) {
    const fromModified = args.length === 2
    if (fromModified && args[0] !== 'modified') at.fail('"expires" directive invalid value')
    const template = Template.parse(args[fromModified ? 1 : 0]!, at)
    const fixed = template.constant === null ? null : fixedExpires(template.constant, fromModified, at)
    return { fixed, template, fromModified }
  },
}

function fixedExpires(text: string, fromModified: boolean, at: Site): Expires {
  const read = parseExpires(text, fromModified)
  return typeof read === 'string' ? at.fail(`"expires" directive ${read}`) : read
}

/** @returns what is wrong with it, as a string */
export function parseExpires(text: string, fromModified: boolean): Expires | string {
  if (!fromModified && (text === 'epoch' || text === 'max' || text === 'off')) return { kind: text, seconds: 0 }
  const sign = /^[@+-]?/.exec(text)![0]
  if (sign === '@' && fromModified) return 'daily time cannot be used with "modified" parameter'
  const seconds = parseSeconds(text.slice(sign.length))
  if (seconds === null) return 'invalid value'
  if (sign === '@') return seconds > DAY ? 'daily time value must be less than 24 hours' : { kind: 'daily', seconds }
  return { kind: fromModified ? 'modified' : 'access', seconds: sign === '-' ? -seconds : seconds }
}

const DAY = 86400

function parseHeader([name, value, always]: readonly string[], at: Site): AddedHeader {
  if (always !== undefined && always !== 'always') at.fail(`invalid parameter "${always}"`)
  return { name: name!, value: Template.parse(value!, at), always: always !== undefined }
}

const directives = {
  add_header: list(everywhere, [2, 3], parseHeader),
  add_header_inherit: oneOf(everywhere, ['on', 'off', 'merge'], 'on'),
  add_trailer: list(everywhere, [2, 3], parseHeader),
  add_trailer_inherit: oneOf(everywhere, ['on', 'off', 'merge'], 'on'),
  expires,
}

export const headers = httpModule({
  name: 'headers',
  directives,
  prefixVariables: { sent_trailer_: rest => ({ get: r => sentTrailer(r, rest.replaceAll('_', '-')) }) },
  compile(conf, at) {
    const added = effective(at.scope, 'add_header')
    const trailers = effective(at.scope, 'add_trailer')
    const { expires } = conf
    if (expires !== null && expires.fixed?.kind !== 'off') {
      at.filter(setExpires, { ...expires, value: at.value(expires.template) } satisfies ExpiresConf)
    }
    if (added.length > 0)
      at.filter(
        addHeaders,
        added.map(header => compileHeader(header, at)),
      )
    if (trailers.length > 0)
      at.filter(
        addTrailers,
        trailers.map(header => compileHeader(header, at)),
      )
  },
})

/** Inner headers replace the outer ones as a whole; `merge` puts the outer ones behind them, `off` shuts them out. */
function effective(scope: Scope, name: 'add_header' | 'add_trailer'): readonly AddedHeader[] {
  const conf = scope.conf(directives)
  const inherit = conf[`${name}_inherit`]
  const own = scope.has(name) ? conf[name] : null
  if (inherit === 'off') return own ?? []
  const outer = scope.parent === null ? [] : effective(scope.parent, name)
  if (own === null) return outer
  return inherit === 'merge' ? [...own, ...outer] : own
}

/** Fields of which there is only one: set instead of added, and an empty value takes them away. */
const LAST_MODIFIED = 1
const ETAG = 2
const ORDINARY = 0

interface HeaderConf {
  readonly name: string
  readonly value: Value
  readonly always: boolean
  readonly kind: number
}

function compileHeader({ name, value, always }: AddedHeader, at: LocationBuilder): HeaderConf {
  const lower = name.toLowerCase()
  const kind = lower === 'last-modified' ? LAST_MODIFIED : lower === 'etag' ? ETAG : ORDINARY
  return { name, value: at.value(value), always, kind }
}

/** Statuses that headers are meant for unless `always` is given. */
function isOrdinary(status: number): boolean {
  if (status < 300) return status === 200 || status === 201 || status === 204 || status === 206
  return (status <= 308 && status >= 307) || (status <= 304 && status !== 300)
}

function addHeaders(r: HttpRequest, conf: readonly HeaderConf[]): BodyStage | null {
  if (r.parent !== null) return null
  const ordinary = isOrdinary(r.status)
  for (let i = 0; i < conf.length; i++) {
    const { name, value, always, kind } = conf[i]!
    if (!ordinary && !always) continue
    const text = value.constant ?? fieldValue(value.get(r))
    if (kind === LAST_MODIFIED) r.lastModified = text
    else if (kind === ETAG) r.etag = text
    else if (text !== '') r.addHeader(name, text)
  }
  return null
}

/** Their values may be known only when the body has been sent. */
class AddedTrailers implements Trailers {
  private readonly conf: readonly HeaderConf[]
  sent: readonly string[] = []

  constructor(conf: readonly HeaderConf[]) {
    this.conf = conf
  }

  fields(r: HttpRequest): readonly string[] {
    const fields: string[] = []
    for (const { name, value } of this.conf) {
      const text = value.constant ?? fieldValue(value.get(r))
      if (text !== '') fields.push(name, text)
    }
    this.sent = fields
    return fields
  }
}

function addTrailers(r: HttpRequest, conf: readonly HeaderConf[]): BodyStage | null {
  const ordinary = isOrdinary(r.status)
  const wanted = conf.filter(({ always }) => always || ordinary)
  if (wanted.length === 0 || r.version < 11 || r.bodiless || r.parent !== null) return null
  r.trailers = new AddedTrailers(wanted)
  return null
}

function sentTrailer(r: HttpRequest, name: string): string | null {
  const sent = r.trailers?.sent ?? []
  let joined: string | null = null
  for (let i = 0; i < sent.length; i += 2) {
    if (sent[i]!.toLowerCase() === name) joined = joined === null ? sent[i + 1]! : `${joined}, ${sent[i + 1]}`
  }
  return joined
}

interface ExpiresConf extends ExpiresDeclaration {
  readonly value: Value
}

function setExpires(r: HttpRequest, conf: ExpiresConf): BodyStage | null {
  if (!isOrdinary(r.status) || r.parent !== null) return null
  const expires = conf.fixed ?? parseExpires(conf.value.get(r), conf.fromModified)
  if (typeof expires === 'string' || expires.kind === 'off') return null
  if (expires.kind === 'epoch') replace(r, 'Thu, 01 Jan 1970 00:00:01 GMT', 'no-cache')
  else if (expires.kind === 'max') replace(r, 'Thu, 31 Dec 2037 23:55:55 GMT', 'max-age=315360000')
  else setTime(r, expires)
  return null
}

function setTime(r: HttpRequest, { kind, seconds }: Expires): void {
  const now = Math.floor(Date.now() / 1000)
  const modified = kind === 'modified' && r.lastModified !== '' ? parseHttpDate(r.lastModified) : NO_DATE
  let time = now + seconds
  if (kind === 'daily') time = nextTimeOfDay(seconds, now)
  else if (modified !== NO_DATE && seconds !== 0) time = modified + seconds
  const age = time - now
  replace(r, formatHttpDate(time), seconds < 0 || age < 0 ? 'no-cache' : `max-age=${age}`)
}

/** The next moment that many seconds after a local midnight. */
function nextTimeOfDay(seconds: number, now: number): number {
  const midnight = new Date(now * 1000)
  midnight.setHours(0, 0, 0, 0)
  const today = midnight.setSeconds(seconds) / 1000
  if (today > now) return today
  midnight.setDate(midnight.getDate() + 1)
  return midnight.getTime() / 1000
}

/** One Expires and one Cache-Control, instead of those an upstream sent. */
function replace(r: HttpRequest, expires: string, cacheControl: string): void {
  dropField(r, 'expires')
  dropField(r, 'cache-control')
  r.addHeader('Expires', expires)
  r.addHeader('Cache-Control', cacheControl)
}
