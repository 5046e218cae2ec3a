// From the command line, the environment and a configuration file to values. Later wins: defaults, variables of the environment
// that stand for a setting, the file, GUNICORN_CMD_ARGS, the command line. Options are read as Python's argparse reads them: `--name value`,
// `--name=value`, `-nvalue`, joined switches, and the beginning of a long name where only one begins so.

import { closest } from '../../config/closest.ts'
import { parseBind } from './bind.ts'
import { allSettings, fileSettings } from './index.ts'
import type { SettingName } from './index.ts'
import { isForeignClass } from './serving.ts'
import { SettingError, UsageError } from './setting.ts'
import type { FileValue, Setting } from './setting.ts'
import { splitWords } from './words.ts'

export type Settings = {
  readonly [K in SettingName]: (typeof allSettings)[K] extends Setting<infer T> ? T : never
}

export interface CommandLine {
  readonly settings: Settings
  /** Those that are not what they are by default. */
  readonly given: ReadonlySet<SettingName>
  readonly warnings: readonly string[]
}

type Environment = Readonly<Record<string, string | undefined>>

/** What a configuration file says, by the names it has there. */
export interface ConfigFile {
  /** As it was given. */
  readonly location: string
  readonly values: Readonly<Record<string, FileValue>>
}

/** The configuration file that is asked for; null: none. Throws UsageError. */
export function configLocation(args: readonly string[], environment: Environment): string | null {
  const [own, theirs] = lastWords('config', args, environment)
  return own ?? theirs ?? null
}

/** Paths to classes that nobody knows but Python: it must be asked what they are. Throws UsageError. */
export function foreignClasses(args: readonly string[], environment: Environment): readonly string[] {
  const words = lastWords('worker_class', args, environment)
  return words.filter((word): word is string => word !== undefined && isForeignClass(word))
}

/** What the arguments say of a setting, and what GUNICORN_CMD_ARGS does. */
function lastWords(
  name: SettingName,
  args: readonly string[],
  environment: Environment,
): readonly (string | undefined)[] {
  const inherited = splitWords(environment['GUNICORN_CMD_ARGS'] ?? '')
  const both = [scan(args, ''), scan(inherited, ' in GUNICORN_CMD_ARGS')]
  return both.map(({ found }) => found.get(name)?.words.at(-1))
}

/** Throws UsageError. */
export function readCommandLine(
  args: readonly string[],
  environment: Environment,
  file: ConfigFile | null = null,
): CommandLine {
  const reading = new Reading()
  reading.readEnvironment(environment)
  if (file !== null) reading.readFile(file)
  const inherited = environment['GUNICORN_CMD_ARGS'] ?? ''
  if (inherited !== '') reading.readArguments(splitWords(inherited), ' in GUNICORN_CMD_ARGS')
  const [application, ...rest] = reading.readArguments(args, '')
  if (rest.length > 0) throw new UsageError(`unexpected "${rest[0]}" after the application "${application}"`)
  if (application !== undefined) reading.set('wsgi_app', [application], 'as the application')
  return reading.result()
}

const table: Readonly<Record<string, Setting<unknown>>> = allSettings
const named = Object.entries(table) as [SettingName, Setting<unknown>][]
const byFlag = new Map(named.flatMap(([name, { flags }]) => flags.map(flag => [flag, name] as const)))

class Reading {
  private readonly values: Record<string, unknown> = Object.fromEntries(named.map(([name, one]) => [name, one.default]))
  private readonly given = new Set<SettingName>()
  private readonly warnings: string[] = []

  result(): CommandLine {
    for (const name of this.given) {
      const { warns, reason } = table[name]!
      if (warns && this.values[name] === true) this.warnings.push(`${name} changes nothing: ${reason}`)
    }
    return { settings: this.values as Settings, given: this.given, warnings: this.warnings }
  }

