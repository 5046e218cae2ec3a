// An upstream's response head as the client gets it (ngx_http_upstream_process_headers): which fields go on, which the
// server takes for itself, and which the location may rewrite.

import { statusLine } from '../../codec/h1/write.ts'
import { parseNumber } from '../../config/units.ts'
import { WARN } from '../../log/error-log.ts'
import { forcedCharset } from '../filters/forced-charset.ts'
import { setRate } from '../access/limit-rate.ts'
import type { HttpRequest } from '../request.ts'
import type { Exchange } from './exchange.ts'
import { IGNORE_ACCEL_BUFFERING, IGNORE_ACCEL_CHARSET, IGNORE_ACCEL_LIMIT_RATE } from './settings.ts'

// What is done with a field; 0 passes it on.
const DROP = 1
const CONTENT_TYPE = 2
const LOCATION = 3
const REFRESH = 4
const SET_COOKIE = 5
const SERVER = 6
const DATE = 7
const UPGRADE = 8
const ACCEL_BUFFERING = 9
const LAST_MODIFIED = 10
const ETAG = 11
const ACCEL_LIMIT_RATE = 12
const ACCEL_CHARSET = 13
const EXPIRES = 14
const STATUS = 15
const ACCEL_REDIRECT = 16
const ACCEL_EXPIRES = 17

/** Of those only the first is heard (ngx_http_upstream_process_header_line). */
const SINGLE =
  (1 << CONTENT_TYPE) |
  (1 << LOCATION) |
  (1 << REFRESH) |
  (1 << SERVER) |
  (1 << DATE) |
  (1 << LAST_MODIFIED) |
  (1 << ETAG) |
  (1 << EXPIRES) |
  (1 << STATUS) |
  (1 << ACCEL_REDIRECT) |
  (1 << ACCEL_LIMIT_RATE) |
  (1 << ACCEL_EXPIRES)

/** With any of the above: seen by us, not by the client. */
const HIDDEN = 64

const ACTIONS: Readonly<Record<string, number>> = {
  // The client's side frames and keeps its own connection.
  'content-length': DROP,
  'transfer-encoding': DROP,
  connection: DROP,
  'keep-alive': DROP,
  'content-type': CONTENT_TYPE,
  location: LOCATION,
  refresh: REFRESH,
  'set-cookie': SET_COOKIE,
  server: SERVER,
  date: DATE,
  upgrade: UPGRADE,
  'x-accel-buffering': ACCEL_BUFFERING,
  'x-accel-limit-rate': ACCEL_LIMIT_RATE,
  'x-accel-charset': ACCEL_CHARSET,
  'last-modified': LAST_MODIFIED,
  etag: ETAG,
  expires: EXPIRES,
  status: STATUS,
  'x-accel-redirect': ACCEL_REDIRECT,
  'x-accel-expires': ACCEL_EXPIRES,
}

export type FieldActions = ReadonlyMap<string, number>

/** The table for one location. */
export function fieldActions(hidden: ReadonlySet<string>): FieldActions {
  const table = new Map(Object.entries(ACTIONS))
  for (const name of hidden) table.set(name, (table.get(name) ?? 0) | HIDDEN)
  return table
}

/** The fields of a response's head, and their names as the upstream spells them. */
export interface ResponseFields {
  names: readonly string[]
  values: readonly string[]
  originalName(i: number): string
}

/** What a location makes of the fields that name the upstream's own addresses. */
export interface Rewriting {
  /** Puts the Location on the request. */
  passLocation(r: HttpRequest, name: string, value: string): void
  refresh(r: HttpRequest, value: string): string
  cookie(r: HttpRequest, value: string): string
}

/** Everything as it is. */
const UNCHANGED: Rewriting = {
  passLocation: (r, name, value) => r.addHeader(name, value),
  refresh: (_r, value) => value,
  cookie: (_r, value) => value,
}

