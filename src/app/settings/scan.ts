// Words of a command line to options, as Python's argparse reads them: `--name value`, `--name=value`, `-nvalue`, joined switches, and
// the beginning of a long name where only one begins so.

import { closest } from '../../config/closest.ts'
import { allSettings, ownSettings } from './index.ts'
import type { SettingName } from './index.ts'
import { UsageError } from './setting.ts'
import type { Setting } from './setting.ts'

const table: Readonly<Record<string, Setting<unknown>>> = allSettings
const named = Object.entries(table) as [SettingName, Setting<unknown>][]
/** Of what Gunicorn has not; it has --help and --version. */
const OURS: ReadonlySet<string> = new Set(
  Object.keys(ownSettings).filter(name => name !== 'help' && name !== 'version'),
)
const byFlag = new Map(named.flatMap(([name, { flags }]) => flags.map(flag => [flag, name] as const)))

interface Found {
  /** As it was written last. */
  flag: string
  readonly words: string[]
}

interface Scanned {
  readonly found: Map<SettingName, Found>
  readonly positional: string[]
  /** What stands behind `--`. */
  readonly after: readonly string[]
}

/** Throws UsageError. */
export function scan(args: readonly string[], place: string): Scanned {
  const found = new Map<SettingName, Found>()
  const positional: string[] = []
  let after: readonly string[] = []
  let doubtful: Option | null = null
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
      after = args.slice(i + 1)
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
        if (next !== undefined && !isOption(next)) doubtful = { flag, value: next }
        continue
      }
      if (value === null && (next === undefined || isOption(next))) {
        throw new UsageError(`option ${flag}${place} needs a value`)
      }
      if (value === null) i++
      add(flag, value ?? next!)
    }
  }
  // With another word for the application, it was meant to be a mode.
  if (doubtful !== null && positional.length + after.length > 1) add(doubtful.flag, doubtful.value!)
  return { found, positional, after }
}

/** Where a value may be left out, the application's name is none. */
function isMode(word: string): boolean {
  return /^(?:off|on|v1|v2|auto|true|false|none|0|1)$/i.test(word)
}

/** `-` is a value (standard output), and so are a number below 0, and what has a space and begins as no option does. */
function isOption(word: string): boolean {
  if (!word.startsWith('-') || word === '-' || /^-(?:\d+|\d*\.\d+)$/.test(word)) return false
  return !word.includes(' ') || beginsAsOption(word)
}

function beginsAsOption(word: string): boolean {
  if (!word.startsWith('--')) return byFlag.has(word.slice(0, 2))
  const [name] = word.split('=', 1)
  return byFlag.keys().some(flag => flag.startsWith(name!))
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
  const both = all.filter(flag => flag.startsWith(name))
  // What is short for one of Gunicorn's is so beside ours.
  const theirs = both.filter(flag => !OURS.has(byFlag.get(flag)!))
  const begun = theirs.length > 0 ? theirs : both
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
