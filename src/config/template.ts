// "$scheme://${host}$1" → parts, once; a string per request. What the variables are is not known here: whoever compiles
// a template brings the getters.

import { ConfigError } from './errors.ts'
import type { Checked, Place, Site } from './directive.ts'

/** A variable's name in lower case, as nginx compares them; `1` to `9` are the captures of the last match. */
export interface VariablePart {
  readonly variable: string
}
export type TemplatePart = string | VariablePart

/** nginx looks at the variables of these only in locations and servers that use them. */
const LAZY = /^(?:(?:proxy|grpc)_set_header|proxy_set_body|(?:fastcgi|uwsgi|scgi)_param|ssl_certificate(?:_key)?)$/

export class Template {
  readonly text: string
  /** Literal text and variables in turn; no two literals are neighbours and none is empty. */
  readonly parts: readonly TemplatePart[]
  readonly place: Place
  /** The text, if there is no variable in it. */
  readonly constant: string | null

  private constructor(text: string, parts: readonly TemplatePart[], place: Place) {
    this.text = text
    this.parts = parts
    this.place = place
    this.constant = parts.every(part => typeof part === 'string') ? parts.join('') : null
  }

  /** Throws ConfigError at the place. */
  static parse(text: string, place: Place | Site): Template {
    return Template.parseWords([text], place)
  }

  /** Of words that make one text (log_format): no name of a variable goes on in the next word. */
  static parseWords(words: readonly string[], place: Place | Site): Template {
    const parts = words.length === 1 ? partsOf(words[0]!, place) : together(words.map(word => partsOf(word, place)))
    const template = new Template(words.join(''), parts, place)
    if (template.constant === null && 'scope' in place && !LAZY.test(place.name)) {
      place.scope.checks.push(block => template.check(block))
    }
    return template
  }

  /** A default's template, written nowhere. */
  static builtIn(text: string): Template {
    return Template.parse(text, { file: 'built-in', line: 0, order: -1 })
  }

  /** Throws ConfigError at the place where there is no such variable. */
  private check(block: Checked): void {
    for (const name of this.variables()) {
      if (!block.knows(name)) throw ConfigError.at(this.place, `unknown "${name}" variable`)
    }
  }

  /** The variables' names, each once. */
  variables(): string[] {
    return [...new Set(this.parts.flatMap(part => (typeof part === 'string' ? [] : [part.variable])))]
  }
}

function partsOf(text: string, place: Place): TemplatePart[] {
  return text.includes('$') ? split(text, place) : text === '' ? [] : [text]
}

function together(lists: readonly TemplatePart[][]): TemplatePart[] {
  const parts: TemplatePart[] = []
  for (const part of lists.flat()) {
    const before = parts.at(-1)
    if (typeof part === 'string' && typeof before === 'string') parts[parts.length - 1] = before + part
    else parts.push(part)
  }
  return parts
}

function split(text: string, place: Place): TemplatePart[] {
  const parts: TemplatePart[] = []
  const reference = /\$(?:([1-9])|\{([A-Za-z0-9_]*)(\}?)|([A-Za-z0-9_]*))/g
  let end = 0
  for (let match = reference.exec(text); match !== null; match = reference.exec(text)) {
    if (match.index > end) parts.push(text.slice(end, match.index))
    parts.push({ variable: nameOf(text, match, place) })
    end = reference.lastIndex
  }
  if (end < text.length) parts.push(text.slice(end))
  return parts
}

function nameOf(text: string, match: RegExpExecArray, place: Place): string {
  const [, capture, braced, brace, bare] = match
  if (capture !== undefined) return capture
  // nginx looks for the closing brace before it looks at the name, but not where the text ends with `${`.
  if (brace === '' && match.index + 2 < text.length) {
    throw ConfigError.at(place, `the closing bracket in "${braced}" variable is missing`)
  }
  const name = (braced ?? bare)!
  if (name === '') throw ConfigError.at(place, 'invalid variable name')
  // Captures have no braces: `${1}` would be a variable named "1".
  if (/^[0-9]$/.test(name)) throw ConfigError.at(place, `unknown "${name}" variable`)
  return name.toLowerCase()
}

export interface CompiledTemplate<R> {
  /** The value if it is always the same: then nobody need call `get`. */
  readonly constant: string | null
  get(r: R): string
}
export type Getter<R> = (r: R) => string
/** The getter of a variable; null if there is none of that name. */
export type Lookup<R> = (name: string) => Getter<R> | null

/** Binds the parts to getters. Throws ConfigError at the template's place for an unknown variable. */
export function compileTemplate<R>(template: Template, lookup: Lookup<R>): CompiledTemplate<R> {
  if (template.constant !== null) return new Constant(template.constant)
  const getters: Getter<R>[] = []
  const literals: string[] = ['']
  for (const part of template.parts) {
    if (typeof part === 'string') literals[literals.length - 1] = part
    else {
      getters.push(bind(part.variable, template.place, lookup))
      literals.push('')
    }
  }
  if (getters.length > 1) return new Several(literals, getters)
  const [before, after] = literals as [string, string]
  return before === '' && after === '' ? new Single(getters[0]!) : new Surrounded(before, getters[0]!, after)
}

function bind<R>(name: string, place: Place, lookup: Lookup<R>): Getter<R> {
  const getter = lookup(name)
  if (getter === null) throw ConfigError.at(place, `unknown "${name}" variable`)
  return getter
}

class Constant<R> implements CompiledTemplate<R> {
  readonly constant: string

  constructor(constant: string) {
    this.constant = constant
  }
  get(_r: R): string {
    return this.constant
  }
}

class Single<R> implements CompiledTemplate<R> {
  readonly constant = null
  private readonly getter: Getter<R>

  constructor(getter: Getter<R>) {
    this.getter = getter
  }
  get(r: R): string {
    return this.getter(r)
  }
}

class Surrounded<R> implements CompiledTemplate<R> {
  readonly constant = null
  private readonly before: string
  private readonly getter: Getter<R>
  private readonly after: string

  constructor(before: string, getter: Getter<R>, after: string) {
    this.before = before
    this.getter = getter
    this.after = after
  }
  get(r: R): string {
    return this.before + this.getter(r) + this.after
  }
}

/** literal, variable, literal, …, literal: one literal more than variables, some of them empty. */
class Several<R> implements CompiledTemplate<R> {
  readonly constant = null
  private readonly literals: readonly string[]
  private readonly getters: readonly Getter<R>[]

  constructor(literals: readonly string[], getters: readonly Getter<R>[]) {
    this.literals = literals
    this.getters = getters
  }
  get(r: R): string {
    let value = this.literals[0]!
    for (let i = 0; i < this.getters.length; i++) value += this.getters[i]!(r) + this.literals[i + 1]!
    return value
  }
}
