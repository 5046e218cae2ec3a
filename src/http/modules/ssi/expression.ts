// Text with variables as SSI commands have it, and the conditions of `if` and `elif` (ngx_http_ssi_evaluate_string,
// ngx_http_ssi_if).

import { compilePattern, PatternError, type Pattern } from '../../../lib/pcre/pattern.ts'
import { ALERT, ERR } from '../../../log/error-log.ts'
import type { Variable } from '../../module.ts'
import type { HttpRequest } from '../../request.ts'
import { pageOf } from './page.ts'

/** Looks the server's variables up by name. */
export type FindVariable = (name: string) => Variable | null

/** What may come of one text; variables in variables would otherwise grow without end. */
const TEXT_MAX = 1024 * 1024

/** SSI's own variable of that name, else the server's; null: there is none. */
export function variableOf(r: HttpRequest, name: string, find: FindVariable): string | null {
  const lower = name.toLowerCase()
  return pageOf(r).get(lower) ?? find(lower)?.get(r) ?? null
}

/** null: it is wrong, which has been logged. */
export function evaluate(r: HttpRequest, text: string, find: FindVariable): string | null {
  let result = ''
  let at = 0
  while (at < text.length) {
    if (text[at] !== '$') {
      const end = literalEnd(text, at)
      result += unquote(text.slice(at, end))
      at = end
      continue
    }
    const reference = REFERENCE.exec(text.slice(at))!
    const name = reference[1] ?? reference[2] ?? ''
    if (reference[1] !== undefined && !reference[0].endsWith('}') && at + 2 < text.length) {
      r.log(ERR, `the closing bracket in "${name}" variable is missing`)
      return null
    }
    if (name === '') {
      r.log(ERR, `invalid variable name in "${text}"`)
      return null
    }
    result += variableOf(r, name, find) ?? ''
    if (result.length > TEXT_MAX) {
      r.log(ERR, `too long text in SSI command: more than ${TEXT_MAX} bytes`)
      return null
    }
    at += reference[0].length
  }
  return result
}

const REFERENCE = /^\$(?:\{([A-Za-z0-9_]*)\}?|([A-Za-z0-9_]*))/

/** Where the next variable begins that no backslash stands before. */
function literalEnd(text: string, from: number): number {
  let at = from
  while (at < text.length && text[at] !== '$') at += text[at] === '\\' ? 2 : 1
  return Math.min(at, text.length)
}

/** `\$`, `\"`, `\'`, `\\`; other backslashes are what they are. */
function unquote(text: string): string {
  return text.includes('\\') ? text.replace(/\\([\\'"$])|\\$/g, '$1') : text
}

export const FALSE = 0
export const TRUE = 1
export const INVALID = -1

/** `text`, `text = text`, `text != /pattern/` */
export function test(r: HttpRequest, expression: string, find: FindVariable): number {
  const [, word, operator, other] = EXPRESSION.exec(expression) ?? []
  if (word === undefined || (operator === undefined && expression.trimEnd().length > word.length)) {
    r.log(ERR, `invalid expression in "${expression}"`)
    return INVALID
  }
  const left = evaluate(
    r,
    word.replace(/[A-Z]+/g, letters => letters.toLowerCase()),
    find,
  )
  if (left === null) return INVALID
  if (operator === undefined) return left === '' ? FALSE : TRUE
  const found = compare(r, left, other!, expression, find)
  if (found === INVALID || operator === '=') return found
  return found === TRUE ? FALSE : TRUE
}

const EXPRESSION = /^([A-Za-z0-9${}_"']*) *(?:(=|!=) *(.*))?/s

function compare(r: HttpRequest, left: string, other: string, expression: string, find: FindVariable): number {
  if (other.length < 2 || !other.startsWith('/')) {
    const right = evaluate(r, other.length > 2 && other.startsWith('\\/') ? other.slice(1) : other, find)
    if (right === null) return INVALID
    return left === right ? TRUE : FALSE
  }
  if (!other.endsWith('/')) {
    r.log(ERR, `invalid expression in "${expression}"`)
    return INVALID
  }
  const pattern = evaluate(r, other.slice(1, -1), find)
  return pattern === null ? INVALID : match(r, pattern, left)
}

const PATTERNS_MAX = 256
const patterns = new Map<string, Pattern>()

function match(r: HttpRequest, text: string, subject: string): number {
  let pattern = patterns.get(text)
  if (pattern === undefined) {
    try {
      pattern = compilePattern(text, false)
    } catch (error) {
      if (!(error instanceof PatternError)) throw error
      r.log(ERR, `pcre2_compile() failed: ${error.message} in "${text}"`)
      return INVALID
    }
    if (patterns.size >= PATTERNS_MAX) patterns.clear()
    patterns.set(text, pattern)
  }
  const found = pattern.exec(subject)
  if (found === null) {
    if (!pattern.exceeded) return FALSE
    r.log(ALERT, `pcre2_match() failed: -47 on "${subject}" using "${text}"`)
    return INVALID
  }
  const page = pageOf(r)
  page.captures = [...found]
  for (const [name, number] of pattern.names) page.set(name.toLowerCase(), found[number] ?? '')
  return TRUE
}
