// Set-Cookie with the upstream's attributes made ours: proxy_cookie_domain, proxy_cookie_path and proxy_cookie_flags
// (ngx_http_proxy_rewrite_cookie).

import type { Directive, Site } from '../../../config/directive.ts'
import { Template } from '../../../config/template.ts'
import type { LocationBuilder, Value } from '../../module.ts'
import { regex, type Pattern } from '../../regex.ts'
import type { HttpRequest } from '../../request.ts'
import { applyFirst } from './rewrites.ts'
import type { Rule } from './rewrites.ts'

export interface FlagsText {
  /** Null for a rule with a pattern. */
  readonly name: Template | null
  readonly pattern: Pattern | null
  readonly flags: readonly Template[]
}

/** `off`, or `COOKIE FLAG …` any number of times. */
export function cookieFlagsDirective(contexts: number): Directive<readonly FlagsText[] | null> {
  return {
    in: contexts,
    args: [1, 4],
    default: null,
    repeatable: true,
    parse([cookie, ...flags], at, soFar) {
      if (soFar !== undefined && soFar !== null && (soFar.length === 0 || flags.length === 0))
        at.fail(`"${at.name}" directive is duplicate`)
      if (flags.length > 0) return [...(soFar ?? []), readFlags(cookie!, flags, at)]
      return cookie === 'off' ? [] : at.fail(`invalid parameter "${cookie}"`)
    },
  }
}

function readFlags(cookie: string, flags: readonly string[], at: Site): FlagsText {
  const isPattern = cookie.startsWith('~')
  return {
    name: isPattern ? null : Template.parse(cookie, at),
    pattern: isPattern ? regex(cookie.slice(1), true, at) : null,
    flags: flags.map(flag => Template.parse(flag, at)),
  }
}

export interface FlagsRule {
  readonly name: Value | null
  readonly pattern: Pattern | null
  readonly flags: readonly Value[]
}

export function bindFlags({ name, pattern, flags }: FlagsText, at: LocationBuilder): FlagsRule {
  return { name: name === null ? null : at.value(name), pattern, flags: flags.map(flag => at.value(flag)) }
}

export interface CookieRules {
  readonly domains: readonly Rule[]
  readonly paths: readonly Rule[]
  readonly flags: readonly FlagsRule[]
}

interface Attribute {
  readonly name: string
  readonly value: string | null
}

/** A Set-Cookie value rewritten; null where nothing changes. */
export function rewriteCookie(r: HttpRequest, cookie: string, rules: CookieRules): string | null {
  let attributes = cookie.split(';').map(readAttribute)
  if (attributes[0]!.value === null) return null
  let changed = false
  for (let i = 1; i < attributes.length; i++) {
    const { name, value } = attributes[i]!
    if (value === null) continue
    const lower = name.toLowerCase()
    const list = lower === 'domain' ? rules.domains : lower === 'path' ? rules.paths : null
    const fresh = list === null ? null : applyFirst(list, r, value)
    if (fresh === null) continue
    attributes[i] = { name, value: fresh }
    changed = true
  }
  const flags = flagsFor(r, attributes[0]!.name, rules.flags)
  if (flags.length > 0) attributes = setFlags(attributes, flags)
  else if (!changed) return null
  return attributes.map(({ name, value }) => (value === null ? name : `${name}=${value}`)).join('; ')
}

function readAttribute(attribute: string): Attribute {
  const text = attribute.trim()
  const equals = text.indexOf('=')
  if (equals === -1) return { name: text, value: null }
  return { name: text.slice(0, equals).trim(), value: text.slice(equals + 1).trim() }
}

const FLAG = /^(?:no)?(?:secure|httponly)$|^samesite=(?:strict|lax|none)$|^nosamesite$/

/** What the first rule for that cookie says, in lower case; words that are no flags say nothing. */
function flagsFor(r: HttpRequest, cookie: string, rules: readonly FlagsRule[]): string[] {
  for (const { name, pattern, flags } of rules) {
    const applies =
      pattern === null ? name!.get(r).toLowerCase() === cookie.toLowerCase() : pattern.exec(cookie) !== null
    if (applies) return flags.map(flag => flag.get(r).toLowerCase()).filter(flag => FLAG.test(flag))
  }
  return []
}

const SAME_SITE: readonly (readonly [flag: string, value: string])[] = [
  ['samesite=strict', 'Strict'],
  ['samesite=lax', 'Lax'],
  ['samesite=none', 'None'],
]

function setFlags(attributes: readonly Attribute[], flags: readonly string[]): Attribute[] {
  const sameSite = SAME_SITE.find(([flag]) => flags.includes(flag))?.[1] ?? null
  const out = setFlag(setFlag([...attributes], 'Secure', flags), 'HttpOnly', flags)
  if (sameSite === null)
    return flags.includes('nosamesite') ? out.filter((one, i) => i === 0 || !is(one, 'samesite')) : out
  const at = out.findIndex((one, i) => i > 0 && is(one, 'samesite'))
  if (at === -1) return [...out, { name: 'SameSite', value: sameSite }]
  // A value that is right already keeps its spelling.
  if (out[at]!.value?.toLowerCase() !== sameSite.toLowerCase()) out[at] = { name: 'SameSite', value: sameSite }
  return out
}

function setFlag(attributes: Attribute[], name: string, flags: readonly string[]): Attribute[] {
  const lower = name.toLowerCase()
  if (flags.includes(lower)) {
    return attributes.some((one, i) => i > 0 && is(one, lower)) ? attributes : [...attributes, { name, value: null }]
  }
  return flags.includes(`no${lower}`) ? attributes.filter((one, i) => i === 0 || !is(one, lower)) : attributes
}

function is(attribute: Attribute, lower: string): boolean {
  return attribute.name.toLowerCase() === lower
}
