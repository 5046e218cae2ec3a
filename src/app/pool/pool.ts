// One application's workers, as the master keeps them: the right number of them, always. This is Gunicorn's arbiter for a
// program that has a zygote to do the forking.
//
//              fork                 listens                    hung, retired, stop
//   (slot) ─────────────▶ STARTING ──────────▶ SERVING ─────────────────────────────▶ LEAVING ──▶ exited
//                            │ cannot load         └─ retiring: serves on until its replacement does
//                            └────────▶ backoff, then fork again
//
// A pool is one generation: a reload makes another one and stops this one once nobody needs it. It knows nothing of HTTP;
// what it finds out goes to `notify` (every front thread must be told) and `log`.

import type { AppNotice, AppRequest, AppSettings } from '../app.ts'
import { delay } from '../../lib/longest-delay.ts'
import { ALERT, ERR, INFO, NOTICE, WARN } from '../../log/error-log.ts'
import { Headcount } from './headcount.ts'
import { type LaunchOptions, makeDirectory, makeSpawner } from './launch.ts'
import { ownMemory } from './memory.ts'
import { Pending } from './pending.ts'
import { Reports } from './reports.ts'
import { LEAVING, type PoolWorker, Roster, SERVING, STARTING, Tally, type WorkerStatus } from './roster.ts'
import { Setbacks } from './setbacks.ts'
import { SlowLoads } from './slow-loads.ts'
import type { SocketDirectory } from './socket-directory.ts'
import type { Spawner, SpawnerEvents } from './spawner.ts'

export interface PoolOptions extends LaunchOptions {
  log(level: number, message: string): void
  notify(notice: AppNotice): void
  /** With `--reload`: a file of the application has changed. */
  changed?(file: string): void
  /** The application's side wants the whole program to end. Absent: it cannot. */
  halt?(code: number, reason: string): void
  /** Of all pools of the program. */
  readonly tally?: Tally
}

/** How often workers are weighed, where their memory has a limit. */
const WEIGH_MS = 2000
/** What a stop at once may take before the processes are killed. */
const LAST_WAIT_MS = 3000
/** Codes of workers by which Gunicorn's arbiter knows that others would do no better: it ends with the same. */
const HALTING: readonly number[] = [3, 4]
const SIGKILL = 9

export class AppPool implements SpawnerEvents {
  readonly settings: AppSettings
  private readonly options: PoolOptions
  private readonly roster: Roster
  private readonly headcount: Headcount
  private readonly reports: Reports
  private readonly setbacks = new Setbacks()
  private directory: SocketDirectory | null = null
  private spawner: Spawner | null = null
  private isReady = false
  private readonly retry = new Pending()
  private readonly slowLoads: SlowLoads
  /** Of the process that loads the application for all. */
  private loadClock: NodeJS.Timeout | undefined
  /** The process that loads it has told why it cannot. */
  private hasFailed = false
  private memoryClock: NodeJS.Timeout | null = null
  private startedMs = 0
  private stopping = false
  /** Nothing is to be started any more: the program is about to end. */
  private isHalted = false
  private onEnded: () => void = () => {}
  private ending: Promise<void> | null = null

  constructor(options: PoolOptions) {
    this.options = options
    this.settings = options.settings
    this.roster = new Roster(options.tally ?? new Tally())
    this.headcount = new Headcount(this.settings)
    this.reports = new Reports(options)
    this.slowLoads = new SlowLoads(this.settings, message => this.log(WARN, message))
  }

  /** '' once a worker serves, or why the application cannot be loaded: whichever comes first. */
  get loaded(): Promise<string> {
    return this.reports.loaded
  }

  start(): void {
    if (this.stopping || this.spawner !== null) return
    this.retry.clear()
    this.startedMs = performance.now()
    this.hasFailed = false
    if (this.settings.maxMemory > 0) this.memoryClock ??= setInterval(() => this.weigh(), WEIGH_MS).unref()
    try {
      this.directory = makeDirectory(this.options)
      this.spawner = makeSpawner(this.options, this.directory.path, this)
      this.spawner.start()
      this.loadClock = this.slowLoads.watch('process', this.spawner.pid)
    } catch (error) {
      this.spawner = null
      this.removeDirectory()
      this.failed((error as Error).message, '')
      this.retry.in(this.setbacks.loads.delay(), () => this.start())
    }
  }

  /** What a front thread asks for. */
  request(message: AppRequest): void {
    if (this.stopping) return
    if (message.type === 'grow') return this.grow()
    if (message.type === 'load') return this.shrink(message.idle)
    const worker = this.roster.all.find(one => one.pid === message.pid && one.state === SERVING)
    if (worker === undefined) return
    if (message.type === 'doubt') {
      this.spawner?.ask(worker.pid, () => {
        if (worker.state === SERVING) this.abort(worker)
      })
      return
    }
    if (message.type === 'hung') this.abort(worker)
    else worker.retiring = true
    this.fill()
  }

