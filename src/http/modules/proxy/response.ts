// The upstream's response head as the client gets it (ngx_http_upstream_process_headers): which fields go on, which the
// server takes for itself, and which are rewritten.

import { statusLine } from '../../../codec/h1/write.ts'
import { WARN } from '../../../log/error-log.ts'
import type { Exchange } from '../../upstream/exchange.ts'
import type { H1Reader } from '../../upstream/h1.ts'
import { IGNORE_ACCEL_BUFFERING } from '../../upstream/settings.ts'
import { absolute } from '../../output.ts'
import type { HttpRequest } from '../../request.ts'
import type { ProxyConf } from './conf.ts'
import { applyFirst, rewriteCookie } from './rewrites.ts'

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
/** More than one is a mistake of the upstream's: the first counts. */
const ONCE = 10
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
  'last-modified': ONCE,
  etag: ONCE,
  expires: ONCE,
}

/** The table for one location. */
export function fieldActions(hidden: ReadonlySet<string>): ReadonlyMap<string, number> {
  const table = new Map(Object.entries(ACTIONS))
  for (const name of hidden) table.set(name, (table.get(name) ?? 0) | HIDDEN)
  return table
}

export function passHead(x: Exchange): void {
  const { r } = x
  const conf = x.conf as ProxyConf
  const { head } = x.reader as H1Reader
  // The parser's next head must not change what $upstream_http_* shows of this one.
  head.names = []
  head.values = []
  r.status = x.status
  r.statusLine = isStandard(x.status, x.statusText) ? '' : x.statusText
  r.contentLength = x.chunked ? -1 : x.contentLength
  let seen = 0
  for (let i = 0; i < x.names.length; i++) {
    const action = conf.fieldActions.get(x.names[i]!) ?? 0
    const value = x.values[i]!
    if (action === 0) r.addHeader(head.originalName(i), value)
    else {
      const bit = 1 << (action & ~HIDDEN)
      if (isRepeated(action, seen, bit)) repeated(x, head.originalName(i), value)
      else take(x, conf, action, head.originalName(i), value)
      if (action !== ONCE) seen |= bit
    }
  }
}

function isRepeated(action: number, seen: number, bit: number): boolean {
  return (seen & bit) !== 0 && (action === CONTENT_TYPE || action === LOCATION || action === REFRESH)
}

function repeated(x: Exchange, name: string, value: string): void {
  x.log(
    WARN,
    `upstream sent duplicate header line: "${name}: ${value}", ignored while reading response header from upstream`,
  )
}

function take(x: Exchange, conf: ProxyConf, action: number, name: string, value: string): void {
  const { r } = x
  if ((action & ~HIDDEN) === ACCEL_BUFFERING) setBuffering(x, value)
  if ((action & HIDDEN) !== 0) return
  switch (action) {
    case DROP:
      return
    case CONTENT_TYPE:
      r.contentType = value
      return
    case LOCATION:
      passLocation(r, conf, name, value)
      return
    case REFRESH:
      r.addHeader(name, refreshed(r, conf, value))
      return
    case SET_COOKIE:
      r.addHeader(name, cookie(r, conf, value))
      return
    case SERVER:
      r.serverHeader = value
      return
    case DATE:
      r.dateHeader = value
      return
    case UPGRADE:
      if (x.status === 101) r.addHeader(name, value)
      return
    default:
      r.addHeader(name, value)
  }
}

/** A rewritten path may be made absolute for the client, as a redirect of our own; anything else goes on as it is. */
function passLocation(r: HttpRequest, conf: ProxyConf, name: string, value: string): void {
  const rewritten = conf.redirects.length === 0 ? null : applyFirst(conf.redirects, r, value)
  if (rewritten !== null && rewritten.startsWith('/')) {
    r.redirect = r.location.absoluteRedirect ? absolute(r) + rewritten : rewritten
  } else r.addHeader(name, rewritten ?? value)
}

function refreshed(r: HttpRequest, conf: ProxyConf, value: string): string {
  const at = value.toLowerCase().indexOf('url=')
  if (at === -1 || conf.redirects.length === 0) return value
  const rewritten = applyFirst(conf.redirects, r, value.slice(at + 4))
  return rewritten === null ? value : value.slice(0, at + 4) + rewritten
}

function cookie(r: HttpRequest, conf: ProxyConf, value: string): string {
  if (conf.cookieDomains.length === 0 && conf.cookiePaths.length === 0) return value
  return rewriteCookie(r, value, conf.cookieDomains, conf.cookiePaths) ?? value
}

function setBuffering(x: Exchange, value: string): void {
  if ((x.settings.ignoreHeaders & IGNORE_ACCEL_BUFFERING) !== 0) return
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
