// One stream of a connection with a worker: a call on its way there and back, its window in each direction, and its time.
//
//   FREE ──begin──▶ OPEN ──END, FAIL──▶ FREE
//                    ├─ the client left: ABORT ──▶ ABANDONED ──END, FAIL──▶ FREE
//                    └─ no answer in time: ABORT+END ──▶ CANCELLED ──FAIL──▶ FREE; no FAIL soon: the worker hangs
//
// An abandoned stream gets the time of a request to come to its end, and is then cancelled too.

import { encodeAbort, encodeCancel, encodeWindow, MESSAGE_COST } from '../../codec/frames.ts'
import { Timer, timers } from '../../lib/timer-wheel.ts'
import { type Call, type Carrier, WORKER_FAILED, WORKER_LOST, WORKER_TIMEOUT } from './call.ts'
import type { StreamsLink } from './streams-link.ts'

/** As the bridge begins: what may be on its way before the other side has granted more. */
const WINDOW_BYTES = 256 * 1024
/** Granted in lots, not for each piece. */
const GRANT_BYTES = 64 * 1024
/** What a worker may take to say that it has cancelled a request: its loop only has to come round. */
const REACTION_MS = 5000
/** For abandoned requests of an application without a timeout. */
const ABANDONED_MS = 30_000

export class Lane implements Carrier {
  stream = 0
  readonly flags = 0
  credit = 0
  /** Null when the client has left, or was told of the timeout. */
  call: Call | null = null
  private readonly link: StreamsLink
  private readonly timer: Timer<Lane>
  /** Bytes taken and not yet granted again. */
  private owed = 0
  private paused = false
  private cancelled = false
  /** Nothing of the request has been written. */
  private beginning = false

  constructor(link: StreamsLink) {
    this.link = link
    this.timer = new Timer<Lane>(this, timedOut)
  }

  begin(call: Call, stream: number): void {
    this.stream = stream
    this.credit = WINDOW_BYTES
    this.call = call
    this.owed = 0
    this.paused = false
    this.cancelled = false
    this.beginning = true
    call.link = this
    call.attempts++
    const { timeout } = this.link.dispatcher
    if (timeout > 0) timers.arm(this.timer, timeout)
    call.send(this)
  }

  // ── for the call ─────────────────────────────────────────────────────────────────────────────────────────────────

  write(bytes: Buffer): boolean {
    const first = this.beginning
    this.beginning = false
    return this.link.write(bytes, first)
  }

  pause(): void {
    this.paused = true
  }

  resume(): void {
    this.paused = false
    this.grant()
  }

  abandon(_call: Call): void {
    if (this.call === null) return
    this.release()
    const { timeout } = this.link.dispatcher
    this.link.write(encodeAbort(this.stream), false)
    timers.arm(this.timer, timeout > 0 ? timeout : ABANDONED_MS)
  }

  destroy(): void {
    this.cancel()
  }

  // ── for the link ─────────────────────────────────────────────────────────────────────────────────────────────────

  onHead(fields: string[], body: Buffer, bodySize: number, end: boolean): void {
    const { call } = this
    if (call !== null) {
      // What has begun may last: a stream of events, a websocket, a slow client. What is abandoned keeps its time.
      timers.disarm(this.timer)
      call.answered = true
    }
    this.take(body.length)
    if (end) this.finish()
    call?.onHead(fields, body, bodySize, end)
  }

  onData(bytes: Buffer, end: boolean): void {
    const { call } = this
    if (end) this.finish()
    call?.onData(bytes, end)
    if (!end) this.take(bytes.length)
  }

  onMessage(isText: boolean, length: number): void {
    this.call?.onMessage(isText, length)
    this.take(MESSAGE_COST)
  }

  onFail(): void {
    const { call } = this
    this.finish()
    if (call !== null) this.link.dispatcher.fail(call, WORKER_FAILED, this.link.pid)
  }

  onWindow(size: number): void {
    this.credit += size
    this.call?.onWritable(this)
  }

  onWritable(): void {
    this.call?.onWritable(this)
  }

  /** The worker is gone. @param unread it had not begun this one */
  lost(unread: boolean): void {
    const { call, link } = this
    this.finish()
    if (call === null) return
    if (unread && !call.answered && link.dispatcher.again(call, link.pid)) return
    link.dispatcher.fail(call, WORKER_LOST, link.pid)
  }

  // ── states ───────────────────────────────────────────────────────────────────────────────────────────────────────

  private take(size: number): void {
    this.owed += size
    if (this.owed >= GRANT_BYTES && !this.paused) this.grant()
  }

  private grant(): void {
    if (this.owed < GRANT_BYTES || this.call === null) return
    this.link.write(encodeWindow(this.stream, this.owed), false)
    this.owed = 0
  }

  private release(): void {
    if (this.call !== null) this.call.link = null
    this.call = null
  }

  private finish(): void {
    if (this.call !== null) this.link.dispatcher.spent(this.call)
    this.release()
    timers.disarm(this.timer)
    this.link.laneDone(this)
  }

  private cancel(): void {
    this.cancelled = true
    this.link.write(encodeCancel(this.stream), false)
    timers.arm(this.timer, REACTION_MS)
  }

  /** For Timer. */
  onTimeout(): void {
    const { call, link } = this
    if (this.cancelled) {
      link.hangs()
      return
    }
    this.release()
    this.cancel()
    if (call !== null) link.dispatcher.fail(call, WORKER_TIMEOUT, link.pid)
  }
}

function timedOut(lane: Lane): void {
  lane.onTimeout()
}
