// proxy_limit_rate and its relatives: how fast a response is read from its upstream, in bytes a second
// (ngx_event_pipe_read_upstream). What comes in one read beyond a second's worth waits here, and while anything waits, or
// the time for what was taken is not over, the upstream is not read.

import { parseSize } from '../../config/units.ts'
import { ERR } from '../../log/error-log.ts'
import { Timer, timers } from '../../lib/timer-wheel.ts'
import type { Value } from '../module.ts'
import { OVER } from './exchange-state.ts'
import type { Exchange } from './exchange.ts'
import { endOfBody, relayBody } from './relay.ts'

/** The limit for this response, null for none. */
export function readRateOf(x: Exchange, limit: Value): ReadRate | null {
  const text = limit.get(x.r)
  const rate = text === '' ? 0 : parseSize(text)
  if (rate === null) x.log(ERR, `invalid size "${text}"`)
  return rate === null || rate === 0 ? null : new ReadRate(x, rate)
}

export class ReadRate {
  private readonly x: Exchange
  private readonly rate: number
  private readonly timer = new Timer<ReadRate>(this, gate => gate.wake())
  private waiting: Buffer | null = null
  private ended = false
  private delayed = false

  constructor(x: Exchange, rate: number) {
    this.x = x
    this.rate = rate
  }

  /** Takes bytes of the response's body from the connection. */
  take(chunk: Buffer, start: number, end: number): void {
    if (this.delayed || this.waiting !== null) {
      const more = chunk.subarray(start, end)
      this.waiting = this.waiting === null ? Buffer.from(more) : Buffer.concat([this.waiting, more])
      return
    }
    const stop = Math.min(end, start + this.rate)
    if (stop < end) this.waiting = Buffer.from(chunk.subarray(stop, end))
    this.pass(chunk, start, stop)
  }

  /** The upstream has closed its side. */
  end(): void {
    if (this.waiting === null) endOfBody(this.x)
    else this.ended = true
  }

  /** The client takes more again. */
  resume(): void {
    if (!this.delayed) this.next()
  }

  stop(): void {
    timers.release(this.timer)
    this.waiting = null
  }

  private pass(chunk: Buffer, start: number, end: number): void {
    const { x } = this
    const ms = Math.floor(((end - start) * 1000) / this.rate)
    relayBody(x, chunk, start, end)
    if (x.state === OVER) return
    if (ms > 0) this.delay(ms)
    else if (this.waiting !== null) this.next()
  }

  private delay(ms: number): void {
    this.delayed = true
    const { link } = this.x
    if (link !== null) {
      link.connection.pause()
      link.unwatch()
    }
    timers.arm(this.timer, ms)
  }

  private wake(): void {
    this.delayed = false
    if (this.x.state !== OVER) this.next()
  }

  private next(): void {
    if (this.x.held) return
    const bytes = this.waiting
    this.waiting = null
    if (bytes !== null) this.take(bytes, 0, bytes.length)
    else if (this.ended) endOfBody(this.x)
    else this.x.resumeReading()
  }
}
