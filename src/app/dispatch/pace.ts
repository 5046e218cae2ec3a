// How fast an application's workers are, and what keeps them: how many requests may be sent ahead to each, and how many
// workers are to be at work at a time.
//
// Where requests do nothing but compute, more workers than processors only take the processors' caches from each other. What a
// worker has computed, and waited for a processor to do so, is in /proc/PID/schedstat (Linux).

import { readFileSync } from 'node:fs'
import { processors } from '../../lib/processors.ts'
import type { DispatcherLink } from './links.ts'
import type { SeatTable } from './seats.ts'

/** The most requests that are sent ahead to one worker, however short they are. */
const DEPTH_MAX = 16
/** Of how many requests the time of one is the mean. */
const MEAN_OF = 32
/** A worker that computes for this part of the time has hardly anything to wait for. */
const COMPUTING = 0.8
/** One that computes for less of it waits for something else now and then. */
const WAITING = 0.6
/** Workers looked at for that. */
const SAMPLES = 16

interface Sample {
  readonly atMs: number
  /** Milliseconds on a processor, and waiting for one. */
  readonly ranMs: number
  readonly waitedMs: number
  readonly served: number
}

export class Pace {
  private readonly seats: SeatTable
  /** Milliseconds of work that may be sent ahead. */
  private readonly work: number
  private readonly processors = processors()
  /** Milliseconds from the beginning of a request to its end; Infinity while there was none. */
  private requestMs = Infinity
  /** Milliseconds that a worker computes for one; 0 while that is not known. A request takes no less. */
  computingMs = 0
  /** How many workers are to be at work at a time; 0: all. */
  most = 0
  private samples = new Map<number, Sample>()

  /** @param work milliseconds of work that may be sent ahead to one worker */
  constructor(seats: SeatTable, work: number) {
    this.seats = seats
    this.work = work
  }

  /** A request took so long. */
  took(ms: number): void {
    if (this.requestMs === Infinity) this.requestMs = ms
    else this.requestMs += (ms - this.requestMs) / MEAN_OF
  }

  /** What the next request may be expected to take, in milliseconds. */
  private get expectedMs(): number {
    return this.most > 0 ? this.computingMs : this.requestMs
  }

  /** How many requests may be sent ahead to a worker. */
  get depth(): number {
    const count = Math.floor(this.work / this.expectedMs)
    return count < DEPTH_MAX ? count : DEPTH_MAX
  }

  /** Looks at what the workers have done since it was asked last, and says in the table how many are to be at work. */
  look(links: readonly DispatcherLink[]): void {
    const before = this.samples
    const now = new Map<number, Sample>()
    let ranMs = 0
    let served = 0
    // Each worker counts for as much as it has served: those that were idle for some of the time say little.
    let computed = 0
    for (const link of links.slice(0, SAMPLES)) {
      const sample = sampleOf(link, this.seats)
      if (sample === null) continue
      now.set(link.pid, sample)
      const last = before.get(link.pid)
      if (last === undefined) continue
      const count = sample.served - last.served
      const ran = sample.ranMs - last.ranMs
      ranMs += ran
      served += count
      computed += (count * (ran + sample.waitedMs - last.waitedMs)) / (sample.atMs - last.atMs)
    }
    this.samples = now
    if (served === 0) return
    const share = Math.min(computed / served, 1)
    if (share >= COMPUTING) this.most = Math.round(this.processors / share)
    else if (share < WAITING) this.most = 0
    this.computingMs = ranMs / served
    this.seats.limit = this.most < links.length ? this.most : 0
  }

  /** What was seen is too old to be compared with. */
  forget(): void {
    this.samples.clear()
  }
}

/** Null where the system does not say. */
function sampleOf({ pid, at }: DispatcherLink, seats: SeatTable): Sample | null {
  try {
    const [ran, waited] = readFileSync(`/proc/${pid}/schedstat`, 'latin1').split(' ')
    return {
      atMs: performance.now(),
      ranMs: Number(ran) / 1e6,
      waitedMs: Number(waited) / 1e6,
      served: seats.served(at),
    }
  } catch {
    return null
  }
}
