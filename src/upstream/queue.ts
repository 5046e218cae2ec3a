// Where requests of a group wait (`queue`): for a peer, when none can be chosen, and, with `concurrency`, for their turn, so
// that a back end never has more of them at a time than it can bear. All threads count together, in three words of shared
// memory: how many are being served, how many wait, and a word to wake others by. The waiting themselves stay in their
// thread, which the kernel-side wait of Atomics.waitAsync wakes when another has let go of a place.

import { Timer, timers } from '../lib/timer-wheel.ts'

export interface QueueOptions {
  /** How many may wait, over all threads. */
  readonly size: number
  readonly timeoutMs: number
  /** How many may be served at a time, over all threads; 0: any number. */
  readonly concurrency: number
}

/** A request that waits. */
export interface QueueUser {
  /** It may go on. @returns false: there is still no peer for it, and it goes on waiting */
  onTurn(): boolean
  onQueueTimeout(): void
}

// Answers of enter() and hold().
export const ADMITTED = 0
export const WAITS = 1
export const FULL = 2

const ACTIVE = 0
const WAITING = 1
const WAKE = 2
const OVERFLOWS = 3
export const QUEUE_BYTES = 16

/** How often it is looked whether a peer has come back by itself, as after fail_timeout. */
const LOOK_MS = 250

class Waiting {
  readonly queue: Queue
  readonly user: QueueUser
  /** It waits for its turn, not for a peer. */
  readonly forTurn: boolean
  readonly since = performance.now()
  readonly timer = new Timer<Waiting>(this, timedOut)

  constructor(queue: Queue, user: QueueUser, forTurn: boolean) {
    this.queue = queue
    this.user = user
    this.forTurn = forTurn
  }
}

export class Queue {
  readonly options: QueueOptions
  private words = new Int32Array(new SharedArrayBuffer(QUEUE_BYTES))
  /** This thread's, first come first. */
  private readonly waiting: Waiting[] = []
  private readonly look = new Timer<Queue>(this, queue => queue.turn())
  /** Is this thread waiting to be woken by others? */
  private listening = false
  private exits = 0
  private turning = false
  /** Places this thread's requests have. */
  private held = 0

  constructor(options: QueueOptions) {
    this.options = options
  }

  share(memory: SharedArrayBuffer): void {
    this.words = new Int32Array(memory)
  }

  /** Requests being served, and waiting, in all threads; the first only where there is a limit. */
  get active(): number {
    return Atomics.load(this.words, ACTIVE)
  }
  get length(): number {
    return Atomics.load(this.words, WAITING)
  }

  /** A request wants to begin; when it was admitted, exit() must follow. */
  enter(user: QueueUser): number {
    if (this.options.concurrency === 0) return ADMITTED
    // Who waits already comes first.
    if (Atomics.load(this.words, WAITING) === 0 && this.takePlace()) return ADMITTED
    return this.wait(user, true)
  }

  /** There is no peer for a request that was admitted. */
  hold(user: QueueUser): number {
    return this.wait(user, false)
  }

  /** Requests for which there was no room. */
  get overflows(): number {
    return Atomics.load(this.words, OVERFLOWS)
  }

  private takePlace(): boolean {
    if (Atomics.add(this.words, ACTIVE, 1) < this.options.concurrency) {
      this.held++
      return true
    }
    Atomics.sub(this.words, ACTIVE, 1)
    return false
  }

  private wait(user: QueueUser, forTurn: boolean): number {
    if (Atomics.add(this.words, WAITING, 1) >= this.options.size) {
      Atomics.sub(this.words, WAITING, 1)
      Atomics.add(this.words, OVERFLOWS, 1)
      return FULL
    }
    const one = new Waiting(this, user, forTurn)
    this.waiting.push(one)
    timers.arm(one.timer, this.options.timeoutMs)
    if (this.waiting.length === 1) timers.arm(this.look, LOOK_MS)
    this.listen()
    // A place may have become free just before it was known that somebody waits.
    if (forTurn && this.waiting.length === 1 && this.takePlace()) {
      this.drop(0)
      return ADMITTED
    }
    return WAITS
  }

  /** The request gives up waiting. */
  leave(user: QueueUser): void {
    const at = this.waiting.findIndex(one => one.user === user)
    if (at !== -1) this.drop(at)
  }

  private drop(at: number): Waiting {
    const one = this.waiting.splice(at, 1)[0]!
    timers.release(one.timer)
    Atomics.sub(this.words, WAITING, 1)
    if (this.waiting.length === 0) timers.disarm(this.look)
    return one
  }

  /** A request that was admitted is over. */
  exit(): void {
    if (this.options.concurrency === 0) return
    Atomics.sub(this.words, ACTIVE, 1)
    this.held--
    this.freed()
  }

  /** The thread ends: what it still holds is the others'. */
  stop(): void {
    while (this.waiting.length > 0) this.drop(0)
    Atomics.sub(this.words, ACTIVE, this.held)
    this.held = 0
    if (Atomics.load(this.words, WAITING) > 0) this.wakeOthers()
  }

  /** A peer has been given back. */
  peerFreed(): void {
    this.freed()
  }

  private freed(): void {
    const all = Atomics.load(this.words, WAITING)
    if (all === 0) return
    const others = all > this.waiting.length
    // Own ones and those of other threads in turn.
    if (others && (this.waiting.length === 0 || (++this.exits & 1) === 0)) this.wakeOthers()
    else this.turn()
  }

  private wakeOthers(): void {
    Atomics.add(this.words, WAKE, 1)
    Atomics.notify(this.words, WAKE, 1)
  }

  private listen(): void {
    if (this.listening) return
    this.listening = true
    const result = Atomics.waitAsync(this.words, WAKE, Atomics.load(this.words, WAKE))
    if (result.async) void result.value.then(() => this.woken())
    else queueMicrotask(() => this.woken())
  }

  private woken(): void {
    this.listening = false
    if (this.waiting.length > 0) {
      this.turn()
      if (this.waiting.length > 0) this.listen()
    } else if (Atomics.load(this.words, WAITING) > 0) {
      // It was meant for somebody else.
      this.wakeOthers()
    }
  }

  /** Lets go on who can. */
  turn(): void {
    if (this.turning) return
    this.turning = true
    while (this.waiting.length > 0) {
      const first = this.waiting[0]!
      if (first.forTurn && !this.takePlace()) break
      if (!first.user.onTurn()) break
      const at = this.waiting.indexOf(first)
      if (at !== -1) this.drop(at)
    }
    this.turning = false
    if (this.waiting.length > 0) timers.arm(this.look, LOOK_MS)
  }

  /** Its time is up. */
  expire(one: Waiting): void {
    const at = this.waiting.indexOf(one)
    if (at === -1) return
    this.drop(at)
    one.user.onQueueTimeout()
  }
}

function timedOut(one: Waiting): void {
  one.queue.expire(one)
}