/** Puts status, fields and length of the head that was read on the request. */
export function passFields(
  x: Exchange,
  head: ResponseFields,
  actions: FieldActions,
  rewriting: Rewriting = UNCHANGED,
): void {
  const { r } = x
  // The parser's next head must not change what $upstream_http_* shows of this one.
  head.names = []
  head.values = []
  r.status = x.status
  r.statusLine = x.status !== 204 && isStandard(x.status, x.statusText) ? '' : x.statusText
  r.contentLength = x.chunked ? -1 : x.contentLength
  let seen = 0
  for (let i = 0; i < x.names.length; i++) {
    const found = actions.get(x.names[i]!) ?? 0
    const action = x.leadsWithin ? found & ~HIDDEN : found
    const value = x.values[i]!
    if (action === 0) r.addHeader(head.originalName(i), value)
    else {
      const bit = 1 << (action & ~HIDDEN)
      if ((seen & bit & SINGLE) !== 0) repeated(x, head, i)
      else take(x, rewriting, action, head.originalName(i), value)
      seen |= bit
    }
  }
}

/** It is as if it had not been there, for $upstream_http_* too. */
function repeated(x: Exchange, head: ResponseFields, i: number): void {
  const { r, names, values } = x
  const show = (at: number): string => `"${head.originalName(at)}: ${values[at]}"`
  const first = names.indexOf(names[i]!)
  r.log(WARN, `upstream sent duplicate header line: ${show(i)}, previous value: ${show(first)}, ignored`)
  x.names = names.with(i, '')
}

function take(x: Exchange, rewriting: Rewriting, action: number, name: string, value: string): void {
  const { r } = x
  const kind = action & ~HIDDEN
  if (kind === ACCEL_BUFFERING || kind === ACCEL_LIMIT_RATE || kind === ACCEL_CHARSET) obey(x, kind, value)
  if ((action & HIDDEN) !== 0) return
  switch (kind) {
    case DROP:
      return
    case CONTENT_TYPE:
      r.contentType = value
      return
    case LOCATION:
      rewriting.passLocation(r, name, value)
      return
    case REFRESH:
      r.addHeader(name, rewriting.refresh(r, value))
      return
    case SET_COOKIE:
      r.addHeader(name, rewriting.cookie(r, value))
      return
    case SERVER:
      r.serverHeader = value
      return
    case DATE:
      r.dateHeader = value
      return
    case LAST_MODIFIED:
      if (value === '') break
      r.lastModified = value
      r.lastModifiedStays = true
      return
    case ETAG:
      if (value === '') break
      r.etag = value
      return
    case UPGRADE:
      // HTTP/2 has no upgrades.
      if (x.r.version >= 20) return
  }
  r.addHeader(name, value)
}

/** Of a head that is not passed on, because a page of ours comes instead: what is for us holds for that page. */
export function obeyFields(x: Exchange): void {
  for (let i = 0; i < x.names.length; i++) {
    const kind = ACTIONS[x.names[i]!]
    if (kind === ACCEL_LIMIT_RATE || kind === ACCEL_CHARSET) obey(x, kind, x.values[i]!)
  }
}

/** Fields that are for us. */
function obey(x: Exchange, kind: number, value: string): void {
  const ignored = x.settings.ignoreHeaders
  if (kind === ACCEL_BUFFERING && (ignored & IGNORE_ACCEL_BUFFERING) === 0) setBuffering(x, value)
  if (kind === ACCEL_LIMIT_RATE && (ignored & IGNORE_ACCEL_LIMIT_RATE) === 0) {
    const rate = parseNumber(value)
    if (rate !== null) setRate(x.r, rate)
  }
  if (kind === ACCEL_CHARSET && (ignored & IGNORE_ACCEL_CHARSET) === 0) forcedCharset.set(x.r, value)
}

function setBuffering(x: Exchange, value: string): void {
  const wanted = value.toLowerCase()
  if (wanted === 'no') x.buffering = false
  else if (wanted === 'yes') x.buffering = true
}

/** Is this how the client's side writes that status anyway? */
function isStandard(status: number, text: string): boolean {
  const line = statusLine(status)
  // Between `HTTP/1.1 ` and CRLF.
  return line.length === text.length + 11 && line.startsWith(text, 9)
}
