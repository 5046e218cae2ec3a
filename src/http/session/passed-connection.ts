// A client's connection that has been a session of the stream block and goes on as another one (`pass`): what takes a new
// handle's place where sessions are made, and tells them what the connection itself cannot (ngx_stream_pass_module).

import type { ProxyProtocol } from '../../codec/proxy-protocol.ts'
import type { Connection, ConnectionHandler } from '../../net/connection.ts'
import type { ServerRuntime } from '../runtime.ts'
import type { ClientTls } from '../ssl/client-tls.ts'

/** The address it was passed to, which is what its client has connected to from then on. */
export interface PassedTo {
  readonly address: string
  readonly port: number
}

/** The session so far. */
interface Passing {
  readonly connection: Connection
  readonly clientAddress: string
  readonly clientPort: number
  readonly localAddress: string
  readonly localPort: number
  readonly connectionNumber: number
  readonly connectedMs: number
  readonly proxyProtocol: ProxyProtocol | null
  readonly tls: ClientTls | null
  readonly passed: PassedConnection | null
}

export class PassedConnection {
  /** The client, as Connection.peerName() tells of one. */
  readonly peer: { readonly address: string; readonly port: number }
  readonly connectionNumber: number
  readonly connectedMs: number
  readonly proxyProtocol: ProxyProtocol | null
  readonly localAddress: string
  readonly localPort: number
  /** How often it has been passed on. */
  readonly passes: number
  private readonly connection: Connection
  private readonly tls: ClientTls | null

  /** @param to null: where it has come to in the first place */
  constructor(session: Passing, to: PassedTo | null) {
    this.peer = { address: session.clientAddress, port: session.clientPort }
    this.connectionNumber = session.connectionNumber
    this.connectedMs = session.connectedMs
    this.proxyProtocol = session.proxyProtocol
    this.localAddress = to === null ? session.localAddress : to.address
    this.localPort = to === null ? session.localPort : to.port
    this.passes = (session.passed === null ? 0 : session.passed.passes) + 1
    this.connection = session.connection
    this.tls = session.tls
  }

  /** A handshake is not made twice. It named nobody among the servers of the address that the connection is passed to. */
  tlsFor(server: ServerRuntime): ClientTls | null {
    return this.tls === null ? null : this.tls.with(server)
  }

  /** It is that session's from now on. */
  take(handler: ConnectionHandler): Connection {
    this.connection.handler = handler
    return this.connection
  }
}
