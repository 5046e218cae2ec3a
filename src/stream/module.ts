// What the parts of a `stream` server are to the session: steps that may refuse it, one content handler, log handlers.

import type { ErrorLog } from '../log/error-log.ts'
import type { Variable } from '../http/module.ts'
import type { HttpRequest } from '../http/request.ts'
import type { Http2Settings } from '../http/h2/directives.ts'
import type { ServerTls } from '../http/ssl/server-tls.ts'
import type { StreamSession } from './session.ts'

/** Takes a session over once it may pass: it calls session.finalize() at the end. */
export interface Content {
  begin(session: StreamSession): void
}

/** One server, as its sessions read it. Times in ms, sizes in bytes. */
export interface StreamServer {
  readonly name: string
  errorLog: ErrorLog
  readonly access: readonly { readonly run: (r: HttpRequest, conf: any) => number; readonly conf: unknown }[]
  readonly logs: readonly { readonly run: (r: HttpRequest, conf: any) => void; readonly conf: unknown }[]
  readonly assignments: readonly Assignment[]
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

/** `set` */
export interface Assignment {
  readonly variable: Variable
  readonly value: { get(r: HttpRequest): string }
}

/** A session where a request is expected: by modules that know both (ConnectionBuilder), and by templates' getters. */
export function asRequest(session: StreamSession): HttpRequest {
  return session as unknown as HttpRequest
}

function sessionOf(r: HttpRequest): StreamSession {
  return r as unknown as StreamSession
}

/** A variable of sessions alone. */
export function ofSession(get: (session: StreamSession) => string | null): Variable {
  return { get: r => get(sessionOf(r)) }
}
