// The peer with the fewest requests for its weight; round robin among equals.

import type { Choice } from '../group.ts'
import type { Peer } from '../peer.ts'
import type { Balancer } from './balancer.ts'
import { gain } from './round-robin.ts'

export const leastConn: Balancer = {
  name: 'least_conn',
  ranksBackups: true,
  choose(peers: readonly Peer[], choice: Choice, now: number): Peer | null {
    let best: Peer | null = null
    let first = 0
    let equals = false
    for (let i = 0; i < peers.length; i++) {
      const peer = peers[i]!
      if (!choice.mayTry(peer, now)) continue
      if (best === null || peer.conns * best.share < best.conns * peer.share) {
        best = peer
        first = i
        equals = false
      } else if (peer.conns * best.share === best.conns * peer.share) equals = true
    }
    return best === null || !equals ? best : amongEquals(peers, first, choice, now)
  },
}

function amongEquals(peers: readonly Peer[], first: number, choice: Choice, now: number): Peer {
  const least = peers[first]!
  let best = least
  let total = 0
  for (let i = first; i < peers.length; i++) {
    const peer = peers[i]!
    if (!choice.mayTry(peer, now) || peer.conns * least.share !== least.conns * peer.share) continue
    total += gain(peer)
    if (peer.currentWeight > best.currentWeight) best = peer
  }
  best.currentWeight -= total
  return best
}
