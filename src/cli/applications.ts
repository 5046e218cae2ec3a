// The applications of one configuration as the master runs them beside its threads.

import { closeSync, openSync } from 'node:fs'
import { APP_TOPIC, SOCKET_VARIABLE } from '../app/app.ts'
import type { AppNotice, AppRequest, AppSettings } from '../app/app.ts'
import type { AppPool, PoolOptions } from '../app/pool/pool.ts'
import type { Tally } from '../app/pool/roster.ts'
import type { Output } from '../app/pool/spawner.ts'
import type { TaskPool, TaskPoolOptions } from '../app/pool/task-pool.ts'
import type { TaskPools } from '../app/pool/task-pools.ts'
import type { FrontReport } from '../control/program.ts'
import { ERR } from '../log/error-log.ts'
import type { Companions } from '../process/program.ts'
import type { Ending } from '../process/messages.ts'
import type { Plan, TopicMessage } from '../process/plan.ts'
import { ECHO_TOPIC, Echoes } from './echoes.ts'
import { FAREWELL_TOPIC } from './farewell.ts'
import { Renewals } from './renewals.ts'
import { RequestCounts } from './request-counts.ts'
import { REPORT_TOPIC, ThreadReports } from './thread-reports.ts'
import type { ThreadReport } from './thread-report.ts'

/** Between the numbers of generations: an application that was loaded anew by itself has one in between. */
const RENEWAL = 100_000
const BROKEN_OFF = 'loading was broken off'

export interface Surroundings {
  /** Where applications print to: a daemon's have its error log, since nobody looks at a terminal. */
  readonly daemon: boolean
  log(level: number, message: string): void
  broadcast(content: TopicMessage): void
  /** Of `portico serve`. */
  readonly serve: ServeSide | null
  /** How many workers the applications in use until now were to have; null: there are none. */
  readonly workersBefore: number | null
  /** Names of applications in use until now that could not be loaded either. */
  readonly lostBefore: ReadonlySet<string>
  /** Of the whole program's workers. */
  readonly tally: Tally
  /** The whole program's pools for tasks. */
  taskPools(): Promise<TaskPools>
}

/** What `portico serve` has beside its configuration. */
export interface ServeSide {
  /** For the zygote; null: the application is none of Python's. */
  readonly gunicorn: object | null
  /** For Node with `--reload`: which files it is to look at besides its own; null: none at all. */
  readonly watch: readonly string[] | null
  /** Where what applications print goes; null: where our own output goes. */
  readonly output: string | null
  /** A file has changed (`--reload`) that is more than the application's. False: it is not. */
  changed(file: string): boolean
  /** The application could not be loaded, and there is no earlier one. */
  notLoaded(error: string): void
  /** A hook or a worker has ended the server. */
  halted(code: number, reason: string): void
  /** So many workers serve now. */
  serving(count: number): void
}

export class Applications implements Companions {
  readonly loaded: Promise<string>
  /** Nothing of them is left. */
  isOver = false
  private readonly apps: readonly AppSettings[]
  private readonly plan: Plan
  private readonly generation: number
  private readonly around: Surroundings
  private pools: AppPool[] = []
  private ending: Ending | null = null
  private output: Output = 'inherit'
  private make: ((settings: AppSettings, generation: number) => AppPool) | null = null
  private readonly renewals = new Renewals<AppPool>(
    old => this.make!(old.settings, ++this.renewed * RENEWAL + this.generation),
    (old, fresh) => this.succeed(old, fresh),
  )
  /** Those that have been succeeded. */
  private readonly leaving = new Map<AppPool, Promise<unknown>>()
  /** Pools for tasks by the application's name, and those that were there before. */
  private readonly tasks = new Map<string, TaskPool>()
  private readonly former = new Set<TaskPool>()
  private taskPools: TaskPools | null = null
  private readonly counts = new RequestCounts(app => this.notify({ type: 'count', app }))
  private readonly reports = new ThreadReports(id => this.around.broadcast({ topic: REPORT_TOPIC, message: { id } }))
  private readonly echoes: Echoes
  /** The threads that have nothing left but connections without an end. */
  private readonly parting = new Set<number>()
  /** Pools whose workers end before the threads do. */
  private readonly ended = new Map<AppPool, Promise<void>>()
  /** How many there have been. */
  private renewed = 0
  private settle: (error: string) => void = () => {}

  constructor(apps: readonly AppSettings[], plan: Plan, generation: number, around: Surroundings) {
    this.apps = apps
    this.plan = plan
    this.generation = generation
    this.around = around
    this.echoes = new Echoes(plan.threads, id => around.broadcast({ topic: ECHO_TOPIC, message: id }))
    this.loaded = apps.length === 0 ? Promise.resolve('') : new Promise(resolve => (this.settle = resolve))
  }

