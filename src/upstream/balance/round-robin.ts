// Smooth weighted round robin, nginx's default: at each turn every peer gains its weight, the richest is chosen and pays
// the sum of all. 5, 1, 1 gives a a b a c a a, not a a a a a b c. A failed peer's weight is lowered and recovers step by
// step.

import type { Choice } from '../group.ts'
import type { Peer } from '../peer.ts'
import type { Balancer } from './balancer.ts'

export const roundRobin: Balancer = {
  name: 'round_robin',
  choose(peers: readonly Peer[], choice: Choice, now: number): Peer | null {
    let best: Peer | null = null
    let total = 0
    for (let i = 0; i < peers.length; i++) {
      const peer = peers[i]!
      if (!choice.mayTry(peer, now)) continue
      total += gain(peer)
      if (best === null || peer.currentWeight > best.currentWeight) best = peer
    }
    if (best !== null) best.currentWeight -= total
    return best
  },
}

/** A turn's income; answers what was gained. */
export function gain(peer: Peer): number {
  const weight = peer.effectiveWeight
  peer.currentWeight += weight
  if (peer.effectiveWeight < peer.weight) peer.effectiveWeight++
  return weight
}
