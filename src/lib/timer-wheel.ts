// One coarse clock for thousands of timeouts. Re-arming a timer writes a number; only when its old bucket comes round is
// it looked at again and moved. Late by at most one tick, never early, counted from the moment (clock.ts) in which it
// was armed.
//
//   buckets   [ | | | |t1→t7| | |t3| … ]     one list each, TICK ms apart, wrapping round
//                      ↑ now

import { monotonic } from './clock.ts'

/** Milliseconds between two looks at the wheel. */
export const TICK = 50
const SIZE = 512

export class Timer<T> {
  readonly owner: T
  readonly onTimeout: (owner: T) => void
  /** Time in ms (TimerWheel.now) at which it is due; 0 when not armed. */
  deadline = 0
  /** Where it waits: the bucket's time, or 0 when it is in none. */
  slotTime = 0
  /** Its neighbours there. */
  next: Timer<any> | null = null
  previous: Timer<any> | null = null
  constructor(owner: T, onTimeout: (owner: T) => void) {
    this.owner = owner
    this.onTimeout = onTimeout
  }
}

export class TimerWheel {
  /** Each bucket is a ring that begins and ends with a timer that is none. */
  private readonly buckets: Timer<any>[] = Array.from({ length: SIZE }, ring)
  private readonly due = ring()
  private clock: NodeJS.Timeout | null = null
  private turned: number
  private count = 0

  constructor() {
    this.turned = Math.floor(performance.now() / TICK)
  }

  /** Arms or re-arms: due `ms` from now. */
  arm(timer: Timer<any>, ms: number): void {
    // A whole number is no object of its own.
    const deadline = Math.ceil(monotonic() + ms)
    timer.deadline = deadline
    if (timer.slotTime !== 0) {
      if (timer.slotTime <= deadline + TICK) return
      // Due earlier than the bucket it waits in: take it out and put it where it belongs.
      this.remove(timer)
    }
    this.insert(timer)
    if (this.clock === null) this.start()
  }

  /** Disarms; the timer leaves the wheel when its bucket comes round. */
  disarm(timer: Timer<any>): void {
    timer.deadline = 0
  }

  /** Disarms one that is not needed any more: the wheel holds on to it, and to its owner, no longer. */
  release(timer: Timer<any>): void {
    timer.deadline = 0
    if (timer.slotTime !== 0) this.remove(timer)
  }

  stop(): void {
    if (this.clock !== null) clearInterval(this.clock)
    this.clock = null
  }

  private start(): void {
    // By the clock that insert() goes by: within a long moment it is behind.
    this.turned = Math.floor(monotonic() / TICK)
    this.clock = setInterval(() => this.turn(), TICK)
    this.clock.unref()
  }

  private insert(timer: Timer<any>): void {
    // Far deadlines wait in the last bucket of this round and are moved on from there.
    const current = Math.floor(monotonic() / TICK)
    const turn = Math.max(current + 1, Math.min(Math.ceil(timer.deadline / TICK), current + SIZE - 2))
    timer.slotTime = turn * TICK
    const ring = this.buckets[turn % SIZE]!
    timer.next = ring.next
    timer.previous = ring
    ring.next!.previous = timer
    ring.next = timer
    this.count++
  }

  private remove(timer: Timer<any>): void {
    timer.previous!.next = timer.next
    timer.next!.previous = timer.previous
    timer.next = null
    timer.previous = null
    timer.slotTime = 0
    this.count--
  }

  private turn(): void {
    const now = performance.now()
    const until = Math.floor(now / TICK)
    // After a long pause of the process one full round sees every timer.
    if (until - this.turned > SIZE) this.turned = until - SIZE
    while (this.turned < until) {
      this.turned++
      this.look(this.buckets[this.turned % SIZE]!, now)
    }
    if (this.count === 0) this.stop()
  }

  private look(bucket: Timer<any>, now: number): void {
    const { due } = this
    if (bucket.next === bucket) return
    // Out of the bucket first: what is inserted meanwhile may belong into the very same one.
    due.next = bucket.next
    due.previous = bucket.previous
    due.next!.previous = due
    due.previous!.next = due
    bucket.next = bucket
    bucket.previous = bucket
    while (due.next !== due) {
      const timer = due.next!
      this.remove(timer)
      if (timer.deadline === 0) continue
      if (timer.deadline <= now) {
        timer.deadline = 0
        timer.onTimeout(timer.owner)
      } else this.insert(timer)
    }
  }
}

function ring(): Timer<any> {
  const timer = new Timer<null>(null, () => {})
  timer.next = timer
  timer.previous = timer
  return timer
}

/** The thread's wheel. */
export const timers = new TimerWheel()
