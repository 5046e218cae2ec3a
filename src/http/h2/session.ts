// One HTTP/2 connection of a client: between the connection and the codec's Endpoint. It feeds what comes in, writes what goes
// out (once per turn of the event loop, for all streams together), and decides when the connection ends.
//
//   onData ─▶ endpoint.feed ─▶ streams … ─▶ flush           what was asked for by events: at the end of the event
//   outputWaits ─▶ setImmediate ─▶ flush                    what others bring (upstreams, timers, files): once a turn
//
// A client that does not read costs no more than OUTPUT_MAX and its streams' queues: beyond, it is not read either.

import { returnWriter } from '../../codec/h2/byte-writer.ts'
import type { ByteWriter } from '../../codec/h2/byte-writer.ts'
import { DEFAULT_WINDOW, NO_ERROR, PROTOCOL_ERROR } from '../../codec/h2/constants.ts'
import { Endpoint, type EndpointOwner } from '../../codec/h2/endpoint.ts'
import type { Stream } from '../../codec/h2/stream.ts'
import { errorText } from '../../lib/errno.ts'
import { Timer, timers } from '../../lib/timer-wheel.ts'
import { INFO } from '../../log/error-log.ts'
import type { Connection, ConnectionHandler } from '../../net/connection.ts'
import { opensslText } from '../../net/tls-errors.ts'
import { nextSpare } from '../../upstream/connection-limit.ts'
import { countClosed, countMove, GONE, WAITING, WRITING } from '../../zone/connection-counts.ts'
import { ClientSession, GONE_EARLY } from '../session/client-session.ts'
import type { ServerRuntime } from '../runtime.ts'
import { lastingOn } from '../session/lasting.ts'
import type { Sessions } from '../session/sessions.ts'
import { settingsFor } from './endpoint-settings.ts'
import { Http2Stream } from './stream.ts'

/** Bytes waiting for a client that takes none. */
const OUTPUT_MAX = 262144

const TIMED_OUT = 'client timed out (110: Connection timed out)'

// What the timer of a connection is about, besides the stream whose head is under way.
const NOTHING = 0
const BUSY = -1
const OPENING = -2
const IDLE = -3

/** Bytes a connection may send before others have their turn. */
const TURN = 1048576

export class Http2Session extends ClientSession implements ConnectionHandler, EndpointOwner {
  readonly connection: Connection
  readonly clientAddress: string
  readonly clientPort: number
  readonly endpoint: Endpoint
  readonly prereadSize: number
  /** Whose limits hold for the connection: the one that TLS has named, or the address's default. */
  readonly server: ServerRuntime
  private readonly timer: Timer<Http2Session>
  private counted = WAITING
  /** Requests under way: streams may be closed before, or after. */
  private active = 0
  private lingering = 0
  /** What the transport has not taken yet; its bytes must stay as they are. */
  private inFlight: ByteWriter | null = null
  private receiving = false
  private scheduled = false
  private ending = false
  /** It hears nothing more, as nginx sees it. */
  private clientEnded = false
  private closed = false
  /** The connection has ended; requests that outlive it may still be under way. */
  private gone = false
  /** No request is to outlive the connection. */
  final = false
  private lingerUntil = 0
  private queuedBefore = 0
  private awaited = OPENING
  private spareFrom = nextSpare()

  /** @param opened the session that has opened the connection, and hands it over */
  constructor(opened: ClientSession, sessions: Sessions) {
    super(opened.listen, sessions, opened.connectionNumber, opened.connectedMs)
    this.connection = opened.connection
    this.proxyProtocol = opened.proxyProtocol
    this.tls = opened.tls
    this.passed = opened.passed
    this.clientAddress = opened.clientAddress
    this.clientPort = opened.clientPort
    this.timer = new Timer<Http2Session>(this, timedOut)
    this.server = this.mainServer
    this.prereadSize = this.server.http2.prereadSize
    this.endpoint = new Endpoint(this, settingsFor(this.server))
    this.connection.handler = this
    timers.arm(this.timer, this.server.clientHeaderTimeout)
    this.endpoint.start()
  }

  get idle(): boolean {
    return this.active === 0
  }

  /** Idle, and it has had an answer. */
  get kept(): boolean {
    return this.active === 0 && this.requests > 0
  }

  get spareSince(): number {
    return this.active === 0 ? this.spareFrom : 0
  }

  // ── the connection ───────────────────────────────────────────────────────────────────────────────────────────────

  onData(chunk: Buffer): void {
    if (this.closed || this.ending) return
    this.receiving = true
    this.endpoint.feed(chunk, 0, chunk.length)
    this.receiving = false
    this.flush()
    if (!this.ending && this.connection.pending === 0) this.rearm()
  }

