// The options of `portico status`, and which socket they mean.

import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { parseConfig } from '../config/parse.ts'
import { FileSource } from '../config/source.ts'
import { OptionError } from './control-options.ts'
import { invocationOf } from './invocation.ts'
import { defaultControlSocket } from './serve-control.ts'

export interface StatusOptions {
  /** '' where the configuration, or the default, says it. */
  readonly socket: string
  /** Null: not given. One character per byte. */
  readonly file: string | null
  readonly prefix: string | null
  readonly json: boolean
  /** Seconds between two looks; 0: one look. */
  readonly watch: number
  readonly help: boolean
}

const OPTIONS = {
  socket: { type: 'string', short: 's' },
  config: { type: 'string', short: 'c' },
  prefix: { type: 'string', short: 'p' },
  json: { type: 'boolean', short: 'j' },
  watch: { type: 'string', short: 'w' },
  help: { type: 'boolean', short: 'h' },
} as const

const DAY = 86_400

/** Throws an OptionError. */
export function parseStatus(args: readonly string[]): StatusOptions {
  // The seconds may be left out, and are never a word of their own.
  const given = args.map(word => (word === '--watch' ? '--watch=1' : word.replace(/^-[jh]*w$/, '$&1')))
  try {
    const { values } = parseArgs({ args: given, options: OPTIONS, strict: true })
    const { socket = '', config, prefix, json = false, watch, help = false } = values
    return {
      socket: socket === '' ? '' : resolve(socket),
      file: config === undefined ? null : bytes(config),
      prefix: prefix === undefined ? null : bytes(prefix),
      json,
      watch: watch === undefined ? 0 : secondsOf(watch),
      help,
    }
  } catch (error) {
    if (error instanceof OptionError) throw error
    const [problem = ''] = (error as Error).message.split('. ', 1)
    throw new OptionError(problem.charAt(0).toLowerCase() + problem.slice(1).replaceAll("'", '"'))
  }
}

function secondsOf(text: string): number {
  const seconds = /^\d*\.?\d+$/.test(text) ? Number(text) : 0
  if (seconds < 0.1 || seconds > DAY) throw new OptionError(`option --watch: "${text}" is no number of seconds`)
  return seconds
}

function bytes(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

/** What is wrong with the configuration. */
export class NoSocketError extends Error {}

/** By the options, by the configuration they name, or where it is when nobody says. Throws a NoSocketError. */
export function socketOf({ socket, file, prefix }: StatusOptions): string {
  if (socket !== '') return socket
  if (file === null && prefix === null) return defaultControlSocket()
  const invocation = invocationOf({ file, prefix, directives: '', errorLog: 'stderr' })
  const { statements, errors } = parseConfig(new FileSource(), invocation.file)
  const [problem] = errors
  if (problem !== undefined) throw new NoSocketError(utf8(String(problem)))
  // Nothing else of it is looked at: whoever may give commands need not be able to read its keys.
  const path = statements.findLast(({ name }) => name === 'control_socket')?.words[0]?.text ?? ''
  if (path === '') throw new NoSocketError(`"${utf8(invocation.file)}" has no control socket. ${ADVICE}`)
  return resolve(utf8(path.startsWith('/') ? path : invocation.prefix + path))
}

export const ADVICE = 'At its top level the configuration needs, for example: control_socket /run/portico.ctl;'

function utf8(text: string): string {
  return Buffer.from(text, 'latin1').toString('utf8')
}
