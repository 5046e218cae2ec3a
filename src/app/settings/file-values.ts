// What a configuration file may give a setting. Gunicorn's validators are strict about types: a number is none where text is
// asked for, and what is no list is no list of one.

import { SettingError } from './setting.ts'
import type { FileValue, Setting } from './setting.ts'

/** What stands for "not set". Throws SettingError where nothing does. */
export function isNothing({ takes }: Setting<unknown>, value: FileValue): boolean {
  if (takes === 'list') return isEmpty(value)
  if (value !== null) return false
  if (takes === 'number') throw new SettingError('a whole number is needed')
  return takes !== 'own'
}

function isEmpty(value: FileValue): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length === 0
  return value === null || value === '' || value === false || value === 0
}

/** As the words that a command line would have had. Throws SettingError. */
export function wordsOf({ takes }: Setting<unknown>, value: FileValue): string[] {
  if (takes === 'anything') return [typeof value === 'string' ? value : JSON.stringify(value)]
  if (takes === 'list' && Array.isArray(value)) return (value as readonly FileValue[]).map(textOf)
  if (typeof value === 'object') return wrongType(value)
  const isNumber = typeof value !== 'string'
  if (takes === 'number') return [isNumber ? numeral(value) : integer(value)]
  if (takes === 'text or number' && isNumber) return [numeral(value)]
  if ((takes === 'switch' || takes === 'text or switch') && typeof value !== 'number') return [`${value}`]
  if (takes === 'switch') throw new SettingError('it must be True or False')
  return [textOf(value)]
}

/** On or off, of a setting that is one or the other. Throws SettingError. */
export function isTrue(word: string): boolean {
  const value = word.trim().toLowerCase()
  if (value === 'true' || value === 'false') return value === 'true'
  throw new SettingError('it must be True or False')
}

function textOf(value: FileValue): string {
  if (typeof value === 'string') return value
  return typeof value === 'object' ? wrongType(value) : wrong('it must be a string')
}

function wrongType(value: null | readonly FileValue[] | { readonly [name: string]: FileValue }): never {
  if (value === null) return wrong('None cannot stand here')
  if (Array.isArray(value)) return wrong('a list cannot stand here')
  const { python } = value as { readonly [name: string]: FileValue }
  return wrong(`${typeof python === 'string' ? `a value of type ${python}` : 'a dict'} cannot stand here`)
}

function wrong(problem: string): never {
  throw new SettingError(problem)
}

/** Python's booleans are numbers. Without the exponent that a large one would get. */
function numeral(value: number | boolean): string {
  if (typeof value === 'boolean') return value ? '1' : '0'
  return Number.isSafeInteger(value) ? BigInt(value).toString() : `${value}`
}

/** As in Python's programs: int(text, 0). */
function integer(text: string): string {
  const word = text.trim()
  const digits =
    /^\+?(0x_?[0-9a-f]+(?:_[0-9a-f]+)*|0o_?[0-7]+(?:_[0-7]+)*|0b_?[01]+(?:_[01]+)*|0+(?:_0+)*|[1-9]\d*(?:_\d+)*)$/i
  const found = digits.exec(word)?.[1]
  return found === undefined ? word.replace(/^\+?0(?=\d)/, 'octal ') : numeral(Number(found.replaceAll('_', '')))
}
