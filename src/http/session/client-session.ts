// What a client's connection is, whichever version of HTTP is spoken on it.

import type { RequestHead } from '../../codec/h1/request-head.ts'
import type { ProxyProtocol } from '../../codec/proxy-protocol.ts'
import { INFO } from '../../log/error-log.ts'
import type { Connection } from '../../net/connection.ts'
import type { ListenRuntime, ServerRuntime } from '../runtime.ts'
import type { PassedConnection } from './passed-connection.ts'
import type { Session, Sessions } from './sessions.ts'
import type { ClientTls } from '../ssl/client-tls.ts'

export const GONE_EARLY = 'client prematurely closed connection'

export abstract class ClientSession implements Session {
  abstract readonly connection: Connection
  abstract readonly clientAddress: string
  abstract readonly clientPort: number
  readonly listen: ListenRuntime
  readonly connectionNumber: number
  /** Date.now() when the connection was accepted. */
  readonly connectedMs: number
  proxyProtocol: ProxyProtocol | null = null
  tls: ClientTls | null = null
  /** null: it was accepted here. */
  passed: PassedConnection | null = null
  /** Requests begun on this connection. */
  requests = 0
  protected readonly sessions: Sessions

  constructor(listen: ListenRuntime, sessions: Sessions, number: number, connectedMs: number) {
    this.listen = listen
    this.sessions = sessions
    this.connectionNumber = number
    this.connectedMs = connectedMs
  }

  abstract get idle(): boolean
  abstract get kept(): boolean
  abstract get spareSince(): number
  abstract closeNow(): void
  abstract retire(): void

  get descriptor(): number {
    return this.connection.descriptor
  }

  get localAddress(): string {
    return this.passed === null ? this.connection.localAddress : this.passed.localAddress
  }

  get serverAddress(): string {
    const { localAddress, listen } = this
    return localAddress === '' && listen.address.startsWith('unix:') ? listen.address : localAddress
  }

  get localPort(): number {
    return this.passed === null ? this.connection.localPort : this.passed.localPort
  }

  /** Whose limits hold before a request has named its host: the server that TLS has named, or the address's default. */
  get mainServer(): ServerRuntime {
    return this.tls?.server ?? this.listen.defaultServer
  }

  /** Who names no host, as HTTP/1.0 may, gets the server that is called "". */
  protected serverOf(head: RequestHead): ServerRuntime {
    if (head.host !== null) return this.listen.serverFor(head.host)
    return head.status === 0 ? this.listen.serverFor('') : this.mainServer
  }

  /** The client has closed a connection on which no request is under way any more.
   *  @param error with which error of the network's, as a log has it behind what happened */
  protected noteLeft(error = ''): void {
    const { clientAddress, connectionNumber } = this
    this.sessions.errorLog.log(INFO, `client ${clientAddress} closed keepalive connection${error}`, connectionNumber)
  }

  /** Logs what is no request's. */
  note(level: number, message: string): void {
    this.sessions.log(level, `${message}, client: ${this.clientAddress}`, this)
  }
}
