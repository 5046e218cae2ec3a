// rewrite, return, set, break and if (ngx_http_rewrite_module): rules that are run in the order written, at the server's
// level and after at the location's. Nothing is inherited; an `if` block's rules belong to the block around it, and what
// else it configures makes a location of its own, which the request is in from the moment the condition holds.

import { IF_IN_LOCATION, LOCATION, SERVER, type Scope } from '../../../config/directive.ts'
import { WARN } from '../../../log/error-log.ts'
import { fileFinder } from '../../files/files-conf.ts'
import { httpModule, LocationSlot, type LocationBuilder } from '../../module.ts'
import { defineCaptures } from '../../regex.ts'
import type { HttpRequest } from '../../request.ts'
import type { HttpSetup } from '../../setup.ts'
import { readValue, valueIndex, writeValue } from '../../variable-values.ts'
import type { Condition } from './condition.ts'
import { rewriteDirectives, rulesOf, type IfRule, type RewriteRule, type Rule as RuleText } from './directives.ts'
import * as rules from './rules.ts'
import { splitAtArgs, Text } from './text.ts'
import { WatchedRule, watchedTest } from './watched.ts'

/** uninitialized_variable_warn */
const warns = new LocationSlot<boolean>()

export const rewrite = httpModule({
  name: 'rewrite',
  directives: rewriteDirectives,
  setup(_conf, http) {
    defineVariables(http.scope, http)
    definePatterns(http.scope, http)
  },
  compile(conf, at, http) {
    at.keep(warns, conf.uninitialized_variable_warn)
    const { context } = at.scope
    if (context !== SERVER && context !== LOCATION) return
    const list = compileRules(rulesOf(conf), at, http)
    if (list.length === 0) return
    at.step(at.kind === 'server' ? 'server-rewrite' : 'rewrite', rules.runRules, { list, logs: conf.rewrite_log })
  },
})

/** What `set` introduces is known in the whole http block, also above the line that sets it. */
function defineVariables(scope: Scope, http: HttpSetup): void {
  for (const { name, site } of scope.conf(rewriteDirectives).set) {
    const known = http.defined(name)
    if (known !== null) {
      if (known.set === undefined) site.fail(`the duplicate "${name}" variable`)
      continue
    }
    const index = valueIndex(name)
    // `set $http_name` here: elsewhere it still is the field.
    const family = http.find(name)
    const get = (r: HttpRequest): string | null =>
      family === null ? readOrWarn(r, index, name) : (readValue(r, index) ?? family.get(r))
    http.define(name, { get, set: (r, value) => writeValue(r, index, value) }, site)
  }
  for (const child of scope.children) defineVariables(child, http)
}

function readOrWarn(r: HttpRequest, index: number, name: string): string {
  const value = readValue(r, index)
  if (value !== undefined) return value
  if (warns.get(r) === true) {
    r.log(WARN, `using uninitialized "${name}" variable`)
    // Once is enough.
    writeValue(r, index, '')
  }
  return ''
}

/** Named captures, which nothing warns about. */
function definePatterns(scope: Scope, http: HttpSetup): void {
  const conf = scope.conf(rewriteDirectives)
  for (const { pattern, site } of conf.rewrite) defineCaptures(pattern, site, http)
  for (const { condition, site } of conf.if) {
    if (condition.kind === 'match') defineCaptures(condition.pattern, site, http)
  }
  for (const child of scope.children) definePatterns(child, http)
}

function compileRules(written: readonly RuleText[], at: LocationBuilder, http: HttpSetup): rules.Rule[] {
  return written.map(rule => {
    if (rule.kind === 'if') return compileIf(rule, at, http)
    const made = compileRule(rule, at, http)
    if (http.notes === null) return made
    const variable = rule.kind === 'set' ? http.variable(rule.name, rule.site) : null
    return new WatchedRule(made, rule, r => variable?.get(r) ?? null, http.notes)
  })
}

function compileRule(rule: Exclude<RuleText, IfRule>, at: LocationBuilder, http: HttpSetup): rules.Rule {
  switch (rule.kind) {
    case 'rewrite':
      return compileRewrite(rule, at)
    case 'return':
      return new rules.Return(rule.status, rule.text === null ? null : at.value(rule.text))
    case 'set':
      return new rules.Assign(http.variable(rule.name, rule.site), new Text(rule.value.parts, rule.value, at))
    default:
      return new rules.Break()
  }
}

function compileRewrite(
  { pattern, replacement, status, addsArgs, after }: RewriteRule,
  at: LocationBuilder,
): rules.Rule {
  if (status !== 0) {
    const hasArgs = replacement.parts.some(part => typeof part === 'string' && part.includes('?'))
    return new rules.Redirect(pattern, new Text(replacement.parts, replacement, at), hasArgs, addsArgs, status)
  }
  const { path, args } = splitAtArgs(replacement)
  const argsText = args === null ? null : new Text(args, replacement, at)
  return new rules.Rewrite(pattern, new Text(path, replacement, at), argsText, addsArgs, after)
}

function compileIf(rule: IfRule, at: LocationBuilder, http: HttpSetup): rules.Rule {
  const { condition, scope } = rule
  const list = compileRules(rulesOf(scope.conf(rewriteDirectives)), at, http)
  const location = scope.context === IF_IN_LOCATION ? at.inner(scope) : null
  const test = compileCondition(condition, at, http)
  return new rules.If(http.notes === null ? test : watchedTest(test, rule, http.notes), list, location)
}

function compileCondition(condition: Condition, at: LocationBuilder, http: HttpSetup): rules.Test {
  switch (condition.kind) {
    case 'truth':
      return rules.truth(at.value(condition.value))
    case 'equal': {
      const { value, other, negated } = condition
      return rules.equality(at.value(value), new Text(other.parts, other, at), negated)
    }
    case 'match':
      return rules.matching(at.value(condition.value), condition.pattern, condition.negated)
    default: {
      const { test, path, negated } = condition
      return rules.fileTest(test, new Text(path.parts, path, at), fileFinder(at, http), negated)
    }
  }
}
