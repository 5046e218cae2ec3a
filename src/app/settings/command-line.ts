// From the command line, the environment and a configuration file to values. Later wins: defaults, variables of the environment
// that stand for a setting, the file, GUNICORN_CMD_ARGS, the command line.

import { parseBind } from './bind.ts'
import { kindOf } from './configuration.ts'
import { isNothing, isTrue, wordsOf } from './file-values.ts'
import { allSettings, fileSettings } from './index.ts'
import type { SettingName } from './index.ts'
import { scan } from './scan.ts'
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
  /** For a Node program: what stands behind `--` and its name. */
  readonly words: readonly string[]
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
  return own || theirs || null
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
  const { positional, after } = reading.readArguments(args, '')
  const words = positional.length > 0 ? after : after.slice(1)
  const [application = after[0], ...rest] = positional
  if (application !== undefined) reading.set('wsgi_app', [application], 'as the application')
  const isNode = reading.isNode()
  for (const word of isNode ? rest : [...rest, ...words]) {
    const hint = isNode ? '; what is for itself stands behind "--"' : ''
    reading.warn(`"${word}" is ignored: "${application}" is the application${hint}`)
  }
  return { ...reading.result(), words: isNode ? words : [] }
}

const table: Readonly<Record<string, Setting<unknown>>> = allSettings
const named = Object.entries(table) as [SettingName, Setting<unknown>][]

class Reading {
  private readonly values: Record<string, unknown> = Object.fromEntries(named.map(([name, one]) => [name, one.default]))
  private readonly given = new Set<SettingName>()
  private readonly warnings: string[] = []

  isNode(): boolean {
    return kindOf(this.values as Settings) === 'node'
  }

  result(): Omit<CommandLine, 'words'> {
    for (const name of this.given) {
      const caution = table[name]!.caution?.(this.values[name]) ?? ''
      if (caution !== '') this.warn(caution)
    }
    return { settings: this.values as Settings, given: this.given, warnings: this.warnings }
  }

  warn(message: string): void {
    this.warnings.push(message)
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
      // Gunicorn takes an empty list of addresses for what it says, and cannot take an empty number.
      const empty = value === '' && table[name]!.nothing === undefined
      if (value === undefined || (empty && state === 'works')) continue
      if (state !== 'refused') this.set(name, [value], `in ${variable}`)
      else if (!harmless.includes(value)) this.warnings.push(`${variable} is ignored: ${reason}`)
    }
  }

  /** Names that are no settings are the file's own. */
  readFile({ location, values }: ConfigFile): void {
    for (const [name, value] of Object.entries(values)) {
      const setting = Object.hasOwn(fileSettings, name) ? table[name]! : null
      if (setting === null) continue
      if (setting.state === 'refused' && !asksForDefault(setting, value)) {
        throw new UsageError(`${name} in ${location} is not supported: ${setting.reason}`)
      }
      try {
        this.setValue(name as SettingName, setting, value, `for ${name} in ${location}`)
      } catch (error) {
        if (!(error instanceof SettingError)) throw error
        const said = typeof value === 'object' ? '' : ` ${JSON.stringify(`${value}`)}`
        throw new UsageError(`invalid value${said} for ${name} in ${location}: ${error.message}`, { cause: error })
      }
    }
  }

  private setValue(name: SettingName, setting: Setting<unknown>, value: FileValue, place: string): void {
    if (isNothing(setting, value)) {
      this.values[name] = setting.nothing ?? setting.default
      this.given.delete(name)
      if (setting.nothing !== undefined) this.given.add(name)
    } else if (setting.readValue === undefined) {
      const words = wordsOf(setting, value)
      this.set(name, words, place)
      if (setting.value === '' && !isTrue(words[0]!)) this.values[name] = false
    } else {
      this.values[name] = setting.readValue(value)
      this.given.add(name)
    }
  }

  /** @returns the words that belong to no option */
  readArguments(args: readonly string[], place: string): Pick<ReturnType<typeof scan>, 'positional' | 'after'> {
    const { found, positional, after } = scan(args, place)
    for (const [name, { flag, words }] of found) {
      refuse(table[name]!, flag, words.at(-1)!, place)
      this.set(name, words, `for ${flag}${place}`)
    }
    return { positional, after }
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

function asksForDefault({ default: fallback, harmless }: Setting<unknown>, value: FileValue): boolean {
  if (value === null || value === false || value === '') return true
  if (typeof value === 'object') return Object.keys(value).length === 0
  const word = `${value}`.trim().toLowerCase()
  return word === String(fallback).toLowerCase() || harmless.includes(word)
}
