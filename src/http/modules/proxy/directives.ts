// The proxy_* directives as they are written (ngx_http_proxy_module).

import { HTTP, IF_IN_LOCATION, LIMIT_EXCEPT, LOCATION, SERVER } from '../../../config/directive.ts'
import type { Directive, Scope, Site } from '../../../config/directive.ts'
import { Template } from '../../../config/template.ts'
import { accepted, flag, list, number, oneOf, template } from '../../../config/values.ts'
import { lowat, upstreamDirectives } from '../../upstream/settings.ts'
import { tlsDirectives } from '../../upstream/tls.ts'
import { cookieFlagsDirective } from './cookies.ts'
import { readRule } from './rewrites.ts'
import type { RuleText } from './rewrites.ts'

export interface Pass {
  readonly text: string
  /** Null where there are no variables. */
  readonly template: Template | null
  readonly site: Site
}

/** `default`: undoes what the proxy_pass of that block does to the path. */
export interface DefaultRedirect {
  readonly passedBy: Scope
}

export type Redirects = 'off' | readonly (RuleText | DefaultRedirect)[]

const anywhere = HTTP | SERVER | LOCATION

export const proxyDirectives = {
  ...upstreamDirectives('proxy'),
  ...tlsDirectives('proxy'),
  proxy_pass: pass(),
  proxy_set_header: list(anywhere, [2, 2], ([name, value], at) => ({
    name: name!,
    template: Template.parse(value!, at),
  })),
  proxy_http_version: oneOf(anywhere, ['1.0', '1.1', '2'], '1.1'),
  proxy_method: template(anywhere, null),
  proxy_set_body: template(anywhere, null),
  proxy_redirect: redirects(),
  proxy_cookie_domain: cookieRules(true),
  proxy_cookie_path: cookieRules(false),
  proxy_cookie_flags: cookieFlagsDirective(anywhere),
  proxy_headers_hash_max_size: accepted(number(anywhere, 512)),
  proxy_headers_hash_bucket_size: accepted(number(anywhere, 64)),
  proxy_pass_trailers: flag(anywhere, false),
  proxy_send_lowat: lowat,
}

function pass(): Directive<Pass | null> {
  return {
    in: LOCATION | IF_IN_LOCATION | LIMIT_EXCEPT,
    args: [1, 1],
    default: null,
    inheritedBy: IF_IN_LOCATION | LIMIT_EXCEPT,
    parse([text], at) {
      const url = Template.parse(text!, at)
      if (url.constant === null) return { text: text!, template: url, site: at }
      const lower = text!.slice(0, 8).toLowerCase()
      if (!lower.startsWith('http://') && lower !== 'https://')
        at.fail('invalid URL prefix', text!.includes('://') ? undefined : `say "http://${text}"`)
      return { text: text!, template: null, site: at }
    },
  }
}

function redirects(): Directive<Redirects | null> {
  return {
    in: anywhere,
    args: [1, 2],
    default: null,
    repeatable: true,
    parse([from, to], at, soFar): Redirects {
      if (soFar === 'off' || (from === 'off' && to === undefined && soFar))
        return at.fail('"proxy_redirect" directive is duplicate')
      if (to === undefined) {
        if (from === 'off') return 'off'
        if (from !== 'default') at.fail(`invalid parameter "${from}"`)
        checkDefault(at)
        return [...(soFar ?? []), { passedBy: at.scope }]
      }
      return [...(soFar ?? []), readRule(from!, to, at)]
    },
  }
}

function checkDefault(at: Site): void {
  const site = at.scope.site('proxy_pass')
  if (site === null) at.fail('"proxy_redirect default" should be placed after the "proxy_pass" directive')
  if (Template.parse(site.words[0]!.text, site).constant === null) {
    at.fail('"proxy_redirect default" cannot be used with "proxy_pass" directive with variables')
  }
}

/** `off`, or `FROM TO` any number of times. */
function cookieRules(areDomains: boolean): Directive<readonly RuleText[] | null> {
  return {
    in: anywhere,
    args: [1, 2],
    default: null,
    repeatable: true,
    parse([from, to], at, soFar) {
      if (to === undefined && from !== 'off') at.fail(`invalid parameter "${from}"`)
      if (soFar !== undefined && (to === undefined || soFar?.length === 0))
        at.fail(`"${at.name}" directive is duplicate`)
      if (to === undefined) return []
      return [...(soFar ?? []), readRule(from!, to, at, areDomains)]
    },
  }
}
