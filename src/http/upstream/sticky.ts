// `sticky`: requests that belong together go to the same peer (ngx_http_upstream_sticky_module). What binds them is a cookie
// that we set (cookie), something the request says itself (route), or a session that we have seen a peer begin (learn).

import { createHash } from 'node:crypto'
import type { Home, Sticky } from '../../upstream/group.ts'
import { WARN } from '../../log/error-log.ts'
import { formatHttpDate } from '../../lib/http-date.ts'
import { KeyTable } from '../../zone/key-table.ts'
import { findSession, SESSION_NUMBERS, touchSession } from '../../zone/sticky-sessions.ts'
import { Slot } from '../module.ts'
import type { Value } from '../module.ts'
import type { HttpRequest } from '../request.ts'

/** Where one is read from, in order; the first that is not empty counts. */
export type Source = (r: HttpRequest) => string

function firstOf(sources: readonly Source[], r: HttpRequest): string {
  for (let i = 0; i < sources.length; i++) {
    const text = sources[i]!(r)
    if (text !== '') return text
  }
  return ''
}

export class StickyRoute implements Sticky {
  private readonly routes: readonly Source[]
  constructor(routes: readonly Source[]) {
    this.routes = routes
  }
  hint(r: HttpRequest): string {
    return firstOf(this.routes, r)
  }
  chosen(): void {}
  answered(): void {}
  completed(): void {}
}

export interface CookieSettings {
  readonly name: string
  /** Reads it from a request. */
  readonly read: Source
  /** Seconds, Infinity for `max`, null for a cookie that ends with the browser. */
  readonly expires: number | null
  readonly domain: Value | null
  readonly httponly: boolean
  readonly secure: boolean
  readonly samesite: Value | null
  readonly path: string
}

/** The field as it was last set. */
const cookies = new Slot<string>()

const FOREVER = '; expires=Thu, 31-Dec-37 23:55:55 GMT; max-age=315360000'

export class StickyCookie implements Sticky {
  private readonly settings: CookieSettings
  constructor(settings: CookieSettings) {
    this.settings = settings
  }

  hint(r: HttpRequest): string {
    return this.settings.read(r)
  }

  chosen(r: HttpRequest, peer: Home): void {
    const cookie = this.cookieFor(r, peer)
    const before = cookies.get(r)
    cookies.set(r, cookie)
    // The next peer's takes the place of that of one that has failed.
    const at = before === null ? -1 : r.outValues.indexOf(before)
    if (at === -1) r.addHeader('Set-Cookie', cookie)
    else r.outValues[at] = cookie
  }

  answered(): void {}
  completed(): void {}

  private cookieFor(r: HttpRequest, peer: Home): string {
    const { name, expires, domain, httponly, secure, samesite, path } = this.settings
    let text = `${name}=${peer.sid}`
    if (expires === Infinity) text += FOREVER
    else if (expires !== null) text += `; expires=${cookieDate(expires)}; max-age=${expires}`
    const site = domain === null ? '' : domain.get(r)
    if (site !== '') text += `; domain=${site}`
    if (httponly) text += '; httponly'
    if (secure) text += '; secure'
    const same = samesite === null ? '' : samesite.get(r)
    if (same !== '') text += `; samesite=${samesite!.constant === null && !isSameSite(same) ? 'strict' : same}`
    return path === '' ? text : `${text}; path=${path}`
  }
}

export function isSameSite(word: string): boolean {
  return /^(?:strict|lax|none)$/i.test(word)
}

/** Netscape's form of a date, with hyphens; two digits are enough for a year that is near. */
function cookieDate(seconds: number): string {
  const date = formatHttpDate(Math.floor(Date.now() / 1000) + seconds)
  return date.replace(/^(\w+, \d\d) (\w+) (\d\d)(\d\d)/, (_all, day, month, century, year) =>
    Number(century) * 100 + Number(year) > 2037 ? `${day}-${month}-${century}${year}` : `${day}-${month}-${year}`,
  )
}

export interface LearnSettings {
  readonly create: readonly Source[]
  readonly lookup: readonly Source[]
  readonly zone: string
  readonly timeoutMs: number
  /** As soon as the head has come, not only when the response is complete. */
  readonly atHeader: boolean
}

export class StickyLearn implements Sticky {
  private readonly settings: LearnSettings
  private table: KeyTable | null = null

  constructor(settings: LearnSettings) {
    this.settings = settings
  }

  share(memory: SharedArrayBuffer): void {
    this.table = new KeyTable(memory, SESSION_NUMBERS)
  }

  hint(r: HttpRequest): string {
    const { lookup, timeoutMs } = this.settings
    const session = firstOf(lookup, r)
    return session === '' || this.table === null ? '' : findSession(this.table, keyOf(session), timeoutMs, Date.now())
  }

  chosen(): void {}

  answered(r: HttpRequest, peer: Home): void {
    if (this.settings.atHeader) this.learn(r, peer)
  }

  completed(r: HttpRequest, peer: Home): void {
    if (!this.settings.atHeader) this.learn(r, peer)
  }

  private learn(r: HttpRequest, peer: Home): void {
    const { create, lookup, zone, timeoutMs } = this.settings
    const created = firstOf(create, r)
    const session = created === '' ? firstOf(lookup, r) : created
    if (session === '' || this.table === null) return
    if (!touchSession(this.table, keyOf(session), peer.sid, created !== '', timeoutMs, Date.now())) {
      const what = `could not allocate node in sticky session zone "${zone}"`
      r.log(WARN, `${what}, expiring least recently used session`)
    }
  }
}

/** Sessions may have names of any length, which are nobody else's business. */
function keyOf(session: string): string {
  return createHash('md5').update(session, 'latin1').digest('latin1')
}
