// log_format: text and variables, compiled once into two lists that a loop joins (ngx_http_log_module).

import { ConfigError } from '../../config/errors.ts'
import type { Template } from '../../config/template.ts'
import type { HttpRequest } from '../request.ts'
import type { HttpSetup } from '../setup.ts'

export type Escape = 'default' | 'json' | 'none'

type Getter = (r: HttpRequest) => string | null

export class LogFormat {
  /** One more than there are getters; some are empty. */
  private readonly literals: readonly string[]
  private readonly getters: readonly Getter[]
  private readonly escape: (value: string) => string
  /** What stands for a variable that there is not. */
  private readonly missing: string

  constructor(template: Template, escape: Escape, http: HttpSetup) {
    const literals = ['']
    const getters: Getter[] = []
    for (const part of template.parts) {
      if (typeof part === 'string') literals[literals.length - 1] += part
      else {
        getters.push(http.variable(part.variable, template.place).get)
        literals.push('')
      }
    }
    literals[literals.length - 1] += '\n'
    this.literals = literals
    this.getters = getters
    this.escape = ESCAPES[escape]
    this.missing = escape === 'default' ? '-' : ''
  }

  /** The line, with its end. */
  line(r: HttpRequest): string {
    const { literals, getters } = this
    let line = literals[0]!
    for (let i = 0; i < getters.length; i++) {
      const value = getters[i]!(r)
      line += value === null ? this.missing : this.escape(value)
      line += literals[i + 1]!
    }
    return line
  }
}

export function escapeNamed(name: string, place: Template['place']): Escape {
  if (name === 'default' || name === 'json' || name === 'none') return name
  throw ConfigError.at(place, `unknown log format escaping "${name}"`)
}

// What may stand in a log as it is: nearly everything nearly always.
const PLAIN = /^[ !#-[\]-~]*$/
const JSON_PLAIN = /^[ !#-[\]-\xff]*$/

const ESCAPES: Readonly<Record<Escape, (value: string) => string>> = {
  default: value => (PLAIN.test(value) ? value : value.replace(/[^ !#-[\]-~]/g, hexEscape)),
  json: value => (JSON_PLAIN.test(value) ? value : value.replace(/[^ !#-[\]-\xff]/g, jsonEscape)),
  none: value => value,
}

function hexEscape(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}

function jsonEscape(character: string): string {
  const short = JSON_SHORT[character]
  return short ?? `\\u00${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`
}

const JSON_SHORT: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\b': '\\b',
  '\f': '\\f',
}
