// Which location a URI belongs to, in nginx's order: exact; else the longest prefix, ended by `^~`; else the first
// regular expression that matches; else that longest prefix. Nested locations are asked in the same way.
//
// Prefixes are sorted, longest first, within groups of equal length in a Map: a look-up costs one Map access per
// distinct length of prefix, however many locations there are. Of many patterns only those are run that the URI could match
// (lib/pcre/required.ts).

import { escapeUri } from '../../codec/h1/uri.ts'
import { ANY_PAIRS, pairsOf } from '../../lib/pcre/required.ts'
import { redirectTo } from '../output.ts'
import type { LocationFinder, LocationRuntime } from '../runtime.ts'
import type { HttpRequest } from '../request.ts'
import { execute, FAILED as TOO_MUCH, MATCHED, type Pattern } from '../regex.ts'

export interface LocationEntry {
  readonly runtime: LocationRuntime
  readonly pattern: Pattern | null
  /** Locations inside this one, null when there are none. */
  readonly inner: Locations | null
  /** `/dir/` with a handler that passes requests on: `/dir` is redirected there (auto_redirect). */
  readonly autoRedirect: boolean
}

const NOTHING = 0
const PROVISIONAL = 1
const FINAL = 2
/** The location is that of `uri` plus a slash: r.redirect says where to. */
const REDIRECT = 3
/** A regular expression gave up: the request must not go on. */
const FAILED = 4

/** From so many patterns on, it pays to look at the URI's pairs first. */
const FILTERED_MIN = 4
const NEWLINE = 10
const SLASH = 47

let found: LocationRuntime | null = null

export class Locations implements LocationFinder {
  protected readonly exact = new Map<string, LocationRuntime>()
  /** `/dir` by what passes `/dir/` on. */
  private readonly slashless = new Map<string, LocationRuntime>()
  private readonly byLength: { length: number; entries: Map<string, LocationEntry> }[] = []
  protected readonly patterns: LocationEntry[] = []
  /** What a URI must have for each of them to match. */
  private readonly pairs: number[] = []
  private readonly endings: Pattern['endings'][] = []
  private readonly names = new Map<string, LocationRuntime>()
  failed = false
  /** `location / { }` alone is the commonest configuration of all. */
  protected readonly rootOnly: LocationRuntime | null

  constructor(entries: readonly LocationEntry[]) {
    for (const entry of entries) this.add(entry)
    this.byLength.sort((a, b) => b.length - a.length)
    this.rootOnly = this.findRootOnly(entries)
  }

  find(r: HttpRequest): LocationRuntime | null {
    // Redirects within may lead to what is no path.
    if (this.rootOnly !== null) return r.uri.charCodeAt(0) === SLASH ? this.rootOnly : null
    found = null
    const answer = this.search(r)
    this.failed = answer === FAILED
    return answer === FAILED ? null : found
  }

  named(name: string): LocationRuntime | null {
    return this.names.get(name) ?? null
  }

  /** Leaves the location in `found`. A prefix is PROVISIONAL: an enclosing level's patterns may still win. */
  protected search(r: HttpRequest): number {
    const { uri } = r
    const exact = this.exact.get(uri)
    if (exact !== undefined) {
      found = exact
      return FINAL
    }
    const prefix = this.longestPrefix(uri)
    if ((prefix === null || prefix.runtime.name.length < uri.length) && this.redirects(r)) return REDIRECT
    let answer = NOTHING
    if (prefix !== null) {
      found = prefix.runtime
      answer = Math.max(PROVISIONAL, prefix.inner === null ? NOTHING : prefix.inner.search(r))
      if (answer >= FINAL || prefix.runtime.modifier === '^~') return answer
    }
    return this.byPattern(r, answer)
  }

  private redirects(r: HttpRequest): boolean {
    const location = this.slashless.get(r.uri)
    if (location === undefined) return false
    found = this.exact.get(location.name) ?? location
    redirectTo(r, `${escapeUri(location.name, 'uri')}${r.args === '' ? '' : `?${r.args}`}`)
    return true
  }

  protected byPattern(r: HttpRequest, otherwise: number): number {
    const { patterns } = this
    const { uri } = r
    const pairs = patterns.length < FILTERED_MIN ? ANY_PAIRS : pairsOf(uri)
    const last = uri.charCodeAt(uri.length - 1)
    for (let i = 0; i < patterns.length; i++) {
      if ((this.pairs[i]! & ~pairs) !== 0) continue
      const endings = this.endings[i]!
      if (endings !== null && endings[last] === 0 && last !== NEWLINE) continue
      const { pattern, runtime, inner } = patterns[i]!
      const answer = execute(r, pattern!, uri)
      if (answer === TOO_MUCH) return FAILED
      if (answer !== MATCHED) continue
      found = runtime
      const within = inner === null ? NOTHING : inner.search(r)
      return within >= REDIRECT ? within : FINAL
    }
    return otherwise
  }

  protected longestPrefix(uri: string): LocationEntry | null {
    for (const { length, entries } of this.byLength) {
      if (length > uri.length) continue
      const entry = entries.get(length === uri.length ? uri : uri.slice(0, length))
      if (entry !== undefined) return entry
    }
    return null
  }

  private add(entry: LocationEntry): void {
    const { name, modifier } = entry.runtime
    if (modifier === '@') {
      if (!this.names.has(name)) this.names.set(name, entry.runtime)
    } else if (entry.pattern !== null) this.addPattern(entry, entry.pattern)
    else if (modifier === '=') {
      this.exact.set(name, entry.runtime)
      this.addSlashless(entry)
    } else {
      let group = this.byLength.find(group => group.length === name.length)
      if (group === undefined) {
        group = { length: name.length, entries: new Map() }
        this.byLength.push(group)
      }
      group.entries.set(name, entry)
      this.addSlashless(entry)
    }
  }

  private addSlashless({ autoRedirect, runtime }: LocationEntry): void {
    const { name } = runtime
    if (autoRedirect && name.endsWith('/')) this.slashless.set(name.slice(0, -1), runtime)
  }

  private addPattern(entry: LocationEntry, { pairs, endings }: Pattern): void {
    this.patterns.push(entry)
    this.pairs.push(pairs)
    this.endings.push(endings)
  }

  private findRootOnly(entries: readonly LocationEntry[]): LocationRuntime | null {
    const [only] = entries.filter(entry => entry.runtime.modifier !== '@')
    const isRoot = entries.length === 1 && only !== undefined && only.pattern === null && only.runtime.modifier !== '='
    return isRoot && only.runtime.name === '/' && only.inner === null ? only.runtime : null
  }
}
