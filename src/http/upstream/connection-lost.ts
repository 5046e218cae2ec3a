// What is said, and done, about a connection to an upstream that ended with an error.

import { errorText } from '../../lib/errno.ts'
import { CRIT, ERR } from '../../log/error-log.ts'
import { opensslText } from '../../net/tls-errors.ts'
import { CONNECTING, RELAYING } from './exchange-state.ts'
import type { Exchange } from './exchange.ts'
import { ERROR } from './settings.ts'

export function connectionLost(x: Exchange, error: NodeJS.ErrnoException): void {
  if (x.state === CONNECTING && x.link?.handshaking === true) {
    const text = opensslText(error)
    const why =
      text !== null ? `SSL_do_handshake() failed (SSL: ${text})` : error.code === undefined ? error.message : ''
    x.log(ERR, `${why === '' ? `recv() failed (${errorText(error)})` : why} while ${x.action()}`)
    x.failed(ERROR)
  } else if (error.syscall === 'bind') {
    x.log(CRIT, `bind(${x.link?.local?.text}) failed (${errorText(error)}) while ${x.action()}`)
    x.finalize(500)
  } else if (x.state === CONNECTING) {
    const { name } = x.choice.peer!
    const unix = name.startsWith('unix:')
    const level = error.code === 'ECONNREFUSED' || !unix ? ERR : CRIT
    x.log(level, `connect()${unix ? ` to ${name}` : ''} failed (${errorText(error)}) while ${x.action()}`)
    x.failed(ERROR)
  } else if (x.state === RELAYING) {
    x.log(ERR, `recv() failed (${errorText(error)}) while ${x.action()}`)
    x.cut()
  } else {
    if (!x.stale()) {
      const call = error.code === 'EPIPE' ? 'send' : 'recv'
      x.log(ERR, `${call}() failed (${errorText(error)}) while ${x.action()}`)
    }
    x.failed(ERROR)
  }
}
