// The upstream's response head as the client gets it: http/upstream's table of fields, and what proxy_redirect and
// proxy_cookie_* make of those that name the upstream's own addresses.

import type { Exchange } from '../../upstream/exchange.ts'
import { fieldValue } from '../../field-value.ts'
import type { H1Reader } from '../../upstream/h1.ts'
import { passFields } from '../../upstream/response-fields.ts'
import type { Rewriting } from '../../upstream/response-fields.ts'
import { NO_SERVER } from '../../request.ts'
import type { HttpRequest } from '../../request.ts'
import type { ProxyConf } from './conf.ts'
import { rewriteCookie } from './cookies.ts'
import type { CookieRules } from './cookies.ts'
import { applyFirst } from './rewrites.ts'
import type { Rule } from './rewrites.ts'

export function passHead(x: Exchange): void {
  const conf = x.conf as ProxyConf
  passFields(x, (x.reader as H1Reader).head, conf.fieldActions, conf.rewriting)
  saidServer(x, conf)
}

/** Whose name may be told has none if it does not tell it. A Date there must be (RFC 9110, 6.6.1). */
function saidServer({ r }: Exchange, conf: ProxyConf): void {
  if (r.serverHeader === '' && !conf.settings.hidden.has('server')) r.serverHeader = NO_SERVER
}

/** One location's rules. */
export class ProxyRewriting implements Rewriting {
  private readonly redirects: readonly Rule[]
  private readonly cookies: CookieRules

  constructor(redirects: readonly Rule[], cookies: CookieRules) {
    this.redirects = redirects
    this.cookies = cookies
  }

  /** A rewritten path may be made absolute for the client, as a redirect of our own; anything else goes on as it is. */
  passLocation(r: HttpRequest, name: string, value: string): void {
    const rewritten = this.redirects.length === 0 ? null : applyFirst(this.redirects, r, value)
    if (rewritten !== null && rewritten.startsWith('/')) r.redirect = rewritten
    else r.addHeader(name, rewritten === null ? value : fieldValue(rewritten))
  }

  refresh(r: HttpRequest, value: string): string {
    const at = value.toLowerCase().indexOf('url=')
    if (at === -1 || this.redirects.length === 0) return value
    const rewritten = applyFirst(this.redirects, r, value.slice(at + 4))
    return rewritten === null ? value : value.slice(0, at + 4) + fieldValue(rewritten)
  }

  cookie(r: HttpRequest, value: string): string {
    const { domains, paths, flags } = this.cookies
    if (domains.length + paths.length + flags.length === 0) return value
    const rewritten = rewriteCookie(r, value, this.cookies)
    return rewritten === null ? value : fieldValue(rewritten)
  }
}
