// Where a thread stands among all whose calls wait for the same workers: it shows the ticket of its oldest call, sleeps while
// nothing is free, and wakes the thread whose call has waited longest when something is.

import type { CallQueue } from './call.ts'
import type { Line } from './line.ts'
import type { SeatTable } from './seats.ts'

export class Place {
  private readonly line: Line
  private readonly seats: SeatTable
  private readonly owner: number
  /** The workers' folder as a number: threads of another generation wait for other workers. */
  private group = 0
  /** Our cell among the waiting, -1 when nobody waits here. */
  private cell = -1
  /** Cells for whose wake() a promise is pending. */
  private readonly asleep = new Set<number>()

  /** @param owner the thread's number */
  constructor(line: Line, seats: SeatTable, owner: number) {
    this.line = line
    this.seats = seats
    this.owner = owner
  }

  /** Are these workers not the ones that we wait for? */
  isAnother(group: number): boolean {
    return group !== this.group
  }

  /** From now on we wait for this generation's workers. Nobody may wait for the others any more. */
  join(group: number): void {
    this.group = group
  }

  get taken(): boolean {
    return this.cell >= 0
  }

  /** Does any thread's call wait? */
  get anybodyWaits(): boolean {
    return this.seats.anybodyWaits(this.group)
  }

  /** Calls of other threads that wait. */
  get waitingElsewhere(): number {
    return this.seats.waitingElsewhere(this.group, this.cell)
  }

  get isAsleep(): boolean {
    return this.asleep.has(this.cell)
  }

  /** Does no other thread's call wait? */
  get isAlone(): boolean {
    return this.seats.alone(this.cell)
  }

  show(queue: CallQueue): void {
    this.seats.show(this.cell, queue.first!.ticket, queue.size)
  }

  /** Shows our oldest ticket; is it the oldest of all? */
  isFirst(queue: CallQueue): boolean {
    const { seats } = this
    if (this.cell < 0) this.cell = seats.enter(this.owner + 1, this.group)
    if (this.cell < 0) return true
    this.show(queue)
    return seats.alone(this.cell) || seats.oldest(this.group) === this.cell
  }

  leave(): void {
    this.seats.leave(this.cell)
    this.cell = -1
  }

  /** Whoever has waited longest. */
  wakeOldest(): void {
    const oldest = this.seats.oldest(this.group)
    if (oldest >= 0 && oldest !== this.cell) this.seats.wake(oldest)
  }

  /** The thread with the oldest ticket has died. */
  evictOldest(): void {
    this.seats.evict(this.seats.oldest(this.group))
  }

  /** What sleep() has to be told: who looks for something free afterwards misses nothing. */
  get signal(): number {
    return this.seats.signal(this.cell)
  }

  /** @param seen the signal before all was looked at */
  sleep(seen: number): void {
    const { cell, line } = this
    if (this.asleep.has(cell)) return
    const woken = this.seats.sleep(cell, seen)
    if (woken === null) {
      setImmediate(() => line.turn())
      return
    }
    this.asleep.add(cell)
    void woken.then(() => {
      this.asleep.delete(cell)
      if (line.size > 0) line.turn()
    })
  }
}
