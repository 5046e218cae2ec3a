// Builders of directives, used as `sendfile: flag(HTTP | SERVER | LOCATION, false)`. They read their argument as nginx's
// ngx_conf_set_*_slot functions do and refuse it in the same words. A default of another type (null: "not set") widens
// the value's type. Sizes are in bytes, times in milliseconds but for `seconds`.

import { Template } from './template.ts'
import { parseNumber, parseOffset, parseSeconds, parseSize, parseTime } from './units.ts'
import type { Directive, Site } from './directive.ts'

type Args = readonly string[]
type Range = readonly [min: number, max: number]

/** One argument, read by `parse`; the basis of most others, and of a module's own kinds. */
export function one<T>(contexts: number, fallback: T, parse: (word: string, at: Site) => T): Directive<T> {
  return { in: contexts, args: [1, 1], default: fallback, parse: ([word], at) => parse(word!, at) }
}

export function flag<D extends boolean | null>(contexts: number, fallback: D): Directive<boolean | D> {
  return one<boolean | D>(contexts, fallback, (word, at) => {
    const value = word.toLowerCase()
    if (value === 'on' || value === 'off') return value === 'on'
    return at.fail(`invalid value "${word}" in "${at.name}" directive, it must be "on" or "off"`)
  })
}

/** Bytes, with `k` or `m`. */
export function size<D extends number | null>(contexts: number, fallback: D): Directive<number | D> {
  return one<number | D>(contexts, fallback, (word, at) => parseSize(word) ?? invalidValue(at))
}

/** Bytes, with `k`, `m` or `g`. */
export function offset<D extends number | null>(contexts: number, fallback: D): Directive<number | D> {
  return one<number | D>(contexts, fallback, (word, at) => parseOffset(word) ?? invalidValue(at))
}

/** Milliseconds. */
export function time<D extends number | null>(contexts: number, fallback: D): Directive<number | D> {
  return one<number | D>(contexts, fallback, (word, at) => parseTime(word) ?? invalidValue(at))
}

/** Seconds: for what is not counted finer, and may take years. */
export function seconds<D extends number | null>(contexts: number, fallback: D): Directive<number | D> {
  return one<number | D>(contexts, fallback, (word, at) => parseSeconds(word) ?? invalidValue(at))
}

export function number<D extends number | null>(
  contexts: number,
  fallback: D,
  min = 0,
  max = Infinity,
): Directive<number | D> {
  return one<number | D>(contexts, fallback, (word, at) => {
    const value = parseNumber(word) ?? at.fail(`"${at.name}" directive invalid number`)
    if (value >= min && value <= max) return value
    return at.fail(
      max === Infinity ? `value must be equal to or greater than ${min}` : `value must be between ${min} and ${max}`,
    )
  })
}

export function str<D extends string | null>(contexts: number, fallback: D): Directive<string | D> {
  return one<string | D>(contexts, fallback, word => word)
}

/** A path, made absolute: nginx takes some relative to the prefix, some (certificates, keys) to the configuration's
 *  folder. The default is not touched. */
export function path<D extends string | null>(
  contexts: number,
  fallback: D,
  relativeTo: 'prefix' | 'configuration' = 'prefix',
): Directive<string | D> {
  return one<string | D>(contexts, fallback, (word, at) =>
    relativeTo === 'prefix' ? at.prefixPath(word) : at.confPath(word),
  )
}

/** One of several words; the value is the word itself, spelled as here. */
export function oneOf<const W extends string, const D extends W | null>(
  contexts: number,
  allowed: readonly W[],
  fallback: D,
): Directive<W | D> {
  return one<W | D>(contexts, fallback, (word, at) => {
    const lower = word.toLowerCase()
    return allowed.find(name => name.toLowerCase() === lower) ?? invalidWord(word, allowed, at)
  })
}

/** One of several words, each standing for a value. */
export function choice<T, D>(contexts: number, meanings: Readonly<Record<string, T>>, fallback: D): Directive<T | D> {
  const byWord = lowerCased(meanings)
  return one<T | D>(contexts, fallback, (word, at) => {
    const lower = word.toLowerCase()
    return byWord.has(lower) ? (byWord.get(lower) as T) : invalidWord(word, Object.keys(meanings), at)
  })
}

