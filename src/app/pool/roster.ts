// The workers of a pool, each with what the master knows of it. Slots are numbers from 0 that a worker's successor may take over.

export const STARTING = 0
export const SERVING = 1
export const LEAVING = 2

/** In words, in the order of the numbers. */
const STATES = ['starting', 'serving', 'leaving'] as const

/** A worker as others may know it. */
export interface WorkerStatus {
  /** 0 until it is known. */
  readonly pid: number
  /** The how many-th it is of all that were started. */
  readonly age: number
  readonly state: (typeof STATES)[number]
  /** It hung, and was told to write down where. */
  readonly aborted: boolean
}

/** A pool whose forking process stands for Gunicorn's arbiter: there are hooks in it. */
export interface Arbiter {
  /** There is no other one, or not any more. */
  alone(): void
}

/** How many workers a program has had, all its pools together. */
export class Tally {
  spawned = 0
  /** They were told to go. */
  killed = 0
  private readonly arbiters = new Set<Arbiter>()

  arrived(arbiter: Arbiter): void {
    this.arbiters.add(arbiter)
    this.tellLast()
  }

  left(arbiter: Arbiter): void {
    this.arbiters.delete(arbiter)
    this.tellLast()
  }

  private tellLast(): void {
    if (this.arbiters.size === 1) for (const last of this.arbiters) last.alone()
  }
}

export class PoolWorker {
  readonly slot: number
  /** Among those that are to go on: who takes over from another has its number (http/app/sticky.ts). */
  readonly place: number
  /** The how many-th of all. */
  readonly age: number
  readonly startedMs = performance.now()
  /** 0 until it is known. */
  pid = 0
  state = STARTING
  /** Serves until a replacement does. */
  retiring = false
  /** It said that it cannot load the application: no surprise that it exits. */
  failed = false
  /** It hung. */
  aborted = false
  paths: readonly string[] = []
  deadline: NodeJS.Timeout | null = null
  constructor(slot: number, place: number, age: number) {
    this.slot = slot
    this.place = place
    this.age = age
  }
}

export class Roster {
  readonly all: PoolWorker[] = []
  readonly tally: Tally

  constructor(tally: Tally) {
    this.tally = tally
  }

  /** One that starts, in the lowest slot that is free. */
  add(): PoolWorker {
    const slot = lowestFree(this.all.map(one => one.slot))
    const place = lowestFree(this.going.map(one => one.place))
    const worker = new PoolWorker(slot, place, ++this.tally.spawned)
    this.all.push(worker)
    return worker
  }

  remove(worker: PoolWorker): void {
    if (worker.deadline !== null) clearTimeout(worker.deadline)
    this.all.splice(this.all.indexOf(worker), 1)
  }

  starting(slot: number): PoolWorker | undefined {
    return this.all.find(one => one.slot === slot && one.state === STARTING)
  }

  get serving(): PoolWorker[] {
    return this.all.filter(one => one.state === SERVING)
  }

  /** They serve, and are to go on. */
  get staying(): PoolWorker[] {
    return this.all.filter(one => one.state === SERVING && !one.retiring)
  }

  /** Others take their places, or shall. */
  get leaving(): PoolWorker[] {
    return this.all.filter(one => one.state === LEAVING || one.retiring)
  }

  /** @param stopping all of them are leaving */
  statuses(stopping: boolean): WorkerStatus[] {
    return this.all.map(({ pid, age, state, aborted }) => ({
      pid,
      age,
      state: STATES[stopping ? LEAVING : state]!,
      aborted,
    }))
  }

  /** How many serve or will. Workers on their way out do not count: their replacements start beside them. */
  get present(): number {
    return this.going.length
  }

  private get going(): PoolWorker[] {
    return this.all.filter(one => one.state !== LEAVING && !one.retiring)
  }
}

function lowestFree(taken: readonly number[]): number {
  let number = 0
  while (taken.includes(number)) number++
  return number
}