  private abort(worker: PoolWorker): void {
    const { kind, threads, gracefulTimeout } = this.settings
    // What its other threads serve is not to end with the one that hangs.
    const isShared = kind === 'threads' && threads > 1
    this.log(ERR, `worker process ${worker.pid} did not answer in time and is ${isShared ? 'replaced' : 'aborted'}`)
    worker.aborted = true
    this.dismiss(worker)
    if (isShared) {
      this.spawner?.leave(worker.pid)
      worker.deadline = setTimeout(() => this.spawner?.abort(worker.pid), delay(gracefulTimeout))
    } else this.spawner?.abort(worker.pid)
    this.fill()
  }

  /** It is to finish what it serves and go, and another to take its place. False: there is none with that pid. */
  endWorker(pid: number): boolean {
    const worker = this.roster.all.find(one => one.pid === pid && pid > 0)
    if (worker === undefined) return false
    if (this.stopping || worker.state === LEAVING) return true
    this.log(NOTICE, `worker process ${pid} is told to go`)
    if (worker.state === SERVING) this.retire(worker)
    else {
      // It serves nobody yet.
      worker.state = LEAVING
      this.roster.tally.killed++
      this.spawner?.kill(pid)
    }
    this.fill()
    return true
  }

  /** A worker that has taken too much memory is replaced. One at a time: they would all come to it together. */
  private weigh(): void {
    if (this.stopping || this.roster.all.some(one => one.retiring)) return
    const { maxMemory } = this.settings
    const heavy = this.roster.all.find(one => one.state === SERVING && ownMemory(one.pid) > maxMemory)
    if (heavy === undefined) return
    this.log(NOTICE, `worker process ${heavy.pid} has more than ${maxMemory} bytes of memory to itself: it is replaced`)
    heavy.retiring = true
    this.fill()
  }

  /** Requests wait for a worker. One that is on its way is waited for first. */
  private grow(): void {
    if (!this.headcount.grow(this.roster.all.some(one => one.state === STARTING))) return
    this.log(INFO, `requests wait: ${this.headcount.wanted} workers`)
    this.fill()
  }

  /** Told every second which workers had nothing to do: when there has been one for a while, the last one goes. */
  private shrink(idle: readonly number[]): void {
    const { staying } = this.roster
    const spare = staying.findLast(one => idle.includes(one.pid))
    if (!this.headcount.shrink(spare !== undefined)) return
    this.log(INFO, `little to do: ${this.headcount.wanted} workers`)
    if (staying.length > this.headcount.wanted) this.retire(spare!)
  }

  /** What a thread that starts now has to be told. */
  current(): AppNotice[] {
    return this.reports.current(this.roster.serving)
  }

  /** So many workers more or less, until the next reload; never none. */
  resize(by: number): void {
    if (this.stopping || !this.headcount.resize(by)) {
      this.log(
        by > 0 ? WARN : NOTICE,
        `the number of workers stays ${this.headcount.wanted}, it can be 1 to ${this.headcount.most}`,
      )
      return
    }
    this.spawner?.tell?.({ command: 'workers', count: this.headcount.wanted })
    this.log(NOTICE, `${this.headcount.wanted} ${this.headcount.wanted === 1 ? 'worker' : 'workers'} from now on`)
    if (by > 0) this.fill()
    else this.trim()
  }

  /** How many workers there are to be. */
  get wanted(): number {
    return this.headcount.wanted
  }

  /** All its workers, the oldest first. */
  get workers(): WorkerStatus[] {
    return this.roster.statuses(this.stopping)
  }

  /** Pids of the workers that serve. */
  pids(): number[] {
    return this.roster.serving.map(worker => worker.pid)
  }

  /** Nobody shall send anything to these workers any more: others do their work. */
  sayAllGone(): void {
    for (const worker of this.roster.serving) {
      this.dismiss(worker)
      this.spawner?.leave(worker.pid)
    }
  }

  /** Another program takes over. */
  beforeUpgrade(): void {
    this.spawner?.tell?.({ command: 'pre_exec' })
  }

  /**
   * Ends everything and removes the sockets. A second call may only hasten it.
   * @param timeout ms after which what has not ended gracefully is ended at once
   * @param final the whole server ends
   */
  stop(graceful: boolean, timeout: number, final = false): Promise<void> {
    this.stopping = true
    this.retry.clear()
    this.reports.isLoaded('loading was broken off')
    for (const worker of this.roster.all) if (worker.deadline !== null) clearTimeout(worker.deadline)
    if (this.ending === null) this.roster.tally.killed += this.roster.present
    this.ending ??= new Promise<void>(resolve => {
      this.onEnded = resolve
      if (this.spawner === null) this.finish()
    })
    const spawner = this.spawner
    if (spawner === null) return this.ending
    // What is still loading serves nobody, and hears nothing before it has loaded.
    if (!this.isReady) {
      spawner.destroy()
      return this.ending
    }
    spawner.stop(graceful, final)
    if (graceful) this.retry.in(timeout, () => this.stopNow(spawner, final))
    else this.retry.in(LAST_WAIT_MS, () => spawner.destroy())
    return this.ending
  }