  onEnd(): void {
    this.clientEnded = true
    this.noteEnd()
    this.onLostHead(this.endpoint.receiver.loseHead())
    this.streamsGone()
    this.hangUp()
  }

  onDrain(): void {
    if (this.inFlight !== null) returnWriter(this.inFlight)
    this.inFlight = null
    this.endpoint.sender.blocked = false
    this.flush()
    if (this.closed || this.ending || this.connection.pending > 0) return
    this.connection.resume()
    this.rearm()
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    if (error !== null && !this.closed) {
      this.noteError(error)
      this.onLostHead(this.endpoint.receiver.loseHead())
    }
    this.closed = true
    this.endpoint.failed = true
    this.streamsGone()
    timers.release(this.timer)
    this.endpoint.sender.drop()
    this.gone = true
    if (this.active === 0 || this.final) this.leave()
  }

  private noteEnd(): void {
    const { failed, receiver } = this.endpoint
    if (!failed && (this.active > 0 || receiver.partial)) this.note(INFO, GONE_EARLY)
  }

  private noteError(error: NodeJS.ErrnoException): void {
    const text = opensslText(error)
    if (text !== null) this.note(INFO, `SSL_read() failed (SSL: ${text})`)
    else if (this.tls === null) this.note(INFO, `recv() failed (${errorText(error)})`)
    // To OpenSSL a connection that breaks between two records has but ended.
    else this.noteEnd()
  }

  private leave(): void {
    this.gone = false
    this.count(GONE)
    countClosed()
    this.sessions.remove(this)
  }

  /** Hands what waits to the connection. */
  flush(): void {
    const { connection, endpoint } = this
    const { sender } = endpoint
    let left = TURN
    while (!sender.blocked && !this.closed) {
      if (left <= 0) {
        this.schedule()
        break
      }
      sender.fill()
      const writer = sender.take()
      if (writer === null) break
      left -= writer.length
      connection.write(writer.bytes.subarray(0, writer.length))
      if (connection.pending === 0) returnWriter(writer)
      else this.hold(writer)
    }
    if (this.ending) this.finishEnding()
    else if (sender.blocked && sender.waiting > OUTPUT_MAX) connection.pause()
    else if (this.active === 0 && endpoint.goingAway && sender.waiting === 0) this.end()
  }

  private hold(writer: ByteWriter): void {
    this.inFlight = writer
    this.endpoint.sender.blocked = true
    this.awaitClient()
  }

  outputWaits(): void {
    if (!this.receiving) this.schedule()
  }

  private schedule(): void {
    if (this.scheduled) return
    this.scheduled = true
    if (scheduled.push(this) === 1) setImmediate(flushScheduled)
  }

  flushScheduled(): void {
    this.scheduled = false
    if (this.closed) return
    this.flush()
    if (!this.ending && this.connection.pending === 0) this.rearm()
  }

  // ── streams ──────────────────────────────────────────────────────────────────────────────────────────────────────

  openStream(id: number, ended: boolean): Stream | null {
    const { http2, outside } = this.server
    if (this.active >= http2.concurrentStreams) {
      this.note(INFO, `concurrent streams exceeded ${this.active}`)
      return null
    }
    // It does not know yet how little of a body it may send unasked.
    if (!ended && this.prereadSize < DEFAULT_WINDOW && !this.endpoint.settingsAcknowledged) {
      this.note(INFO, 'client sent stream with data before settings were acknowledged')
      return null
    }
    this.active++
    this.requests++
    this.count(WRITING)
    const tooOld = Date.now() - this.connectedMs > outside.keepaliveTime
    if (this.requests >= outside.keepaliveRequests || outside.keepaliveTimeout === 0 || tooOld)
      this.endpoint.goAway(NO_ERROR)
    return new Http2Stream(this, id, this.requests)
  }

  /** An answered stream wants to wait for its end: not too many of them do. */
  mayLinger(): boolean {
    if (this.lingering >= this.server.http2.concurrentStreams) return false
    this.lingering++
    return true
  }

  lingered(): void {
    this.lingering--
  }

  requestEnded(): void {
    if (--this.active > 0 || this.counted === GONE) return
    if (this.gone) {
      this.leave()
      return
    }
    this.count(WAITING)
    this.spareFrom = nextSpare()
    if (this.sessions.draining) this.endpoint.goAway(NO_ERROR)
    this.outputWaits()
  }

  private count(state: number): void {
    countMove(this.counted, state)
    this.counted = state
  }

  private streamsGone(): void {
    for (const stream of this.endpoint.streams.values()) {
      this.endpoint.close(stream)
      ;(stream as Http2Stream).clientGone()
    }
  }

  onSettings(): void {}
  onPong(): void {}
  onGoaway(): void {}

  onUnknownFrame(type: number): void {
    this.note(INFO, `client sent frame with unknown type ${type}`)
  }

