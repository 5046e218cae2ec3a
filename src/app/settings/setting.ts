// What a setting of `portico serve` is: one declaration says its flags, its default, how it is read and what the help tells
// of it. The names, flags and defaults are Gunicorn's, so that its command lines work here. Every setting Gunicorn has is
// declared, also where Portico cannot do what it asks for: it is then refused by name with the reason, never ignored in silence.

import { parseIpv4, parseNetwork } from '../../lib/networks.ts'

/**
 * `works`: does what it does in Gunicorn. `accepted`: may be given and changes nothing, since there is nothing here it would
 * change. `refused`: would change something that Portico cannot do.
 */
export type SettingState = 'works' | 'accepted' | 'refused'

/** What a configuration file may give; `own`: the setting reads that by itself. */
export type FileForm = 'text' | 'number' | 'switch' | 'list' | 'text or number' | 'text or switch' | 'anything' | 'own'

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
  /** Values of a refused setting that ask for nothing else than what Portico does anyway. */
  readonly harmless: readonly string[]
  /** The value where the flag is given alone; '' if it needs one. */
  readonly optional: string
  /** For the help. */
  readonly about: string
  readonly takes: FileForm
  /** What None comes to in a configuration file, where that is not the default. */
  readonly nothing?: T
  /** A value that is taken, and is not all of what it says; '' or a warning. */
  caution?(value: T): string
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
  readonly refused?: string
  readonly harmless?: readonly string[]
  readonly optional?: string
  readonly takes?: FileForm
}

interface Valued<T> extends Common {
  readonly value: string
  readonly default: T
}

/** One value, as `reader` makes it of a word. */
export function single<T, const D>(declared: Valued<D>, reader: (word: string) => T): Setting<T | D> {
  return {
    ...common(declared, typeof declared.default === 'number' ? 'number' : 'text'),
    value: declared.value,
    default: declared.default,
    read: words => reader(words.at(-1)!),
  }
}

/** A value for each time it is given. */
export function listed<T>(declared: Valued<readonly T[]>, reader: (word: string) => T): Setting<readonly T[]> {
  return {
    ...common(declared, 'list'),
    value: declared.value,
    default: declared.default,
    read: words => words.map(reader),
  }
}

/** A whole number, written in decimal digits on the command line. */
export function whole(declared: Valued<number>, min = 0): Setting<number> {
  return single(declared, decimal(min))
}

/** Names, or addresses, by commas; None and '' stand for no one. */
export function several<T>(
  declared: Valued<readonly T[]>,
  reader: (word: string) => readonly T[],
): Setting<readonly T[]> {
  return { ...single(declared, reader), nothing: [] }
}

/** On when it is given. */
export function toggle(declared: Common): Setting<boolean> {
  return { ...common(declared, 'switch'), value: '', default: false, read: () => true }
}

/** What only a configuration file can say, and only Python makes use of: a function, or a structure. */
export function inFile<T>(declared: Common & { readonly default: T }, readValue: (value: FileValue) => T): Setting<T> {
  return {
    ...common(declared, 'own'),
    value: 'VALUE',
    default: declared.default,
    read: () => declared.default,
    readValue,
  }
}

/** What Portico cannot do: the value is kept as it was written. */
export function refused(declared: Common & { readonly value?: string; readonly default?: string }): Setting<string> {
  return {
    ...common(declared, 'anything'),
    value: declared.value ?? '',
    default: declared.default ?? '',
    read: words => words.at(-1)!,
  }
}

function common(declared: Common, form: FileForm = 'text'): Omit<Setting<never>, 'value' | 'default' | 'read'> {
  const { flags = [], about, environment = '', accepted, refused, harmless = [], optional = '' } = declared
  const state = refused !== undefined ? 'refused' : accepted !== undefined ? 'accepted' : 'works'
  return {
    flags,
    about,
    environment,
    state,
    reason: refused ?? accepted ?? '',
    harmless,
    optional,
    takes: declared.takes ?? form,
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
    const digits = withoutGaps(word)
    const octal = /^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits
    const value = /^(?:\d+|0x[0-9a-f]+|0o[0-7]+|0b[01]+)$/i.test(octal) ? Number(octal) : -1
    if (Number.isSafeInteger(value) && value >= min) return value
    return noNumber(min)
  }
}

/** As Python's int() reads it: without a prefix, and leading zeros mean nothing. */
function decimal(min: number): (word: string) => number {
  return word => {
    const digits = withoutGaps(word)
    const value = /^\d+$/.test(digits) ? Number(digits) : -1
    return Number.isSafeInteger(value) && value >= min ? value : noNumber(min)
  }
}

function withoutGaps(word: string): string {
  return word
    .trim()
    .replace(/^\+/, '')
    .replaceAll(/(?<=[0-9a-f])_(?=[0-9a-f])/gi, '')
}

function noNumber(min: number): never {
  throw new SettingError(`a whole number is needed, ${min} or more`)
}

export function oneOf<const T extends string>(...choices: readonly T[]): (word: string) => T {
  return word => {
    const value = choices.find(choice => choice === word.trim().toLowerCase())
    if (value !== undefined) return value
    throw new SettingError(`it must be one of ${choices.join(', ')}`)
  }
}

/** How a session's field is given to --sticky. */
export const HEADER = 'header:'

/** What requests of one client are known by: `cookie`, `address`, or `header:NAME`. */
export function stickyBy(word: string): string {
  const text = word.trim()
  if (/^(?:cookie|address)$/i.test(text)) return text.toLowerCase()
  if (/^header:[a-z\d-]+$/i.test(text)) return text
  throw new SettingError('it must be one of cookie, address, header:NAME')
}

/** An address, a network in CIDR notation, or `*` for everybody; by commas. */
export function networks(word: string): readonly string[] {
  const all = names(word).map(withPrefix)
  for (const one of all) {
    // A number that begins with 0 is octal to some programs.
    const network = one === '*' || /(?:^|\.)0\d/.test(one) ? null : parseNetwork(one)
    if (one !== '*' && network === null) throw new SettingError(`"${one}" is no address and no network`)
    if (network?.hasLowBits === true) throw new SettingError(`"${one}" has bits set beyond its mask`)
  }
  return all
}

/** A mask in dotted decimal, of the network or of what is free in it, as Python's ipaddress reads it, becomes a length. */
function withPrefix(network: string): string {
  const [, address, mask] = /^([\d.]+)\/(\d+\.[\d.]+)$/.exec(network) ?? []
  const bits = mask === undefined ? -1 : parseIpv4(mask)
  if (bits < 0) return network
  const given = bits.toString(2).padStart(32, '0')
  const length = /^1*0*$/.test(given) ? given.replace(/0+$/, '').length : /^0*1*$/.test(given) ? given.indexOf('1') : -1
  return length < 0 ? network : `${address}/${length}`
}

/** Names by commas. */
export function names(word: string): readonly string[] {
  return word
    .split(',')
    .map(name => name.trim())
    .filter(name => name !== '')
}
