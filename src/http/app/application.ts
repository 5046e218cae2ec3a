// An `app` block in use, as its name finds it (APPLICATIONS): made when the configuration is compiled, brought to life in each
// front thread. Python's workers are reached through a Dispatcher; Node's speak HTTP and are peers of an upstream group.

import type { AppNotice, AppRequest, AppSettings } from '../../app/app.ts'
import type { Dispatcher } from '../../app/dispatch/dispatcher.ts'
import { lifeOf } from '../../app/dispatch/life.ts'
import type { AppSnapshot } from '../../app/dispatch/load.ts'
import {
  COUNTERS,
  QUEUE_MS,
  QUEUE_REFUSED,
  QUEUE_TIMEOUTS,
  QUEUED,
  REQUESTS,
  type SeatTable,
  TIMEOUTS,
} from '../../app/dispatch/seats.ts'
import { monotonic } from '../../lib/clock.ts'
import { Timer, timers } from '../../lib/timer-wheel.ts'
import { consistentHash } from '../../upstream/balance/hash.ts'
import { leastConn } from '../../upstream/balance/least-conn.ts'
import { Group } from '../../upstream/group.ts'
import { KeepalivePool } from '../../upstream/keepalive.ts'
import { Peer } from '../../upstream/peer.ts'
import type { HttpRequest } from '../request.ts'
import { RegistryKey } from '../setup.ts'
import { NOT_STICKY, type Stickiness } from './sticky.ts'

export const APPLICATIONS = new RegistryKey<Application>('app')

const HOUR_MS = 3_600_000
/** Idle connections kept to each Node worker by each thread. */
const KEPT_PER_WORKER = 32

/** What is counted of kind node; all else is between a worker and its loop. */
const NODE_COUNTERS = [REQUESTS, QUEUED, QUEUE_REFUSED, QUEUE_TIMEOUTS, TIMEOUTS, QUEUE_MS]

/** Seconds told to a client for which there is no room, or no worker in time. */
export const RETRY_AFTER = '1'

interface Waiting {
  readonly goOn: (r: HttpRequest) => void
  readonly timer: Timer<HttpRequest>
  readonly since: number
}

export class Application {
  readonly settings: AppSettings
  /** Null until the thread has started, and for Node. */
  dispatcher: Dispatcher | null = null
  /** May the workers open the front's temporary files? They are then given the name of a body's file. */
  sharesFiles = false
  /** The workers of kind node. */
  readonly group: Group | null
  readonly stickiness: Stickiness
  private failed = false
  /** Where requests to Node's workers are counted, and in which cells. */
  private seats: SeatTable | null = null
  private readonly cells = new Map<number, number>()
  private toMaster: (request: AppRequest) => void = () => {}
  /** For Node: who waits for a worker, in their order. */
  private readonly waiting = new Map<HttpRequest, Waiting>()

  /** Where responses go that are too big for memory, unless app_temp_path says otherwise. */
  readonly tempPath: string

  constructor(settings: AppSettings, tempPath: string, stickiness = NOT_STICKY) {
    this.settings = settings
    this.tempPath = tempPath
    this.stickiness = stickiness
    this.group = settings.kind === 'node' ? nodeGroup(settings, stickiness) : null
  }

  get isSticky(): boolean {
    return this.stickiness !== NOT_STICKY
  }

  get name(): string {
    return this.settings.name
  }

  /** Requests of this thread that wait for a worker. */
  get backlog(): number {
    return this.dispatcher?.backlog ?? this.waiting.size
  }

  /** For Node. */
  get hasWorkers(): boolean {
    return this.group !== null && this.group.peers.length > 0
  }

  /** False once it is known that the application cannot be loaded. */
  get mayCome(): boolean {
    return !this.failed
  }

  /** For Node, once it has started in this thread. */
  begin(seats: SeatTable, toMaster: (request: AppRequest) => void): void {
    this.seats = seats
    this.toMaster = toMaster
  }

  /** For Node: a worker is given a request. At the end of its life it is replaced. */
  countServed(pid: number): void {
    const { seats, settings } = this
    if (seats === null || pid === 0) return
    seats.count(REQUESTS, 1)
    const at = this.cells.get(pid)
    if (at === undefined || seats.countServed(at) !== lifeOf(settings, pid)) return
    this.toMaster({ type: 'retire', app: settings.name, slot: 0, pid })
  }

  /** For Node: a worker has not answered in time. */
  doubt(pid: number): void {
    this.seats?.count(TIMEOUTS, 1)
    this.toMaster({ type: 'doubt', app: this.settings.name, slot: 0, pid })
  }

