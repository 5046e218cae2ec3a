// An `app` block in use, as its name finds it (APPLICATIONS): made when the configuration is compiled, brought to life in each
// front thread. Python's workers are reached through a Dispatcher; Node's speak HTTP and are peers of an upstream group.

import type { AppNotice, AppSettings } from '../app/app.ts'
import type { Dispatcher } from '../app/dispatch/dispatcher.ts'
import { Timer, timers } from '../lib/timer-wheel.ts'
import { leastConn } from '../upstream/balance/least-conn.ts'
import { Group } from '../upstream/group.ts'
import { KeepalivePool } from '../upstream/keepalive.ts'
import { Peer } from '../upstream/peer.ts'
import type { HttpRequest } from './request.ts'
import { RegistryKey } from './setup.ts'

export const APPLICATIONS = new RegistryKey<Application>('app')

const HOUR_MS = 3_600_000
/** Idle connections kept to each Node worker by each thread. */
const KEPT_PER_WORKER = 32

export class Application {
  readonly settings: AppSettings
  /** Null until the thread has started, and for Node. */
  dispatcher: Dispatcher | null = null
  /** May the workers open the front's temporary files? They are then given the name of a body's file. */
  sharesFiles = false
  /** The workers of kind node. */
  readonly group: Group | null
  private failed = false
  private readonly waiting: (() => void)[] = []
  private readonly timer = new Timer<Application>(this, one => one.wakeAll())

  /** Where responses go that are too big for memory, unless app_temp_path says otherwise. */
  readonly tempPath: string

  constructor(settings: AppSettings, tempPath: string) {
    this.settings = settings
    this.tempPath = tempPath
    this.group = settings.kind === 'node' ? nodeGroup(settings) : null
  }

  get name(): string {
    return this.settings.name
  }

  /** For Node. */
  get hasWorkers(): boolean {
    return this.group !== null && this.group.peers.length > 0
  }

  /** False once it is known that the application cannot be loaded. */
  get mayCome(): boolean {
    return !this.failed
  }

  /** Calls `run` when a worker is there, or none will come or has come in time. False: too many wait already. */
  awaitWorker(r: HttpRequest, run: (r: HttpRequest) => void): boolean {
    if (this.waiting.length >= this.settings.queue) return false
    if (this.waiting.length === 0) timers.arm(this.timer, this.settings.queueTimeout)
    this.waiting.push(() => run(r))
    return true
  }

  private wakeAll(): void {
    timers.disarm(this.timer)
    for (const run of this.waiting.splice(0)) run()
  }

  /** What the master says of its workers. */
  notice(notice: AppNotice): void {
    if (this.group === null) this.dispatcher?.notice(notice)
    else if (notice.type === 'gone') this.group.peers = this.group.peers.filter(peer => pidOf(peer) !== notice.pid)
    else {
      this.failed = notice.type === 'failed'
      if (notice.type === 'worker') this.addPeer(this.group, notice.pid, notice.path)
      this.wakeAll()
    }
  }

  stop(): void {
    this.dispatcher?.stop()
    this.group?.keepalive?.close()
  }

  private addPeer(group: Group, pid: number, path: string): void {
    if (group.peers.some(peer => pidOf(peer) === pid)) return
    const peer = new Peer(`unix:${path}`, { path }, { maxFails: 0 })
    pids.set(peer, pid)
    group.peers = [...group.peers, peer]
  }
}

const pids = new WeakMap<Peer, number>()

function pidOf(peer: Peer): number {
  return pids.get(peer) ?? 0
}

function nodeGroup(settings: AppSettings): Group {
  const keepalive = new KeepalivePool({
    max: settings.workers * KEPT_PER_WORKER,
    requests: 1_000_000,
    timeMs: HOUR_MS,
    timeoutMs: HOUR_MS,
    local: false,
  })
  return new Group(settings.name, [], [], leastConn, keepalive)
}
