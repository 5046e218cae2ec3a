// What a front thread has with one seat of a worker: the call that it serves now, those sent ahead of their turn, and the time
// they may take. The conversation itself is the derived WorkerLink's.
//
//   CONNECTING ──hello──▶ IDLE ◀──claimed / END──▶ BUSY ──timeout, end of stream, nonsense──▶ CLOSED
//                                                  │ └─client left: abandon()─▶ drained until END
//                                                  └─END, and something was sent ahead─▶ BUSY with that

import type { FrameReader } from '../../codec/frame-reader.ts'
import { CLAIM, encodeAbort, encodeShutdown } from '../../codec/frames.ts'
import { monotonic } from '../../lib/clock.ts'
import { Timer, timers } from '../../lib/timer-wheel.ts'
import type { LocalConnection } from '../../net/local-connection.ts'
import type { Ahead } from './ahead.ts'
import { type Call, type Carrier, WORKER_TIMEOUT } from './call.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { Seated } from './links.ts'
import type { PrefetchLink } from './prefetch.ts'

/** What is read and dropped of a response nobody wants any more, before the worker is made to notice. */
const DRAIN_BYTES_MAX = 1024 * 1024
const DRAIN_MS_MAX = 5000

export abstract class SeatLink implements Carrier, PrefetchLink {
  readonly pid: number
  readonly slot: number
  readonly place: number
  readonly path: string
  /** Its cell in the table of seats. */
  readonly at: number
  abstract connection: LocalConnection
  protected abstract reader: FrameReader
  /** It has said hello and may be claimed. */
  ready = false
  /** It has said hello, ever. */
  greeted = false
  /** It is to take no more requests. */
  leaving = false
  closed = false
  /** Is the seat ours at the moment? */
  claimed = false
  /** Served now; null when idle, and while the rest of an abandoned response is drained. */
  call: Call | null = null
  stream = 0
  /** CLAIM when the call has a token: if the worker has not begun it, it can be taken back. */
  flags = 0
  /** The socket's own backpressure is all there is. */
  credit = Infinity
  overdue = false
  /** For Prefetch: how many requests it had been given when it looked last. */
  servedBefore = 0
  /** Null where the worker has no pipe for tokens, and before it has said so. */
  protected ahead: Ahead | null = null
  /** The number of the last request sent. */
  private lastStream = 0
  /** The socket takes nothing more at the moment. */
  protected full = false
  protected readonly dispatcher: Dispatcher
  protected readonly timer: Timer<SeatLink>
  /** monotonic() when the request was sent, or given up by its client. */
  private sentMs = 0
  protected sentBytes = 0
  private drained = 0
  protected paused = false
  /** Closed by us so that the worker notices that its response is not wanted; it is connected to again. */
  protected cut = false

  constructor(dispatcher: Dispatcher, { slot, place, pid, path }: Seated, at: number) {
    this.dispatcher = dispatcher
    this.slot = slot
    this.place = place
    this.pid = pid
    this.path = path
    this.at = at
    this.timer = new Timer<SeatLink>(this, timedOut)
  }

  get inFlight(): number {
    return this.claimed ? 1 : 0
  }

  /** Calls that wait with the worker for their turn. */
  get aheadCount(): number {
    return this.ahead === null ? 0 : this.ahead.size
  }

  /** Only behind a request that itself has a token: else it would not be known, if the worker died, whether that one was begun. */
  get takesAhead(): boolean {
    return (
      this.claimed &&
      this.flags === CLAIM &&
      this.call !== null &&
      this.ahead !== null &&
      !this.full &&
      !this.leaving &&
      !this.paused
    )
  }

  // ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The seat has been claimed for this call. */
  serve(call: Call): void {
    const { ahead, dispatcher } = this
    this.stream = this.nextStream()
    const claimable = ahead !== null && call.inOnePiece && dispatcher.prefetch !== null && dispatcher.prefetch.active
    this.flags = claimable && ahead.claim(this.stream) ? CLAIM : 0
    this.sentBytes = this.connection.bytesOut
    this.begin(call)
    call.attempts++
    call.send(this)
  }

  private nextStream(): number {
    this.lastStream = (this.lastStream + 1) >>> 0 || 1
    return this.lastStream
  }

  private begin(call: Call): void {
    this.call = call
    this.claimed = true
    this.overdue = false
    this.drained = 0
    this.sentMs = call.sentMs
    call.link = this
    if (this.dispatcher.timeout > 0) timers.arm(this.timer, this.dispatcher.timeout)
  }

  /** For Prefetch, while it takes calls ahead: this one leaves with the next sendAhead(). */
  prepare(call: Call): void {
    this.ahead!.prepare(call, this.nextStream())
  }

  sendAhead(): void {
    const calls: Call[] = []
    if (!this.ahead!.send(this.connection, calls)) this.full = true
    this.notice()
    for (const call of calls) this.dispatcher.restore(call)
  }

