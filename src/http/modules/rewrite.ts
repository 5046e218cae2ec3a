// return and set, in the order they are written (ngx_http_rewrite_module).
//
// `return 200 'text'` is the cheapest answer there is: its text is made once and handed over in one call.

import {
  HTTP,
  IF_IN_LOCATION,
  IF_IN_SERVER,
  LOCATION,
  SERVER,
  type Directive,
  type Scope,
  type Site,
} from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { flag } from '../../config/values.ts'
import { WARN } from '../../log/error-log.ts'
import { contentType } from '../mime.ts'
import { httpModule, NEXT, Slot, type LocationBuilder, type Value } from '../module.ts'
import { respond } from '../output.ts'
import type { HttpRequest } from '../request.ts'
import type { HttpSetup } from '../setup.ts'
import { coreVariables } from '../variables.ts'

const ruleContexts = SERVER | LOCATION | IF_IN_SERVER | IF_IN_LOCATION

interface ReturnRule {
  readonly order: number
  readonly status: number
  /** null: the status alone. */
  readonly text: Template | null
}

interface SetRule {
  readonly order: number
  readonly name: string
  readonly value: Template
  readonly site: Site
}

const returnDirective: Directive<readonly ReturnRule[]> = {
  in: ruleContexts,
  args: [1, 2],
  default: [],
  repeatable: true,
  inheritedBy: 0,
  parse: (args, at, soFar = []) => [...soFar, parseReturn(args, at)],
}

/** `return 404`, `return 200 text`, `return 301 URL`, or a URL alone, which is a 302. */
function parseReturn([first, second]: readonly string[], at: Site): ReturnRule {
  const { order } = at
  if (/^[0-9]+$/.test(first!) && Number(first) <= 999) {
    return { order, status: Number(first), text: second === undefined ? null : Template.parse(second, at) }
  }
  if (second === undefined && /^(?:https?:\/\/|\$scheme)/.test(first!)) {
    return { order, status: 302, text: Template.parse(first!, at) }
  }
  return at.fail(`invalid return code "${first}"`)
}

const setDirective: Directive<readonly SetRule[]> = {
  in: ruleContexts,
  args: [2, 2],
  default: [],
  repeatable: true,
  inheritedBy: 0,
  parse([variable, value], at, soFar = []) {
    if (!/^\$./s.test(variable!)) at.fail(`invalid variable name "${variable}"`)
    const name = variable!.slice(1).toLowerCase()
    return [...soFar, { order: at.order, name, value: Template.parse(value!, at), site: at }]
  },
}

const directives = {
  return: returnDirective,
  set: setDirective,
  uninitialized_variable_warn: flag(HTTP | ruleContexts, true),
}

export const rewrite = httpModule({
  name: 'rewrite',
  directives,
  setup(_conf, http) {
    defineVariables(http.scope, http, new Set())
  },
  compile(conf, at) {
    const phase = at.kind === 'server' ? 'server-rewrite' : 'rewrite'
    const rules = [...conf.return, ...conf.set].sort((a, b) => a.order - b.order)
    for (const rule of rules) {
      if ('status' in rule) {
        at.step(phase, answer, compileReturn(rule, at))
        // What follows is never reached.
        return
      }
      const set = coreVariables[rule.name]?.set
      const value = at.value(rule.value)
      if (set === undefined) at.step(phase, assign, { index: indexOf(rule.name), value })
      else at.step(phase, assignOwn, { set, value })
    }
  },
})

/** What `set` introduces is known in the whole http block, also above the line that sets it. */
function defineVariables(scope: Scope, http: HttpSetup, defined: Set<string>): void {
  const { set, uninitialized_variable_warn } = scope.conf(directives)
  for (const { name, site } of set) {
    if (defined.has(name)) continue
    defined.add(name)
    const known = coreVariables[name]
    if (known !== undefined) {
      if (known.set === undefined) site.fail(`the duplicate "${name}" variable`)
      continue
    }
    const index = indexOf(name)
    const warns = uninitialized_variable_warn
    http.define(name, { get: r => read(r, index, warns ? name : ''), set: (r, value) => write(r, index, value) }, site)
  }
  for (const child of scope.children) defineVariables(child, http, defined)
}

// Values of a request's variables: an array, in the order the names came up.
const values = new Slot<(string | undefined)[]>()
const names: string[] = []

function indexOf(name: string): number {
  const known = names.indexOf(name)
  return known >= 0 ? known : names.push(name) - 1
}

/** Empty until it is set; `name` for the warning, '' for none. */
function read(r: HttpRequest, index: number, name: string): string {
  const value = values.get(r)?.[index]
  if (value !== undefined) return value
  if (name !== '') r.log(WARN, `using uninitialized "${name}" variable`)
  return ''
}

function write(r: HttpRequest, index: number, value: string): void {
  const all = values.get(r)
  if (all !== null) all[index] = value
  else {
    const fresh: (string | undefined)[] = []
    fresh[index] = value
    values.set(r, fresh)
  }
}

interface Assignment {
  readonly index: number
  readonly value: Value
}

function assign(r: HttpRequest, { index, value }: Assignment): number {
  write(r, index, value.get(r))
  return NEXT
}

/** For variables that were there before, such as $args. */
interface OwnAssignment {
  readonly set: (r: HttpRequest, value: string) => void
  readonly value: Value
}

function assignOwn(r: HttpRequest, { set, value }: OwnAssignment): number {
  set(r, value.get(r))
  return NEXT
}

interface Answer {
  readonly status: number
  readonly text: Value | null
  readonly constant: string | null
}

function compileReturn(rule: ReturnRule, at: LocationBuilder): Answer {
  const text = rule.text === null ? null : at.value(rule.text)
  // Below 400 there is no page: the status comes with an empty body.
  if (text === null) return { status: rule.status, text, constant: rule.status < 400 ? '' : null }
  return { status: rule.status, text, constant: text.constant }
}

function answer(r: HttpRequest, conf: Answer): number {
  const { status, text } = conf
  const body = conf.constant ?? text?.get(r) ?? ''
  if (status >= 400 && (text === null || text.constant === '')) return status
  if (status === 301 || status === 302 || status === 303 || status === 307 || status === 308) {
    r.redirect = body
    return status
  }
  return respond(r, status, contentType(r), body)
}
