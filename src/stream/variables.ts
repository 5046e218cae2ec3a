// The variables of sessions (ngx_stream_variables.c, ngx_stream_ssl_preread_module): what they share with requests comes from
// http/server/variables.ts.

import { ours, type Variable } from '../http/module.ts'
import { coreVariables } from '../http/server/variables.ts'
import type { ClientHello } from '../codec/tls-client-hello.ts'
import { ofSession } from './module.ts'
import { attemptsOf, type Attempt } from './proxy/attempts.ts'

const SHARED = ['binary_remote_addr', 'hostname', 'nginx_version', 'pid', 'remote_addr', 'remote_port', 'server_port']

/** What a module that knows requests tells of sessions, too. */
const ALSO_OF_SESSIONS =
  /^(?:ssl_|proxy_protocol_|realip_remote_|time_|msec$|connection$|bytes_sent$|status$|limit_conn_status$)/
/** Of these, what nginx has for requests alone. */
const OF_REQUESTS = /^ssl_(?:early_data|client_[is]_dn_legacy)$/

/** Do sessions have it, too? */
export function isOfSessions(name: string): boolean {
  return ALSO_OF_SESSIONS.test(name)
}

/** @param variables a module's */
export function ofSessions(variables: Readonly<Record<string, Variable>>): Readonly<Record<string, Variable>> {
  const shared = Object.entries(variables).filter(([name]) => isOfSessions(name))
  const known = shared.filter(([name]) => !OF_REQUESTS.test(name))
  const others = shared.filter(([name]) => OF_REQUESTS.test(name))
  return { ...Object.fromEntries(known), ...ours(Object.fromEntries(others)) }
}

export function familiesOfSessions<F>(families: Readonly<Record<string, F>>): Readonly<Record<string, F>> {
  return Object.fromEntries(Object.entries(families).filter(([name]) => isOfSessions(name)))
}

/** Milliseconds as seconds with three digits behind the point. */
function seconds(ms: number): string {
  return (Math.max(0, ms) / 1000).toFixed(3)
}

function ofHello(get: (hello: ClientHello) => string): Variable {
  return ofSession(session => (session.hello === null ? null : get(session.hello)))
}

/** Of each upstream that was tried, with a comma between them. */
function ofAttempts(get: (attempt: Attempt) => string): Variable {
  return ofSession(session => {
    const attempts = attemptsOf(session)
    return attempts.length === 0 ? null : attempts.map(get).join(', ')
  })
}

const duration = (ms: number): string => (ms < 0 ? '-' : seconds(ms))

export const streamVariables: Readonly<Record<string, Variable>> = {
  ...Object.fromEntries(SHARED.map(name => [name, coreVariables[name]!])),
  server_addr: ofSession(({ localAddress, listen }) => {
    return localAddress === '' && listen.address.startsWith('unix:') ? listen.address : localAddress
  }),
  server_name: ofSession(session => session.server.name),
  bytes_received: ofSession(session => `${session.bytesReceived}`),
  protocol: ofSession(session => session.protocol),
  session_time: ofSession(session => seconds(Date.now() - session.connectedMs)),
  ssl_preread_server_name: ofHello(hello => hello.spelledName),
  ssl_preread_alpn_protocols: ofHello(hello => hello.protocols.join(',')),
  ssl_preread_protocol: ofHello(hello => hello.version),
  upstream_addr: ofAttempts(attempt => attempt.addr),
  upstream_bytes_sent: ofAttempts(attempt => `${attempt.bytesSent}`),
  upstream_bytes_received: ofAttempts(attempt => `${attempt.bytesReceived}`),
  upstream_connect_time: ofAttempts(attempt => duration(attempt.connectMs)),
  upstream_first_byte_time: ofAttempts(attempt => duration(attempt.firstByteMs)),
  upstream_session_time: ofAttempts(attempt => duration(attempt.sessionMs)),
}
