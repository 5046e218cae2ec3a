// What a client sends to a UDP address of a `stream` server, as one session: access rules, the content handler, which answers
// the datagrams or passes them on, and the line in the log.
//
// To modules it looks as a session of TCP does (../session.ts), and so as a request.

import type { ListenRuntime } from '../../http/runtime.ts'
import { freshSlots } from '../../http/module.ts'
import type { Session, Sessions } from '../../http/session/sessions.ts'
import { Timer, timers } from '../../lib/timer-wheel.ts'
import { ALERT, INFO } from '../../log/error-log.ts'
import { addressOf, failureText, ipText, isLoss, isUnreachable } from '../../net/udp-socket.ts'
import { peerName } from '../../upstream/server.ts'
import { countClosed } from '../../zone/connection-counts.ts'
import type { StreamListen } from '../listen.ts'
import { asRequest, logSession, type StreamServer } from '../module.ts'
import type { UdpListener } from './listener.ts'

/** Datagrams that wait for an upstream's name to be resolved; their bytes have a limit, too. */
const WAITING_MAX = 64

/** Who hears of the client's datagrams once the content has begun. */
export interface DatagramTaker {
  /** May another one come now? */
  admits(): boolean
  /** The bytes are valid during the call. */
  fromClient(bytes: Buffer): void
  onTimeout(): void
  /** No more of the client's datagrams will come. */
  onRetire(): void
}

export class UdpSession implements Session {
  readonly protocol = 'UDP'
  readonly listen: ListenRuntime
  readonly connectionNumber: number
  readonly connectedMs = Date.now()
  readonly startMs = this.connectedMs
  readonly idle = false
  readonly kept = false
  readonly spareSince = 0
  readonly proxyProtocol = null
  readonly tls = null
  readonly hello = null
  readonly descriptor = -1
  readonly server: StreamServer
  clientAddress: string
  clientPort: number
  readonly localAddress: string
  readonly localPort: number
  /** As a connection counts them: from and to the client. */
  bytesReceived: number
  bytesOut = 0
  /** Datagrams from the client, and to it. */
  requests = 1
  responses = 0
  /** 200, 400, 403, 500, 502, 503. */
  status = 0
  readonly slots: unknown[] = freshSlots()
  /** As a request of a client's own. */
  readonly parent = null
  readonly errorStatus = 0
  cleanups: (() => void)[] | null = null
  done = false
  /** No more datagrams will come. */
  retiring = false
  /** What is being done, for the log. */
  action = ''
  /** Of its content, for variables. */
  exchange: unknown = null
  /** The client, as the kernel writes its address; our address; and what its listener knows it by. */
  readonly from: string
  readonly to: string
  readonly key: string
  private readonly listener: UdpListener
  private readonly sessions: Sessions
  private readonly timer: Timer<UdpSession>
  private taker: DatagramTaker | null = null
  private waiting: Buffer[]
  private waitingMax = 0
  /** After so many of the client's datagrams others begin another session; 0: any number. */
  private requestsMax = 0

  constructor(
    listener: UdpListener,
    sessions: Sessions,
    number: number,
    key: string,
    from: string,
    to: string,
    first: Buffer,
  ) {
    this.listener = listener
    this.sessions = sessions
    this.connectionNumber = number
    this.key = key
    this.from = from
    this.to = to
    this.localAddress = ipText(to)
    this.localPort = listener.port
    this.listen = listener.runtimeFor(this.localAddress)
    this.server = (this.listen as unknown as StreamListen).defaultServer
    const { address, port } = addressOf(from)
    this.clientAddress = address
    this.clientPort = port
    this.bytesReceived = first.length
    this.waiting = [first]
    this.timer = new Timer<UdpSession>(this, timedOut)
  }