/** Any number of words that each switch a bit on, over all occurrences in the block. */
export function bitmask(contexts: number, bits: Readonly<Record<string, number>>, fallback: number): Directive<number> {
  const byWord = lowerCased(bits)
  return {
    in: contexts,
    args: [1, Infinity],
    default: fallback,
    repeatable: true,
    parse(args, at, soFar = 0) {
      let mask = soFar
      for (const word of args) {
        const bit = byWord.get(word.toLowerCase()) ?? invalidWord(word, Object.keys(bits), at)
        if ((mask & bit) !== 0) at.warn(`duplicate value "${word}"`)
        mask |= bit
      }
      return mask
    },
  }
}

/** All the words of one occurrence. */
export function words<D extends Args | null>(contexts: number, args: Range, fallback: D): Directive<Args | D> {
  return { in: contexts, args, default: fallback, parse: words => Object.freeze([...words]) }
}

/** One value for each occurrence. An inner block's list replaces the enclosing one as a whole. */
export function list<T>(contexts: number, args: Range, parse: (args: Args, at: Site) => T): Directive<readonly T[]> {
  return {
    in: contexts,
    args,
    default: Object.freeze([]),
    repeatable: true,
    parse: (args, at, soFar = []) => Object.freeze([...soFar, parse(args, at)]),
  }
}

export interface Buffers {
  readonly number: number
  readonly size: number
}

/** `8 4k`: how many, and how big each. */
export function buffers<D extends Buffers | null>(contexts: number, fallback: D): Directive<Buffers | D> {
  return {
    in: contexts,
    args: [2, 2],
    default: fallback,
    parse([number, size], at) {
      const value = { number: parseNumber(number!) ?? 0, size: parseSize(size!) ?? 0 }
      return value.number > 0 && value.size > 0 ? Object.freeze(value) : invalidValue(at)
    },
  }
}

/** Text with variables in it. */
export function template<D extends string | null>(
  contexts: number,
  fallback: D,
): Directive<Template | (D extends string ? Template : null)> {
  const value = fallback === null ? null : Template.builtIn(fallback)
  return one(contexts, value as Template, (word, at) => Template.parse(word, at))
}

/** Conditions: one that is neither empty nor `0` is enough. All occurrences count (ngx_http_set_predicate_slot). */
export function predicates(contexts: number): Directive<readonly Template[]> {
  return {
    in: contexts,
    args: [1, Infinity],
    default: [],
    repeatable: true,
    parse: (words, at, soFar = []) => [...soFar, ...words.map(word => Template.parse(word, at))],
  }
}

/** A directive with braces. `parse` runs when the content has been read: `at.inner` for a context, `at.lines` for
 *  'data'. It may be repeated, and every occurrence adds to the list. */
export function block<T>(
  contexts: number,
  args: Range,
  content: 'data' | number | ((context: number) => number),
  parse: (args: Args, at: Site) => T,
): Directive<readonly T[]> {
  return { ...list(contexts, args, parse), block: content, inheritedBy: 0 }
}

/** A block there is one of: `http`, `events`. The value tells whether it is there; its content is an inner scope. */
export function section(contexts: number, content: number): Directive<boolean> {
  return { in: contexts, args: [0, 0], default: false, block: content, inheritedBy: 0, parse: () => true }
}

/** Not every number of its form will do. @param problem what is wrong with one, '' nothing */
export function checked(form: Directive<number>, problem: (value: number, name: string) => string): Directive<number> {
  return {
    ...form,
    parse(args, at, soFar) {
      const value = form.parse(args, at, soFar)
      const found = problem(value, at.name)
      return found === '' ? value : at.fail(found)
    },
  }
}

/** A directive that is checked for its form and then changes nothing, since what it tunes does not exist here:
 *  `tcp_nopush: accepted(flag(HTTP | SERVER | LOCATION, false))`. */
export function accepted<T>(form: Directive<T>): Directive<T> {
  return { ...form, idle: true }
}

/** As accepted(), where there is something to tune elsewhere but not here yet: its use is warned about. */
export function later<T>(form: Directive<T>): Directive<T> {
  return { ...form, idle: true, later: true }
}

/** A directive of nginx's that does not exist here, for whom `unknown directive` would say too little. */
export function refused(contexts: number, why: string): Directive<null> {
  return { in: contexts, args: [0, Infinity], default: null, refused: why, parse: () => null }
}

function invalidValue(at: Site): never {
  return at.fail(`"${at.name}" directive invalid value`)
}

function invalidWord(word: string, allowed: readonly string[], at: Site): never {
  return at.fail(`invalid value "${word}"`, `it must be one of ${allowed.map(name => `"${name}"`).join(', ')}`)
}

function lowerCased<T>(meanings: Readonly<Record<string, T>>): ReadonlyMap<string, T> {
  return new Map(Object.entries(meanings).map(([word, value]) => [word.toLowerCase(), value]))
}
