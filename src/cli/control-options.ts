// The options of `portico control` and `gunicornc`.

import { resolve } from 'node:path'
import { splitWords } from '../app/settings/words.ts'
import { defaultControlSocket } from './serve-control.ts'

export interface ControlOptions {
  socket: string
  /** Null: they are read one after the other. */
  command: readonly string[] | null
  json: boolean
  help: boolean
  version: boolean
}

/** What is wrong with the command line. */
export class OptionError extends Error {}

/** Throws an OptionError. */
export function parseControl(args: readonly string[]): ControlOptions {
  const options: ControlOptions = { socket: '', command: null, json: false, help: false, version: false }
  const rest = [...args]
  while (rest.length > 0) {
    const word = rest.shift()!
    if (word === '--') {
      if (rest.length > 0) options.command = rest
      break
    }
    if (!word.startsWith('-')) {
      // What follows belongs to the command, but for switches that are behind it out of habit.
      options.json ||= rest.some(isJson)
      options.command = [word, ...rest.filter(one => !isJson(one))]
      break
    }
    readOption(options, word, rest)
  }
  const { command } = options
  if (command !== null && command.join('').trim() === '') throw new OptionError('the command is empty')
  return { ...options, socket: resolve(options.socket || defaultControlSocket()) }
}

function isJson(word: string): boolean {
  return word === '-j' || word === '--json'
}

const LONG: Readonly<Record<string, string>> = {
  '--socket': '-s',
  '--command': '-c',
  '--json': '-j',
  '--version': '-v',
  '--help': '-h',
}

/** As Python's argparse reads them: a long name may be cut short, letters may be joined, values may follow at once. */
function readOption(options: ControlOptions, word: string, rest: string[]): void {
  const [, name = word, joined] = /^(--[^=]*)=(.*)$/s.exec(word) ?? []
  const long = Object.keys(LONG).filter(one => name.startsWith('--') && one.startsWith(name))
  if (word.startsWith('--')) {
    if (long.length !== 1) throw new OptionError(`unknown option "${name}"`)
    return setOption(options, long[0]!, joined, rest)
  }
  const [letter, behind] = [word.slice(0, 2), word.slice(2)]
  if (letter === '-s' || letter === '-c') {
    return setOption(options, letter, behind === '' ? undefined : behind.replace(/^=/, ''), rest)
  }
  setOption(options, letter, undefined, rest)
  if (behind !== '') readOption(options, `-${behind}`, rest)
}

function setOption(options: ControlOptions, name: string, given: string | undefined, rest: string[]): void {
  const value = (): string => {
    const next = given ?? rest.shift()
    if (next === undefined) throw new OptionError(`option ${name} needs a value`)
    return next
  }
  switch (LONG[name] ?? name) {
    case '-s':
      options.socket = value()
      return
    case '-c':
      options.command = words(value())
      return
    case '-j':
      options.json = true
      break
    case '-h':
      options.help = true
      break
    case '-v':
      options.version = true
      break
    default:
      throw new OptionError(`unknown option "${name}"`)
  }
  if (given !== undefined) throw new OptionError(`option ${name} takes no value`)
}

/** Throws an OptionError. */
export function words(line: string): string[] {
  try {
    return splitWords(line)
  } catch {
    throw new OptionError('a quote is not closed')
  }
}
