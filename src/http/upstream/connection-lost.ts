// What is said, and done, about a connection to an upstream that ended with an error.

import { errorText, ownCall } from '../../lib/errno.ts'
import { ALERT, CRIT, ERR } from '../../log/error-log.ts'
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
  } else if (ownCall(error) === 'socket') {
    x.unconnected(ALERT, `socket() failed (${errorText(error)})`)
  } else if (error.syscall === 'bind') {
    x.unconnected(CRIT, `bind(${x.link?.local?.text}) failed (${errorText(error)})`)
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
