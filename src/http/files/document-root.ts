// Where the file for a URI would be: `root` puts the whole URI behind a folder, `alias` replaces the location's part of it
// (ngx_http_map_uri_to_path).

import type { Scope } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { coreDirectives } from '../core/core.ts'
import type { Value } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import { restWithin } from '../unsafe-uri.ts'

/** The innermost `root` or `alias` in force, and how much of the URI an alias replaces (-1 for a root). */
export function documentRoot(scope: Scope, prefix: string): { template: Template; aliasLength: number } {
  for (let at: Scope | null = scope; at !== null; at = at.parent) {
    const conf = at.conf(coreDirectives)
    if (at.has('alias'))
      return { template: absolute(conf.alias!, conf.alias!.text, prefix), aliasLength: aliasLength(at) }
    if (at.has('root'))
      return { template: absolute(conf.root!, conf.root!.text.replace(/\/$/, ''), prefix), aliasLength: -1 }
  }
  return { template: Template.builtIn(`${prefix}html`), aliasLength: -1 }
}

/** Relative to the prefix, unless a variable comes first: it may bring a path of its own. */
function absolute(template: Template, text: string, prefix: string): Template {
  const path = /^[/$]/.test(text) || template.text.startsWith('/') ? text : prefix + text
  return path === template.text ? template : Template.parse(path, template.place)
}

/** Where a variable came first, what it brings may be relative, too (ngx_get_full_name). */
export function absoluteValue(value: Value, prefix: string): Value {
  if (value.constant !== null) return value
  return {
    constant: null,
    get(r) {
      const path = value.get(r)
      return path.startsWith('/') ? path : prefix + path
    },
  }
}

/** A prefix location's name goes; in a regular expression's location the alias is the whole path. */
function aliasLength(scope: Scope): number {
  const [first = '', second] = scope.args
  if (first.startsWith('~')) return Number.MAX_SAFE_INTEGER
  return (second ?? first.replace(/^(=|\^~)/, '')).length
}

export function filePath(r: HttpRequest): string {
  const { root, aliasLength } = r.location
  return aliasLength < 0 || r.aliasTakesUri ? root.get(r) + r.uri : underAlias(root.get(r), r.uri.slice(aliasLength))
}

function underAlias(folder: string, rest: string): string {
  return folder + restWithin(folder, rest)
}
