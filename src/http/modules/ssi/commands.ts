// The SSI commands that need nothing but the page: which parameters each takes, echo, set, config. What changes the course
// of the page (include, if, block) is stage.ts's.

import { escapeUri } from '../../../codec/h1/uri.ts'
import { ERR } from '../../../log/error-log.ts'
import { escapeHtml } from '../../../lib/markup.ts'
import type { HttpRequest } from '../../request.ts'
import { variableOf, type FindVariable } from './expression.ts'
import { PARAMETERS_MAX, type SsiParser } from './parser.ts'

export interface SsiCommand {
  readonly name: string
  /** Names of parameters, those that must be given with a `!`. */
  readonly parameters: readonly string[]
  readonly mandatory: readonly string[]
}

function command(name: string, parameters: string): SsiCommand {
  const words = parameters === '' ? [] : parameters.split(' ')
  return {
    name,
    parameters: words.map(word => word.replace('!', '')),
    mandatory: words.filter(word => word.endsWith('!')).map(word => word.slice(0, -1)),
  }
}

export const COMMANDS: ReadonlyMap<string, SsiCommand> = new Map(
  [
    command('include', 'virtual file wait set stub'),
    command('echo', 'var! default encoding'),
    command('config', 'errmsg timefmt'),
    command('set', 'var! value!'),
    command('if', 'expr!'),
    command('elif', 'expr!'),
    command('else', ''),
    command('endif', ''),
    command('block', 'name!'),
    command('endblock', ''),
  ].map(one => [one.name, one]),
)

export type Parameters = ReadonlyMap<string, string>

/** null: they are not what the command takes, which has been logged. */
export function parametersOf(
  r: HttpRequest,
  { name, parameters, mandatory }: SsiCommand,
  parser: SsiParser,
): Parameters | null {
  const given = new Map<string, string>()
  const refuse = (problem: string): null => {
    r.log(ERR, problem)
    return null
  }
  if (parser.names.length > PARAMETERS_MAX) return refuse(`too many SSI command parameters: "${name}"`)
  for (const [i, parameter] of parser.names.entries()) {
    if (!parameters.includes(parameter))
      return refuse(`invalid parameter name: "${parameter}" in "${name}" SSI command`)
    if (given.has(parameter)) return refuse(`duplicate "${parameter}" parameter in "${name}" SSI command`)
    given.set(parameter, parser.values[i]!)
  }
  const missing = mandatory.find(parameter => !given.has(parameter))
  if (missing !== undefined) return refuse(`mandatory "${missing}" parameter is absent in "${name}" SSI command`)
  return given
}

/** The command as it was written, but for blanks. */
export function commandText({ command, names, values }: SsiParser): string {
  const parameters = names.map((name, i) => ` ${name}="${values[i]}"`)
  return `<!--#${command}${parameters.join('')} -->`
}

/** How echo makes text safe; stays for the rest of the page. */
export type Encoding = 'none' | 'url' | 'entity'

/** The encoding that an echo asks for, else the one so far. */
export function encodingOf(r: HttpRequest, given: Parameters, before: Encoding): Encoding {
  const wanted = given.get('encoding')
  if (wanted === undefined) return before
  if (wanted === 'none' || wanted === 'url' || wanted === 'entity') return wanted
  r.log(ERR, `unknown encoding "${wanted}" in the "echo" command`)
  return before
}

export function echoed(r: HttpRequest, given: Parameters, find: FindVariable): string {
  return variableOf(r, given.get('var')!, find) ?? given.get('default') ?? '(none)'
}

export function encode(text: string, encoding: Encoding): string {
  if (encoding === 'entity') return escapeHtml(text)
  return encoding === 'url' ? escapeUri(text, 'html') : text
}