  onConnectionError(_code: number, message: string): void {
    // What it did begins with a verb.
    this.note(INFO, /^(?:sent|violated) /.test(message) ? `client ${message}` : message)
    this.streamsGone()
    this.end()
  }

  onLostHead(length: number): void {
    if (length >= 0) this.logLostHead(length, 0, '')
  }

  /** A request whose head has not come to its end is logged for all that. */
  private logLostHead(length: number, status: number, message: string): void {
    this.active++
    this.requests++
    new Http2Stream(this, this.endpoint.lastPeerStream, this.requests).begone(length, status, message)
  }

  override note(level: number, message: string): void {
    super.note(level, `${message} while processing HTTP/2 connection`)
  }

  // ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Requests that are under way are answered; others the client may ask somebody else for. */
  retire(): void {
    if (this.closed || this.ending) return
    this.endpoint.goAway(NO_ERROR)
    this.outputWaits()
  }

  get lasting(): boolean {
    if (this.closed || this.ending) return true
    return this.active > 0 && this.active === lastingOn(this.connectionNumber)
  }

  /** Says goodbye, sends what waits and closes; what the client still sends is read and dropped for a while, for a close with
   *  unread data would be a reset that takes our last words with it. */
  private end(): void {
    if (this.closed || this.ending) return
    this.ending = true
    timers.arm(this.timer, this.server.outside.sendTimeout)
    if (!this.receiving) this.flush()
  }

  private finishEnding(): void {
    if (this.closed || this.lingerUntil > 0 || this.endpoint.sender.waiting > 0 || this.connection.pending > 0) return
    const { lingeringClose, lingeringTime, lingeringTimeout } = this.server.outside
    if (lingeringClose === 'off') {
      this.hangUp()
      return
    }
    this.lingerUntil = performance.now() + lingeringTime
    this.connection.shutdown()
    this.connection.resume()
    timers.arm(this.timer, Math.min(lingeringTime, lingeringTimeout))
  }

  closeNow(): void {
    this.final = true
    if (this.gone) this.leave()
    else this.hangUp()
  }

  private hangUp(): void {
    if (this.closed) return
    if (!this.clientEnded) this.endpoint.goAway(NO_ERROR)
    const { sender } = this.endpoint
    const last = sender.blocked ? null : sender.take()
    if (last !== null) this.connection.write(Buffer.from(last.bytes.subarray(0, last.length)))
    if (last !== null) returnWriter(last)
    this.closed = true
    this.endpoint.failed = true
    timers.release(this.timer)
    this.streamsGone()
    this.connection.destroy()
  }

  // ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** What is the connection waiting for, and how long may it? What comes meanwhile gains no time, pings least of all. */
  private rearm(): void {
    const { server, awaited } = this
    const { receiver } = this.endpoint
    this.awaited = receiver.midway || (this.active > 0 ? BUSY : receiver.begun ? IDLE : OPENING)
    if (this.awaited === awaited) return
    if (this.awaited === BUSY) timers.disarm(this.timer)
    else if (this.awaited === IDLE) timers.arm(this.timer, server.outside.keepaliveTimeout)
    else timers.arm(this.timer, server.clientHeaderTimeout)
  }

  private awaitClient(): void {
    this.awaited = NOTHING
    this.queuedBefore = this.connection.queued
    timers.arm(this.timer, this.server.outside.sendTimeout)
  }

  onTimeout(): void {
    const { connection } = this
    if (this.lingerUntil > 0 || this.ending) {
      this.hangUp()
      return
    }
    if (connection.pending > 0 && connection.queued !== this.queuedBefore) {
      this.awaitClient()
      return
    }
    const { receiver } = this.endpoint
    const lost = connection.pending === 0 ? receiver.abandon() : -1
    if (lost >= 0) {
      this.logLostHead(lost, 408, TIMED_OUT)
      this.flush()
      this.rearm()
    } else if (connection.pending > 0 || receiver.incomplete) {
      // Of a client that does not read nginx has no word.
      if (connection.pending === 0) this.note(INFO, TIMED_OUT)
      const reset = this.server.outside.resetTimedoutConnection
      this.streamsGone()
      if (reset) connection.reset()
      this.endpoint.goAway(PROTOCOL_ERROR)
      this.hangUp()
    } else if (this.active === 0) {
      this.endpoint.goAway(NO_ERROR)
      this.flush()
    }
  }
}

function timedOut(session: Http2Session): void {
  session.onTimeout()
}

let scheduled: Http2Session[] = []

/** All that has become ready in this turn; what becomes so meanwhile has the next. */
function flushScheduled(): void {
  const batch = scheduled
  scheduled = []
  for (let i = 0; i < batch.length; i++) batch[i]!.flushScheduled()
}
