// The connections of a thread with an application's workers, and which of them gets the next request. Workers belong to no thread:
// a free one is claimed in the table of seats that all threads share.

import { type Bond, fitness, NEWCOMER } from './bond.ts'
import type { Call } from './call.ts'
import type { SeatTable } from './seats.ts'

/** A worker that may be connected to. */
export interface Seated {
  readonly pid: number
  readonly slot: number
  /** Among the workers that are to go on: who takes over from another has its number. */
  readonly place: number
  readonly path: string
}

/** A connection with a worker, as the dispatcher sees it. */
export interface DispatcherLink extends Seated {
  /** Its cell in the table of seats. */
  readonly at: number
  /** It has said hello and may be claimed. */
  readonly ready: boolean
  /** It has said hello, ever. */
  readonly greeted: boolean
  /** It is to take no more requests. */
  readonly leaving: boolean
  /** It has been at one request for long: it is not counted among those at work. */
  readonly overdue: boolean
  /** Places of it that are ours at the moment. */
  readonly inFlight: number
  serve(call: Call): void
  leave(): void
  /** It goes on, and is told that the server has begun to stop. */
  warn?(): void
  destroy(): void
}

export class Links {
  readonly all: DispatcherLink[] = []
  /** Those of workers with several seats (threads), by worker. */
  private readonly workers = new Map<number, DispatcherLink[]>()
  private readonly seats: SeatTable
  /** Requests a worker serves at a time. */
  private readonly capacity: number
  /** Our thread's number. */
  private readonly owner: number
  /** Have workers several seats? */
  private readonly hasThreads: boolean
  /** Whose turn it is to get a client that will stay. */
  private turn = 0

  constructor(seats: SeatTable, capacity: number, owner: number, hasThreads = false) {
    this.seats = seats
    this.capacity = capacity
    this.owner = owner
    this.hasThreads = hasThreads
  }

  add(link: DispatcherLink): void {
    this.all.push(link)
    if (!this.hasThreads) return
    const others = this.workers.get(link.pid)
    if (others === undefined) this.workers.set(link.pid, [link])
    else others.push(link)
  }

  remove(link: DispatcherLink): void {
    const index = this.all.indexOf(link)
    if (index >= 0) this.all.splice(index, 1)
    const others = this.workers.get(link.pid)
    if (others === undefined) return
    const rest = others.filter(other => other !== link)
    if (rest.length === 0) this.workers.delete(link.pid)
    else this.workers.set(link.pid, rest)
  }

  /** Claims a free seat; null when all are busy. */
  claim(call: Call): DispatcherLink | null {
    if (call.bond !== null) return this.claimHome(call, call.bond)
    if (this.hasThreads) return this.claimThread()
    return this.capacity === 1 ? this.claimFirst() : this.claimLeastBusy(0)
  }

  /** A call that is bound to a worker is another one's guest where its own has as many as it may. */
  private claimHome(call: Call, bond: Bond): DispatcherLink | null {
    const { seats, capacity, owner } = this
    const home = bond === NEWCOMER ? null : this.homeOf(bond)
    const isFull = home !== null && !seats.claim(home.at, home.pid, capacity, owner)
    call.isGuest = isFull
    if (home !== null && !isFull) return home
    return this.claimLeastBusy(this.turn++)
  }

  /** Null: it has gone, and nobody has its place. */
  private homeOf(bond: Bond): DispatcherLink | null {
    const { all: links } = this
    let best: DispatcherLink | null = null
    let most = -1
    // The newest first: it has taken the place of one that is about to leave.
    for (let i = links.length - 1; i >= 0; i--) {
      const link = links[i]!
      if (!link.ready || link.leaving) continue
      const fits = fitness(bond, link.place)
      if (fits <= most) continue
      best = link
      most = fits
    }
    return best
  }

  /** The worker that has the fewest requests of all threads; of several it is the first, from this turn on. */
  private claimLeastBusy(turn: number): DispatcherLink | null {
    const { all: links, seats, capacity } = this
    for (;;) {
      let best: DispatcherLink | null = null
      let fewest = capacity
      for (let i = 0; i < links.length; i++) {
        const link = links[(turn + i) % links.length]!
        if (!link.ready || link.leaving) continue
        const inFlight = seats.inFlight(link.at, link.pid)
        if (inFlight < 0 || inFlight >= fewest) continue
        best = link
        fewest = inFlight
      }
      if (best === null || seats.claim(best.at, best.pid, capacity, this.owner)) return best
    }
  }

  /** A thread of the worker that has the fewest at work: threads of one compute in turn, those of several at the same time. */
  private claimThread(): DispatcherLink | null {
    const { seats, capacity, owner } = this
    for (;;) {
      let best: DispatcherLink | null = null
      let fewest = Infinity
      for (const links of this.workers.values()) {
        let free: DispatcherLink | null = null
        let busy = 0
        for (let i = 0; i < links.length; i++) {
          const link = links[i]!
          const inFlight = seats.inFlight(link.at, link.pid)
          if (inFlight > 0) busy++
          else if (inFlight === 0 && free === null && link.ready && !link.leaving) free = link
        }
        if (free === null || busy >= fewest) continue
        best = free
        fewest = busy
        if (busy === 0) break
      }
      if (best === null || seats.claim(best.at, best.pid, capacity, owner)) return best
    }
  }

  /** The first one that is free: those at the end of the list stay idle, and can be spared. */
  private claimFirst(): DispatcherLink | null {
    const { all: links, seats, capacity, owner } = this
    if (this.spare() <= 0) return null
    for (let i = 0; i < links.length; i++) {
      const link = links[i]!
      if (link.ready && !link.leaving && seats.claim(link.at, link.pid, capacity, owner)) return link
    }
    return null
  }

  /**
   * How many more workers may be set to work before they only take the processors from each other (Pace); less than 0: so many
   * too many are at it.
   */
  spare(): number {
    const { all: links, seats } = this
    let spare = seats.limit
    if (spare === 0) return Infinity
    for (let i = 0; i < links.length; i++) {
      const link = links[i]!
      if (!link.overdue && seats.inFlight(link.at, link.pid) > 0) spare--
    }
    return spare
  }

  anyFree(): boolean {
    const { all: links, seats, capacity } = this
    if (capacity === 1 && this.spare() <= 0) return false
    for (let i = 0; i < links.length; i++) {
      const link = links[i]!
      if (link.ready && !link.leaving && seats.isFree(link.at, link.pid, capacity)) return true
    }
    return false
  }
}
