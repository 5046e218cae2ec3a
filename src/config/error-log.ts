// `error_log`: a file or standard error and the least severe level that goes there. One declaration for all contexts, since
// an inner block without any inherits the outer one's.

import { HTTP, LOCATION, MAIN, SERVER } from './directive.ts'
import type { Directive } from './directive.ts'

export interface ErrorLogTarget {
  /** Null: standard error. */
  readonly path: string | null
  /** nginx's levels, the more severe the smaller: emerg is 1, debug 8. */
  readonly level: number
}

const LEVELS = ['emerg', 'alert', 'crit', 'error', 'warn', 'notice', 'info', 'debug']
const ERROR = 4

export const errorLog: Directive<readonly ErrorLogTarget[]> = {
  in: MAIN | HTTP | SERVER | LOCATION,
  args: [1, Infinity],
  default: [],
  repeatable: true,
  parse([target, ...words], at, soFar = []) {
    if (target!.startsWith('syslog:')) at.fail('"error_log" to syslog is not supported by this version')
    if (target!.startsWith('memory:')) at.fail('nginx was built without debug support')
    let level = 0
    for (const word of words) {
      if (level !== 0) at.fail(`invalid log level "${word}"`)
      level = LEVELS.indexOf(word) + 1
      if (level === 0) at.fail(`invalid log level "${word}"`, `it must be one of ${LEVELS.join(', ')}`)
    }
    const path = target === 'stderr' ? null : at.prefixPath(target!)
    return Object.freeze([...soFar, Object.freeze({ path, level: level === 0 ? ERROR : level })])
  },
}
