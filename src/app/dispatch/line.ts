// The calls of one front thread that wait for a worker, and the thread's place among all threads whose calls wait for the same
// workers: the oldest call of all is served next.
//
//   push ─▶ turn: as many as can be served ─▶ settle: show who waits now, sleep
//             ▲── a worker becomes free here, another thread wakes us, or now and then to make sure ──┘

import { monotonic } from '../../lib/clock.ts'
import { Timer, timers } from '../../lib/timer-wheel.ts'
import type { AppSettings } from '../app.ts'
import { type Call, CallQueue, QUEUE_TIMEOUT } from './call.ts'
import type { DispatcherLink, Links } from './links.ts'
import { Place } from './place.ts'
import type { SeatTable } from './seats.ts'

/** How often a thread with waiting calls makes sure that none of them has been forgotten. */
const CHECK_MS = 50
/** Checks for which an older ticket of another thread goes first although a seat is free. */
const COURTESY = 2

/** What the dispatcher does for its line. */
export interface LineUser {
  /** A place of the worker has been claimed for this call. */
  serve(link: DispatcherLink, call: Call): void
  refuse(call: Call, why: number): void
  /** At each check while calls wait. */
  stillWaiting(): void
}

export class Line {
  private readonly user: LineUser
  private readonly settings: AppSettings
  private readonly seats: SeatTable
  private readonly links: Links
  private readonly queue = new CallQueue()
  private readonly place: Place
  private readonly timer: Timer<Line>
  private serving = false
  private strangers = 0

  constructor(user: LineUser, settings: AppSettings, seats: SeatTable, links: Links, owner: number) {
    this.user = user
    this.settings = settings
    this.seats = seats
    this.links = links
    this.place = new Place(this, seats, owner)
    this.timer = new Timer<Line>(this, check)
  }

  /** How many calls wait in this thread. */
  get size(): number {
    return this.queue.size
  }

  /** Null when nobody waits here. */
  get first(): Call | null {
    return this.queue.first
  }

  /** Does any thread's call wait? */
  get anybodyWaits(): boolean {
    return this.queue.size > 0 || this.place.anybodyWaits
  }

  /** Calls that wait in all threads. */
  get waiting(): number {
    return this.queue.size + this.place.waitingElsewhere
  }

  /** Have all that wait in other threads come later than our oldest one? */
  get isFirst(): boolean {
    return this.place.isFirst(this.queue)
  }

  /** Is a worker that has become free for our oldest call? */
  get goesOn(): boolean {
    return this.queue.size > 0 && !this.serving && this.links.spare() >= 0 && this.isFirst
  }

  // ── who waits ────────────────────────────────────────────────────────────────────────────────────────────────────

  push(call: Call): void {
    this.register(call)
    this.queue.push(call)
    // Behind others that sleep there is nothing to be had.
    if (this.queue.size > 1 && this.place.isAsleep) this.place.show(this.queue)
    else this.turn()
  }

  /** A call that has been taken back from a worker has its old place. The caller lets the line have its turn. */
  restore(call: Call): void {
    // It may have been served at once, before there was a line.
    if (call.ticket === 0) this.register(call)
    this.queue.restore(call)
  }

  private register(call: Call): void {
    call.ticket = this.seats.takeTicket()
    call.patience = call.madeMs + this.settings.queueTimeout
  }

  remove(call: Call): void {
    this.queue.remove(call)
    this.turn()
  }

  /** Takes the oldest one out; there is one. */
  shift(): Call {
    const call = this.queue.first!
    this.queue.remove(call)
    return call
  }

  /** All that wait are told. */
  clear(why: number): void {
    for (let call = this.queue.first; call !== null; call = this.queue.first) {
      this.queue.remove(call)
      this.user.refuse(call, why)
    }
    this.settle()
  }

  /** From now on we wait for this generation's workers. */
  join(group: number): void {
    if (!this.place.isAnother(group)) return
    this.leave()
    this.place.join(group)
  }

  stop(): void {
    timers.disarm(this.timer)
  }

  // ── whose turn it is ─────────────────────────────────────────────────────────────────────────────────────────────

  /** Something may have become free, or somebody has come or gone: serves as many as can be served. */
  turn(): void {
    if (this.serving) return
    this.serving = true
    while (this.queue.size > 0 && this.isFirst) {
      const link = this.links.claim(this.queue.first!)
      if (link === null) break
      this.user.serve(link, this.shift())
    }
    this.serving = false
    this.settle()
  }

  /** After calls have come or gone: shows who waits now, and goes to sleep or leaves. */
  settle(): void {
    if (this.serving) return
    if (this.queue.size === 0) {
      this.leave()
      return
    }
    if (this.timer.deadline === 0) timers.arm(this.timer, CHECK_MS)
    const ours = this.isFirst
    if (!this.place.taken) return
    const seen = this.place.signal
    if (!ours) this.wakeOldest()
    // What became free since turn() looked was not yet announced to us.
    else if (this.links.anyFree()) {
      this.turn()
      return
    }
    this.place.sleep(seen)
  }

  /** The oldest one has been served by the worker that it waited for. */
  advance(): void {
    // Nobody else waits, and whoever sets a seat free wakes us: nothing more need be looked at.
    if (this.queue.size > 0 && this.place.isAlone && this.place.isAsleep) this.place.show(this.queue)
    else this.settle()
  }

  /** A seat has been set free that is not for us. */
  passOn(): void {
    if (this.queue.size > 0) this.turn()
    else if (this.place.anybodyWaits) this.wakeOldest()
  }

  private leave(): void {
    if (!this.place.taken) return
    this.place.leave()
    timers.disarm(this.timer)
    if (this.place.anybodyWaits) this.wakeOldest()
  }

  /** Whoever has waited longest, if there is something for them. */
  private wakeOldest(): void {
    if (this.links.anyFree()) this.place.wakeOldest()
  }

  /** For Timer: now and then while somebody waits. */
  onCheck(): void {
    this.dropImpatient()
    if (this.queue.size === 0) return
    timers.arm(this.timer, CHECK_MS)
    this.user.stillWaiting()
    if (this.isFirst || !this.links.anyFree()) this.strangers = 0
    else if (++this.strangers > COURTESY) {
      // A seat is free, and the thread with the oldest ticket does not come for it: it has died.
      this.strangers = 0
      this.place.evictOldest()
    }
    this.turn()
  }

  private dropImpatient(): void {
    const now = monotonic()
    let dropped = false
    for (let call = this.queue.first; call !== null && call.patience <= now; call = this.queue.first) {
      this.queue.remove(call)
      dropped = true
      this.user.refuse(call, QUEUE_TIMEOUT)
    }
    if (dropped) this.settle()
  }
}

function check(line: Line): void {
  line.onCheck()
}
