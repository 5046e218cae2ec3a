// `(?<name>…)` in a regular expression makes `$name` a variable, which holds what the last match captured.

import type { Site } from '../config/directive.ts'
import { captures } from './locations.ts'
import type { HttpSetup } from './setup.ts'

export function defineCaptures(pattern: RegExp, site: Site, http: HttpSetup): void {
  // Nothing matches more readily than an alternative that is empty: it tells the groups' names.
  const { groups } = new RegExp(`${pattern.source}|`, pattern.flags).exec('')!
  for (const name of Object.keys(groups ?? {})) {
    http.define(name.toLowerCase(), { get: r => captures.get(r)?.groups?.[name] ?? null }, site)
  }
}