  opened(): void {
    const { server, clientAddress, clientPort } = this
    if (server.errorLog.level >= INFO) {
      this.tell(`udp client ${peerName(clientAddress, clientPort)} connected to ${this.listen.address}`)
    }
    this.action = 'initializing session'
    for (const { run, conf } of this.server.access) {
      const status = run(asRequest(this), conf)
      if (this.done) return
      if (status < 200) continue
      this.finalize(status)
      return
    }
    this.action = ''
    const { content } = this.server
    if (content.beginUdp === undefined) this.finalize(500)
    else content.beginUdp(this)
  }

  // ── what a request has ───────────────────────────────────────────────────────────────────────────────────────────

  get stream(): this {
    return this
  }

  get connection(): this {
    return this
  }

  /** Sent to the client. */
  get bytesSent(): number {
    return this.bytesOut
  }

  /** Something to run at the session's end. */
  onEnd(cleanup: () => void): void {
    if (this.cleanups === null) this.cleanups = [cleanup]
    else this.cleanups.push(cleanup)
  }

  header(): null {
    return null
  }

  /** @param about what else there is to say of it, behind the client and the server */
  log(level: number, message: string, about = ''): void {
    logSession(this, 'udp client', level, message, about)
  }

  /** As log(), of what speaks for itself. */
  tell(message: string): void {
    this.server.errorLog.log(INFO, message, this.connectionNumber)
  }

  // ── datagrams ────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @param waitingMax how many bytes may wait for somebody to take them, the first datagram aside */
  limit(requestsMax: number, waitingMax: number): void {
    this.requestsMax = requestsMax
    this.waitingMax = this.bytesReceived + waitingMax
    this.settleRequests()
  }

  private settleRequests(): void {
    if (this.requestsMax > 0 && this.requests >= this.requestsMax) this.listener.forget(this)
  }

  /** Another datagram. What cannot be taken is lost, as anywhere on the way. */
  receive(bytes: Buffer): void {
    const { taker } = this
    const taken = taker === null ? this.mayWait(bytes) : taker.admits()
    if (!taken) return
    this.requests++
    this.bytesReceived += bytes.length
    this.settleRequests()
    if (taker === null) this.waiting.push(Buffer.from(bytes))
    else taker.fromClient(bytes)
  }

  private mayWait(bytes: Buffer): boolean {
    return this.waiting.length < WAITING_MAX && this.bytesReceived + bytes.length <= this.waitingMax
  }

  /** From now on the taker hears of the client's datagrams. Answers those that have come. */
  take(taker: DatagramTaker): readonly Buffer[] {
    const { waiting } = this
    this.waiting = []
    this.taker = taker
    return waiting
  }

  /** To the client. What the kernel has no room for is lost. @returns false: the client cannot be reached at all, which is told */
  reply(bytes: Buffer, action: string): boolean {
    this.responses++
    const error = this.listener.send(this, bytes)
    if (error === 0) this.bytesOut += bytes.length
    else if (!isLoss(error)) {
      this.action = action
      this.log(isUnreachable(error) ? INFO : ALERT, `sendmsg() failed (${failureText(error)})`)
      return false
    }
    return true
  }

  // ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  finalize(status: number): void {
    if (this.done) return
    this.done = true
    timers.release(this.timer)
    this.listener.forget(this)
    if (this.status === 0) this.status = status
    const r = asRequest(this)
    // First what it used is given back: then its numbers are final.
    for (const cleanup of this.cleanups ?? []) cleanup()
    for (const { run, conf } of this.server.logs) run(r, conf)
    countClosed()
    this.sessions.remove(this)
  }

  closeNow(): void {
    this.finalize(200)
  }

  retire(): void {
    this.retiring = true
    this.taker?.onRetire()
  }

  watch(ms: number): void {
    timers.arm(this.timer, ms)
  }

  unwatch(): void {
    timers.disarm(this.timer)
  }

  onTimeout(): void {
    if (!this.done) this.taker?.onTimeout()
  }
}

function timedOut(session: UdpSession): void {
  session.onTimeout()
}