  private stopNow(spawner: Spawner, final: boolean): void {
    this.log(NOTICE, 'workers did not finish in time and are killed')
    spawner.stop(false, final)
    this.retry.in(LAST_WAIT_MS, () => spawner.destroy())
  }

  // ── reports of the spawner ───────────────────────────────────────────────────────────────────────────────────────

  ready(about: string): void {
    this.log(NOTICE, `loading on ${about}`)
    this.isReady = true
    clearTimeout(this.loadClock)
    this.fill()
    if ((this.options.gunicorn ?? null) !== null) this.roster.tally.arrived(this)
  }

  alone(): void {
    if (!this.stopping) this.spawner?.tell?.({ command: 'alone' })
  }

  failed(error: string, traceback: string): void {
    this.hasFailed = true
    this.setbacks.loads.fail()
    this.reports.failed(error, traceback, this.roster.serving)
  }

  forked(slot: number, pid: number): void {
    const worker = this.roster.starting(slot)
    if (worker === undefined) return
    worker.pid = pid
    worker.deadline = this.slowLoads.watchWorker(pid, seconds => this.hangsLoading(worker, seconds))
  }

  /** Others have loaded the same: another try may do, too. */
  private hangsLoading(worker: PoolWorker, seconds: number): void {
    this.log(ERR, `worker process ${worker.pid} has not loaded the application in ${seconds} seconds and is aborted`)
    worker.aborted = true
    worker.state = LEAVING
    this.roster.tally.killed++
    this.setbacks.bootFailed()
    this.spawner?.abort(worker.pid)
    this.fill()
  }

  worker(slot: number, pid: number, paths: readonly string[]): void {
    const worker = this.roster.starting(slot)
    if (worker === undefined) {
      // It listens anew, where it did before.
      this.admitFront(pid, paths)
      return
    }
    if (this.stopping) {
      worker.pid = pid
      return
    }
    worker.pid = pid
    worker.paths = paths
    worker.state = SERVING
    if (worker.deadline !== null) clearTimeout(worker.deadline)
    this.slowLoads.loaded(performance.now() - worker.startedMs)
    this.reports.lastError = ''
    this.setbacks.serves()
    if (!this.admitFront(pid, paths)) return
    this.reports.serves(worker)
    // What takes over from an old generation does so at full strength.
    if (this.options.generation === 1 || this.pids().length >= this.headcount.wanted) this.reports.isLoaded('')
    const retired = this.roster.all.find(one => one.retiring && one.state === SERVING && one !== worker)
    if (retired !== undefined) this.retire(retired)
    this.trim()
  }

  private admitFront(pid: number, paths: readonly string[]): boolean {
    try {
      for (const path of paths) this.directory?.admitFront(path)
      return true
    } catch (error) {
      this.log(ERR, `worker process ${pid}: ${(error as Error).message}`)
      this.spawner?.kill(pid)
      return false
    }
  }

  workerFailed(slot: number, pid: number, error: string, traceback: string): void {
    const worker = this.roster.starting(slot)
    if (worker === undefined) return
    worker.pid = pid
    worker.failed = true
    // A fork that failed is no process: no exit of it will be reported.
    if (pid === 0) {
      this.setbacks.notForked()
      this.roster.remove(worker)
    } else this.setbacks.notLoaded(worker)
    this.reports.failed(error, traceback, this.roster.serving)
    if (pid === 0) this.fill()
  }

  exited(slot: number, pid: number, status: number, signal: number): void {
    const worker = this.roster.all.find(one => one.slot === slot && (one.pid === pid || one.pid === 0))
    if (worker === undefined) return
    const expected = worker.state === LEAVING || worker.failed || this.stopping
    // A worker that nobody here has killed: on Linux it is mostly the kernel, to have memory for others.
    const hint = signal === SIGKILL && !expected ? ' (out of memory?)' : ''
    const how = signal === 0 ? `exited with code ${status}` : `exited on signal ${signal}${hint}`
    this.log(expected || (status === 0 && signal === 0) ? NOTICE : ALERT, `worker process ${pid} ${how}`)
    if (worker.state === SERVING) this.reports.gone(worker)
    this.setbacks.died(worker, expected)
    if (!expected && worker.state === STARTING) this.diedLoading(`worker process ${pid} ${how} before it served`)
    if (!expected && signal === 0 && HALTING.includes(status)) this.asksForTheEnd(worker, status)
    this.roster.remove(worker)
    this.fill()
  }