  start(): void {
    if (this.apps.length > 0) void this.startPools()
  }

  current(): TopicMessage[] {
    return this.pools.flatMap(pool => pool.current()).map(message => ({ topic: APP_TOPIC, message }))
  }

  receive({ topic, message }: TopicMessage): void {
    if (topic === REPORT_TOPIC) this.reports.told(message as ThreadReport)
    if (topic === ECHO_TOPIC) this.echoes.answered(message as number)
    if (topic === FAREWELL_TOPIC) this.part(message as number)
    if (topic !== APP_TOPIC) return
    const request = message as AppRequest
    if (request.type === 'counted') this.counts.told(request.app, request.workers)
    else this.pools.find(pool => pool.settings.name === request.app)?.request(request)
  }

  /** No thread has a request for them any more: those of Node say goodbye to whom they are still connected to. */
  private part(thread: number): void {
    this.parting.add(thread)
    if (this.parting.size < this.plan.threads || this.ending !== null) return
    for (const pool of this.pools) {
      const { gracefulTimeout, kind } = pool.settings
      if (kind === 'node') this.ended.set(pool, pool.stop(true, gracefulTimeout))
    }
  }

  /** Of its workers by their pids, as far as they are known. */
  requests(): Promise<ReadonlyMap<number, number>> {
    return this.counts.of(this.pools.filter(pool => pool.pids().length > 0).map(pool => pool.settings.name))
  }

  /** What the threads beside them know. */
  report(): Promise<FrontReport> {
    return this.reports.of(this.plan.threads)
  }

  /** Those in use. */
  get inUse(): readonly AppPool[] {
    return this.pools
  }

  /** Names of those that cannot be loaded, and that nobody serves. */
  get lost(): ReadonlySet<string> {
    const failed = this.pools.filter(pool => pool.current().some(({ type }) => type === 'failed'))
    return new Set(failed.map(pool => pool.settings.name))
  }

  /** How many workers there are to be, of a single application. */
  get workers(): number | null {
    return this.pools[0]?.wanted ?? null
  }

  resize(by: 1 | -1): void {
    if (this.pools.length === 1) this.pools[0]!.resize(by)
  }

  /** All there are: those that load anew and those that have been succeeded too. */
  get all(): AppPool[] {
    return [...this.pools, ...this.renewals.fresh, ...this.leaving.keys()]
  }

  beforeUpgrade(): void {
    for (const pool of this.pools) pool.beforeUpgrade()
  }

  /** Node's have said goodbye with the threads that were halted: others take their places. */
  resume(): void {
    this.parting.clear()
    if (this.ending !== null) return
    for (const [old, ended] of this.ended) {
      const fresh = this.make!(old.settings, ++this.renewed * RENEWAL + this.generation)
      this.pools = this.pools.map(pool => (pool === old ? fresh : pool))
      this.leaving.set(
        old,
        ended.then(() => this.leaving.delete(old)),
      )
      fresh.start()
    }
    this.ended.clear()
  }

  async stop(ending: Ending, final: boolean): Promise<void> {
    this.ending = ending
    this.echoes.end()
    const graceful = ending === 'graceful'
    await Promise.all([
      ...this.pools.map(
        pool => (graceful ? this.ended.get(pool) : null) ?? pool.stop(graceful, pool.settings.gracefulTimeout, final),
      ),
      ...this.renewals.stop(),
      ...[...this.leaving.keys()].map(pool => pool.stop(graceful, pool.settings.gracefulTimeout)),
    ])
    // Requests that are finished may ask for tasks until then.
    await this.taskPools?.leave(this, graceful)
    if (typeof this.output === 'number') closeSync(this.output)
    this.output = 'inherit'
    this.isOver = true
  }

  /** The code for pools is loaded only where there is an application, and while the front starts. */
  private async startPools(): Promise<void> {
    const { AppPool } = await import('../app/pool/pool.ts')
    if (this.ending !== null) {
      this.settle(BROKEN_OFF)
      return
    }
    this.openOutput()
    this.make = (settings, generation) => {
      const changed = (file: string): void => this.changed(pool, file)
      const pool: AppPool = new AppPool({ ...this.poolOptions(settings, generation), changed })
      return pool
    }
    if (this.apps.some(({ tasks }) => tasks !== null)) {
      this.startTasks(await this.around.taskPools())
      if (this.ending !== null) return
    }
    this.pools = this.apps.map(settings => this.make!(this.withTasks(settings), this.generation))
    for (const pool of this.pools) pool.start()
    const errors = await Promise.all(this.awaited().map(pool => pool.loaded))
    const error = errors.find(one => one !== '') ?? (this.ending === null ? '' : BROKEN_OFF)
    this.haveLoaded(error)
    this.settle(error)
  }

