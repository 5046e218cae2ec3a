// worker_connections: how many connections a thread may have, those of clients and those to peers together, and which of
// them are given up when it has nearly all it may: those of clients, the longest idle first (ngx_drain_connections), then idle
// ones to peers. Asked where a connection is about to be made.

import { unixSeconds } from '../lib/clock.ts'

/** Connections of one kind. */
export interface Counted {
  readonly size: number
  /** Those that may be closed for want of room. */
  spare(): readonly Spare[]
  give(spare: Spare): void
}

export interface Spare {
  /** Of two, the one that became so earlier has the lower number. */
  readonly spareSince: number
}

/** Room is made when no more than this part is left of it (1/16), so many connections at a time: a part (1/8) of those that
 *  can be spared, and never more than AT_ONCE. */
const ROOM_LEFT = 16
const SPARED = 8
const AT_ONCE = 32
/** While there still is room and nobody could be spared, this long nobody is looked for. Milliseconds. */
const LOOK_AGAIN = 100

/** Of the thread; null in programs without one. */
let limit: ConnectionLimit | null = null

export class ConnectionLimit {
  readonly max: number
  /** Hears once a second that idle connections are closed for want of room. */
  private readonly tell: (message: string) => void
  private toldAt = 0
  private lookAgainAt = 0
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
    if (left <= 0 || performance.now() >= this.lookAgainAt) this.drainClients()
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
    const spare: { readonly group: Counted; readonly one: Spare }[] = []
    for (const group of this.groups) for (const one of group.spare()) spare.push({ group, one })
    if (spare.length === 0) {
      this.lookAgainAt = performance.now() + LOOK_AGAIN
      return
    }
    this.tellReuse()
    const count = Math.max(1, Math.min(AT_ONCE, Math.floor(spare.length / SPARED)))
    spare.sort((a, b) => a.one.spareSince - b.one.spareSince)
    for (const { group, one } of spare.slice(0, count)) group.give(one)
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
