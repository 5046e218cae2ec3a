// `error_log`: a file, standard error or a syslog server, and the least severe level that goes there. One declaration for all contexts, since
// an inner block without any inherits the outer one's.

import { DEBUG, ERR, type LogTarget } from '../log/error-log.ts'
import { HTTP, LOCATION, MAIL, MAIL_SERVER, MAIN, SERVER, STREAM, STREAM_SERVER } from './directive.ts'
import type { Directive, Site } from './directive.ts'
import { parseSyslog } from './syslog.ts'

const LEVELS = ['emerg', 'alert', 'crit', 'error', 'warn', 'notice', 'info', 'debug']
/** Parts of nginx that may be debugged alone. Here they are one. */
const DEBUGGED = ['debug_core', 'debug_alloc', 'debug_mutex', 'debug_event', 'debug_http', 'debug_mail', 'debug_stream']

export const errorLog: Directive<readonly LogTarget[]> = {
  in: MAIN | HTTP | SERVER | LOCATION | STREAM | STREAM_SERVER | MAIL | MAIL_SERVER,
  args: [1, Infinity],
  default: [],
  repeatable: true,
  parse([target, ...words], at, soFar = []) {
    if (target!.startsWith('memory:')) at.fail('nginx was built without debug support')
    const level = levelOf(words, at)
    if (target!.startsWith('syslog:')) return [...soFar, { path: null, syslog: parseSyslog(target!, at), level }]
    return [...soFar, { path: target === 'stderr' ? null : at.prefixPath(target!), level }]
  },
}

/** One level, or any number of parts (ngx_log_set_levels). */
function levelOf(words: readonly string[], at: Site): number {
  let level = 0
  let parts = false
  for (const word of words) {
    const known = LEVELS.indexOf(word) + 1
    if (known !== 0) {
      if (level !== 0 || parts) at.fail(`duplicate log level "${word}"`)
      level = known
    } else if (!DEBUGGED.includes(word)) {
      at.fail(`invalid log level "${word}"`, `it must be one of ${LEVELS.join(', ')}`)
    } else if (level !== 0) at.fail(`invalid log level "${word}"`)
    else parts = true
  }
  if (parts) return DEBUG
  return level === 0 ? ERR : level
}