  /** An application that nobody serves has nothing to lose by a reload, and must not keep the others from it. */
  private awaited(): AppPool[] {
    const { lostBefore, serve } = this.around
    return serve === null ? this.pools.filter(pool => !lostBefore.has(pool.settings.name)) : this.pools
  }

  private openOutput(): void {
    const captured = this.around.serve?.output ?? null
    if (!this.around.daemon && captured === null) return
    const path = captured ?? this.plan.errorLog[0]?.path ?? null
    this.output = openSync(path === null ? '/dev/null' : Buffer.from(path, 'latin1'), 'a', 0o644)
  }

  private poolOptions(settings: AppSettings, generation: number): PoolOptions {
    const { serve, tally } = this.around
    return {
      ...this.launchOptions(settings, generation),
      generation,
      frontThreads: this.plan.threads,
      notify: message => this.notify(message),
      heard: () => this.echoes.heard(),
      watch: serve?.watch ?? null,
      ...(serve === null ? {} : { halt: (code: number, reason: string) => serve.halted(code, reason) }),
      tally,
    }
  }

  /** What the processes of an application's workers and of its tasks are started with. */
  private launchOptions(settings: AppSettings, generation: number): TaskPoolOptions {
    const { user } = this.plan
    return {
      settings,
      output: this.output,
      runDirectory: '',
      front: user === null ? null : { user: user.name, group: `${user.gid}` },
      log: (level, message) => this.around.log(level, message),
      gunicorn: this.gunicorn(generation),
    }
  }

  /** @param error why one of them has not; '': all have */
  private haveLoaded(error: string): void {
    // Where workers say goodbye the server ends already.
    const isEnding = this.ending !== null || this.ended.size > 0
    if (error !== '' && this.generation === 1 && !isEnding && this.around.serve !== null) {
      this.around.serve.notLoaded(error)
      // The whole program ends: nothing is tried again until the front has gone.
      void this.stop('fast', true)
    }
    if (error === '' && this.ending === null) {
      for (const { name, tasks } of this.apps)
        if (tasks !== null && this.isFormer(name)) this.tasks.get(name)!.reload(tasks)
    }
  }

  /** They are there before the applications, which may ask for tasks while they are imported. */
  private startTasks(pools: TaskPools): void {
    if (this.ending !== null) {
      this.settle(BROKEN_OFF)
      return
    }
    this.taskPools = pools
    for (const settings of this.apps) {
      if (settings.tasks === null) continue
      try {
        const { pool, isNew } = pools.take(this, this.launchOptions(settings, this.generation))
        this.tasks.set(settings.name, pool)
        if (!isNew) this.former.add(pool)
      } catch (error) {
        this.around.log(ERR, `app "${settings.name}": no tasks: ${(error as Error).message}`)
      }
    }
  }

  private isFormer(name: string): boolean {
    return this.former.has(this.tasks.get(name)!)
  }

  private withTasks(settings: AppSettings): AppSettings {
    const pool = this.tasks.get(settings.name)
    if (pool === undefined) return settings
    return { ...settings, environment: { ...settings.environment, [SOCKET_VARIABLE]: pool.socket } }
  }

  /** For who controls the program. */
  tasksOf(name: string): TaskPool | null {
    return this.tasks.get(name) ?? null
  }

  private gunicorn(generation: number): object | null {
    const given = this.around.serve?.gunicorn ?? null
    if (given === null) return null
    // At a reload Gunicorn's hook nworkers_changed is told how many there were.
    const workers_before = this.workers ?? this.around.workersBefore
    return { ...given, master: process.pid, again: generation > 1, workers_before }
  }

  private changed(pool: AppPool, file: string): void {
    if (!(this.renewals.fresh.has(pool) || this.pools.includes(pool)) || this.ending !== null) return
    if (this.around.serve?.changed(file) !== true) this.renewals.changed(pool)
  }

  /** Nothing else of the configuration has changed, so the threads stay. */
  private succeed(old: AppPool, fresh: AppPool): void {
    this.pools = this.pools.map(pool => (pool === old ? fresh : pool))
    const { name, tasks } = old.settings
    if (tasks !== null) this.tasks.get(name)?.reload(tasks)
    old.sayAllGone()
    const leaving = old.stop(true, old.settings.gracefulTimeout).then(() => this.leaving.delete(old))
    this.leaving.set(old, leaving)
  }

  private notify(message: AppNotice): void {
    this.around.broadcast({ topic: APP_TOPIC, message })
    if (message.type === 'count') return
    this.around.serve?.serving(this.pools.reduce((count, pool) => count + pool.pids().length, 0))
  }
}
