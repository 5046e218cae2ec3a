// What a worker has been sent ahead of its turn, in order. As a Carrier it takes the requests' frames, which leave together in
// one write; from its turn on a call is carried by the link itself.

import { CLAIM } from '../../codec/frames.ts'
import type { Connection } from '../../net/connection.ts'
import { claimsPath } from '../app.ts'
import type { Call, Carrier } from './call.ts'
import { Claims } from './claims.ts'
import type { Prefetch } from './prefetch.ts'

export class Ahead implements Carrier {
  /** Of the request that is being prepared. */
  stream = 0
  readonly flags = CLAIM
  credit = Infinity
  private readonly claims: Claims
  private readonly prefetch: Prefetch
  /** Null: its client has left. */
  private readonly calls: (Call | null)[] = []
  private readonly streams: number[] = []
  private readonly frames: Buffer[] = []
  private readonly only = [0]
  /** The last calls that have been prepared and not sent. */
  private unsent = 0

  private constructor(claims: Claims, prefetch: Prefetch) {
    this.claims = claims
    this.prefetch = prefetch
  }

  /** Null where nothing can be sent ahead. @param socket the worker's @param link number of the connection, 0: it has no tokens */
  static open(socket: string, link: number, prefetch: Prefetch | null): Ahead | null {
    if (link === 0 || prefetch === null) return null
    const claims = Claims.open(claimsPath(socket), link)
    return claims === null ? null : new Ahead(claims, prefetch)
  }

  get size(): number {
    return this.calls.length
  }

  /** The stream of the one whose turn is next. */
  get nextStream(): number {
    return this.streams[0]!
  }

  /** Its turn has come. */
  shift(): Call | null {
    this.prefetch.ahead--
    this.streams.shift()
    return this.calls.shift() ?? null
  }

  /** Writes the token of a request that is sent at once. False: it cannot be taken back later. */
  claim(stream: number): boolean {
    this.only[0] = stream
    return this.claims.put(this.only, 0)
  }

  prepare(call: Call, stream: number): void {
    this.stream = stream
    this.calls.push(call)
    this.streams.push(stream)
    this.unsent++
    this.prefetch.ahead++
    call.link = this
    call.attempts++
    call.send(this)
  }

  /**
   * Sends what was prepared. Tokens first: whoever finds a request without one leaves it.
   * @param unsendable calls for which there can be no tokens
   * @returns whether there is room for more
   */
  send(connection: Connection, unsendable: Call[]): boolean {
    const { frames, unsent } = this
    if (unsent === 0) return true
    this.unsent = 0
    const bytes = frames.length === 1 ? frames[0]! : Buffer.concat(frames)
    frames.length = 0
    const first = this.calls.length - unsent
    if (this.claims.put(this.streams, first)) return connection.write(bytes)
    this.streams.splice(first)
    this.prefetch.ahead -= unsent
    for (const call of this.calls.splice(first)) {
      if (call === null) continue
      call.link = null
      unsendable.push(call)
    }
    return false
  }

  /** Takes back what the worker has not begun. The calls go to `calls`. @param current is this stream among them? */
  takeBack(current: number, calls: Call[]): boolean {
    const taken = this.claims.takeBack()
    for (let i = this.calls.length - 1; i >= 0; i--) {
      if (!taken.includes(this.streams[i]!)) continue
      const call = this.calls[i]!
      this.streams.splice(i, 1)
      this.calls.splice(i, 1)
      this.prefetch.ahead--
      if (call === null) continue
      call.link = null
      calls.push(call)
    }
    return taken.includes(current)
  }

  /**
   * The worker is gone, or the connection.
   * @param claimed the seat is ours: else what is in the pipe is another thread's
   * @param unbegun calls that it never began are added
   * @param begun and what is left: one at most, whose answer is lost
   * @returns whether the call with this stream is unbegun too
   */
  close(claimed: boolean, current: number, unbegun: Call[], begun: Call[]): boolean {
    const unread = claimed && this.takeBack(current, unbegun)
    while (this.size > 0) {
      const call = this.shift()
      if (call !== null) begun.push(call)
    }
    this.claims.close()
    return unread
  }

  // ── for the call ─────────────────────────────────────────────────────────────────────────────────────────────────

  write(bytes: Buffer): boolean {
    this.frames.push(bytes)
    return true
  }

  /** The worker may have begun it by now: if not, it will all the same, and its answer is for nobody. */
  abandon(call: Call): void {
    const index = this.calls.indexOf(call)
    if (index >= 0) this.calls[index] = null
    call.link = null
  }

  // There is no response yet that could be held back, and nothing of the request that is still to be sent.
  pause(): void {}
  resume(): void {}
  destroy(): void {}
}
