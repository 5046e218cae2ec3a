// Locations as `portico explain` searches them: the same search, told while it goes on.

import { Locations, type LocationEntry } from './locations.ts'
import type { Notes } from '../notes.ts'
import type { LocationRuntime } from '../runtime.ts'
import type { HttpRequest } from '../request.ts'

export class WatchedLocations extends Locations {
  private readonly notes: Notes

  constructor(entries: readonly LocationEntry[], notes: Notes) {
    super(entries)
    this.notes = notes
  }

  override find(r: HttpRequest): LocationRuntime | null {
    const location = super.find(r)
    if (this.rootOnly !== null) this.tell('prefix', 'is the only one and takes everything', this.rootOnly)
    return location
  }

  protected override search(r: HttpRequest): number {
    const exact = this.exact.get(r.uri)
    if (exact !== undefined) this.tell('exact', 'is the URI exactly: nothing else is looked at', exact)
    return super.search(r)
  }

  protected override longestPrefix(uri: string): LocationEntry | null {
    const entry = super.longestPrefix(uri)
    if (entry === null) this.notes.tell('prefix', 'no prefix location matches', null)
    else {
      const { runtime, inner } = entry
      const then =
        inner !== null
          ? ': the locations inside it are asked first'
          : runtime.modifier === '^~'
            ? ': no regular expression is tried'
            : this.patterns.length > 0
              ? ': regular expressions may still win'
              : ''
      this.tell('prefix', `is the longest prefix${then}`, runtime)
    }
    return entry
  }

  /** What the real search may skip by its index is told as what it is: no match. */
  protected override byPattern(r: HttpRequest, otherwise: number): number {
    for (const { runtime, pattern } of this.patterns) {
      const matches = pattern!.test(r.uri)
      this.tell('regex', matches ? 'is the first regular expression that matches' : 'does not match', runtime)
      if (matches) break
    }
    return super.byPattern(r, otherwise)
  }

  private tell(what: string, text: string, location: LocationRuntime): void {
    const { modifier, name } = location
    const written = modifier === '' || modifier === '@' ? name : `${modifier} ${name}`
    this.notes.tell(what, `location ${written} ${text}`, this.notes.locations.get(location)?.statement ?? null)
  }
}
