// Directives that list the media types a filter is for: gzip_types, sub_filter_types, charset_types … `*` is any. When one
// is given, `text/html` (its first default) is in the list all the same (ngx_http_types_slot).

import type { Directive } from '../../config/directive.ts'

/** Lower-case types; null: any. */
export type TypeList = ReadonlySet<string> | null

export function typeList(contexts: number, defaults: readonly [string, ...string[]]): Directive<TypeList> {
  return {
    in: contexts,
    args: [1, Infinity],
    default: new Set(defaults),
    repeatable: true,
    parse(args, at, soFar) {
      if (soFar === null) return null
      const types = new Set(soFar ?? [defaults[0]])
      for (const arg of args) {
        if (arg === '*') return null
        const type = arg.toLowerCase()
        if (types.has(type)) at.warn(`duplicate MIME type "${type}"`)
        types.add(type)
      }
      return types
    },
  }
}

/** Is a response of that Content-Type meant? Its parameters do not matter. */
export function isListed(types: TypeList, contentType: string): boolean {
  if (types === null) return true
  if (types.has(contentType)) return true
  const end = contentType.indexOf(';')
  return types.has((end === -1 ? contentType : contentType.slice(0, end)).trimEnd().toLowerCase())
}
