// What an SMTP client's machine is called, if its name leads back to it: for who decides whether it may send
// (ngx_mail_smtp_resolve_addr_handler).

import { ERR } from '../log/error-log.ts'
import { canonicalAddress } from '../lib/networks.ts'
import { codeText, NOT_FOUND } from '../upstream/resolution.ts'
import type { MailSession } from './session.ts'

const UNKNOWN = '[UNAVAILABLE]'
const UNKNOWN_NOW = '[TEMPUNAVAIL]'

/** Sets session.host and calls `done`, perhaps before this returns; not for a session that is over. */
export function findClientHost(session: MailSession, done: () => void): void {
  const { resolver } = session.server
  const settle = (host: string): void => {
    session.host = host
    done()
  }
  if (resolver === null || session.clientAddress === 'unix:') {
    settle(resolver === null ? UNKNOWN : UNKNOWN_NOW)
    return
  }
  session.action = 'in resolving client address'
  const waiter = resolver.resolver.resolveAddress(session.clientAddress, resolver.timeoutMs, ({ code, names }) => {
    session.waiter = null
    const [name = ''] = names
    if (code !== 0) {
      session.log(ERR, `${session.clientAddress} could not be resolved (${codeText(code)})`)
      settle(unknown(code))
    } else if (!/^[A-Za-z0-9.-]+$/.test(name)) {
      session.log(ERR, `${session.clientAddress} resolved to invalid host name "${name}"`)
      settle(UNKNOWN_NOW)
    } else confirm(session, name, settle)
  })
  // What was known at once has gone on already.
  if (waiter !== null) session.waiter = waiter
}

function confirm(session: MailSession, name: string, settle: (host: string) => void): void {
  const { resolver, timeoutMs } = session.server.resolver!
  session.action = 'in resolving client hostname'
  const waiter = resolver.resolve(name, timeoutMs, ({ code, addresses }) => {
    session.waiter = null
    if (code !== 0) session.log(ERR, `"${name}" could not be resolved (${codeText(code)})`)
    const client = canonicalAddress(session.clientAddress)
    const leadsBack = addresses.some(address => canonicalAddress(address) === client)
    settle(code !== 0 ? unknown(code) : leadsBack ? name : UNKNOWN)
  })
  if (waiter !== null) session.waiter = waiter
}

function unknown(code: number): string {
  return code === NOT_FOUND ? UNKNOWN : UNKNOWN_NOW
}
