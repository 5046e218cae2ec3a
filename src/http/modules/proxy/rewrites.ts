// Rules that change what a response says of its server's own addresses: proxy_redirect, proxy_cookie_domain and
// proxy_cookie_path. A rule replaces a prefix, the whole of a domain, or what a pattern matches (ngx_http_proxy_rewrite).

import type { Site } from '../../../config/directive.ts'
import { Template } from '../../../config/template.ts'
import { regex, type Pattern } from '../../regex.ts'
import { fieldValue } from '../../upstream/field-value.ts'
import type { LocationBuilder, Value } from '../../module.ts'
import type { HttpRequest } from '../../request.ts'

export interface RuleText {
  /** Null for a rule with a pattern, and for `default`. */
  readonly prefix: Template | null
  readonly pattern: Pattern | null
  readonly replacement: Template
}

/** Reads `FROM TO`, where FROM may be `~pattern` or `~*pattern`. */
export function readRule(from: string, to: string, at: Site): RuleText {
  const replacement = Template.parse(to, at)
  if (!from.startsWith('~')) return { prefix: Template.parse(from, at), pattern: null, replacement }
  const caseless = from.startsWith('~*')
  return { prefix: null, pattern: regex(from.slice(caseless ? 2 : 1), caseless, at), replacement }
}

/** Answers the new text, or null where the rule does not apply. `text` is what follows an untouched beginning. */
export interface Rule {
  apply(r: HttpRequest, text: string): string | null
}

export function bindRule(rule: RuleText, at: LocationBuilder): Rule {
  if (rule.pattern !== null) return new PatternRule(rule.pattern, new Replacement(rule.replacement, rule.pattern, at))
  return new PrefixRule(at.value(rule.prefix!), at.value(rule.replacement))
}

export function bindDomainRule(rule: RuleText, at: LocationBuilder): Rule {
  if (rule.pattern !== null) return bindRule(rule, at)
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

class PatternRule implements Rule {
  private readonly pattern: Pattern
  private readonly replacement: Replacement
  constructor(pattern: Pattern, replacement: Replacement) {
    this.pattern = pattern
    this.replacement = replacement
  }
  apply(r: HttpRequest, text: string): string | null {
    const match = this.pattern.exec(text)
    return match === null ? null : this.replacement.get(r, match)
  }
}

/** A template in which $1 to $9 and the pattern's own names are what it has matched. */
class Replacement {
  private readonly parts: readonly (string | number | Value)[]
  constructor(template: Template, pattern: Pattern, at: LocationBuilder) {
    this.parts = template.parts.map(part => {
      if (typeof part === 'string') return part
      if (/^[1-9]$/.test(part.variable)) return Number(part.variable)
      for (const [name, number] of pattern.names) if (name.toLowerCase() === part.variable) return number
      return at.value(Template.parse(`\${${part.variable}}`, template.place))
    })
  }
  get(r: HttpRequest, match: RegExpExecArray): string {
    let text = ''
    for (const part of this.parts) {
      if (typeof part === 'string') text += part
      else if (typeof part === 'number') text += match[part] ?? ''
      else text += part.get(r)
    }
    return text
  }
}
