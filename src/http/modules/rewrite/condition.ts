// What stands in the parentheses of an `if` (ngx_http_rewrite_if_condition).

import type { Site } from '../../../config/directive.ts'
import { Template } from '../../../config/template.ts'
import { regex, type Pattern } from '../../regex.ts'

export type FileTest = 'f' | 'd' | 'e' | 'x'

export type Condition =
  | { readonly kind: 'truth'; readonly value: Template }
  | { readonly kind: 'equal'; readonly value: Template; readonly other: Template; readonly negated: boolean }
  | { readonly kind: 'match'; readonly value: Template; readonly pattern: Pattern; readonly negated: boolean }
  | { readonly kind: 'file'; readonly test: FileTest; readonly path: Template; readonly negated: boolean }

export function parseCondition(words: readonly string[], at: Site): Condition {
  const inner = inParentheses(words, at)
  const [first = ')', second, third] = inner
  if (first.length > 1 && first.startsWith('$')) {
    if (inner.length !== 1 && inner.length !== 3) at.fail(`invalid condition "${first}"`)
    const value = variable(first, at)
    return second === undefined ? { kind: 'truth', value } : comparison(value, second, third!, at)
  }
  const test = /^(!?)-([fdex])$/.exec(first)
  if (test === null || inner.length !== 2) return at.fail(`invalid condition "${first}"`)
  return { kind: 'file', test: test[2] as FileTest, path: Template.parse(second!, at), negated: test[1] === '!' }
}

function comparison(value: Template, operator: string, word: string, at: Site): Condition {
  if (operator === '=' || operator === '!=') {
    return { kind: 'equal', value, other: Template.parse(word, at), negated: operator === '!=' }
  }
  if (/^!?~\*?$/.test(operator)) {
    const pattern = regex(word, operator.endsWith('*'), at)
    return { kind: 'match', value, pattern, negated: operator.startsWith('!') }
  }
  return at.fail(`unexpected "${operator}" in condition`)
}

/** The words without the parentheses, which may stand alone or at the words. */
function inParentheses(words: readonly string[], at: Site): string[] {
  const inner = [...words]
  const first = inner[0]!
  if (!first.startsWith('(')) at.fail(`invalid condition "${first}"`)
  if (first === '(') inner.shift()
  else inner[0] = first.slice(1)
  const last = inner.at(-1) ?? ''
  if (!last.endsWith(')')) at.fail(`invalid condition "${last}"`)
  if (last === ')') inner.pop()
  else inner[inner.length - 1] = last.slice(0, -1)
  return inner
}

/** The whole word is a name: `$a$b` is one variable, which there is not. */
function variable(word: string, at: Site): Template {
  const name = word.slice(1)
  return /^\w+$/.test(name) && !/^\d$/.test(name) ? Template.parse(word, at) : at.fail(`unknown "${name}" variable`)
}
