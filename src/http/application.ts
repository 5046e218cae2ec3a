// An `app` block in use, as its name finds it (APPLICATIONS): made when the configuration is compiled, brought to life in each
// front thread. Python's workers are reached through a Dispatcher; Node's speak HTTP and are peers of an upstream group.

import type { AppNotice, AppSettings } from '../app/app.ts'
import type { Dispatcher } from '../app/dispatch/dispatcher.ts'
import { leastConn } from '../upstream/balance/least-conn.ts'
import { Group } from '../upstream/group.ts'
import { KeepalivePool } from '../upstream/keepalive.ts'
import { Peer } from '../upstream/peer.ts'
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

  constructor(settings: AppSettings) {
    this.settings = settings
    this.group = settings.kind === 'node' ? nodeGroup(settings) : null
  }

  get name(): string {
    return this.settings.name
  }

  /** What the master says of its workers. */
  notice(notice: AppNotice): void {
    if (this.group === null) this.dispatcher?.notice(notice)
    else if (notice.type === 'worker') this.addPeer(this.group, notice.pid, notice.path)
    else if (notice.type === 'gone') this.group.peers = this.group.peers.filter(peer => pidOf(peer) !== notice.pid)
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
