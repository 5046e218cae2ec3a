// What the parts of a `stream` server are to the session: steps that may refuse it, one content handler, log handlers.

import type { ErrorLog } from '../log/error-log.ts'
import type { Variable } from '../http/module.ts'
import type { HttpRequest } from '../http/request.ts'
import type { Http2Settings } from '../http/h2/directives.ts'
import type { ServerTls } from '../http/ssl/server-tls.ts'
import type { StreamSession } from './session.ts'
import type { UdpSession } from './udp/session.ts'

/** Takes a session over once it is let in: it calls session.finalize() at the end. */
export interface Content {
  begin(session: StreamSession): void
  /** The same for datagrams, by who can do with them. */
  beginUdp?(session: UdpSession): void
}

/** One server, as its sessions read it. Times in ms, sizes in bytes. */
export interface StreamServer {
  readonly name: string
  /** `FILE:LINE` of its block. */
  readonly place: string
  errorLog: ErrorLog
  /** In their order: who the client is, `set`, limits, access rules. */
  readonly access: readonly { readonly run: (r: HttpRequest, conf: any) => number; readonly conf: unknown }[]
  readonly logs: readonly { readonly run: (r: HttpRequest, conf: any) => void; readonly conf: unknown }[]
  readonly content: Content
  /** Is the client's first message looked at, before anything is sent on (ssl_preread)? */
  readonly prereads: boolean
  readonly prereadBufferSize: number
  readonly prereadTimeout: number
  readonly proxyProtocolTimeout: number
  readonly handshakeTimeout: number
  readonly tcpNodelay: boolean
  readonly tls: ServerTls
  readonly http2: Http2Settings
}

/** A session where a request is expected: by modules that know both (ConnectionBuilder), and by templates' getters. */
export function asRequest(session: StreamSession | UdpSession): HttpRequest {
  return session as unknown as HttpRequest
}

/** A line of the error log with what a session's lines say: what was being done, the client, the server. */
export function logSession(
  session: StreamSession | UdpSession,
  client: 'client' | 'udp client',
  level: number,
  message: string,
  about: string,
): void {
  const { errorLog } = session.server
  if (level > errorLog.level) return
  const action = session.action === '' ? '' : ` while ${session.action}`
  const where = `${client}: ${session.clientAddress}, server: ${session.listen.address}`
  errorLog.log(level, `${message}${action}, ${where}${about}`, session.connectionNumber)
}

function sessionOf(r: HttpRequest): StreamSession | UdpSession {
  return r as unknown as StreamSession | UdpSession
}

/** A variable of sessions alone. */
export function ofSession(get: (session: StreamSession | UdpSession) => string | null): Variable {
  return { get: r => get(sessionOf(r)) }
}
