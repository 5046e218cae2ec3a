// Which server answers for a host: exact name, longest `*.name`, longest `name.*`, first regular expression, else the
// address's default (ngx_http_find_virtual_server).

import type { Directive, Site } from '../../config/directive.ts'
import { regex, type Pattern } from '../regex.ts'

export class ServerNames<S> {
  private readonly exact = new Map<string, S>()
  /** `.example.org` for `*.example.org`. */
  private readonly suffixes = new Map<string, S>()
  /** `www.example.` for `www.example.*`. */
  private readonly prefixes = new Map<string, S>()
  private readonly patterns: { pattern: Pattern; server: S }[] = []
  /** The regular expression that the last look-up ended with: it has matched, unless it has given up. */
  matched: Pattern | null = null
  /** It has given up: whose name that is is not known. */
  failed = false
  /** Answers for what nobody has named; settled when all servers are known. */
  fallback: S

  constructor(fallback: S) {
    this.fallback = fallback
  }

  add(name: string, server: S, at: Site): void {
    if (name.startsWith('~')) {
      if (name === '~') at.fail(`empty regex in server name "${name}"`)
      this.patterns.push({ pattern: regex(name.slice(1), true, at), server })
      return
    }
    const lower = name.toLowerCase()
    if (lower.startsWith('.')) {
      setFirst(this.exact, lower.slice(1), server)
      setFirst(this.suffixes, lower, server)
    } else if (lower.startsWith('*.')) setFirst(this.suffixes, lower.slice(1), server)
    else if (lower.endsWith('.*')) setFirst(this.prefixes, lower.slice(0, -1), server)
    else setFirst(this.exact, lower, server)
  }

  get named(): readonly Pattern[] {
    return this.patterns.map(({ pattern }) => pattern)
  }

  find(host: string): S {
    return this.lookup(host) ?? this.fallback
  }

  /** null: nobody has that name. */
  lookup(host: string): S | null {
    this.matched = null
    this.failed = false
    const exact = this.exact.get(host)
    if (exact !== undefined) return exact
    if (host === '') return null
    if (this.suffixes.size === 0 && this.prefixes.size === 0 && this.patterns.length === 0) return null
    return this.bySuffix(host) ?? this.byPrefix(host) ?? this.byPattern(host)
  }

  private bySuffix(host: string): S | null {
    for (let dot = host.indexOf('.'); dot !== -1; dot = host.indexOf('.', dot + 1)) {
      const server = this.suffixes.get(host.slice(dot))
      if (server !== undefined) return server
    }
    return null
  }

  private byPrefix(host: string): S | null {
    for (let dot = host.lastIndexOf('.'); dot > 0; dot = host.lastIndexOf('.', dot - 1)) {
      const server = this.prefixes.get(host.slice(0, dot + 1))
      if (server !== undefined) return server
    }
    return null
  }

  private byPattern(host: string): S | null {
    for (const { pattern, server } of this.patterns) {
      const matches = pattern.test(host)
      if (!matches && !pattern.exceeded) continue
      this.matched = pattern
      this.failed = !matches
      return matches ? server : null
    }
    return null
  }
}

/** `server_name` */
export function serverName(contexts: number): Directive<readonly string[]> {
  return {
    in: contexts,
    args: [1, Number.MAX_SAFE_INTEGER],
    default: [],
    repeatable: true,
    inheritedBy: 0,
    parse(names, at, soFar = []) {
      for (const name of names) {
        if (/^(?:\*(?!\..)|\.$)/s.test(name)) at.fail(`server name "${name}" is invalid`)
        if (name.includes('/')) at.warn(`server name "${name}" has suspicious symbols`)
      }
      return [...soFar, ...names]
    },
  }
}

/** Wildcards stand only at one end, with a dot; `*` alone is no name. */
export function isName(name: string): boolean {
  if (name.startsWith('~')) return true
  const inner = name.replace(/^\*\./, '').replace(/\.\*$/, '')
  const both = name.startsWith('*.') && name.endsWith('.*')
  return !both && !inner.includes('*') && !name.includes('..') && (name === '' || inner !== '')
}

function setFirst<S>(map: Map<string, S>, name: string, server: S): void {
  if (!map.has(name)) map.set(name, server)
}

/** The first name of a server, as variables and redirects tell it: `.example.com` is told without its dot. */
export function plainName(name: string): string {
  return name.startsWith('.') ? name.slice(1) : name
}
