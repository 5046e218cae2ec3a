// An exchange's stay in its group's queue (upstream/queue.ts): before its first peer, and again when there is none for it.

import { ERR } from '../../log/error-log.ts'
import { ADMITTED, WAITS } from '../../upstream/queue.ts'
import type { Queue, QueueOptions, QueueUser } from '../../upstream/queue.ts'
import type { Exchange } from './exchange.ts'

const OUTSIDE = 0
const WAITS_FOR_TURN = 1
/** It has one of the group's places, until it is over. */
const INSIDE = 2
const WAITS_FOR_PEER = 3

/** As a configuration has them. */
export interface QueueSettings extends QueueOptions {
  /** Seconds. */
  readonly retryAfter: number
}

export class QueueStay implements QueueUser {
  private readonly x: Exchange
  private readonly queue: Queue
  private state = OUTSIDE
  private since = 0

  constructor(x: Exchange, queue: Queue) {
    this.x = x
    this.queue = queue
  }

  /** May it choose a peer at once? Else it waits, or has been answered. */
  admit(): boolean {
    if (this.state !== OUTSIDE) return true
    const answer = this.queue.enter(this)
    if (answer === ADMITTED) {
      this.state = INSIDE
      return true
    }
    if (answer === WAITS) this.wait(WAITS_FOR_TURN)
    else this.refuse('queue is full while connecting to upstream')
    return false
  }

  /** There is no peer for it now. Does it wait for one, or has it been answered? */
  hold(): boolean {
    if (this.queue.hold(this) === WAITS) this.wait(WAITS_FOR_PEER)
    else if (this.queue.options.concurrency === 0) return false
    else this.refuse('queue is full while connecting to upstream')
    return true
  }

  private wait(state: number): void {
    this.since = performance.now()
    this.state = state
  }

  private get waited(): number {
    return Math.round(performance.now() - this.since)
  }

  onTurn(): boolean {
    const { x } = this
    x.queueMs = this.waited
    // What was waited here is nobody's fault.
    x.startedAt = Math.floor(performance.now())
    if (this.state === WAITS_FOR_TURN) {
      this.state = INSIDE
      x.connect()
      return true
    }
    x.choice.startOver()
    this.state = INSIDE
    if (x.choose()) return true
    this.state = WAITS_FOR_PEER
    return false
  }

  onQueueTimeout(): void {
    this.x.queueMs = this.waited
    this.state = this.state === WAITS_FOR_PEER ? INSIDE : OUTSIDE
    this.refuse('upstream timed out (110: Connection timed out) while waiting in the queue')
  }

  private refuse(problem: string): void {
    const { concurrency, retryAfter } = this.queue.options as QueueSettings
    if (concurrency > 0) this.x.r.addHeader('Retry-After', String(retryAfter))
    this.x.refused(concurrency > 0 ? 503 : 502, ERR, problem)
  }

  /** The exchange is over. */
  end(): void {
    const { state } = this
    this.state = OUTSIDE
    if (state === WAITS_FOR_TURN || state === WAITS_FOR_PEER) this.queue.leave(this)
    if (state === INSIDE || state === WAITS_FOR_PEER) this.queue.exit()
  }
}
