// Which workers are free, as all front threads know it: a table in shared memory. A seat is one socket of a worker that
// takes one request at a time (a sync worker is one seat, a worker with threads has one for each); for kinds that take
// several at once the count goes higher.
//
// A seat's word holds a mark of the worker's pid and the number of requests in flight together, so that one compare-and-swap both
// claims a place and makes sure that the worker is still the one meant; where two pids have the same mark, the key tells.
//
//   31 ─────────── 16 15 ──── 0            word 0: nobody, or a worker that takes no more requests
//        mark            in flight
//
// The second half is the queue of the waiting (Waiters): each thread that has requests waiting shows its oldest one's ticket.

/** Seats in one table; three generations of workers must fit in during a reload. */
const KEY = 0
const WORD = 1
const SERVED = 2
/** Requests in flight by thread: when one has died, its successor gives back what it held. */
const HELD = 3
/** Threads that are told apart; those beyond share the last cell, and wait for the worker's end. */
const OWNERS = 29
const SEAT_CELLS = HELD + OWNERS

const OWNER = 0
const GROUP = 1
const TICKET = 2
const SIGNAL = 3
const WAITING = 4
const WAITER_CELLS = 8

const LOCK = 0
const NEXT_TICKET = 1
/** How many places among the waiting are taken: almost always none, and then nobody need look at them. */
const PRESENT = 2
/** How many workers are to be at work at a time; 0 for all. */
const LIMIT = 3
/** Counters of all threads, two cells each: COUNTERS says which. */
const FIRST_COUNTER = 4
/** What is counted, in the order of the cells. */
export const COUNTERS = [
  'requests',
  'queued',
  'queue_full',
  'queue_timeouts',
  'timeouts',
  'workers_lost',
  'failed',
  'queue_ms',
  'app_ms',
  'prefetched',
  'taken_back',
] as const
export const REQUESTS = 0
export const QUEUED = 1
export const QUEUE_REFUSED = 2
export const QUEUE_TIMEOUTS = 3
export const TIMEOUTS = 4
export const LOST = 5
export const FAILED = 6
export const QUEUE_MS = 7
export const APP_MS = 8
export const PREFETCHED = 9
export const TAKEN_BACK = 10
const HEADER_CELLS = 32

const COUNT_BITS = 16
/** Also the most requests a seat can have at a time. */
export const COUNT_MASK = (1 << COUNT_BITS) - 1
/** Seats of one worker that can be told apart in a key. */
export const SEATS_MAX = 512
const SEAT_BITS = 9
const LOCK_PATIENCE_MS = 100
export const WAITERS = 32

export class SeatTable {
  private readonly cells: Int32Array
  private readonly size: number

  constructor(memory: SharedArrayBuffer) {
    this.cells = new Int32Array(memory)
    this.size = Math.floor((this.cells.length - HEADER_CELLS - WAITERS * WAITER_CELLS) / SEAT_CELLS)
  }

  /** Bytes for an application with so many seats at a time. */
  static bytes(seats: number): number {
    return 4 * (HEADER_CELLS + WAITERS * WAITER_CELLS + SEAT_CELLS * (3 * seats + 16))
  }

  // ── seats ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The cell of a worker's seat, which all threads find under the same number; -1 when the table is full. */
  open(pid: number, seat: number): number {
    const key = (pid << SEAT_BITS) | seat
    let at = this.find(key)
    if (at < 0) {
      this.lock()
      at = this.find(key)
      if (at < 0) at = this.occupy(key)
      Atomics.store(this.cells, LOCK, 0)
      Atomics.notify(this.cells, LOCK)
    }
    return at
  }

  /** Nobody can claim it any more; whoever holds it still may finish. */
  close(at: number, pid: number): void {
    const { cells } = this
    if (!this.isOf(at, pid)) return
    for (;;) {
      const word = Atomics.load(cells, at + WORD)
      if (word >>> COUNT_BITS !== markOf(pid)) break
      if (Atomics.compareExchange(cells, at + WORD, word, 0) === word) break
    }
    const key = Atomics.load(cells, at + KEY)
    if (key >>> SEAT_BITS === pid) Atomics.compareExchange(cells, at + KEY, key, 0)
  }

