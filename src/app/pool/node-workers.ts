// Workers of a Node application: a process each, which loads the user's file and serves HTTP/1.1 on a Unix socket
// (workers/node-worker.ts; why HTTP: docs/decisions/0005). Their IPC channel carries the reports, and its end tells them
// that the master is gone.

import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, rm } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { delay } from '../../lib/longest-delay.ts'
import { CACHE_VARIABLE, givenEnvironment, isOwnCache } from '../../lib/own-environment.ts'
import type { AppSettings } from '../app.ts'
import { NOTICE, WARN } from '../../log/error-log.ts'
import { NODE_LEAVE, NODE_QUESTION, WORKER_VARIABLE, type NodeReport, type NodeWorkerStart } from '../node-start.ts'
import type { Ids } from './socket-directory.ts'
import type { Output, Spawner, SpawnerEvents } from './spawner.ts'

export interface NodeWorkersOptions {
  /** Where its standard output and error go: ours, or a descriptor. */
  readonly output: Output
  readonly settings: AppSettings
  readonly generation: number
  readonly socketDir: string
  /** Are they to look at their files, and at which further ones? */
  readonly watch: readonly string[] | null
  /** Who they run as; null for who we are. */
  readonly owner: Ids | null
  /** Resolves when the front knows which workers are to go. */
  heard(): Promise<void>
}

/** What a process whose loop turns may take to say so. */
const ANSWER_MS = 1000
/** An application that listens on ever new ports is told of no more. */
const NOTES_MAX = 100

export class NodeWorkers implements Spawner {
  readonly pid = 0
  private readonly options: NodeWorkersOptions
  private readonly events: SpawnerEvents
  private readonly children = new Map<number, ChildProcess>()
  /** Those that have been asked whether they hang. */
  private readonly asked = new Map<number, NodeJS.Timeout>()
  /** Those that have said what came of their start. */
  private readonly settled = new Set<number>()
  /** Those that are to end, and know it: to some applications a second SIGTERM is an order to break off. */
  private readonly told = new Set<number>()
  /** The application forks cluster workers: each of ours is one. */
  private isClustered = false
  /** What it forks them with. */
  private environments: readonly Readonly<Record<string, string>>[] = []
  /** What workers have said about the application: all of them say the same. */
  private readonly notes = new Set<string>()
  private stopping = false
  private count = 0

  constructor(options: NodeWorkersOptions, events: SpawnerEvents) {
    this.options = options
    this.events = events
  }

  start(): void {
    // Not before start() has returned, as with a zygote.
    setImmediate(() => this.events.ready(`Node ${process.versions.node}`))
  }

  fork(slot: number): void {
    const start = this.startOf(slot)
    let child: ChildProcess
    try {
      child = this.launch(start, this.environments[slot % this.environments.length])
    } catch (error) {
      // Some reasons are thrown (ENOMEM, E2BIG), others come as an event.
      setImmediate(() => this.notStarted(slot, error as Error))
      return
    }
    const { pid } = child
    if (pid === undefined) {
      child.once('error', error => this.notStarted(slot, error))
      return
    }
    this.children.set(pid, child)
    this.events.forked(slot, pid)
    child.on('error', () => {})
    // Applications send what they like: pm2's are told 'ready'.
    child.on('message', (message: NodeReport | null) => this.reported(slot, pid, start, message))
    child.once('close', (code, signal) => this.closed(slot, pid, start, code ?? 0, signal))
  }

  private startOf(slot: number): NodeWorkerStart {
    const { settings, generation, socketDir, watch } = this.options
    return {
      app: settings.name,
      module: settings.module,
      arguments: settings.arguments,
      directory: settings.directory,
      path: join(socketDir, `${settings.name}-${generation}-${++this.count}.sock`),
      port: settings.environment['PORT'] ?? '',
      umask: settings.umask,
      gracefulTimeout: delay(settings.gracefulTimeout),
      clusterId: this.isClustered ? slot + 1 : 0,
      waitReady: settings.waitReady,
      watch,
    }
  }

  private launch(start: NodeWorkerStart, forked: Readonly<Record<string, string>> | undefined): ChildProcess {
    const { settings, owner, output } = this.options
    return spawn(process.execPath, [...settings.nodeOptions, workerFile()], {
      cwd: settings.directory,
      env: {
        ...ownCache(),
        ...givenEnvironment(process.env),
        ...settings.environment,
        ...forked,
        [WORKER_VARIABLE]: JSON.stringify(start),
      },
      stdio: ['ignore', output, output, 'ipc'],
      // As the zygote: Ctrl-C in a terminal is for the master alone.
      detached: true,
      ...(owner === null ? {} : { uid: owner.uid, gid: owner.gid }),
    })
  }

