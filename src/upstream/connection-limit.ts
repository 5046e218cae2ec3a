// worker_connections: how many connections a thread may have, those of clients and those to peers together, and which of
// them are given up when it has nearly all it may: those of clients, the longest idle first (ngx_drain_connections), then idle
// ones to peers. Asked where a connection is about to be made.

import { unixSeconds } from '../lib/clock.ts'

/** Connections of one kind. */
export interface Counted {
  readonly size: number
  /** Those that may be closed for want of room. Looks at all of them. */
  spare(): readonly Spare[]
  /** Is it still one of these? */
  holds(spare: Spare): boolean
  give(spare: Spare): void
}

export interface Spare {
  /** When it became one that may be closed, in nextSpare()'s count; 0: it is none. */
  readonly spareSince: number
}

let spares = 0

/** Counts connections as they become ones that may be closed for want of room. */
export function nextSpare(): number {
  return ++spares
}

/** Room is made when no more than this part is left of it (1/16), so many connections at a time: a part (1/8) of those that
 *  can be spared, and never more than AT_ONCE. */
const ROOM_LEFT = 16
const SPARED = 8
const AT_ONCE = 32
/** When nobody could be spared, nobody is looked for again for this long, unless there is no room at all and somebody has
 *  become idle since. Milliseconds. */
const LOOK_AGAIN = 100
/** What was found when all connections were looked at is used up in the order found, and not kept longer. Milliseconds. */
const FOUND_KEPT = 1000

/** A connection that could be spared when all were looked at. */
interface Found {
  readonly group: Counted
  readonly one: Spare
  readonly since: number
}

/** Of the thread; null in programs without one. */
let limit: ConnectionLimit | null = null

export class ConnectionLimit {
  readonly max: number
  /** Hears once a second that idle connections are closed for want of room. */
  private readonly tell: (message: string) => void
  private toldAt = 0
  private lookAgainAt = 0
  /** nextSpare()'s count when nobody could be spared. */
  private fruitlessAt = -1
  /** The longest idle last. */
  private found: Found[] = []
  private readonly groups: Counted[] = []

  constructor(max: number, tell: (message: string) => void) {
    this.max = max
    this.tell = tell
  }

  add(group: Counted): void {
    this.groups.push(group)
  }

  /** Is there room for one more, if need be that of one that is idle? */
  makesRoom(): boolean {
    const left = this.left()
    if (left > Math.floor(this.max / ROOM_LEFT)) return true
    if (performance.now() >= this.lookAgainAt || (left <= 0 && spares !== this.fruitlessAt)) this.drainClients()
    if (this.left() > 0) return true
    // nginx leaves these alone, and refuses.
    if (!peers.closeOldestIdle()) return false
    this.tellReuse()
    return true
  }

  private left(): number {
    let left = this.max - peers.size
    for (const { size } of this.groups) left -= size
    return left
  }

  private drainClients(): void {
    if (this.closeFound()) return
    this.look()
    if (this.closeFound()) return
    this.lookAgainAt = performance.now() + LOOK_AGAIN
    this.fruitlessAt = spares
  }

  /** All connections are looked at once for many that are closed: one that is found becomes idle later than all others only
   *  by being busy in between, which shows in its number. */
  private look(): void {
    const { found } = this
    for (const group of this.groups) for (const one of group.spare()) found.push({ group, one, since: one.spareSince })
    found.sort((a, b) => b.since - a.since)
    if (found.length > 0) setTimeout(() => this.forget(found), FOUND_KEPT).unref()
  }

  private forget(found: Found[]): void {
    if (this.found === found) this.found = []
  }

  /** @returns whether any was closed */
  private closeFound(): boolean {
    const { found } = this
    let count = Math.max(1, Math.min(AT_ONCE, Math.floor(found.length / SPARED)))
    let closed = false
    while (count > 0) {
      const next = found.pop()
      if (next === undefined) {
        this.found = []
        break
      }
      const { group, one, since } = next
      if (one.spareSince !== since || !group.holds(one)) continue
      if (!closed) this.tellReuse()
      closed = true
      count--
      group.give(one)
    }
    return closed
  }

  /** Once in every second of the clock. */
  private tellReuse(): void {
    const now = unixSeconds()
    if (now === this.toldAt) return
    this.toldAt = now
    this.tell(`${this.refusal}, reusing connections`)
  }

  get refusal(): string {
    return `${this.max} worker_connections are not enough`
  }
}

/** From now on the thread's connections are held to it. */
export function limitConnections(max: number, tell: (message: string) => void): ConnectionLimit {
  limit = new ConnectionLimit(max, tell)
  return limit
}

/** What keeps idle connections to peers. */
interface Pool {
  readonly size: number
  closeOldest(): void
}

class Peers {
  size = 0
  readonly pools = new Set<Pool>()

  /** Of the pool that has most. */
  closeOldestIdle(): boolean {
    let fullest: Pool | null = null
    for (const pool of this.pools) if (pool.size > (fullest?.size ?? 0)) fullest = pool
    fullest?.closeOldest()
    return fullest !== null
  }
}

/** All connections of this thread to peers. */
export const peers = new Peers()

/** May another connection to a peer be made? '', or what is to be logged. */
export function connectionRefusal(): string {
  return limit === null || limit.makesRoom() ? '' : limit.refusal
}
