// Smooth weighted round robin, nginx's default: at each turn every peer gains its weight, the richest is chosen and pays
// the sum of all. 5, 1, 1 gives a a b a c a a, not a a a a a b c. A failed peer's weight is lowered and recovers step by
// step. A request that is bound to a peer (`sticky`) goes there, and the peer pays for it as if it had been its turn, so that
// the others come to their share; but it does not get poorer without bound.

import type { Choice } from '../group.ts'
import type { Peer } from '../peer.ts'
import type { Balancer } from './balancer.ts'

export const roundRobin: Balancer = {
  name: 'round_robin',
  ranksBackups: true,
  choose(peers: readonly Peer[], choice: Choice, now: number): Peer | null {
    const bound = choice.hint === '' ? null : boundPeer(peers, choice, now)
    if (bound !== null && bound.currentWeight <= bound.weight - totalWeight(peers)) return bound
    let best: Peer | null = null
    let total = 0
    for (let i = 0; i < peers.length; i++) {
      const peer = peers[i]!
      if (!choice.mayTry(peer, now)) continue
      total += gain(peer)
      if (best === null || peer.currentWeight > best.currentWeight) best = peer
    }
    if (bound !== null) best = bound
    if (best !== null) best.currentWeight -= total
    return best
  },
}

/** The peer a request is bound to, if that can take it. */
export function boundPeer(peers: readonly Peer[], choice: Choice, now: number): Peer | null {
  const { hint } = choice
  if (hint === '') return null
  for (let i = 0; i < peers.length; i++) {
    const peer = peers[i]!
    // Several peers may have one route; as in nginx the first is meant.
    if (peer.sid === hint) return peer.availableForOwn(now) && !choice.hasTried(peer) ? peer : null
  }
  return null
}

function totalWeight(peers: readonly Peer[]): number {
  let total = 0
  for (let i = 0; i < peers.length; i++) total += peers[i]!.weight
  return total
}

/** A turn's income; answers what was gained. */
export function gain(peer: Peer): number {
  const weight = peer.income()
  peer.currentWeight += weight
  if (peer.effectiveWeight < peer.weight) peer.effectiveWeight++
  return weight
}