  set(name: SettingName, words: readonly string[], place: string): void {
    const setting = table[name]!
    // Ours: a number of workers may be a range.
    const range = name === 'workers' ? /^(\d+)\.\.(\d+)$/.exec(words.at(-1) ?? '') : null
    if (range !== null && Number(range[2]) < Number(range[1]))
      throw new UsageError(`invalid value "${range[0]}" ${place}: the second number is the greater one`)
    try {
      this.values[name] = setting.read(range === null ? words : [range[1]!])
      if (name === 'workers') this.values['max_workers'] = range === null ? 0 : Number(range[2])
    } catch (error) {
      if (!(error instanceof SettingError)) throw error
      throw new UsageError(`invalid value "${words.at(-1)}" ${place}: ${error.message}`, { cause: error })
    }
    this.given.add(name)
  }

  readEnvironment(environment: Environment): void {
    const port = environment['PORT'] ?? ''
    if (port !== '') this.values['bind'] = [bindOf(port)]
    for (const [name, { environment: variable, state, reason, harmless }] of named) {
      const value = variable === '' ? undefined : environment[variable]
      if (value === undefined || (value === '' && state === 'works')) continue
      if (state !== 'refused') this.set(name, [value], `in ${variable}`)
      else if (!harmless.includes(value)) this.warnings.push(`${variable} is ignored: ${reason}`)
    }
  }

  /** Names that are no settings are the file's own. */
  readFile({ location, values }: ConfigFile): void {
    for (const [name, value] of Object.entries(values)) {
      const setting = Object.hasOwn(fileSettings, name) ? table[name]! : null
      if (setting === null) continue
      const place = `for ${name} in ${location}`
      if (isNothing(value)) {
        this.values[name] = setting.default
        this.given.delete(name as SettingName)
        continue
      }
      if (setting.state === 'refused' && !asksForDefault(setting, value)) {
        throw new UsageError(`${name} in ${location} is not supported: ${setting.reason}`)
      }
      this.setValue(name as SettingName, value, place)
    }
  }

  private setValue(name: SettingName, value: FileValue, place: string): void {
    const setting = table[name]!
    if (setting.readValue === undefined) {
      this.set(name, wordsOf(value, place), place)
      if (setting.value === '' && !isTrue(value, place)) this.values[name] = false
      return
    }
    try {
      this.values[name] = setting.readValue(value)
      this.given.add(name)
    } catch (error) {
      if (!(error instanceof SettingError)) throw error
      throw new UsageError(`invalid value ${place}: ${error.message}`, { cause: error })
    }
  }

  /** @returns the words that belong to no option */
  readArguments(args: readonly string[], place: string): string[] {
    const { found, positional } = scan(args, place)
    for (const [name, { flag, words }] of found) {
      refuse(table[name]!, flag, words.at(-1)!, place)
      this.set(name, words, `for ${flag}${place}`)
    }
    return positional
  }
}

/** As hosting platforms say it. */
function bindOf(port: string): ReturnType<typeof parseBind> {
  try {
    return parseBind(`0.0.0.0:${port}`)
  } catch (error) {
    throw new UsageError(`invalid value "${port}" in PORT: ${(error as Error).message}`, { cause: error })
  }
}

function refuse(setting: Setting<unknown>, flag: string, word: string, place: string): void {
  if (setting.state !== 'refused') return
  if (setting.value !== '' && setting.harmless.includes(word.trim().toLowerCase())) return
  throw new UsageError(`${flag}${place} is not supported: ${setting.reason}`)
}

/** What stands for "not set" in files. */
function isNothing(value: FileValue): boolean {
  return value === null || (Array.isArray(value) && value.length === 0)
}

function asksForDefault({ default: fallback, harmless }: Setting<unknown>, value: FileValue): boolean {
  if (value === false || value === '') return true
  if (typeof value === 'object') return Object.keys(value!).length === 0
  const word = `${value}`.trim().toLowerCase()
  return word === String(fallback).toLowerCase() || harmless.includes(word)
}

function wordsOf(value: FileValue, place: string): string[] {
  const all = Array.isArray(value) ? (value as readonly FileValue[]) : [value]
  return all.map(one => {
    if (one !== null && typeof one !== 'object') return typeof one === 'number' ? numeral(one) : `${one}`
    const what =
      one !== null && 'python' in one ? `a value of type ${JSON.stringify(one.python).slice(1, -1)}` : 'a dict'
    throw new UsageError(`invalid value ${place}: ${what} cannot stand here`)
  })
}

