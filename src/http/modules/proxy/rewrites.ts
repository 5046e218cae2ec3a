// Rules that change what a response says of its server's own addresses: proxy_redirect, proxy_cookie_domain and
// proxy_cookie_path. A rule replaces a prefix, the whole of a domain, or what a pattern matches (ngx_http_proxy_rewrite).

import type { Site } from '../../../config/directive.ts'
import { Template } from '../../../config/template.ts'
import { defineCaptures, execute, MATCHED, regex, type Pattern } from '../../regex.ts'
import { fieldValue } from '../../field-value.ts'
import type { LocationBuilder, Value } from '../../module.ts'
import type { HttpRequest } from '../../request.ts'
import type { HttpSetup } from '../../setup.ts'

export interface RuleText {
  /** Null for a rule with a pattern, and for `default`. */
  readonly prefix: Template | null
  readonly pattern: Pattern | null
  readonly replacement: Template
  readonly site: Site
}

/** Reads `FROM TO`, where FROM may be `~pattern` or `~*pattern`; names of domains have no case either
 *  way, and their first dot is left to the cookie. */
export function readRule(from: string, to: string, at: Site, isDomain = false): RuleText {
  if (!from.startsWith('~')) {
    const bare = (text: string): Template => Template.parse(isDomain ? text.replace(/^\./, '') : text, at)
    return { prefix: bare(from), pattern: null, replacement: bare(to), site: at }
  }
  const replacement = Template.parse(to, at)
  const caseless = from.startsWith('~*')
  return { prefix: null, pattern: regex(from.slice(caseless ? 2 : 1), caseless || isDomain, at), replacement, site: at }
}

/** Answers the new text, or null where the rule does not apply. `text` is what follows an untouched beginning. */
export interface Rule {
  apply(r: HttpRequest, text: string): string | null
}

export function bindRule(rule: RuleText, at: LocationBuilder, http: HttpSetup): Rule {
  if (rule.pattern !== null) {
    defineCaptures(rule.pattern, rule.site, http)
    return new PatternRule(rule.pattern, at.value(rule.replacement))
  }
  return new PrefixRule(at.value(rule.prefix!), at.value(rule.replacement))
}

export function bindDomainRule(rule: RuleText, at: LocationBuilder, http: HttpSetup): Rule {
  if (rule.pattern !== null) return bindRule(rule, at, http)
  return new DomainRule(at.value(rule.prefix!), at.value(rule.replacement))
}

/** The first rule that applies; null if none does. */
export function applyFirst(rules: readonly Rule[], r: HttpRequest, text: string): string | null {
  for (let i = 0; i < rules.length; i++) {
    const changed = rules[i]!.apply(r, text)
    if (changed !== null) return fieldValue(changed)
  }
  return null
}

class PrefixRule implements Rule {
  private readonly prefix: Value
  private readonly replacement: Value
  constructor(prefix: Value, replacement: Value) {
    this.prefix = prefix
    this.replacement = replacement
  }
  apply(r: HttpRequest, text: string): string | null {
    const prefix = this.prefix.get(r)
    return text.startsWith(prefix) ? this.replacement.get(r) + text.slice(prefix.length) : null
  }
}

/** A domain is compared whole, without case and without a leading dot. */
class DomainRule implements Rule {
  private readonly domain: Value
  private readonly replacement: Value
  constructor(domain: Value, replacement: Value) {
    this.domain = domain
    this.replacement = replacement
  }
  apply(r: HttpRequest, text: string): string | null {
    const dot = text.startsWith('.') ? '.' : ''
    if (this.domain.get(r).toLowerCase() !== text.slice(dot.length).toLowerCase()) return null
    return dot + this.replacement.get(r)
  }
}

/** What the pattern captures is the request's from then on, as with every other pattern. */
class PatternRule implements Rule {
  private readonly pattern: Pattern
  private readonly replacement: Value
  constructor(pattern: Pattern, replacement: Value) {
    this.pattern = pattern
    this.replacement = replacement
  }
  apply(r: HttpRequest, text: string): string | null {
    return execute(r, this.pattern, text) === MATCHED ? this.replacement.get(r) : null
  }
}
