// A look at a parsed configuration before any module is loaded: is it to be a daemon, and how many threads?

import type { Parsed } from '../config/parse.ts'

/** The first word of the last top-level directive of that name; null when there is none. */
export function topLevelValue({ statements }: Parsed, name: string): string | null {
  return statements.findLast(statement => statement.name === name)?.words[0]?.text.toLowerCase() ?? null
}
