// `location [ = | ~ | ~* | ^~ ] uri { … }` and `location @name { … }` (ngx_http_core_location).

import { LOCATION, type Scope, type Site } from '../../config/directive.ts'
import { regex, type Pattern } from '../regex.ts'

export type Modifier = '' | '=' | '^~' | '~' | '~*' | '@'

export interface LocationDeclaration {
  readonly modifier: Modifier
  /** The path, pattern or name, without the modifier (with `@` for names). */
  readonly name: string
  /** Compiled for `~` and `~*`, else null. */
  readonly pattern: Pattern | null
  readonly scope: Scope
  readonly site: Site
}

export function parseLocation(args: readonly string[], at: Site): LocationDeclaration {
  const { modifier, name } = args.length === 2 ? spaced(args[0]!, args[1]!, at) : joined(args[0]!)
  const outer = at.scope.context === LOCATION ? declarationOf(at.scope) : null
  if (outer !== null) checkNesting(outer, modifier, name, at)
  const pattern = modifier === '~' || modifier === '~*' ? regex(name, modifier === '~*', at) : null
  return { modifier, name, pattern, scope: at.inner!, site: at }
}

function spaced(word: string, name: string, at: Site): { modifier: Modifier; name: string } {
  if (word === '=' || word === '^~' || word === '~' || word === '~*') return { modifier: word, name }
  return at.fail(`invalid location modifier "${word}"`)
}

function joined(word: string): { modifier: Modifier; name: string } {
  for (const modifier of ['=', '^~', '~*', '~'] as const) {
    if (word.startsWith(modifier)) return { modifier, name: word.slice(modifier.length) }
  }
  return { modifier: word.startsWith('@') ? '@' : '', name: word }
}

/** The enclosing location as it was written: inner blocks are read before their own `location` is. */
function declarationOf(scope: Scope): { modifier: Modifier; name: string } {
  const [first = '', second] = scope.args
  return second === undefined ? joined(first) : { modifier: first as Modifier, name: second }
}

function checkNesting(outer: { modifier: Modifier; name: string }, modifier: Modifier, name: string, at: Site): void {
  if (outer.modifier === '=') at.fail(`location "${name}" cannot be inside the exact location "${outer.name}"`)
  if (outer.modifier === '@') at.fail(`location "${name}" cannot be inside the named location "${outer.name}"`)
  if (modifier === '@') at.fail(`named location "${name}" can be on the server level only`)
  const isPath = (kind: Modifier): boolean => kind === '' || kind === '^~' || kind === '='
  // What a regular expression has matched is not known here: nginx compares with its text.
  if (isPath(modifier) && !name.startsWith(outer.name)) {
    at.fail(`location "${name}" is outside location "${outer.name}"`)
  }
}
