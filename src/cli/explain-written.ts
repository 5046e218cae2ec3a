// Directives in force in a block, as they are written in the files.

import { LOCATION, type Directives, type Place, type Scope, type Word } from '../config/directive.ts'

export interface Detail {
  readonly text: string
  readonly place: Place | null
}

/** The directives of that name of the innermost block that has any. */
export function written(scope: Scope, name: string): Detail[] {
  for (let at: Scope | null = scope; at !== null; at = at.parent) {
    if (!at.has(name)) continue
    const own = at.statement?.block?.filter(statement => statement.name === name) ?? []
    const all = own.length > 0 ? own : [at.site(name)!]
    return all.map(({ words, ...place }) => ({ text: textOf(name, words), place }))
  }
  return []
}

/** All that is in force of a module, but for what belongs to no location (zones, groups) and what has no effect. */
export function writtenOf(scope: Scope, directives: Directives): Detail[] {
  return Object.entries(directives)
    .filter(([, { in: where, block, idle }]) => (where & LOCATION) !== 0 && block === undefined && idle !== true)
    .flatMap(([name]) => written(scope, name))
    .sort((a, b) => (a.place?.order ?? 0) - (b.place?.order ?? 0))
}

export function textOf(name: string, words: readonly Word[]): string {
  return [name, ...words.map(({ text, quoted }) => (quoted ? `"${text}"` : text))].join(' ')
}