  /** @param owner number of the thread, from 0 */
  claim(at: number, pid: number, capacity: number, owner: number): boolean {
    const { cells } = this
    const mark = markOf(pid)
    // A plain look first: it costs a tenth, and if it is out of date the exchange finds out.
    for (let word = cells[at + WORD]!; ;) {
      if (word >>> COUNT_BITS !== mark || (word & COUNT_MASK) >= capacity) return false
      const found = Atomics.compareExchange(cells, at + WORD, word, word + 1)
      if (found !== word) {
        word = found
        continue
      }
      if (!this.isOf(at, pid)) {
        this.lower(at, mark, 1)
        return false
      }
      Atomics.add(cells, held(at, owner), 1)
      return true
    }
  }

  /** Could it be claimed at this moment? */
  isFree(at: number, pid: number, capacity: number): boolean {
    const word = Atomics.load(this.cells, at + WORD)
    return word >>> COUNT_BITS === markOf(pid) && (word & COUNT_MASK) < capacity
  }

  /** Requests of all threads that the worker has, -1 when it takes none. */
  inFlight(at: number, pid: number): number {
    const word = Atomics.load(this.cells, at + WORD)
    return word >>> COUNT_BITS === markOf(pid) ? word & COUNT_MASK : -1
  }

  release(at: number, pid: number, owner: number): void {
    const { cells } = this
    if (!this.isOf(at, pid)) return
    Atomics.sub(cells, held(at, owner), 1)
    this.lower(at, markOf(pid), 1)
  }

  /** A thread that had this number before has died: what it held is free, since the worker greets its successor. */
  inherit(at: number, pid: number, owner: number): number {
    if (owner >= OWNERS - 1) return 0
    const count = Atomics.exchange(this.cells, held(at, owner), 0)
    if (count > 0) this.lower(at, markOf(pid), count)
    return count
  }

  private isOf(at: number, pid: number): boolean {
    return Atomics.load(this.cells, at + KEY) >>> SEAT_BITS === pid
  }

  private lower(at: number, mark: number, by: number): void {
    const { cells } = this
    for (;;) {
      const word = Atomics.load(cells, at + WORD)
      if (word >>> COUNT_BITS !== mark || (word & COUNT_MASK) < by) return
      if (Atomics.compareExchange(cells, at + WORD, word, word - by) === word) return
    }
  }

  /** Counts a request. @returns how many it has served with this one */
  countServed(at: number): number {
    return Atomics.add(this.cells, at + SERVED, 1) + 1
  }

  /** How many it has served. */
  served(at: number): number {
    return Atomics.load(this.cells, at + SERVED)
  }

  /** How many workers are to be at work at a time, as the thread found that looked last (Pace); 0 for all. */
  get limit(): number {
    return this.cells[LIMIT]!
  }

  set limit(count: number) {
    Atomics.store(this.cells, LIMIT, count)
  }

  // ── counters ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @param by may be negative, for what was counted before */
  count(counter: number, by: number): void {
    const low = FIRST_COUNTER + 2 * counter
    const after = (Atomics.add(this.cells, low, by) >>> 0) + by
    if (after >= 2 ** 32) Atomics.add(this.cells, low + 1, 1)
    else if (after < 0) Atomics.sub(this.cells, low + 1, 1)
  }

  counted(counter: number): number {
    const low = FIRST_COUNTER + 2 * counter
    return (Atomics.load(this.cells, low) >>> 0) + 2 ** 32 * Atomics.load(this.cells, low + 1)
  }

  private find(key: number): number {
    const { cells, size } = this
    for (let i = 0, at = FIRST_SEAT; i < size; i++, at += SEAT_CELLS)
      if (Atomics.load(cells, at + KEY) === key) return at
    return -1
  }

  /** Under the lock. */
  private occupy(key: number): number {
    const at = this.find(0) >= 0 ? this.find(0) : this.reclaim()
    if (at < 0) return -1
    const { cells } = this
    Atomics.store(cells, at + SERVED, 0)
    for (let owner = 0; owner < OWNERS; owner++) Atomics.store(cells, at + HELD + owner, 0)
    Atomics.store(cells, at + WORD, markOf(key >>> SEAT_BITS) << COUNT_BITS)
    Atomics.store(cells, at + KEY, key)
    return at
  }

  /** The table is full: workers whose end no thread was there to hear of are looked for. */
  private reclaim(): number {
    const { cells, size } = this
    let free = -1
    for (let i = 0, at = FIRST_SEAT; i < size; i++, at += SEAT_CELLS) {
      if (isAlive(Atomics.load(cells, at + KEY) >>> SEAT_BITS)) continue
      Atomics.store(cells, at + WORD, 0)
      Atomics.store(cells, at + KEY, 0)
      free = at
    }
    return free
  }

