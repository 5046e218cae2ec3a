// What a directive's argument looks like. A declaration does not say it: it has a parser. So the parser is asked: it is given
// telling words (`on`, `1k`, `1s`), and what it makes of them, or what its refusal recommends, tells the form.

import type { Directive, Site } from '../src/config/directive.ts'
import { Template } from '../src/config/template.ts'

export interface Form {
  /** What stands between the name and the `;`. */
  readonly args: string
  /** The default as it would be written; null when there is none. */
  readonly standard: string | null
}

type Value = unknown
/** What a directive makes of some words, or why it refuses them. */
type Answer = { readonly value: Value } | { readonly hint: string }

/** No directive knows this word. */
const NONSENSE = '\u0001'
const KIB = 1024
const SECOND = 1000

export function formOf(name: string, directive: Directive<Value>): Form {
  const { standard, args } = oneWord(name, directive) ?? severalWords(name, directive)
  return { args, standard: standard === '' ? '""' : standard }
}

function oneWord(name: string, directive: Directive<Value>): Form | null {
  const [min, max] = directive.args
  if (min !== 1 || max !== 1 || directive.block !== undefined) return null
  const make = (word: string): Value => valueOf(ask(name, directive, [word]))
  const fallback = directive.default
  if (make('on') === true && make('off') === false) return { args: 'on | off', standard: flag(fallback) }
  const choices = choicesOf(name, directive)
  if (choices.length > 0) {
    return { args: choices.join(' | '), standard: choices.find(word => make(word) === fallback) ?? plain(fallback) }
  }
  if (make('1m') === 60 * SECOND) return { args: 'TIME', standard: number(fallback, time) }
  if (make('1m') === 60) return { args: 'TIME', standard: number(fallback, seconds => time(seconds * SECOND)) }
  if (make('1k') === KIB) return { args: 'SIZE', standard: number(fallback, size) }
  if (make('17') === 17 || hasBounds(ask(name, directive, ['17']))) return { args: 'NUMBER', standard: plain(fallback) }
  if (make('x') === `${PREFIX}x`) return { args: 'PATH', standard: plain(fallback) }
  return { args: 'TEXT', standard: plain(fallback) }
}

function severalWords(name: string, directive: Directive<Value>): Form {
  const [min, max] = directive.args
  const { default: fallback } = directive
  if (min === 0 && max === 0) return { args: '', standard: null }
  if (isBuffers(valueOf(ask(name, directive, ['8', '4k'])))) {
    return { args: 'NUMBER SIZE', standard: isBuffers(fallback) ? `${fallback.number} ${size(fallback.size)}` : null }
  }
  const choices = choicesOf(name, directive)
  if (choices.length > 0 && typeof fallback === 'number') {
    const bit = (word: string): number => Number(valueOf(ask(name, directive, [word])))
    const set = choices.filter(word => (bit(word) & fallback) !== 0)
    return { args: `${choices.join(' | ')} …`, standard: set.length > 0 ? set.join(' ') : null }
  }
  const needed = Array<string>(Math.max(min, 0)).fill('TEXT')
  const more = max > min + 1 ? ['[TEXT …]'] : max === min + 1 ? ['[TEXT]'] : []
  return { args: [...needed, ...more].join(' '), standard: plain(fallback) }
}

// ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────────

class Refusal extends Error {
  readonly hint: string
  constructor(text: string) {
    super(text)
    this.hint = text
  }
}

const PREFIX = '\u0002'

export function ask(name: string, directive: Directive<Value>, args: readonly string[]): Answer {
  try {
    return { value: directive.parse(args, siteOf(name, args), undefined) }
  } catch (error) {
    return { hint: error instanceof Refusal ? error.hint : '' }
  }
}

function valueOf(answer: Answer): Value {
  const value = 'value' in answer ? answer.value : null
  return Array.isArray(value) && value.length === 1 ? value[0] : value
}

/** Was 17 refused only because it is too small or too great? */
function hasBounds(answer: Answer): boolean {
  return 'hint' in answer && answer.hint.startsWith('value must be')
}

/** The words a refusal recommends. */
function choicesOf(name: string, directive: Directive<Value>): string[] {
  const answer = ask(name, directive, [NONSENSE])
  const list = 'hint' in answer ? /must be one of (.*)/.exec(answer.hint)?.[1] : undefined
  return list === undefined ? [] : [...list.matchAll(/"([^"]+)"/g)].map(match => match[1]!)
}

/** A place where nothing else is written. */
function siteOf(name: string, args: readonly string[]): Site {
  const fail = (problem: string, hint = ''): never => {
    throw new Refusal(`${problem}\n${hint}`)
  }
  const scope = {
    has: () => false,
    site: () => null,
    conf: () => ({}),
    parent: null,
    children: [],
    checks: [],
    args: [],
  }
  const place = { file: 'manual', line: 1, order: 0 }
  return {
    ...place,
    name,
    context: 0,
    words: args.map(text => ({ text, quoted: false })),
    scope: scope as unknown as Site['scope'],
    lines: [],
    inner: null,
    end: place,
    prefixPath: path => PREFIX + path,
    confPath: path => PREFIX + path,
    fail,
    failAt: (_place, problem, hint) => fail(problem, hint),
    warn() {},
  }
}

// ── writing values ───────────────────────────────────────────────────────────────────────────────────────────────────

function flag(value: Value): string | null {
  return typeof value === 'boolean' ? (value ? 'on' : 'off') : null
}

function plain(value: Value): string | null {
  if (value instanceof Template) return value.text
  return typeof value === 'string' || (typeof value === 'number' && Number.isFinite(value)) ? `${value}` : flag(value)
}

function number(value: Value, write: (value: number) => string): string | null {
  return typeof value === 'number' && Number.isFinite(value) ? write(value) : null
}

function size(bytes: number): string {
  if (bytes > 0 && bytes % KIB ** 2 === 0) return `${bytes / KIB ** 2}m`
  return bytes > 0 && bytes % KIB === 0 ? `${bytes / KIB}k` : `${bytes}`
}

function time(ms: number): string {
  const units: readonly (readonly [number, string])[] = [
    [3_600_000, 'h'],
    [SECOND, 's'],
  ]
  for (const [unit, letter] of units) if (ms > 0 && ms % unit === 0) return `${ms / unit}${letter}`
  return ms === 0 ? '0' : `${ms}ms`
}

function isBuffers(value: Value): value is { number: number; size: number } {
  return typeof value === 'object' && value !== null && 'number' in value && 'size' in value
}
