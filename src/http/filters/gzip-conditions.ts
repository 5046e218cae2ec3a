// Whether a client may be given gzip at all: what it says it takes, and what its version, its proxies and its name allow
// (ngx_http_gzip_ok). Used where gzip is made, found beside the file, or taken away; nginx keeps these in its core.

import { HTTP, LOCATION, SERVER, type Conf, type Directive } from '../../config/directive.ts'
import { bitmask, choice, flag } from '../../config/values.ts'
import { NO_DATE, parseHttpDate } from '../../lib/http-date.ts'
import { codingQuality } from './accept-encoding.ts'
import { dropField } from '../altered-body.ts'
import { regex, type Pattern } from '../regex.ts'
import type { HttpRequest } from '../request.ts'

const everywhere = HTTP | SERVER | LOCATION

const OFF = 1
const EXPIRED = 2
const NO_CACHE = 4
const NO_STORE = 8
const PRIVATE = 16
const NO_LAST_MODIFIED = 32
const NO_ETAG = 64
const AUTH = 128
const ANY = 256

const proxied = {
  off: OFF,
  expired: EXPIRED,
  'no-cache': NO_CACHE,
  'no-store': NO_STORE,
  private: PRIVATE,
  no_last_modified: NO_LAST_MODIFIED,
  no_etag: NO_ETAG,
  auth: AUTH,
  any: ANY,
}

interface Disabled {
  readonly msie6: boolean
  readonly patterns: readonly Pattern[]
}

const disable: Directive<Disabled | null> = {
  in: everywhere,
  args: [1, Infinity],
  default: null,
  repeatable: true,
  parse(args, at, soFar) {
    const msie6 = (soFar?.msie6 ?? false) || args.includes('msie6')
    const added = args.filter(arg => arg !== 'msie6').map(arg => regex(arg, true, at))
    return { msie6, patterns: [...(soFar?.patterns ?? []), ...added] }
  },
}

export const gzipConditions = {
  gzip_vary: flag(everywhere, false),
  gzip_http_version: choice(everywhere, { '1.0': 10, '1.1': 11 }, 11),
  gzip_proxied: bitmask(everywhere, proxied, OFF),
  gzip_disable: disable,
}

export type GzipConditions = Conf<typeof gzipConditions>

/** How much the client wants gzip; 0: it must not get it. */
export function gzipQuality(r: HttpRequest, conf: GzipConditions): number {
  if (r.parent !== null) return 0
  const quality = codingQuality(r.header('accept-encoding'), 'gzip')
  if (quality === 0 || r.version < conf.gzip_http_version) return 0
  const { gzip_disable } = conf
  if (gzip_disable !== null && isDisabled(r, gzip_disable)) return 0
  return r.header('via') === null || mayProxied(r, conf.gzip_proxied) ? quality : 0
}

function isDisabled(r: HttpRequest, { msie6, patterns }: Disabled): boolean {
  const agent = r.header('user-agent')
  if (agent === null) return false
  return (msie6 && isMsie6(agent)) || patterns.some(pattern => pattern.exec(agent) !== null)
}

/** Before its second service pack it could not be trusted with gzip; Opera only claims to be it. */
function isMsie6(agent: string): boolean {
  const version = /MSIE ([45]\.|6\.)/.exec(agent)?.[1]
  if (version === undefined || agent.includes('Opera')) return false
  return version !== '6.' || !agent.includes('SV1')
}

/** A proxy stands in between: only what it would not keep for others. */
function mayProxied(r: HttpRequest, allowed: number): boolean {
  if ((allowed & OFF) !== 0) return false
  if ((allowed & ANY) !== 0) return true
  if ((allowed & AUTH) !== 0 && r.header('authorization') !== null) return true
  const expires = r.responseHeader('expires')
  if (expires !== null) return (allowed & EXPIRED) !== 0 && isPast(r, expires)
  const control = r.responseHeader('cache-control')
  if (control !== null) {
    return (
      ((allowed & NO_CACHE) !== 0 && hasToken(r, 'no-cache')) ||
      ((allowed & NO_STORE) !== 0 && hasToken(r, 'no-store')) ||
      ((allowed & PRIVATE) !== 0 && hasToken(r, 'private'))
    )
  }
  if ((allowed & NO_LAST_MODIFIED) !== 0 && r.lastModified !== '') return false
  return (allowed & NO_ETAG) === 0 || r.etag === ''
}

function isPast(r: HttpRequest, expires: string): boolean {
  const time = parseHttpDate(expires)
  const date = r.dateHeader === '' ? Math.floor(Date.now() / 1000) : parseHttpDate(r.dateHeader)
  return time !== NO_DATE && date !== NO_DATE && time < date
}

/** Does any Cache-Control of the response have that directive? */
function hasToken(r: HttpRequest, token: string): boolean {
  for (let i = 0; i < r.outNames.length; i++) {
    if (r.outNames[i]!.toLowerCase() !== 'cache-control') continue
    for (const part of r.outValues[i]!.split(/[,;]/)) if (part.trim().toLowerCase() === token) return true
  }
  return false
}

const VARY_FIELD = 'vary'

/** Caches must ask what the client takes: once, whoever decided by it. */
export function varyByEncoding(r: HttpRequest): void {
  for (let i = 0; i < r.outNames.length; i++) {
    if (r.outValues[i] === 'Accept-Encoding' && r.outNames[i]!.toLowerCase() === VARY_FIELD) return
  }
  r.addHeader('Vary', 'Accept-Encoding')
}

/** The response is of another coding than the one it had. */
export function setCoding(r: HttpRequest, coding: string): void {
  dropField(r, 'content-encoding')
  if (coding !== '') r.addHeader('Content-Encoding', coding)
}