/** Without the exponent that a large number would get. */
function numeral(value: number): string {
  return Number.isSafeInteger(value) ? BigInt(value).toString() : `${value}`
}

function isTrue(value: FileValue, place: string): boolean {
  const word = typeof value === 'object' ? '' : String(value).trim().toLowerCase()
  if (word === 'true' || word === 'false') return word === 'true'
  throw new UsageError(`invalid value "${word}" ${place}: it must be True or False`)
}

interface Found {
  /** As it was written last. */
  flag: string
  readonly words: string[]
}

function scan(args: readonly string[], place: string): { found: Map<SettingName, Found>; positional: string[] } {
  const found = new Map<SettingName, Found>()
  const positional: string[] = []
  const add = (flag: string, word: string): void => {
    const name = byFlag.get(flag)!
    const known = found.get(name)
    if (known === undefined) found.set(name, { flag, words: [word] })
    else {
      known.flag = flag
      known.words.push(word)
    }
  }
  for (let i = 0; i < args.length; i++) {
    const word = args[i]!
    if (word === '--') {
      positional.push(...args.slice(i + 1))
      break
    }
    if (!isOption(word)) {
      positional.push(word)
      continue
    }
    for (const { flag, value } of optionsOf(word, place)) {
      if (table[byFlag.get(flag)!]!.value === '') {
        if (value !== null) throw new UsageError(`option ${flag}${place} takes no value`)
        add(flag, '')
        continue
      }
      const next = args[i + 1]
      const { optional } = table[byFlag.get(flag)!]!
      if (value === null && optional !== '' && (next === undefined || !isMode(next))) {
        add(flag, optional)
        continue
      }
      if (value === null && (next === undefined || isOption(next))) {
        throw new UsageError(`option ${flag}${place} needs a value`)
      }
      if (value === null) i++
      add(flag, value ?? next!)
    }
  }
  return { found, positional }
}

/** Where a value may be left out, the application's name is none. */
function isMode(word: string): boolean {
  return /^(?:off|on|v1|v2|auto|true|false|none|0|1)$/i.test(word)
}

/** `-` is a value (standard output), and so is a number below 0. */
function isOption(word: string): boolean {
  return word.startsWith('-') && word !== '-' && !/^-\d+$/.test(word)
}

interface Option {
  readonly flag: string
  /** Null: the following word, if it takes one. */
  readonly value: string | null
}

function optionsOf(word: string, place: string): Option[] {
  const equals = word.indexOf('=')
  const [name, value] = equals === -1 ? [word, null] : [word.slice(0, equals), word.slice(equals + 1)]
  if (byFlag.has(name)) return [{ flag: name, value }]
  return word.startsWith('--') ? [{ flag: longFlag(name, place), value }] : shortFlags(word, place)
}

function longFlag(name: string, place: string): string {
  const all = [...byFlag.keys()].filter(flag => flag.startsWith('--'))
  const begun = all.filter(flag => flag.startsWith(name))
  const [first] = begun
  if (first !== undefined && new Set(begun.map(flag => byFlag.get(flag))).size === 1) return first
  if (first !== undefined) throw new UsageError(`option "${name}"${place} could be ${begun.join(', ')}`)
  const meant = closest(name, all)
  throw new UsageError(`unknown option "${name}"${place}${meant === null ? '' : `, did you mean "${meant}"?`}`)
}

/** `-w4`, `-DR`: switches may be joined, and what follows one that takes a value is its value. */
function shortFlags(word: string, place: string): Option[] {
  const options: Option[] = []
  for (let at = 1; at < word.length; at++) {
    const flag = `-${word[at]}`
    const name = byFlag.get(flag)
    if (name === undefined) {
      const meant = closest(`-${word}`, byFlag.keys())
      const hint = meant === null || word.length < 3 ? '' : `, did you mean "${meant}"?`
      throw new UsageError(`unknown option "${word.length > 2 ? word : flag}"${place}${hint}`)
    }
    const rest = word.slice(at + 1)
    if (table[name]!.value !== '' && rest !== '') {
      options.push({ flag, value: rest.replace(/^=/, '') })
      break
    }
    options.push({ flag, value: null })
  }
  return options
}
