// What commands see of the running program, and may do to it. src/cli puts it together.

import type { Tasks } from '../app/pool/tasks.ts'
import type { WorkerStatus } from '../app/pool/roster.ts'

/** A worker of an application. */
export interface Worker extends WorkerStatus {
  readonly app: string
}

/** How many workers an application is to have, before and after it was changed. */
export interface Resized {
  readonly previous: number
  readonly total: number
}

export interface App {
  readonly name: string
  /** How many workers it is to have. */
  readonly wanted: number
  /** Null: it has no task processes. */
  readonly tasks: Tasks | null
  /** As far as it may go. */
  resize(by: number): Resized
}

export interface ListeningAddress {
  readonly address: string
  readonly fd: number
  readonly type: string
}

export interface Stats {
  /** Date.now() of the start. */
  readonly startedMs: number
  readonly spawned: number
  readonly killed: number
  readonly reloads: number
}

/** As if a signal had said so. */
export type Order = 'reconfigure' | 'reopen' | 'quit' | 'terminate'

/** What the front's threads have counted of an application. */
export interface AppReport {
  readonly kind: string
  /** Requests that wait, and how many may. */
  readonly waiting: number
  readonly queue: number
  /** Requests each worker has at the moment, by its pid. */
  readonly inFlight: ReadonlyMap<number, number>
  readonly counters: Readonly<Record<string, number>>
}

/** What the front's threads know together. */
export interface FrontReport {
  readonly threads: number
  /** So many of them have not answered in time: what only they know is missing. */
  readonly silent: number
  /** Null where no thread has answered. */
  readonly connections: Readonly<Record<'active' | 'reading' | 'writing' | 'waiting' | 'accepted', number>> | null
  readonly requests: number | null
  readonly apps: ReadonlyMap<string, AppReport>
}

export interface RunningProgram {
  readonly pid: number
  readonly stats: Stats
  /** Of the configuration in use. */
  readonly apps: readonly App[]
  /** All, those of former configurations among them. */
  readonly workers: readonly Worker[]
  readonly listeners: readonly ListeningAddress[]
  /** The process that takes connections; 0: there is none at the moment. */
  readonly front: number
  readonly settings: Readonly<Record<string, unknown>>
  /** How many requests workers have served, by pid; not all may be known. */
  requests(): Promise<ReadonlyMap<number, number>>
  report(): Promise<FrontReport>
  /** A worker is to finish what it serves and go, and another to take its place. False: there is none with that pid. */
  endWorker(pid: number): boolean
  tell(order: Order): void
}
