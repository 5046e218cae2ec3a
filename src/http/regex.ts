// Regular expressions of the configuration: compiled where they are written, matched against something of a request, which
// then has captures: `$1` to `$9` of the last match, and named ones that stay (ngx_http_regex_compile, ngx_http_regex_exec).

import type { Site } from '../config/directive.ts'
import { compilePattern, PatternError, type Pattern } from '../lib/pcre/pattern.ts'
import { ALERT } from '../log/error-log.ts'
import { Slot } from './module.ts'
import type { HttpRequest } from './request.ts'
import type { HttpSetup } from './setup.ts'
import { readValue, valueIndex, writeValue } from './variable-values.ts'

export type { Pattern }

/** Captures of the last regular expression that matched. */
export const captures = new Slot<RegExpExecArray>('subrequests')

/** A pattern, or nginx's refusal of it. */
export function regex(pattern: string, caseless: boolean, at: Site): Pattern {
  try {
    return compilePattern(pattern, caseless)
  } catch (error) {
    if (!(error instanceof PatternError)) throw error
    const { message, offset } = error
    const rest = offset >= pattern.length ? '' : ` at "${pattern.slice(offset)}"`
    return at.fail(`pcre2_compile() failed: ${message} in "${pattern}"${rest}`)
  }
}

/** `(?<name>…)` makes `$name` a variable. */
export function defineCaptures(pattern: Pattern, site: Site, http: HttpSetup): void {
  for (const name of pattern.names.keys()) {
    const index = valueIndex(name.toLowerCase())
    http.define(
      name.toLowerCase(),
      { get: r => readValue(r, index) ?? null, set: (r, value) => writeValue(r, index, value) },
      site,
    )
  }
}

export const MATCHED = 1
export const DECLINED = 0
/** It took too many tries: whether the text matches is not known, and the request must not go on. */
export const FAILED = -1

/** What it captures goes to the request; without a match what was captured before stays. */
export function execute(r: HttpRequest, pattern: Pattern, text: string): number {
  const match = pattern.exec(text)
  if (match === null) {
    if (!pattern.exceeded) return DECLINED
    r.log(ALERT, gaveUp(pattern, text))
    return FAILED
  }
  captures.set(r, match)
  if (pattern.names.size > 0) {
    for (const [name, number] of pattern.names) writeValue(r, valueIndex(name.toLowerCase()), match[number] ?? '')
  }
  return MATCHED
}

/** As PCRE says it where its limit of tries is met. */
export function gaveUp({ text: expression }: Pattern, text: string): string {
  return `pcre2_match() failed: -47 on "${text}" using "${expression}"`
}