  /** Again and again, and none has come to serve. At a start it is tried for ever; a reload that cannot succeed must end. */
  private diedLoading(error: string): void {
    const isHopeless = this.setbacks.isMortal && this.roster.serving.length === 0
    if (isHopeless && this.options.generation > 1 && !this.reports.isSettled) this.reports.failed(error, '', [])
  }

  /** Gunicorn ends with it. What a reload has begun only does not take over. */
  private asksForTheEnd(worker: PoolWorker, code: number): void {
    if (this.options.halt === undefined) return
    const reason = `worker process ${worker.pid} has ended the server with exit code ${code}`
    if (this.options.generation > 1 && worker.state === STARTING) this.failed(reason, '')
    else this.halted(code, reason)
  }

  halted(code: number, reason: string): void {
    if (this.isHalted) return
    this.isHalted = true
    this.log(ALERT, reason)
    this.options.halt?.(code, reason)
  }

  changed(file: string): void {
    this.log(NOTICE, `"${file}" has changed`)
    this.options.changed?.(file)
  }

  ended(how: string): void {
    const wasReady = this.isReady
    const served = this.roster.all.some(worker => worker.paths.length > 0)
    this.spawner = null
    this.isReady = false
    clearTimeout(this.loadClock)
    // Its workers went with it: the kernel kills them when the zygote's end of their life pipe closes.
    for (const worker of this.roster.all.splice(0)) {
      if (worker.deadline !== null) clearTimeout(worker.deadline)
      if (worker.state === SERVING) this.reports.gone(worker)
    }
    this.removeDirectory()
    if (this.stopping) {
      this.finish()
      return
    }
    if (wasReady) {
      this.log(ALERT, `the process that forks its workers ${how}`)
      this.setbacks.forkerDied(this.startedMs, served)
    } else if (!this.hasFailed) this.fell(`cannot load "${this.settings.module}": its process ${how}`)
    this.retry.in(this.setbacks.loadPause, () => this.start())
  }

  /** While it loaded the application. */
  private fell(error: string): void {
    if (this.setbacks.forkerFell()) this.log(ALERT, error)
    else this.failed(error, '')
  }

  log(level: number, message: string): void {
    this.reports.log(level, message)
  }

  // ── the number of workers ────────────────────────────────────────────────────────────────────────────────────────

  /** Forks what is missing. */
  private fill(): void {
    if (!this.isReady || this.stopping || this.isHalted || this.spawner === null) return
    const { pause } = this.setbacks
    if (pause > 0 && !this.retry.isSet) {
      this.retry.in(pause, () => this.forkMissing())
      return
    }
    if (pause === 0) this.forkMissing()
  }

  private forkMissing(): void {
    if (!this.isReady || this.stopping) return
    if (!this.provideDirectory()) {
      this.retry.in(this.setbacks.bootFailed(), () => this.forkMissing())
      return
    }
    const { leaving } = this.roster
    if (leaving.length > 0) this.spawner?.tell?.({ command: 'going', pids: leaving.map(one => one.pid) })
    for (let i = this.roster.present; i < this.headcount.wanted; i++) {
      const { slot, age } = this.roster.add()
      this.spawner?.fork(slot, age)
    }
  }

  /** The oldest go first, as Gunicorn's do; one that is still starting goes when it serves. */
  private trim(): void {
    const { staying } = this.roster
    for (const worker of staying.slice(0, Math.max(staying.length - this.headcount.wanted, 0))) this.retire(worker)
  }

  /** Its replacement serves: it is to finish what it serves and go. */
  private retire(worker: PoolWorker): void {
    this.dismiss(worker)
    this.spawner?.leave(worker.pid)
    worker.deadline = setTimeout(() => this.spawner?.end(worker.pid), delay(this.settings.timeout))
  }

  private dismiss(worker: PoolWorker): void {
    worker.state = LEAVING
    this.roster.tally.killed++
    this.reports.gone(worker)
  }

  // ── what is started and ended ────────────────────────────────────────────────────────────────────────────────────

  private provideDirectory(): boolean {
    try {
      this.directory?.restore()
      return true
    } catch (error) {
      this.log(ERR, `"${this.directory!.path}" could not be made again: ${(error as Error).message}`)
      return false
    }
  }

  private removeDirectory(): void {
    try {
      this.directory?.remove()
    } catch (error) {
      this.log(ERR, `"${this.directory!.path}" could not be removed: ${(error as Error).message}`)
    }
    this.directory = null
  }

  private finish(): void {
    if (this.memoryClock !== null) clearInterval(this.memoryClock)
    this.retry.clear()
    this.removeDirectory()
    this.onEnded()
    this.roster.tally.left(this)
  }
}
