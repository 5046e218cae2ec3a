// An application's pool for tasks, as the master keeps it: the process that hands them out, and the socket it does that on. The
// socket is the master's and stays: while the process is replaced, whoever connects waits.

import { chownSync, closeSync, existsSync } from 'node:fs'
import { join } from 'node:path'
import type { AppSettings, TaskSettings } from '../app.ts'
import { delay } from '../../lib/longest-delay.ts'
import { ALERT, ERR, NOTICE } from '../../log/error-log.ts'
import { listenQueue } from '../../process/libc.ts'
import { bindUnix } from '../../process/sockets.ts'
import { Backoff } from './backoff.ts'
import { ownerOf, runsAs } from './launch.ts'
import type { LaunchOptions } from './launch.ts'
import { SocketDirectory } from './socket-directory.ts'
import { TaskArbiter, plain } from './task-arbiter.ts'
import type { TaskArbiterEvents, TaskState } from './task-arbiter.ts'
import type { TaskChange, Tasks, TasksShown } from './tasks.ts'

export interface TaskPoolOptions extends Pick<LaunchOptions, 'output' | 'runDirectory' | 'front'> {
  /** With tasks. */
  readonly settings: AppSettings
  readonly gunicorn: object | null
  log(level: number, message: string): void
}

/** Connections that may wait to be taken; as many as the process takes at a time. */
const BACKLOG = 4096
/** A process that lives less has died at once. */
const SHORT_LIFE_MS = 1000
/** What an end at once may take, and a graceful one beyond its own timeout, before the process is killed. */
const LAST_WAIT_MS = 3000

export class TaskPool implements Tasks, TaskArbiterEvents {
  private readonly options: TaskPoolOptions
  private tasks: TaskSettings
  private readonly directory: SocketDirectory
  private listening = -1
  private arbiter: TaskArbiter | null = null
  private shown: TaskState | null = null
  private readonly failures = new Backoff(1)
  private lastError = ''
  private startedMs = 0
  private clock: NodeJS.Timeout | null = null
  private stopping = false
  private ending: Promise<void> | null = null
  private onEnded: () => void = () => {}
  private number = 0
  private readonly asked = new Map<number, (change: TaskChange) => void>()

  /** Throws where there is no folder for the socket. */
  constructor(options: TaskPoolOptions) {
    this.options = options
    this.tasks = options.settings.tasks!
    this.directory = new SocketDirectory(options.runDirectory, this.owner, null, 'tasks')
  }

  /** For the environment of those who ask for tasks. */
  get socket(): string {
    return join(this.directory.path, 'tasks.sock')
  }

  start(): void {
    if (this.stopping || this.arbiter !== null) return
    this.startedMs = performance.now()
    const { settings, front, output, gunicorn } = this.options
    try {
      this.listen()
      const { listening, socket, tasks } = this
      const { user, group } = runsAs(settings, front)
      this.arbiter = new TaskArbiter({ settings, tasks, socket, listening, user, group, output, gunicorn }, this)
      this.arbiter.start()
    } catch (error) {
      this.arbiter = null
      this.failed((error as Error).message, '')
      this.later(this.failures.fail(), () => this.start())
    }
  }

  /** New workers take over from the old ones, with new code and with these settings. */
  reload(tasks: TaskSettings): void {
    this.tasks = tasks
    this.failures.succeed()
    if (this.arbiter !== null) this.arbiter.send({ command: 'reload', tasks: plain(tasks) })
    else if (this.clock !== null) this.start()
  }

  /** A second call may only hasten it. */
  stop(graceful: boolean): Promise<void> {
    this.stopping = true
    this.clear()
    this.ending ??= new Promise(resolve => {
      this.onEnded = resolve
      if (this.arbiter === null) this.finish()
    })
    this.arbiter?.send({ command: 'stop', graceful })
    this.later((graceful ? this.tasks.gracefulTimeout : 0) + LAST_WAIT_MS, () => this.arbiter?.destroy())
    return this.ending
  }

