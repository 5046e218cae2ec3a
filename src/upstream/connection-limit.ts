// worker_connections: how many connections a thread may have, those of clients and those to peers together, and which of
// them are given up when it has all it may: idle ones (ngx_drain_connections). Asked where a connection is about to be made.

/** Connections of one kind. */
export interface Counted {
  readonly size: number
  /** False: none is idle. */
  closeOldestIdle(): boolean
}

/** Of the thread; null in programs without one. */
let limit: ConnectionLimit | null = null

export class ConnectionLimit {
  readonly max: number
  /** Hears once a second that idle connections are closed for want of room. */
  private readonly tell: (message: string) => void
  private toldAt = -Infinity
  private readonly groups: Counted[] = [peers]

  constructor(max: number, tell: (message: string) => void) {
    this.max = max
    this.tell = tell
  }

  add(group: Counted): void {
    this.groups.push(group)
  }

  /** Is there room for one more, if need be that of one that is idle? */
  makesRoom(): boolean {
    let count = 0
    for (const { size } of this.groups) count += size
    if (count < this.max) return true
    if (!this.groups.some(group => group.closeOldestIdle())) return false
    const now = performance.now()
    if (now - this.toldAt >= 1000) {
      this.toldAt = now
      this.tell(`${this.refusal}, reusing connections`)
    }
    return true
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

class Peers implements Counted {
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
