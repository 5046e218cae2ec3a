// rewrite, return, set, break and if as they are written. Where they stand among each other is kept: they are run in the
// order of the file.

import {
  HTTP,
  IF_IN_LOCATION,
  IF_IN_SERVER,
  LOCATION,
  SERVER,
  type Conf,
  type Directive,
  type Scope,
  type Site,
} from '../../../config/directive.ts'
import { Template } from '../../../config/template.ts'
import { flag } from '../../../config/values.ts'
import { regex, type Pattern } from '../../regex.ts'
import { parseCondition, type Condition } from './condition.ts'

const ruleContexts = SERVER | LOCATION | IF_IN_SERVER | IF_IN_LOCATION

export interface RewriteRule {
  readonly kind: 'rewrite'
  readonly pattern: Pattern
  readonly replacement: Template
  /** 0: no redirect. */
  readonly status: number
  /** Do the request's arguments go on? */
  readonly addsArgs: boolean
  readonly after: 'next' | 'last' | 'break'
  readonly site: Site
}

export interface ReturnRule {
  readonly kind: 'return'
  readonly status: number
  /** null: the status alone. */
  readonly text: Template | null
  readonly site: Site
}

export interface SetRule {
  readonly kind: 'set'
  readonly name: string
  readonly value: Template
  readonly site: Site
}

export interface BreakRule {
  readonly kind: 'break'
  readonly site: Site
}

export interface IfRule {
  readonly kind: 'if'
  readonly condition: Condition
  readonly scope: Scope
  readonly site: Site
}

export type Rule = RewriteRule | ReturnRule | SetRule | BreakRule | IfRule

/** A rule is a directive that may come any number of times and is inherited by nobody. */
function rule<R extends Rule>(
  args: readonly [min: number, max: number],
  parse: (args: readonly string[], at: Site) => R,
): Directive<readonly R[]> {
  return {
    in: ruleContexts,
    args,
    default: [],
    repeatable: true,
    inheritedBy: 0,
    parse: (words, at, soFar = []) => [...soFar, parse(words, at)],
  }
}

const ifDirective: Directive<readonly IfRule[]> = {
  ...rule([1, Infinity], (words, at) => ({
    kind: 'if',
    condition: parseCondition(words, at),
    scope: at.inner!,
    site: at,
  })),
  in: SERVER | LOCATION,
  block: context => (context === SERVER ? IF_IN_SERVER : IF_IN_LOCATION),
}

export const rewriteDirectives = {
  rewrite: rule([2, 3], parseRewrite),
  return: rule([1, 2], parseReturn),
  set: rule([2, 2], parseSet),
  break: rule<BreakRule>([0, 0], (_words, at) => ({ kind: 'break', site: at })),
  if: ifDirective,
  rewrite_log: flag(HTTP | ruleContexts, false),
  uninitialized_variable_warn: flag(HTTP | ruleContexts, true),
}

export type RewriteConf = Conf<typeof rewriteDirectives>

/** A block's rules in the order written. */
export function rulesOf(conf: RewriteConf): Rule[] {
  const rules: Rule[] = [...conf.rewrite, ...conf.return, ...conf.set, ...conf.break, ...conf.if]
  return rules.sort((a, b) => a.site.order - b.site.order)
}

function parseRewrite([pattern, text, mark]: readonly string[], at: Site): RewriteRule {
  if (text === '') at.fail('empty replacement')
  const compiled = regex(pattern!, false, at)
  const addsArgs = !text!.endsWith('?')
  const isUrl = /^(?:https?:\/\/|\$scheme)/.test(text!)
  if (mark !== undefined && !['last', 'break', 'redirect', 'permanent'].includes(mark)) {
    at.fail(`invalid parameter "${mark}"`)
  }
  const status = mark === 'permanent' ? 301 : mark === 'redirect' || isUrl ? 302 : 0
  const after = mark === 'break' ? 'break' : mark === 'last' ? 'last' : 'next'
  const replacement = Template.parse(addsArgs ? text! : text!.slice(0, -1), at)
  return { kind: 'rewrite', pattern: compiled, replacement, status, addsArgs, after, site: at }
}

/** `return 404`, `return 200 text`, `return 301 URL`, or a URL alone, which is a 302. */
function parseReturn([first, second]: readonly string[], at: Site): ReturnRule {
  if (/^[0-9]+$/.test(first!) && Number(first) <= 999) {
    return {
      kind: 'return',
      status: Number(first),
      text: second === undefined ? null : Template.parse(second, at),
      site: at,
    }
  }
  if (second === undefined && /^(?:https?:\/\/|\$scheme)/.test(first!)) {
    return { kind: 'return', status: 302, text: Template.parse(first!, at), site: at }
  }
  return at.fail(`invalid return code "${first}"`)
}

function parseSet([variable, value]: readonly string[], at: Site): SetRule {
  if (!/^\$./s.test(variable!)) at.fail(`invalid variable name "${variable}"`)
  return { kind: 'set', name: variable!.slice(1).toLowerCase(), value: Template.parse(value!, at), site: at }
}
