// What is said, and done, about a connection to an upstream that ended with an error.

import { errorText, ownCall } from '../../lib/errno.ts'
import { ALERT, CRIT, ERR } from '../../log/error-log.ts'
import { opensslText } from '../../net/tls-errors.ts'
import { CONNECTING, RELAYING } from './exchange-state.ts'
import type { Exchange } from './exchange.ts'
import { ERROR } from './settings.ts'

export function connectionLost(x: Exchange, error: NodeJS.ErrnoException): void {
  if (x.state === CONNECTING && x.link?.handshaking === true) {
    x.log(ERR, `${brokenHandshake(error)} while ${x.action()}`)
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
    x.log(ERR, `${brokenCall(x.buffering ? 'readv' : 'recv', error)} while ${x.action()}`)
    x.cut(true)
  } else {
    const call = error.code === 'EPIPE' ? 'send' : 'recv'
    x.log(ERR, `${brokenCall(call, error)} while ${x.action()}`)
    x.failed(ERROR)
  }
}

/** How a handshake with a server has failed. */
function brokenHandshake(error: NodeJS.ErrnoException): string {
  const text = opensslText(error)
  if (text !== null) return `SSL_do_handshake() failed (SSL: ${text})`
  // What has been found of its certificate speaks for itself.
  return error.code === undefined ? error.message : `peer closed connection in SSL handshake (${errorText(error)})`
}

function brokenCall(call: string, error: NodeJS.ErrnoException): string {
  const text = opensslText(error)
  return text === null ? `${call}() failed (${errorText(error)})` : `SSL_read() failed (SSL: ${text})`
}
