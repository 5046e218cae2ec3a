// `error_log`: a file, standard error or a syslog server, and the least severe level that goes there. One declaration for all contexts, since
// an inner block without any inherits the outer one's.

import { HTTP, LOCATION, MAIL, MAIL_SERVER, MAIN, SERVER, STREAM, STREAM_SERVER } from './directive.ts'
import type { Directive } from './directive.ts'
import { parseSyslog, type SyslogServer } from './syslog.ts'

export interface ErrorLogTarget {
  /** Null: standard error, unless there is a syslog server. */
  readonly path: string | null
  readonly syslog?: SyslogServer
  /** nginx's levels, the more severe the smaller: emerg is 1, debug 8. */
  readonly level: number
}

const LEVELS = ['emerg', 'alert', 'crit', 'error', 'warn', 'notice', 'info', 'debug']
const ERROR = 4

export const errorLog: Directive<readonly ErrorLogTarget[]> = {
  in: MAIN | HTTP | SERVER | LOCATION | STREAM | STREAM_SERVER | MAIL | MAIL_SERVER,
  args: [1, Infinity],
  default: [],
  repeatable: true,
  parse([target, ...words], at, soFar = []) {
    if (target!.startsWith('memory:')) at.fail('nginx was built without debug support')
    let level = 0
    for (const word of words) {
      if (level !== 0) at.fail(`invalid log level "${word}"`)
      level = LEVELS.indexOf(word) + 1
      if (level === 0) at.fail(`invalid log level "${word}"`, `it must be one of ${LEVELS.join(', ')}`)
    }
    if (level === 0) level = ERROR
    if (target!.startsWith('syslog:')) return [...soFar, { path: null, syslog: parseSyslog(target!, at), level }]
    return [...soFar, { path: target === 'stderr' ? null : at.prefixPath(target!), level }]
  },
}
