// What the workers of an application have to do, as the table all threads share tells it: which of them could be spared, and
// what a page of status shows.

import type { AppSettings } from '../app.ts'
import type { DispatcherLink } from './links.ts'
import { COUNTERS, type SeatTable } from './seats.ts'

/** Of one worker. Names as they stand in the JSON of `app_status`. */
export interface WorkerSnapshot {
  readonly pid: number
  in_flight: number
  served: number
}

export interface AppSnapshot {
  readonly kind: string
  /** Requests that wait, and how many may. */
  readonly waiting: number
  readonly queue: number
  readonly counters: Readonly<Record<string, number>>
  readonly workers: readonly WorkerSnapshot[]
}

export class Load {
  private readonly seats: SeatTable
  /** Requests a worker serves at a time. */
  private readonly capacity: number
  /** What each seat had served when this was asked last. */
  private served = new Map<DispatcherLink, number>()

  constructor(seats: SeatTable, capacity: number) {
    this.seats = seats
    this.capacity = capacity
  }

  /** The workers that could be spared, judged by what has happened since this was asked last. */
  idle(links: readonly DispatcherLink[]): number[] {
    const before = this.served
    this.served = new Map()
    const used = new Set<number>()
    let inFlight = 0
    for (const link of links) {
      const served = this.seats.served(link.at)
      const now = Math.max(this.seats.inFlight(link.at, link.pid), 0)
      this.served.set(link, served)
      inFlight += now
      if (now > 0 || before.get(link) !== served) used.add(link.pid)
    }
    // Where a worker serves many at a time the requests are spread over all: half of what the rest could serve is enough.
    if (this.capacity > 1) return links.slice(Math.ceil((2 * inFlight) / this.capacity)).map(link => link.pid)
    return [...new Set(links.map(link => link.pid))].filter(pid => !used.has(pid))
  }

  snapshot(settings: AppSettings, links: readonly DispatcherLink[], waiting: number): AppSnapshot {
    const { seats } = this
    const workers = new Map<number, WorkerSnapshot>()
    for (const { pid, at } of links) {
      const worker = workers.get(pid) ?? { pid, in_flight: 0, served: 0 }
      worker.in_flight += Math.max(seats.inFlight(at, pid), 0)
      worker.served += seats.served(at)
      workers.set(pid, worker)
    }
    const counters = Object.fromEntries(COUNTERS.map((name, i) => [name, seats.counted(i)]))
    return { kind: settings.kind, waiting, queue: settings.queue, counters, workers: [...workers.values()] }
  }
}