  private reported(slot: number, pid: number, { path }: NodeWorkerStart, message: NodeReport | null): void {
    switch (message?.portico) {
      case 'here':
        return this.heard(pid)
      case 'serves':
        this.settled.add(pid)
        return this.events.worker(slot, pid, [path])
      case 'failed':
        this.settled.add(pid)
        return this.events.workerFailed(slot, pid, message.error, message.traceback)
      case 'changed':
        return this.events.changed(message.file)
      case 'notes':
        return this.note(message.note)
      case 'clusters':
        this.isClustered = true
        this.environments = message.environments
    }
  }

  private closed(
    slot: number,
    pid: number,
    { clusterId, path }: NodeWorkerStart,
    code: number,
    signal: NodeJS.Signals | null,
  ): void {
    this.children.delete(pid)
    this.told.delete(pid)
    this.heard(pid)
    // One that was killed has left it.
    rm(path, { force: true }, () => {})
    if (this.isClustered && clusterId === 0 && !this.stopping && !this.settled.has(pid)) this.forkClustered(slot)
    else this.ended(slot, pid, code, signal)
  }

  private note(note: string): void {
    if (this.notes.has(note) || this.notes.size >= NOTES_MAX) return
    this.events.log(WARN, note)
    this.notes.add(note)
  }

  private forkClustered(slot: number): void {
    this.events.log(NOTICE, 'the application forks cluster workers: each worker is started as one of them')
    this.fork(slot)
  }

  private ended(slot: number, pid: number, code: number, signal: NodeJS.Signals | null): void {
    if (!this.settled.delete(pid) && !this.stopping) {
      const how = signal === null ? `exited with code ${code}` : `exited on signal ${signal}`
      this.events.workerFailed(
        slot,
        pid,
        `cannot load "${this.options.settings.module}": it ${how} before it served`,
        '',
      )
    }
    this.events.exited(slot, pid, code, signal === null ? 0 : constants.signals[signal])
    if (this.stopping && this.children.size === 0) this.events.ended('stopped')
  }

  private notStarted(slot: number, error: Error): void {
    const { directory } = this.options.settings
    const why = existsSync(directory) ? error.message : `there is no directory "${directory}" any more`
    this.events.workerFailed(slot, 0, `cannot start a Node worker: ${why}`, '')
  }

  abort(pid: number): void {
    // A Node process that hangs runs no JavaScript that could tell where it is.
    this.kill(pid)
  }

  /** A process whose loop turns says that it is there, however many requests it is at. */
  ask(pid: number, hangs: () => void): void {
    if (this.asked.has(pid)) return
    const timer = setTimeout(() => {
      this.asked.delete(pid)
      hangs()
    }, ANSWER_MS)
    this.asked.set(pid, timer)
    this.children.get(pid)?.send({ portico: NODE_QUESTION }, () => {})
  }

  private heard(pid: number): void {
    clearTimeout(this.asked.get(pid))
    this.asked.delete(pid)
  }

  kill(pid: number): void {
    this.children.get(pid)?.kill('SIGKILL')
  }

  /** The front's threads have been told first: when the worker closes its idle connections, nobody must be about to use one.
   *  It signals itself when it has answered what it has: to many applications SIGTERM means now. */
  leave(pid: number): void {
    this.told.add(pid)
    void this.options.heard().then(() => this.children.get(pid)?.send({ portico: NODE_LEAVE }, () => {}))
  }

  /** leave() has told it: when it is not gone by itself after graceful_timeout, it never will be. */
  end(pid: number): void {
    setTimeout(() => this.kill(pid), delay(this.options.settings.gracefulTimeout)).unref()
  }

  stop(graceful: boolean): void {
    this.stopping = true
    if (this.children.size === 0) setImmediate(() => this.events.ended('stopped'))
    for (const [pid, child] of this.children) {
      if (!graceful) child.kill('SIGKILL')
      else if (!this.told.has(pid)) child.kill('SIGTERM')
      this.told.add(pid)
    }
  }

  destroy(): void {
    this.stop(false)
  }
}

/** Our own part of a worker starts faster with it; the application is not shown it. */
function ownCache(): NodeJS.ProcessEnv {
  const folder = process.env[CACHE_VARIABLE]
  return isOwnCache(folder) ? { [CACHE_VARIABLE]: folder } : {}
}

/** The worker's program: beside this file in a checkout, in the bundle's folder in a package. */
function workerFile(): string {
  const here = import.meta.dirname
  const candidates = [
    '../workers/node-worker.ts',
    '../app/workers/node-worker.js',
    './node-worker.js',
    '../workers/node-worker.js',
  ]
  const found = candidates.map(name => join(here, name)).find(name => existsSync(name))
  if (found === undefined) throw new Error('node-worker is missing from this installation')
  return found
}