  /** What the worker has not begun goes back into the line. */
  takeBack(): void {
    const { ahead, dispatcher } = this
    // Tokens may only be looked at by the thread that has the seat.
    if (ahead === null || !this.claimed || this.flags !== CLAIM) return
    const calls: Call[] = []
    const current = ahead.takeBack(this.stream, calls)
    if (current) {
      const { call } = this
      this.call = null
      this.claimed = false
      timers.disarm(this.timer)
      if (call !== null) {
        call.link = null
        calls.push(call)
      }
    }
    for (const call of calls) dispatcher.restore(call)
    if (current) this.becomeIdle()
    else dispatcher.turn()
  }

  write(bytes: Buffer): boolean {
    const room = this.connection.write(bytes)
    this.notice()
    return room
  }

  /** What it does not take any more is found when it has closed: until then it may answer what came before. */
  private notice(): void {
    if (this.connection.deafness === null || this.leaving) return
    this.leaving = true
    this.dispatcher.linkLeaves(this)
  }

  /** The client is slow: the worker is held back. */
  pause(): void {
    this.paused = true
    this.connection.pause()
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    if (this.dispatcher.timeout > 0) timers.arm(this.timer, this.dispatcher.timeout)
    this.connection.resume()
  }

  /** The client has left. What the worker still sends is dropped, so that it need not know. */
  abandon(call: Call): void {
    if (this.call !== call) return
    call.link = null
    this.call = null
    this.connection.write(encodeAbort(this.stream))
    this.resume()
    this.awaitEnd()
  }

  /** Of a response that nobody wants. */
  private awaitEnd(): void {
    this.sentMs = monotonic()
    // A response that has begun and does not end (a stream of events) would hold the worker for ever.
    timers.arm(this.timer, this.dispatcher.timeout > 0 ? Math.min(this.dispatcher.timeout, DRAIN_MS_MAX) : DRAIN_MS_MAX)
  }

  /** Tells the worker to go, as soon as nothing of ours is with it. */
  leave(): void {
    this.leaving = true
    if (this.closed) return
    if (this.claimed) {
      this.takeBack() // comes here again if nothing is left
      return
    }
    if (!this.connection.closed && this.ready) this.connection.write(encodeShutdown())
    this.connection.shutdown()
    this.ready = false
  }

  abstract destroy(): void

  // ── states ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** END: the worker is idle again, before the client has got anything. */
  protected finish(): void {
    const { call, dispatcher } = this
    if (call !== null) {
      // The worker has answered without reading all: it is told that no more of the body comes.
      if (call.sending) this.connection.write(encodeAbort(this.stream))
      call.link = null
      dispatcher.spent(call)
    }
    this.call = null
    this.claimed = false
    if (this.paused) {
      // The end came together with what was too much for the client: the next response must be read all the same.
      this.paused = false
      this.connection.resume()
    }
    timers.disarm(this.timer)
    if (this.aheadCount > 0) this.promote(this.ahead!)
    else this.becomeIdle()
  }

  private becomeIdle(): void {
    if (this.leaving) {
      this.dispatcher.linkDone(this)
      this.leave()
    } else this.dispatcher.linkIdle(this)
  }

  /** The worker is at the next one that it was sent. */
  private promote(ahead: Ahead): void {
    this.stream = ahead.nextStream
    this.flags = CLAIM
    const call = ahead.shift()
    this.dispatcher.promoted(this, call)
    if (call !== null) {
      this.begin(call)
      return
    }
    this.claimed = true
    this.drained = 0
    this.awaitEnd()
  }

  /** Threads are timed by what they do; a sync worker, as in Gunicorn, by the whole request. */
  protected progress(): void {
    if (this.dispatcher.timeout > 0 && !this.dispatcher.timesWholeRequest)
      timers.arm(this.timer, this.dispatcher.timeout)
  }

  protected drain(bytes: number, end: boolean): void {
    this.drained += bytes
    if (end) this.finish()
    else if (this.drained > DRAIN_BYTES_MAX) this.cutOff()
  }

  /** The worker's next write fails; when it says hello again it is free. */
  private cutOff(): void {
    if (this.cut) return
    const { stream } = this
    this.takeBack()
    // The worker had not begun it: the link is idle, or at another one.
    if (!this.claimed || this.stream !== stream) return
    this.cut = true
    this.reader.stop()
    this.connection.destroy()
  }

  /** For Timer. */
  onTimeout(): void {
    const { call, dispatcher } = this
    if (!this.claimed) return
    if (call === null && !this.cut) {
      this.cutOff()
      return
    }
    if (this.paused) {
      timers.arm(this.timer, dispatcher.timeout)
      return
    }
    if (call === null && monotonic() - this.sentMs < dispatcher.timeout) {
      timers.arm(this.timer, dispatcher.timeout)
      return
    }
    this.call = null
    if (call !== null) call.link = null
    this.leaving = true
    this.takeBack()
    dispatcher.giveUp(this)
    this.destroy()
    if (call !== null) dispatcher.fail(call, WORKER_TIMEOUT, this.pid)
  }
}

function timedOut(link: SeatLink): void {
  link.onTimeout()
}
