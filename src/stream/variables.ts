// The variables of sessions (ngx_stream_variables.c, ngx_stream_ssl_preread_module): what they share with requests comes from
// http/server/variables.ts.

import type { Variable } from '../http/module.ts'
import { coreVariables } from '../http/server/variables.ts'
import type { ClientHello } from '../codec/tls-client-hello.ts'
import { ofSession } from './module.ts'
import { attemptsOf, type Attempt } from './proxy/attempts.ts'

const SHARED = [
  'binary_remote_addr',
  'hostname',
  'nginx_version',
  'pid',
  'remote_addr',
  'remote_port',
  'server_addr',
  'server_port',
]

/** What a module that knows requests tells of sessions, too. */
export const ALSO_OF_SESSIONS =
  /^(?:ssl_|proxy_protocol_|realip_remote_|time_|msec$|connection$|bytes_sent$|status$|limit_conn_status$)/

/** Milliseconds as seconds with three digits behind the point. */
function seconds(ms: number): string {
  return (Math.max(0, ms) / 1000).toFixed(3)
}

function ofHello(get: (hello: ClientHello) => string): Variable {
  return ofSession(session => {
    const text = session.hello === null ? '' : get(session.hello)
    return text === '' ? null : text
  })
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
  server_name: ofSession(session => session.server.name),
  bytes_received: ofSession(session => `${session.connection.bytesIn}`),
  protocol: ofSession(session => session.protocol),
  session_time: ofSession(session => seconds(Date.now() - session.connectedMs)),
  ssl_preread_server_name: ofHello(hello => hello.serverName),
  ssl_preread_alpn_protocols: ofHello(hello => hello.protocols.join(',')),
  ssl_preread_protocol: ofHello(hello => hello.version),
  upstream_addr: ofAttempts(attempt => attempt.addr),
  upstream_bytes_sent: ofAttempts(attempt => `${attempt.bytesSent}`),
  upstream_bytes_received: ofAttempts(attempt => `${attempt.bytesReceived}`),
  upstream_connect_time: ofAttempts(attempt => duration(attempt.connectMs)),
  upstream_first_byte_time: ofAttempts(attempt => duration(attempt.firstByteMs)),
  upstream_session_time: ofAttempts(attempt => duration(attempt.sessionMs)),
}