  /** Held for a few hundred nanoseconds; a thread that died in between must not stop the others. */
  private lock(): void {
    const { cells } = this
    const until = performance.now() + LOCK_PATIENCE_MS
    while (Atomics.compareExchange(cells, LOCK, 0, 1) !== 0 && performance.now() < until)
      Atomics.wait(cells, LOCK, 1, 1)
  }

  // ── waiters ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Tickets are compared by difference, so they may wrap round. 0 is none. */
  takeTicket(): number {
    const ticket = Atomics.add(this.cells, NEXT_TICKET, 1) + 1
    return ticket === 0 ? this.takeTicket() : ticket
  }

  /** A place among the waiting for a thread, -1 when there is none. `owner` is not 0. */
  enter(owner: number, group: number): number {
    const { cells } = this
    for (let i = 0; i < WAITERS; i++) {
      // Each thread begins its search elsewhere, and so finds the place again that it had before.
      const at = FIRST_WAITER + ((i + owner) % WAITERS) * WAITER_CELLS
      if (Atomics.compareExchange(cells, at + OWNER, 0, owner) !== 0) continue
      Atomics.store(cells, at + GROUP, group)
      Atomics.add(cells, PRESENT, 1)
      return at
    }
    return -1
  }

  leave(at: number): void {
    const { cells } = this
    Atomics.store(cells, at + TICKET, 0)
    Atomics.store(cells, at + WAITING, 0)
    if (Atomics.exchange(cells, at + OWNER, 0) !== 0) Atomics.sub(cells, PRESENT, 1)
  }

  anybodyWaits(group: number): boolean {
    return Atomics.load(this.cells, PRESENT) !== 0 && this.oldest(group) >= 0
  }

  /** Is nobody waiting but the one with this place? */
  alone(place: number): boolean {
    return place >= 0 && Atomics.load(this.cells, PRESENT) === 1
  }

  show(at: number, ticket: number, waiting: number): void {
    Atomics.store(this.cells, at + WAITING, waiting)
    Atomics.store(this.cells, at + TICKET, ticket)
  }

  /** Where the oldest ticket of the group is shown, -1 when nobody waits. */
  oldest(group: number): number {
    const { cells } = this
    let oldest = -1
    let ticket = 0
    for (let at = FIRST_WAITER; at < FIRST_SEAT; at += WAITER_CELLS) {
      const shown = Atomics.load(cells, at + TICKET)
      if (shown === 0 || Atomics.load(cells, at + GROUP) !== group) continue
      if (oldest >= 0 && ((shown - ticket) | 0) >= 0) continue
      oldest = at
      ticket = shown
    }
    return oldest
  }

  /** Requests of the group that wait in threads other than the one with this place. */
  waitingElsewhere(group: number, place: number): number {
    const { cells } = this
    let sum = 0
    if (Atomics.load(cells, PRESENT) === (place >= 0 ? 1 : 0)) return 0
    for (let at = FIRST_WAITER; at < FIRST_SEAT; at += WAITER_CELLS) {
      if (at !== place && Atomics.load(cells, at + OWNER) !== 0 && Atomics.load(cells, at + GROUP) === group)
        sum += Atomics.load(cells, at + WAITING)
    }
    return sum
  }

  /** A promise for the next wake() after `seen` was read, or null when there has been one already. */
  sleep(at: number, seen: number): Promise<unknown> | null {
    const waited = Atomics.waitAsync(this.cells, at + SIGNAL, seen)
    return waited.async ? waited.value : null
  }

  signal(at: number): number {
    return Atomics.load(this.cells, at + SIGNAL)
  }

  wake(at: number): void {
    Atomics.add(this.cells, at + SIGNAL, 1)
    Atomics.notify(this.cells, at + SIGNAL)
  }

  /** Takes the ticket from a thread that does not come for what is free: it has died. If not, it shows it again. */
  evict(at: number): void {
    if (at < 0) return
    Atomics.store(this.cells, at + TICKET, 0)
    Atomics.store(this.cells, at + WAITING, 0)
  }
}

const FIRST_WAITER = HEADER_CELLS
const FIRST_SEAT = HEADER_CELLS + WAITERS * WAITER_CELLS

/** 16 bits of it, never 0. */
function markOf(pid: number): number {
  return (pid % 65535) + 1
}

/** The cell with what a thread holds of a seat. */
function held(at: number, owner: number): number {
  return at + HELD + (owner < OWNERS ? owner : OWNERS - 1)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
