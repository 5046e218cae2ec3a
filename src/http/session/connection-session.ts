// A client's connection that speaks no HTTP: what sessions of stream and of mail have in common. Modules that the http block has,
// too, are handed a session as if it were a request: hence the fields they read.

import type { ProxyProtocol } from '../../codec/proxy-protocol.ts'
import { errorText } from '../../lib/errno.ts'
import { Timer, timers } from '../../lib/timer-wheel.ts'
import { INFO, type ErrorLog } from '../../log/error-log.ts'
import { accepted, type Connection, type ConnectionHandler } from '../../net/connection.ts'
import { opensslText } from '../../net/tls-errors.ts'
import { countClosed } from '../../zone/connection-counts.ts'
import { freshSlots } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import type { ListenRuntime } from '../runtime.ts'
import type { ClientTls } from '../ssl/client-tls.ts'
import type { ServerTls } from '../ssl/server-tls.ts'
import type { EntranceOwner } from './entrance.ts'
import { logTlsError } from './opening.ts'
import { PassedConnection } from './passed-connection.ts'
import type { Session, Sessions } from './sessions.ts'

/** What every server has whose sessions these are. */
interface ConnectionServer {
  readonly errorLog: ErrorLog
  readonly tls: ServerTls
}

export abstract class ConnectionSession<S extends ConnectionServer> implements EntranceOwner, Session {
  connection: Connection
  readonly listen: ListenRuntime
  readonly connectionNumber: number
  readonly connectedMs = Date.now()
  readonly startMs = this.connectedMs
  readonly idle = false
  readonly kept = false
  readonly spareSince = 0
  server: S
  proxyProtocol: ProxyProtocol | null = null
  tls: ClientTls | null = null
  clientAddress: string
  clientPort: number
  readonly localAddress: string
  readonly localPort: number
  readonly slots: unknown[] = freshSlots()
  /** It is over. */
  done = false
  /** What lines of the error log say was being done; '': they say it themselves. */
  action = ''
  /** null: it was accepted here. */
  readonly passed: PassedConnection | null
  protected readonly sessions: Sessions
  private readonly timer: Timer<ConnectionSession<S>>

  constructor(handle: unknown, listen: ListenRuntime, sessions: Sessions, number: number) {
    const passed = handle instanceof PassedConnection ? handle : null
    this.listen = listen
    this.sessions = sessions
    this.connectionNumber = number
    this.server = listen.defaultServer as unknown as S
    this.timer = new Timer<ConnectionSession<S>>(this, timedOut)
    this.passed = passed
    if (passed !== null) {
      this.proxyProtocol = passed.proxyProtocol
      this.tls = passed.tlsFor(listen.defaultServer)
    }
    this.connection = passed === null ? accepted(handle, this) : passed.take(this)
    const { address = 'unix:', port = 0 } = passed === null ? this.connection.peerName() : passed.peer
    this.clientAddress = address
    this.clientPort = port
    // Of a connection that has broken off nobody could tell.
    const local = passed ?? this.connection
    this.localAddress = local.localAddress
    this.localPort = local.localPort
  }

  // ── what a request has ───────────────────────────────────────────────────────────────────────────────────────────

  get stream(): this {
    return this
  }

  header(): null {
    return null
  }

  abstract log(level: number, message: string): void
  abstract note(level: number, message: string): void

  /** As log(), of what speaks for itself. */
  tell(message: string): void {
    this.server.errorLog.log(INFO, message, this.connectionNumber)
  }

  blankRequest(): HttpRequest {
    return this as unknown as HttpRequest
  }

  // ── what happens on the connection ───────────────────────────────────────────────────────────────────────────────

  abstract introduced(): boolean
  abstract spokePlainly(): void
  abstract entered(): void
  abstract handshakeDone(): void
  abstract onData(chunk: Buffer): void
  abstract onDrain(): void
  abstract onEnd(): void
  abstract onClose(error: NodeJS.ErrnoException | null): void
  abstract onTimeout(): void

  speaksHttp2(): ConnectionHandler {
    return this
  }

  /** @param handshaking TLS has begun, or was to @param doing for the log, behind what has happened */
  protected logBroken(error: NodeJS.ErrnoException, handshaking: boolean, doing: string): void {
    if (opensslText(error) !== null) logTlsError(this, error)
    else {
      const call = `${error.syscall === 'write' ? 'send' : 'recv'}() failed`
      const what = handshaking ? 'peer closed connection in SSL handshake' : call
      this.log(INFO, `${what} (${errorText(error)})${doing}`)
    }
  }

  // ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  abstract closeNow(): void
  /** What it used is given back, and its end is told. */
  protected abstract settle(): void

  /** It ends now, whatever it was at. */
  protected close(): void {
    if (this.done) return
    this.done = true
    this.forgetTimer()
    this.settle()
    this.connection.destroy()
    countClosed()
    this.sessions.remove(this)
  }

  /** The thread retires: a session goes on until it ends, or worker_shutdown_timeout is over. */
  retire(): void {}

  watch(ms: number): void {
    timers.arm(this.timer, ms)
  }

  unwatch(): void {
    timers.disarm(this.timer)
  }

  protected forgetTimer(): void {
    timers.release(this.timer)
  }
}

function timedOut<S extends ConnectionServer>(session: ConnectionSession<S>): void {
  session.onTimeout()
}