  /** For Node: nobody listens there any more. */
  lose(pid: number): void {
    if (this.group === null || pid === 0) return
    this.removePeer(this.group, pid)
    // It may live on where nobody reaches it: somebody has removed its socket.
    this.toMaster({ type: 'retire', app: this.settings.name, slot: 0, pid })
  }

  /** What is going on; null before the thread has started. */
  snapshot(): AppSnapshot | null {
    const { group, seats, settings } = this
    if (this.dispatcher !== null) return this.dispatcher.snapshot()
    if (group === null || seats === null) return null
    const workers = group.peers.map(peer => {
      const at = this.cells.get(pidOf(peer))
      return { pid: pidOf(peer), in_flight: peer.conns, served: at === undefined ? 0 : seats.served(at) }
    })
    const counters = Object.fromEntries(NODE_COUNTERS.map(counter => [COUNTERS[counter]!, seats.counted(counter)]))
    return { kind: 'node', waiting: this.waiting.size, queue: settings.queue, counters, workers }
  }

  /** For Node: calls `goOn` when a worker is there or none will come, `giveUp` when none has come in time, and neither when
   *  the client leaves before that. False: too many wait already.
   *  @param again it has waited before */
  awaitWorker(
    r: HttpRequest,
    again: boolean,
    goOn: (r: HttpRequest) => void,
    giveUp: (r: HttpRequest) => void,
  ): boolean {
    const { seats, settings } = this
    if (this.waiting.size >= settings.queue) {
      seats?.count(QUEUE_REFUSED, 1)
      return false
    }
    if (!again) seats?.count(QUEUED, 1)
    const timer = new Timer(r, late => {
      seats?.count(QUEUE_TIMEOUTS, 1)
      this.forget(late)
      giveUp(late)
    })
    this.waiting.set(r, { goOn, timer, since: monotonic() })
    timers.arm(timer, settings.queueTimeout)
    r.onEnd(() => this.forget(r))
    return true
  }

  private forget(r: HttpRequest): void {
    const one = this.waiting.get(r)
    if (one === undefined) return
    this.seats?.count(QUEUE_MS, Math.round(monotonic() - one.since))
    timers.release(one.timer)
    this.waiting.delete(r)
  }

  private wakeAll(): void {
    // Who finds that the worker has gone again waits anew.
    for (const [r, { goOn }] of Array.from(this.waiting)) {
      this.forget(r)
      goOn(r)
    }
  }

  /** What the master says of its workers. */
  notice(notice: AppNotice): void {
    if (this.group === null) this.dispatcher?.notice(notice)
    else if (notice.type === 'gone') this.removePeer(this.group, notice.pid)
    else {
      this.failed = notice.type === 'failed'
      if (notice.type === 'worker') this.addPeer(this.group, notice.pid, notice.path, notice.place)
      this.wakeAll()
    }
  }

  /** The server has begun to stop. */
  warn(): void {
    this.dispatcher?.warn()
  }

  stop(): void {
    this.dispatcher?.stop()
    this.group?.keepalive?.close()
  }

  private addPeer(group: Group, pid: number, path: string, place: number): void {
    if (group.peers.some(peer => pidOf(peer) === pid)) return
    // What binds clients to a worker binds them to its successor.
    const bond = this.isSticky ? { route: `${place}`, server: `worker ${place}` } : {}
    const peer = new Peer(`unix:${path}`, { path }, { maxFails: 0, ...bond })
    pids.set(peer, pid)
    const at = this.seats?.open(pid, 0) ?? -1
    if (at >= 0) this.cells.set(pid, at)
    group.peers = [...group.peers, peer]
  }

  private removePeer(group: Group, pid: number): void {
    const at = this.cells.get(pid)
    if (at !== undefined) this.seats?.close(at, pid)
    this.cells.delete(pid)
    group.peers = group.peers.filter(peer => pidOf(peer) !== pid)
  }
}

const pids = new WeakMap<Peer, number>()

/** Of the worker behind it. */
export function pidOf(peer: Peer): number {
  return pids.get(peer) ?? 0
}

function nodeGroup(settings: AppSettings, { key, sticky }: Stickiness): Group {
  const keepalive = new KeepalivePool({
    max: settings.workers * KEPT_PER_WORKER,
    requests: 1_000_000,
    timeMs: HOUR_MS,
    timeoutMs: HOUR_MS,
    local: false,
  })
  const group = new Group(settings.name, [], [], key === null ? leastConn : consistentHash, keepalive, key)
  group.sticky = sticky
  return group
}
