// Servers that do the same work, a way to choose among them, and their idle connections: `upstream NAME {}`, or the one
// address a `proxy_pass` names. A Choice is one request's way through the group: whom it has tried, how often it may go on.
//
//   choice.next() ─▶ peer ─▶ … ─▶ choice.release(outcome) ─▶ choice.next() …   until triesLeft is 0 or next() is null

import type { Balancer } from './balance/balancer.ts'
import { roundRobin } from './balance/round-robin.ts'
import type { KeepalivePool } from './keepalive.ts'
import { seconds } from './peer.ts'
import type { Peer } from './peer.ts'

/** How a peer did: it answered; it answered, but another is to be asked (403, 404); it failed. */
export const SUCCEEDED = 0
export const PASSED_ON = 1
export const FAILED = 2

/** What a hashing balancer goes by, made from a request by those who know what a request is. */
export interface GroupKey {
  get(request: any): string
}

const NONE: readonly Peer[] = []

export class Group {
  readonly name: string
  /** May be replaced while requests are under way: a Choice keeps peers, not positions. */
  peers: readonly Peer[]
  backups: readonly Peer[]
  readonly balancer: Balancer
  readonly keepalive: KeepalivePool | null
  readonly key: GroupKey | null

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
  /** The peer in use, null before the first and after release(). */
  peer: Peer | null = null
  /** Whom the request has been sent to at the present level. */
  tried: Peer[] | null = null
  onBackups = false
  triesLeft: number
  /** State of the hashing balancers. */
  hash = 89
  rehashes = 0
  /** Peers found by hash or by chance that could not take the request. */
  misses = 0

  /** @param triesMax proxy_next_upstream_tries, 0 for as many as there are peers */
  constructor(group: Group, clientAddress: string, triesMax: number, key = '') {
    this.group = group
    this.clientAddress = clientAddress
    this.key = key
    const tries = group.single ? 1 : usable(group.peers) + usable(group.backups)
    this.triesLeft = triesMax !== 0 && tries > triesMax ? triesMax : tries
  }

  /** The next peer to try, null when none is live. */
  next(): Peer | null {
    const { group } = this
    const now = seconds()
    let peer: Peer | null
    if (group.single) {
      peer = group.peers[0]!
      if (peer.down || (peer.maxConns !== 0 && peer.conns >= peer.maxConns)) peer = null
    } else {
      peer = group.balancer.choose(this.onBackups ? group.backups : group.peers, this, now)
      if (peer === null && !this.onBackups && group.backups.length > 0) {
        this.onBackups = true
        this.tried = null
        peer = group.balancer.choose(group.backups, this, now)
      }
    }
    if (peer === null) return null
    this.peer = peer
    if (!group.single) {
      if (this.tried === null) this.tried = [peer]
      else this.tried.push(peer)
    }
    peer.enter(now)
    return peer
  }

  /** Gives the peer back. @returns true when its failure has disabled it for a while, which is worth a log line */
  release(outcome: number): boolean {
    const { peer, group } = this
    if (peer === null) return false
    this.peer = null
    peer.leave()
    if (group.single) {
      peer.fails = 0
      this.triesLeft = 0
      return false
    }
    if (this.triesLeft > 0) this.triesLeft--
    if (outcome === FAILED) return peer.failed(seconds())
    peer.succeeded()
    return false
  }

  /** Could the peer take this request? */
  mayTry(peer: Peer, now: number): boolean {
    return (this.tried === null || !this.tried.includes(peer)) && peer.available(now)
  }
}

function usable(peers: readonly Peer[]): number {
  let count = 0
  for (let i = 0; i < peers.length; i++) if (!peers[i]!.down) count++
  return count
}
