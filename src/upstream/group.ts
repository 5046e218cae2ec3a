// Servers that do the same work, a way to choose among them, and their idle connections: `upstream NAME {}`, or the one
// address a `proxy_pass` names. A Choice is one request's way through the group: whom it has tried, how often it may go on.
//
//   choice.next() ─▶ peer ─▶ … ─▶ choice.release(outcome) ─▶ choice.next() …   until triesLeft is 0 or next() is null

import { addWide, setWide } from '../zone/wide-counter.ts'
import type { Balancer } from './balance/balancer.ts'
import { boundPeer, roundRobin } from './balance/round-robin.ts'
import type { KeepalivePool } from './keepalive.ts'
import { FAILURES, RECEIVED, REQUESTS, RESPONSES_1XX, seconds, SELECTED, SENT } from './peer.ts'
import type { Peer } from './peer.ts'
import type { Queue } from './queue.ts'

/** How a peer did: it answered; it answered, but another is to be asked (403, 404); it failed. */
export const SUCCEEDED = 0
export const PASSED_ON = 1
export const FAILED = 2

/** What a hashing balancer goes by, made from a request by those who know what a request is. */
export interface GroupKey {
  get(request: any): string
}

/** Where requests are bound to: a peer, or whatever else has a name of its own. */
export interface Home {
  readonly sid: string
}

/** Requests that belong together go to the same peer (`sticky`); by those who know what a request is. */
export interface Sticky {
  /** The `sid` of the peer a request is bound to, '' for none. */
  hint(request: any): string
  /** A peer was chosen for it. */
  chosen(request: any, peer: Home): void
  /** The peer's response head has come. */
  answered(request: any, peer: Home): void
  /** The response is complete. */
  completed(request: any, peer: Home): void
}

/** Peers that come from memory which threads share (shared-peers.ts). */
export interface PeerSource {
  /** Brings the group's lists up to date; cheap when they are. */
  sync(group: Group): void
}

/** What came of an attempt, for averages and statistics; -1 ms: unknown. */
export interface Outcome {
  readonly status: number
  readonly headerMs: number
  readonly responseMs: number
  readonly bytesSent: number
  readonly bytesReceived: number
}

const NONE: readonly Peer[] = []
/** Threads that take a peer's last place at the same moment. */
const RACES_MAX = 8

export class Group {
  readonly name: string
  /** May be replaced while requests are under way: a Choice keeps peers, not positions. */
  peers: readonly Peer[]
  backups: readonly Peer[]
  readonly balancer: Balancer
  readonly keepalive: KeepalivePool | null
  readonly key: GroupKey | null
  sticky: Sticky | null = null
  queue: Queue | null = null
  /** Null: the peers are this thread's own. */
  source: PeerSource | null = null

  constructor(
    name: string,
    peers: readonly Peer[],
    backups: readonly Peer[] = NONE,
    balancer: Balancer = roundRobin,
    keepalive: KeepalivePool | null = null,
    key: GroupKey | null = null,
  ) {
    this.name = name
    this.peers = peers
    this.backups = backups
    this.balancer = balancer
    this.keepalive = keepalive
    this.key = key
  }

  /** Nothing to choose from: then failures do not count, for there is nobody else to ask. */
  get single(): boolean {
    return this.peers.length === 1 && this.backups.length === 0
  }
}

export class Choice {
  readonly group: Group
  /** The client's address, for balancers that go by it. */
  readonly clientAddress: string
  /** The text that `hash` goes by. */
  readonly key: string
  /** The `sid` of the peer that is to be preferred; '' for none. */
  hint = ''
  /** The peer in use, null before the first and after release(). */
  peer: Peer | null = null
  /** As the configuration names the last one, without a port; '' before the first. */
  lastServer = ''
  /** Whom the request has been sent to at the present level. */
  tried: Peer[] | null = null
  onBackups = false
  triesLeft: number
  /** State of the hashing balancers. */
  hash = 89
  rehashes = 0
  /** Peers found by hash or by chance that could not take the request. */
  misses = 0
  /** least_time counts it among the requests its peer has under way; has counted the time of its head. */
  inflight = false
  headCounted = false

  /** @param triesMax proxy_next_upstream_tries, 0 for as many as there are peers */
  constructor(group: Group, clientAddress: string, triesMax: number, key = '') {
    this.group = group
    this.clientAddress = clientAddress
    this.key = key
    if (group.source !== null) group.source.sync(group)
    const tries = group.single ? 1 : usable(group.peers) + usable(group.backups)
    this.triesLeft = triesMax !== 0 && tries > triesMax ? triesMax : tries
  }

