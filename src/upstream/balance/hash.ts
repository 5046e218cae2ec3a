// The same key, the same peer (ngx_http_upstream_hash_module). `hash KEY` takes a CRC of the key modulo the weights, as
// Cache::Memcached does; when a server comes or goes nearly all keys move. `hash KEY consistent` puts each server on a
// ring at many points (ketama, as Cache::Memcached::Fast has it), so that only its own share of keys moves. Both count
// as nginx does: keys stay where they are when nginx is replaced.

import { crc32 } from 'node:zlib'
import type { Choice } from '../group.ts'
import type { Peer } from '../peer.ts'
import type { Balancer } from './balancer.ts'
import { gain, roundRobin } from './round-robin.ts'

/** After so many peers that could not take the request, round robin decides. */
const MISSES_MAX = 20
const POINTS_PER_WEIGHT = 160
/** Of a ring in all: with greater weights there are fewer points for each. */
const POINTS_MAX = 1_000_000
/** More peers than there can be. */
const PEERS = 2 ** 20

export const hash: Balancer = {
  name: 'hash',
  choose(peers: readonly Peer[], choice: Choice, now: number): Peer | null {
    if (hopeless(peers, choice)) return roundRobin.choose(peers, choice, now)
    const total = peers.reduce((sum, peer) => sum + peer.weight, 0)
    for (; choice.misses <= MISSES_MAX; choice.misses++) {
      if (choice.rehashes === 0) choice.hash = 0
      const again = choice.rehashes === 0 ? '' : String(choice.rehashes)
      choice.hash += (crcOf(again + choice.key) >>> 16) & 0x7fff
      choice.rehashes++
      const peer = byWeight(peers, choice.hash % total)
      if (choice.mayTry(peer, now)) return peer
    }
    return roundRobin.choose(peers, choice, now)
  },
}

function hopeless(peers: readonly Peer[], choice: Choice): boolean {
  return choice.misses > MISSES_MAX || peers.length < 2 || choice.key === ''
}

function crcOf(text: string): number {
  return crc32(Buffer.from(text, 'latin1'))
}

/** The peer whose share of the weights a position is in. */
export function byWeight(peers: readonly Peer[], position: number): Peer {
  let i = 0
  for (let left = position; left >= peers[i]!.weight; i++) left -= peers[i]!.weight
  return peers[i]!
}

export const consistentHash: Balancer = {
  name: 'hash',
  choose(peers: readonly Peer[], choice: Choice, now: number): Peer | null {
    if (hopeless(peers, choice)) return roundRobin.choose(peers, choice, now)
    const ring = ringOf(peers)
    if (choice.rehashes === 0) {
      choice.rehashes = 1
      choice.hash = ring.find(crcOf(choice.key))
    }
    for (; choice.misses <= MISSES_MAX; choice.misses++, choice.hash++) {
      const peer = amongAddresses(peers, ring.serverAt(choice.hash), choice, now)
      if (peer !== null) return peer
    }
    return roundRobin.choose(peers, choice, now)
  },
}

/** A server that is a name may have several addresses: they take turns. */
function amongAddresses(peers: readonly Peer[], server: string, choice: Choice, now: number): Peer | null {
  let best: Peer | null = null
  let total = 0
  for (let i = 0; i < peers.length; i++) {
    const peer = peers[i]!
    if (peer.server !== server || !choice.mayTry(peer, now)) continue
    total += gain(peer)
    if (best === null || peer.currentWeight > best.currentWeight) best = peer
  }
  if (best !== null) best.currentWeight -= total
  return best
}

const rings = new WeakMap<readonly Peer[], Ring>()

function ringOf(peers: readonly Peer[]): Ring {
  let ring = rings.get(peers)
  if (ring === undefined) {
    ring = new Ring(peers)
    rings.set(peers, ring)
  }
  return ring
}

/** Points on a circle of 2^32, each a server's. */
export class Ring {
  private readonly points: Uint32Array
  /** Whose they are, as places among the servers. */
  private readonly owners: Uint32Array
  private readonly servers: readonly string[]

  constructor(peers: readonly Peer[]) {
    const points = pointsOf(peers).sort()
    let count = 0
    for (const point of points) {
      // Of several servers that hit the same point the first has it.
      if (count > 0 && Math.floor(point / PEERS) === Math.floor(points[count - 1]! / PEERS)) continue
      points[count++] = point
    }
    const distinct = points.subarray(0, count)
    this.points = Uint32Array.from(distinct, point => Math.floor(point / PEERS))
    this.owners = Uint32Array.from(distinct, point => point % PEERS)
    this.servers = peers.map(peer => peer.server)
  }

  /** The first point at or behind a hash. */
  find(hash: number): number {
    let low = 0
    let high = this.points.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.points[middle]! < hash) low = middle + 1
      else high = middle
    }
    return low
  }

  serverAt(position: number): string {
    return this.servers[this.owners[position % this.owners.length]!]!
  }
}

/** Point and place among the peers in one number each. */
function pointsOf(peers: readonly Peer[]): Float64Array<ArrayBuffer> {
  const weights = peers.reduce((sum, peer) => sum + peer.weight, 0)
  const perWeight = Math.min(POINTS_PER_WEIGHT, POINTS_MAX / weights)
  const counts = peers.map(peer => Math.ceil(peer.weight * perWeight))
  const points = new Float64Array(counts.reduce((sum, count) => sum + count, 0))
  let at = 0
  for (const [place, { server }] of peers.entries()) {
    const base = crcOf(pointText(server))
    let point = 0
    for (let i = 0; i < counts[place]!; i++) {
      point = crcOfWord(point, base)
      points[at++] = point * PEERS + place
    }
  }
  return points
}

/** The CRC of a word's four bytes, lowest first, that goes on from one before: there are many, too short to be worth a call. */
function crcOfWord(word: number, before: number): number {
  let crc = ~before
  for (let shift = 0; shift < 32; shift += 8) crc = CRC_TABLE[(crc ^ (word >>> shift)) & 255]! ^ (crc >>> 8)
  return ~crc >>> 0
}

const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 0 ? crc >>> 1 : (crc >>> 1) ^ 0xedb88320
  return crc
})

/** HOST, a zero byte, PORT. */
function pointText(server: string): string {
  if (server.slice(0, 5).toLowerCase() === 'unix:') return `${server.slice(5)}\0`
  const colon = /:[0-9]*$/.exec(server)
  return colon === null ? `${server}\0` : `${server.slice(0, colon.index)}\0${server.slice(colon.index + 1)}`
}
