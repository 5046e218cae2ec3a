// A peer by chance and weight (ngx_http_upstream_random_module); `random two` draws two and takes the one with fewer
// requests for its weight, or the faster one, which evens out what several threads and servers that know nothing of each
// other do.

import type { Choice } from '../group.ts'
import type { Peer } from '../peer.ts'
import type { Balancer } from './balancer.ts'
import { byWeight } from './hash.ts'
import { faster } from './least-time.ts'
import type { TimeUntil } from './least-time.ts'
import { roundRobin } from './round-robin.ts'

/** After so many draws that were of no use, round robin decides. */
const MISSES_MAX = 20

export const random: Balancer = {
  name: 'random',
  choose(peers: readonly Peer[], choice: Choice, now: number): Peer | null {
    return draw(peers, choice, now, null) ?? roundRobin.choose(peers, choice, now)
  },
}

export const randomTwo: Balancer = twoOf((first, second) =>
  second.conns * first.weight > first.conns * second.weight ? first : second,
)

export function randomTwoLeastTime(until: TimeUntil): Balancer {
  return twoOf((first, second) => faster(first, second, until))
}

function twoOf(better: (first: Peer, second: Peer) => Peer): Balancer {
  return {
    name: 'random',
    choose(peers, choice, now) {
      const first = draw(peers, choice, now, null)
      const second = first === null ? null : draw(peers, choice, now, first)
      return first === null || second === null ? roundRobin.choose(peers, choice, now) : better(first, second)
    },
  }
}

/** A peer that can take the request and is not `other`; null if chance has found none. */
function draw(peers: readonly Peer[], choice: Choice, now: number, other: Peer | null): Peer | null {
  if (peers.length < 2) return null
  let total = 0
  for (let i = 0; i < peers.length; i++) total += peers[i]!.weight
  for (; choice.misses <= MISSES_MAX; choice.misses++) {
    const peer = byWeight(peers, Math.floor(Math.random() * total))
    if (peer !== other && choice.mayTry(peer, now)) return peer
  }
  return null
}