  // ── for who controls the program ─────────────────────────────────────────────────────────────────────────────────

  show(): TasksShown | null {
    if (this.shown === null) return null
    const { arbiter_pid: pid, workers, limits } = this.shown
    const apps = Object.entries(limits).map(([path, limit]) => {
      const pids = workers.filter(worker => worker.apps.includes(path)).map(worker => worker.pid)
      return { import_path: path, worker_count: limit, current_workers: pids.length, worker_pids: pids }
    })
    return { pid, workers, apps }
  }

  add(count: number): Promise<TaskChange> {
    return this.ask('add', count)
  }

  remove(count: number): Promise<TaskChange> {
    return this.ask('remove', count)
  }

  private ask(command: string, count: number): Promise<TaskChange> {
    if (this.shown === null) return Promise.resolve(NOT_RUNNING)
    const id = ++this.number
    return new Promise(resolve => {
      this.asked.set(id, resolve)
      this.arbiter?.send({ command, count, id })
    })
  }

  // ── reports of the process ───────────────────────────────────────────────────────────────────────────────────────

  ready(about: string): void {
    this.lastError = ''
    this.log(NOTICE, `tasks are handed out by ${about}`)
  }

  failed(error: string, traceback: string): void {
    if (error !== this.lastError) {
      this.log(ERR, `tasks: ${error}`)
      if (traceback !== '') this.log(ERR, `traceback\n${traceback.trimEnd()}`)
    }
    this.lastError = error
  }

  state(state: TaskState): void {
    this.shown = state
  }

  reply(id: number, result: object): void {
    this.asked.get(id)?.(result as TaskChange)
    this.asked.delete(id)
  }

  ended(how: string): void {
    this.arbiter = null
    this.shown = null
    for (const resolve of this.asked.values()) resolve(NOT_RUNNING)
    this.asked.clear()
    this.clear()
    if (this.stopping) {
      this.finish()
      return
    }
    if (performance.now() - this.startedMs > SHORT_LIFE_MS && this.lastError === '') this.failures.succeed()
    if (this.lastError === '') this.log(ALERT, `the process that hands out tasks ${how}`)
    this.later(this.failures.fail(), () => this.start())
  }

  log(level: number, message: string): void {
    const text = `app "${this.options.settings.name}": ${message}`
    this.options.log(level, Buffer.from(text, 'utf8').toString('latin1'))
  }

  // ── what is held ─────────────────────────────────────────────────────────────────────────────────────────────────

  private get owner(): ReturnType<typeof ownerOf> {
    return ownerOf(this.options.settings, this.options.front)
  }

  /** Somebody may have tidied up the temporary folder, and a socket that nobody finds is none. */
  private listen(): void {
    if (this.listening >= 0 && existsSync(this.socket)) return
    this.close()
    this.directory.restore()
    this.listening = bindUnix(Buffer.from(this.socket, 'utf8').toString('latin1'), 0o600)
    const { owner } = this
    if (owner !== null) chownSync(this.socket, owner.uid, owner.gid)
    if (!listenQueue(this.listening, BACKLOG)) throw new Error(`listen() to "${this.socket}" failed`)
  }

  private close(): void {
    if (this.listening >= 0) closeSync(this.listening)
    this.listening = -1
  }

  private finish(): void {
    this.clear()
    this.close()
    try {
      this.directory.remove()
    } catch (error) {
      this.log(ERR, `"${this.directory.path}" could not be removed: ${(error as Error).message}`)
    }
    this.onEnded()
  }

  private later(ms: number, run: () => void): void {
    this.clear()
    this.clock = setTimeout(() => {
      this.clock = null
      run()
    }, delay(ms))
  }

  private clear(): void {
    if (this.clock !== null) clearTimeout(this.clock)
    this.clock = null
  }
}

const NOT_RUNNING: TaskChange = { success: false, error: 'Dirty arbiter not running' }
