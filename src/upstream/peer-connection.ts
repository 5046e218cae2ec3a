// A connection to a peer through its whole life: connecting, serving one request after another, idle in between. It has
// the one timer that watches it, whoever uses it, and passes what happens on to its present user.

import { monotonic } from '../lib/clock.ts'
import { connect } from '../net/connection.ts'
import type { Connection, ConnectionHandler, LocalAddress } from '../net/connection.ts'
import type { SocketBuffers } from '../net/socket-options.ts'
import { Timer, timers } from '../lib/timer-wheel.ts'
import { peers } from './connection-limit.ts'
import type { KeepalivePool } from './keepalive.ts'
import type { Peer } from './peer.ts'
import { faultOf, secure } from './peer-tls.ts'
import type { PeerTls } from './peer-tls.ts'

/** Who has the connection at the moment: a request's exchange. */
export interface PeerUser extends ConnectionHandler {
  /** What goes to the peer before TLS begins; '' for nothing. */
  preface?(): string
  onConnect(): void
  /** The timer armed with PeerConnection.watch() is due. */
  onTimeout(): void
}

export class PeerConnection implements ConnectionHandler {
  readonly peer: Peer
  connection: Connection
  user: PeerUser | null
  connected = false
  /** The peer has closed its side. */
  ended = false
  /** Requests it has carried. */
  requests = 0
  /** ms, of the process's clock; a whole number. */
  readonly startedAt: number
  /** The pool it waits in, and for whom (see KeepalivePool). */
  pool: KeepalivePool | null = null
  tag: unknown = null
  /** The protocol spoken on it, which whoever takes it over must speak too. */
  spoken: unknown = null
  /** The user's parser, kept from request to request. */
  reader: unknown = null
  /** connection.bytesOut when the present request began. */
  bytesBefore = 0
  /** null: in plain text. */
  readonly tls: PeerTls | null
  /** The address of ours it was made from; null: any. */
  readonly local: LocalAddress | null
  /** The TLS handshake is under way. */
  handshaking = false
  /** Among those of the thread (connection-limit.ts). */
  private counted = true
  private readonly timer: Timer<PeerConnection>

  constructor(
    peer: Peer,
    user: PeerUser,
    tls: PeerTls | null = null,
    local: LocalAddress | null = null,
    buffers: SocketBuffers | null = null,
  ) {
    this.tls = tls
    this.local = local
    this.peer = peer
    this.user = user
    this.startedAt = Math.floor(monotonic())
    this.timer = new Timer<PeerConnection>(this, timedOut)
    peers.size++
    this.connection = connect(peer.address, this, connected, local, buffers)
    // With TLS what is read last would be half a record.
    this.connection.readsOut = tls === null
    // A request's head and its body may leave in two segments; the second must not wait for the first's acknowledgement.
    if ('port' in peer.address) this.connection.socket.setNoDelay(true)
  }

  watch(ms: number): void {
    timers.arm(this.timer, ms)
  }

  unwatch(): void {
    timers.disarm(this.timer)
  }

  /** Ends it at once; its user hears no more of it. */
  close(): void {
    this.user = null
    timers.release(this.timer)
    this.uncount()
    this.connection.destroy()
  }

  private uncount(): void {
    if (!this.counted) return
    this.counted = false
    peers.size--
  }

  onData(chunk: Buffer): void {
    if (this.user !== null) this.user.onData(chunk)
    // An answer nobody asked for: what it belongs to cannot be known.
    else this.dropIdle()
  }

  onEnd(): void {
    this.ended = true
    if (this.user !== null) this.user.onEnd()
    else this.dropIdle()
  }

  onDrain(): void {
    if (this.user !== null) this.user.onDrain()
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    timers.release(this.timer)
    this.uncount()
    const { user } = this
    this.user = null
    if (user !== null) user.onClose(error)
    else this.dropIdle()
  }

  /** For connect(). */
  onConnected(): void {
    const { tls } = this
    if (tls === null) {
      this.ready()
      return
    }
    this.handshaking = true
    const preface = this.user?.preface?.() ?? ''
    if (preface !== '') this.connection.writeText(preface)
    const connection = secure(this.connection, this.peer, tls, this, () => {
      const fault = faultOf(connection, tls)
      if (fault === '') this.ready()
      else this.connection.socket.destroy(new Error(fault))
    })
    this.connection = connection
  }

  private ready(): void {
    this.handshaking = false
    this.connected = true
    if (this.user !== null) this.user.onConnect()
  }

  /** Of an idle connection, or one that is closing already. */
  dropIdle(): void {
    if (this.pool !== null) this.pool.remove(this)
    this.close()
  }
}

function connected(one: ConnectionHandler): void {
  ;(one as PeerConnection).onConnected()
}

function timedOut(one: PeerConnection): void {
  if (one.user !== null) one.user.onTimeout()
  else one.dropIdle()
}
