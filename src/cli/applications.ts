// The applications of one configuration as the master runs them beside its threads.

import { closeSync, openSync } from 'node:fs'
import { APP_TOPIC } from '../app/app.ts'
import type { AppNotice, AppRequest, AppSettings } from '../app/app.ts'
import type { AppPool } from '../app/pool/pool.ts'
import type { Output } from '../app/pool/spawner.ts'
import type { Companions } from '../process/master.ts'
import type { Ending } from '../process/messages.ts'
import type { Plan, TopicMessage } from '../process/plan.ts'

/** Between the numbers of generations: an application that was loaded anew by itself has one in between. */
const RENEWAL = 100_000

export interface Surroundings {
  /** Where applications print to: a daemon's have its error log, since nobody looks at a terminal. */
  readonly daemon: boolean
  log(level: number, message: string): void
  broadcast(content: TopicMessage): void
  /** Of `portico serve`. */
  readonly serve: ServeSide | null
  /** How many workers the applications in use until now were to have; null: there are none. */
  readonly workersBefore: number | null
}

/** What `portico serve` has beside its configuration. */
export interface ServeSide {
  /** For the zygote; null: the application is none of Python's. */
  readonly gunicorn: object | null
  /** Where what applications print goes; null: where our own output goes. */
  readonly output: string | null
  /** A file has changed (`--reload`) that is more than the application's. False: it is not. */
  changed(file: string): boolean
  /** The application could not be loaded, and there is no earlier one. */
  notLoaded(error: string): void
  /** So many workers serve now. */
  serving(count: number): void
}

export class Applications implements Companions {
  readonly loaded: Promise<string>
  private readonly apps: readonly AppSettings[]
  private readonly plan: Plan
  private readonly generation: number
  private readonly around: Surroundings
  private pools: AppPool[] = []
  private ending: Ending | null = null
  private output: Output = 'inherit'
  private make: ((settings: AppSettings, generation: number) => AppPool) | null = null
  /** Those whose successors are being loaded, the successors, and those that have been succeeded. */
  private readonly renewing = new Set<AppPool>()
  private readonly fresh = new Set<AppPool>()
  private readonly leaving = new Map<AppPool, Promise<unknown>>()
  private renewals = 0
  private renewAgain = false
  private settle: (error: string) => void = () => {}

  constructor(apps: readonly AppSettings[], plan: Plan, generation: number, around: Surroundings) {
    this.apps = apps
    this.plan = plan
    this.generation = generation
    this.around = around
    this.loaded = apps.length === 0 ? Promise.resolve('') : new Promise(resolve => (this.settle = resolve))
  }

  start(): void {
    if (this.apps.length > 0) void this.startPools()
  }

  current(): TopicMessage[] {
    return this.pools.flatMap(pool => pool.current()).map(message => ({ topic: APP_TOPIC, message }))
  }

  receive({ topic, message }: TopicMessage): void {
    if (topic !== APP_TOPIC) return
    const request = message as AppRequest
    this.pools.find(pool => pool.settings.name === request.app)?.request(request)
  }

  /** How many workers there are to be, of a single application. */
  get workers(): number | null {
    return this.pools[0]?.wanted ?? null
  }

  resize(by: 1 | -1): void {
    if (this.pools.length === 1) this.pools[0]!.resize(by)
  }

  beforeUpgrade(): void {
    for (const pool of this.pools) pool.beforeUpgrade()
  }

  async stop(ending: Ending, final: boolean): Promise<void> {
    this.ending = ending
    const graceful = ending === 'graceful'
    await Promise.all([
      ...this.pools.map(pool => pool.stop(graceful, pool.settings.gracefulTimeout, final)),
      ...[...this.fresh].map(pool => pool.stop(false, 0)),
      ...[...this.leaving.keys()].map(pool => pool.stop(graceful, pool.settings.gracefulTimeout)),
    ])
    if (typeof this.output === 'number') closeSync(this.output)
    this.output = 'inherit'
  }

  /** The code for pools is loaded only where there is an application, and while the front starts. */
  private async startPools(): Promise<void> {
    const { AppPool } = await import('../app/pool/pool.ts')
    if (this.ending !== null) {
      this.settle('loading was broken off')
      return
    }
    const { user, threads } = this.plan
    const captured = this.around.serve?.output ?? null
    if (this.around.daemon || captured !== null)
      this.output = openOutput(captured ?? this.plan.errorLog[0]?.path ?? null)
    const { output } = this
    this.make = (settings, generation) => {
      const pool: AppPool = new AppPool({
        settings,
        generation,
        frontThreads: threads,
        output,
        runDirectory: '',
        front: user === null ? null : { user: user.name, group: `${user.gid}` },
        log: (level, message) => this.around.log(level, message),
        notify: message => this.notify(message),
        gunicorn: this.gunicorn(generation),
        changed: file => this.changed(pool, file),
      })
      return pool
    }
    this.pools = this.apps.map(settings => this.make!(settings, this.generation))
    for (const pool of this.pools) pool.start()
    const errors = await Promise.all(this.pools.map(pool => pool.loaded))
    const error = errors.find(one => one !== '') ?? ''
    if (error !== '' && this.generation === 1 && this.ending === null && this.around.serve !== null) {
      this.around.serve.notLoaded(error)
      // The whole program ends: nothing is tried again until the front has gone.
      void this.stop('fast', true)
    }
    this.settle(error)
  }

  private gunicorn(generation: number): object | null {
    const given = this.around.serve?.gunicorn ?? null
    if (given === null) return null
    // At a reload Gunicorn's hook nworkers_changed is told how many there were.
    const workers_before = this.workers ?? this.around.workersBefore
    return { ...given, master: process.pid, again: generation > 1, workers_before }
  }

  private changed(pool: AppPool, file: string): void {
    if (!this.pools.includes(pool) || this.ending !== null || this.around.serve?.changed(file) === true) return
    if (this.renewing.has(pool)) {
      this.renewAgain = true
      // What is being loaded is out of date, and may load for ever.
      for (const one of this.fresh) void one.stop(false, 0)
    } else void this.renew(pool)
  }

  /** The application is loaded anew beside the one that serves, and takes its place: nothing else of the configuration has
   *  changed, so the threads stay. */
  private async renew(old: AppPool): Promise<void> {
    this.renewing.add(old)
    const fresh = this.make!(old.settings, ++this.renewals * RENEWAL + this.generation)
    this.fresh.add(fresh)
    fresh.start()
    const error = await fresh.loaded
    this.fresh.delete(fresh)
    this.renewing.delete(old)
    const again = this.renewAgain
    this.renewAgain = false
    if (this.ending !== null) return
    if (error !== '') {
      await fresh.stop(false, 0)
      if (again) await this.renew(old)
      return
    }
    this.pools = this.pools.map(pool => (pool === old ? fresh : pool))
    old.sayAllGone()
    const leaving = old.stop(true, old.settings.gracefulTimeout).then(() => this.leaving.delete(old))
    this.leaving.set(old, leaving)
    if (again) await this.renew(fresh)
  }

  private notify(message: AppNotice): void {
    this.around.broadcast({ topic: APP_TOPIC, message })
    this.around.serve?.serving(this.pools.reduce((count, pool) => count + pool.pids().length, 0))
  }
}

function openOutput(path: string | null): number {
  return openSync(path === null ? '/dev/null' : Buffer.from(path, 'latin1'), 'a', 0o644)
}