  /** The next peer to try, null when none is live. */
  next(): Peer | null {
    const { group } = this
    const { source } = group
    if (source !== null) source.sync(group)
    const now = seconds()
    for (let races = 0; races < RACES_MAX; races++) {
      const peer = this.find(now)
      if (peer === null) return null
      if (!peer.enter(now)) continue
      this.peer = peer
      this.lastServer = peer.host
      if (!group.single) {
        if (this.tried === null) this.tried = [peer]
        else this.tried.push(peer)
      }
      this.headCounted = false
      group.balancer.chosen?.(this, peer)
      if (source !== null) {
        addWide(peer.numbers, REQUESTS, 1)
        setWide(peer.numbers, SELECTED, Date.now())
      }
      return peer
    }
    return null
  }

  private find(now: number): Peer | null {
    const { group } = this
    if (group.single) {
      const peer = group.peers[0]!
      if (this.hint === peer.sid && this.hint !== '' && peer.availableForOwn(now)) return peer
      return peer.down !== 0 || (peer.maxConns !== 0 && peer.conns >= peer.maxConns) ? null : peer
    }
    if (this.onBackups) return this.findAmong(group.backups, now)
    const peer = this.findAmong(group.peers, now)
    if (peer !== null || group.backups.length === 0) return peer
    this.onBackups = true
    this.tried = null
    // Hashes and chance are for the servers; the first of the backups is found in turn.
    return group.balancer.ranksBackups === true
      ? this.findAmong(group.backups, now)
      : roundRobin.choose(group.backups, this, now)
  }

  private findAmong(peers: readonly Peer[], now: number): Peer | null {
    const { balancer } = this.group
    if (this.hint !== '' && balancer !== roundRobin) {
      const bound = boundPeer(peers, this, now)
      if (bound !== null) return bound
    }
    return balancer.choose(peers, this, now)
  }

  /** The response's head has come after so many ms. */
  headCame(ms: number): void {
    if (this.peer !== null) this.group.balancer.headCame?.(this, this.peer, ms)
  }

  /** Gives the peer back. @returns true when its failure has disabled it for a while, which is worth a log line */
  release(outcome: number, what: Outcome | null = null): boolean {
    const { peer, group } = this
    if (peer === null) return false
    this.peer = null
    if (what !== null) this.account(peer, outcome, what)
    const disabled = this.judge(peer, outcome)
    peer.leave()
    if (group.queue !== null) group.queue.peerFreed()
    return disabled
  }

  private judge(peer: Peer, outcome: number): boolean {
    if (this.group.single) {
      peer.fails = 0
      this.triesLeft = 0
      return false
    }
    if (this.triesLeft > 0) this.triesLeft--
    if (outcome === FAILED) return peer.failed(seconds())
    peer.succeeded()
    return false
  }

  private account(peer: Peer, outcome: number, what: Outcome): void {
    const { group } = this
    group.balancer.released?.(this, peer, what.responseMs)
    if (outcome === SUCCEEDED && what.headerMs >= 0) {
      peer.addResponseTime(what.responseMs)
      if (!this.headCounted) peer.addHeaderTime(what.headerMs)
    }
    if (group.source === null) return
    const { numbers } = peer
    if (outcome === FAILED) addWide(numbers, FAILURES, 1)
    if (what.headerMs >= 0 && what.status >= 100 && what.status < 600) {
      addWide(numbers, RESPONSES_1XX + (Math.trunc(what.status / 100) - 1) * 2, 1)
    }
    addWide(numbers, SENT, what.bytesSent)
    addWide(numbers, RECEIVED, what.bytesReceived)
  }

  /** Could the peer take this request? */
  mayTry(peer: Peer, now: number): boolean {
    return peer.available(now) && !this.hasTried(peer)
  }

  hasTried(peer: Peer): boolean {
    return this.tried !== null && this.tried.includes(peer)
  }

  /** Nobody has had it yet: as at the beginning. */
  startOver(): void {
    this.tried = null
    this.onBackups = false
    this.misses = 0
    this.rehashes = 0
    this.hash = 89
  }
}

function usable(peers: readonly Peer[]): number {
  let count = 0
  for (let i = 0; i < peers.length; i++) if (peers[i]!.down === 0) count++
  return count
}
