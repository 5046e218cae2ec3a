// The `types` block: extension → media type.

import type { Site } from '../../config/directive.ts'

export type Types = ReadonlyMap<string, string>

/** What nginx knows without a `types` block. */
export const defaultTypes: Types = new Map([
  ['html', 'text/html'],
  ['gif', 'image/gif'],
  ['jpg', 'image/jpeg'],
])

/** Reads a block's lines; blocks of one level add up, an inner level's replace the outer ones. */
export function readTypes(_args: readonly string[], at: Site, soFar: Types | undefined): Types {
  const types = new Map(soFar ?? [])
  for (const line of at.lines) {
    if (line.name === 'include') at.failAt(line, 'invalid number of arguments in "include" directive')
    for (const { text } of line.words) {
      const extension = text.toLowerCase()
      const previous = types.get(extension)
      if (previous !== undefined) {
        const both = `content type: "${line.name}", previous content type: "${previous}"`
        at.warn(`duplicate extension "${extension}", ${both}`, line)
      }
      types.set(extension, line.name)
    }
  }
  return types
}
