// From the command line and the environment to values. Later wins: defaults, variables of the environment that stand for a
// setting, GUNICORN_CMD_ARGS, the command line. Options are read as Python's argparse reads them: `--name value`,
// `--name=value`, `-nvalue`, joined switches, and the beginning of a long name where only one begins so.

import { closest } from '../../config/closest.ts'
import { parseBind } from './bind.ts'
import { allSettings } from './index.ts'
import type { SettingName } from './index.ts'
import { SettingError, UsageError } from './setting.ts'
import type { Setting } from './setting.ts'
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

/** Throws UsageError. */
export function readCommandLine(args: readonly string[], environment: Environment): CommandLine {
  const reading = new Reading()
  reading.readEnvironment(environment)
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
    return { settings: this.values as Settings, given: this.given, warnings: this.warnings }
  }

  set(name: SettingName, words: readonly string[], place: string): void {
    const setting = table[name]!
    try {
      this.values[name] = setting.read(words)
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
      if (value === null && (next === undefined || isOption(next))) {
        throw new UsageError(`option ${flag}${place} needs a value`)
      }
      if (value === null) i++
      add(flag, value ?? next!)
    }
  }
  return { found, positional }
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
