// What a setting of `portico serve` is: one declaration says its flags, its default, how it is read and what the help tells
// of it. The names, flags and defaults are Gunicorn's, so that its command lines work here. Every setting Gunicorn has is
// declared, also where Portico cannot do what it asks for: it is then refused by name with the reason, never ignored in silence.

import { parseNetwork } from '../../lib/networks.ts'

/**
 * `works`: does what it does in Gunicorn. `accepted`: may be given and changes nothing, since there is nothing here it would
 * change. `refused`: would change something that Portico cannot do.
 */
export type SettingState = 'works' | 'accepted' | 'refused'

export interface Setting<T> {
  /** Long and short, as on the command line; none: only a configuration file can set it. */
  readonly flags: readonly string[]
  /** What the help calls the value; '' for a switch, which takes none. */
  readonly value: string
  readonly default: T
  /** A variable of the environment that replaces the default. */
  readonly environment: string
  readonly state: SettingState
  /** Why it is accepted or refused; '' for what works. */
  readonly reason: string
  /** Whoever asks for it is told the reason. */
  readonly warns: boolean
  /** Values of a refused setting that ask for nothing else than what Portico does anyway. */
  readonly harmless: readonly string[]
  /** The value where the flag is given alone; '' if it needs one. */
  readonly optional: string
  /** For the help. */
  readonly about: string
  /** From the words of one source; a setting that is no list takes the last. Throws SettingError. */
  read(words: readonly string[]): T
  /** From what a configuration file says, where that is more than words. Throws SettingError. */
  readonly readValue?: (value: FileValue) => T
}

/** A value of a configuration file, as JSON has it; `{ python: 'int' }` stands for what JSON has no form for. */
export type FileValue = null | boolean | number | string | readonly FileValue[] | { readonly [name: string]: FileValue }

/** What is wrong with a value, worded to follow `invalid value "x" for --name: `. */
export class SettingError extends Error {}

/** What is wrong with the command line, in one line. */
export class UsageError extends Error {}

interface Common {
  readonly flags?: readonly string[]
  readonly about: string
  readonly environment?: string
  readonly accepted?: string
  /** Accepted, but whoever asks for it shall know that it changes nothing. */
  readonly warned?: string
  readonly refused?: string
  readonly harmless?: readonly string[]
  readonly optional?: string
}

interface Valued<T> extends Common {
  readonly value: string
  readonly default: T
}

/** One value, as `reader` makes it of a word. */
export function single<T, const D>(declared: Valued<D>, reader: (word: string) => T): Setting<T | D> {
  return { ...common(declared), value: declared.value, default: declared.default, read: words => reader(words.at(-1)!) }
}

/** A value for each time it is given. */
export function listed<T>(declared: Valued<readonly T[]>, reader: (word: string) => T): Setting<readonly T[]> {
  return { ...common(declared), value: declared.value, default: declared.default, read: words => words.map(reader) }
}

/** On when it is given. */
export function toggle(declared: Common): Setting<boolean> {
  return { ...common(declared), value: '', default: false, read: () => true }
}

/** What only a configuration file can say, and only Python makes use of: a function, or a structure. */
export function inFile<T>(declared: Common & { readonly default: T }, readValue: (value: FileValue) => T): Setting<T> {
  return { ...common(declared), value: 'VALUE', default: declared.default, read: () => declared.default, readValue }
}

/** What Portico cannot do: the value is kept as it was written. */
export function refused(declared: Common & { readonly value?: string; readonly default?: string }): Setting<string> {
  return {
    ...common(declared),
    value: declared.value ?? '',
    default: declared.default ?? '',
    read: words => words.at(-1)!,
  }
}

function common(declared: Common): Omit<Setting<never>, 'value' | 'default' | 'read'> {
  const { flags = [], about, environment = '', warned, refused, harmless = [], optional = '' } = declared
  const accepted = declared.accepted ?? warned
  const state = refused !== undefined ? 'refused' : accepted !== undefined ? 'accepted' : 'works'
  return {
    flags,
    about,
    environment,
    state,
    reason: refused ?? accepted ?? '',
    warns: warned !== undefined,
    harmless,
    optional,
  }
}

// ── readers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export function text(word: string): string {
  return word.trim()
}

/** A whole number in any of Python's notations. */
export function count(word: string): number {
  return countAbove(0)(word)
}

export function countAbove(min: number): (word: string) => number {
  return word => {
    const digits = word.trim().replaceAll(/(?<=[0-9a-f])_(?=[0-9a-f])/gi, '')
    const octal = /^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits
    const value = /^(?:\d+|0x[0-9a-f]+|0o[0-7]+|0b[01]+)$/i.test(octal) ? Number(octal) : -1
    if (Number.isSafeInteger(value) && value >= min) return value
    throw new SettingError(
      min === 0 ? 'a whole number is needed, 0 or more' : `a whole number is needed, ${min} or more`,
    )
  }
}

export function oneOf<const T extends string>(...choices: readonly T[]): (word: string) => T {
  return word => {
    const value = choices.find(choice => choice === word.trim().toLowerCase())
    if (value !== undefined) return value
    throw new SettingError(`it must be one of ${choices.join(', ')}`)
  }
}

/** An address, a network in CIDR notation, or `*` for everybody; by commas. */
export function networks(word: string): readonly string[] {
  const all = names(word)
  for (const one of all) {
    const network = one === '*' ? null : parseNetwork(one)
    if (one !== '*' && network === null) throw new SettingError(`"${one}" is no address and no network`)
    if (network?.hasLowBits === true) throw new SettingError(`"${one}" has bits set beyond its mask`)
  }
  return all
}

/** Names by commas. */
export function names(word: string): readonly string[] {
  return word
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
}
