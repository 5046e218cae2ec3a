// Requests sent ahead: while more wait than the workers can serve at a time, each sync worker has its next ones in its socket
// already, so that it goes from one to the next without sleeping, and the front hears of several responses at once
// (docs/decisions/0019). Message queues call this prefetching.
//
//   calls wait ─▶ at the end of the turn of the event loop ─▶ the next calls in line go to the busy workers, a few each
//   every PULSE_MS: a worker that is still at the same request is overdue ─▶ what it was sent ahead is taken back
//
// What may be lost by it is bounded: only as much as `prefetch` says is sent ahead (by what requests have taken of late), and
// only to workers whose pipe of tokens lets it be taken back.

import { traffic } from '../../net/traffic.ts'
import type { Call } from './call.ts'
import type { Line } from './line.ts'
import type { DispatcherLink, Links } from './links.ts'
import { Pace } from './pace.ts'
import { PREFETCHED, type SeatTable } from './seats.ts'

/** A worker that has begun no request for so long is at a slow one. */
const PULSE_MS = 5
/** Pulses from one look at what the workers compute to the next. */
const LOOK_EVERY = 10
/** Pulses without anything to do, after which they end. */
const QUIET_MAX = 10
/** The most that the front sleeps while its workers have enough to do, and what is worth it; milliseconds. */
const NAP_MAX_MS = 1
const NAP_MIN_MS = 0.1
/** Of the work that is known to be there. */
const NAP_PART = 0.75

/** A connection with a worker that takes one request at a time. */
export interface PrefetchLink extends DispatcherLink {
  overdue: boolean
  /** Ours: how many requests the worker had been given at the last pulse. */
  servedBefore: number
  /** Is it at a request of ours? */
  readonly claimed: boolean
  readonly takesAhead: boolean
  /** Calls that wait with the worker for their turn. */
  readonly aheadCount: number
  prepare(call: Call): void
  /** Sends what was prepared. */
  sendAhead(): void
  /** What the worker has not begun goes back into the line. */
  takeBack(): void
}

export class Prefetch {
  readonly pace: Pace
  private readonly line: Line
  private readonly seats: SeatTable
  private readonly links: Links
  /** Calls that are with a worker before their turn. */
  ahead = 0
  private pulse: NodeJS.Timeout | null = null
  private pulses = 0
  private quiet = 0
  /** Will turnEnds() be called at the end of this turn? */
  private called = false
  private readonly atTurnsEnd = (): void => this.turnEnds()
  /** Those that take requests ahead, while they are filled. */
  private readonly open: PrefetchLink[] = []
  /** Reads of this application's clients and workers since the last nap: others' traffic is not to wait. */
  private ownReads = 0
  private readsBefore = 0
  private readonly bed = new Int32Array(new SharedArrayBuffer(4))

  /** @param work milliseconds of work that may be sent ahead to one worker */
  constructor(line: Line, seats: SeatTable, links: Links, work: number) {
    this.line = line
    this.seats = seats
    this.links = links
    this.pace = new Pace(seats, work)
  }

  /** Is there enough that each worker could have another one ahead? Else tokens would cost more than they bring. */
  get active(): boolean {
    if (this.pulse === null) return false
    return this.line.size + this.ahead >= (this.seats.limit === 0 ? this.links.all.length : this.seats.limit)
  }

  /** For the dispatcher: calls wait, or have been sent ahead. */
  want(): void {
    if (this.pulse === null) this.begin()
    if (this.called || !this.active) return
    this.called = true
    setImmediate(this.atTurnsEnd)
  }

  /** A client or a worker of this application has been read from. */
  countRead(): void {
    this.ownReads++
  }

  stop(): void {
    if (this.pulse !== null) clearInterval(this.pulse)
    this.pulse = null
  }

  private begin(): void {
    this.quiet = 0
    this.pulses = 0
    this.pace.forget()
    this.pulse = setInterval(() => this.onPulse(), PULSE_MS)
    this.pulse.unref()
  }

  /** This is only made where workers take one request at a time. */
  private get workers(): readonly PrefetchLink[] {
    const all: readonly DispatcherLink[] = this.links.all
    return all as readonly PrefetchLink[]
  }

  // ── at the end of a turn ─────────────────────────────────────────────────────────────────────────────────────────

  private turnEnds(): void {
    this.called = false
    if (this.pulse === null) return
    if (this.line.size > 0) this.fill()
    this.nap()
  }

  private fill(): void {
    const { open, workers } = this
    const { depth } = this.pace
    if (depth === 0) return
    open.length = 0
    let fewest = depth
    // Where too many are at work the last ones get nothing more.
    let most = this.seats.limit === 0 ? Infinity : this.seats.limit
    for (let i = 0; i < workers.length && most > 0; i++) {
      const link = workers[i]!
      if (link.overdue || this.seats.inFlight(link.at, link.pid) <= 0) continue
      most--
      if (!link.takesAhead) continue
      open.push(link)
      if (link.aheadCount < fewest) fewest = link.aheadCount
    }
    // Several at a time cost hardly more than one.
    if (open.length === 0 || fewest > depth >> 1) return
    const before = this.ahead
    this.deal(depth, fewest)
    for (let i = 0; i < open.length; i++) open[i]!.sendAhead()
    this.seats.count(PREFETCHED, this.ahead - before)
    open.length = 0
    this.line.settle()
  }

  /** The oldest ones to different workers. */
  private deal(depth: number, from: number): void {
    const { open, line } = this
    for (let count = from; count < depth; count++) {
      for (let i = 0; i < open.length; i++) {
        const link = open[i]!
        if (link.aheadCount > count) continue
        const { first } = line
        if (first === null || !first.inOnePiece || !line.isFirst) return
        link.prepare(line.shift())
      }
    }
  }

  // ── naps ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Each response wakes a front that waits for it, and takes the processor from somebody. When all workers have enough to do, it
   * sleeps for part of that time where nothing can wake it: on few processors this is a quarter of what a short request costs.
   */
  private nap(): void {
    const ms = Math.min(NAP_MAX_MS, NAP_PART * this.workAhead())
    const { reads } = traffic
    const others = reads - this.readsBefore > this.ownReads
    this.readsBefore = reads
    this.ownReads = 0
    if (ms >= NAP_MIN_MS && !others) Atomics.wait(this.bed, 0, 0, ms)
  }

  /** Milliseconds for which none of the workers that we keep busy needs us. */
  private workAhead(): number {
    const { workers } = this
    let fewest = Infinity
    for (let i = 0; i < workers.length; i++) {
      const link = workers[i]!
      if (link.claimed && !link.overdue && link.aheadCount < fewest) fewest = link.aheadCount
    }
    return fewest === Infinity ? 0 : fewest * this.pace.computingMs
  }

  // ── every few milliseconds ───────────────────────────────────────────────────────────────────────────────────────

  private onPulse(): void {
    this.pulses++
    const { workers } = this
    for (let i = 0; i < workers.length; i++) {
      const link = workers[i]!
      const served = this.seats.served(link.at)
      link.overdue = served === link.servedBefore && this.seats.inFlight(link.at, link.pid) > 0
      link.servedBefore = served
      if (link.overdue && link.aheadCount > 0) link.takeBack()
    }
    if (this.pulses % LOOK_EVERY === 1) this.pace.look(workers)
    if (this.line.size > 0) this.line.turn()
    if (this.ahead > 0 || this.line.size > 0) this.quiet = 0
    else if (++this.quiet > QUIET_MAX) this.stop()
  }
}
