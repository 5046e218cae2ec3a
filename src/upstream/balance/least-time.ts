// The peer that is likely to be done first (ngx_http_upstream_least_time_module): the average time of its responses, times the
// requests it would have with this one, for its weight; round robin among equals. Times go by steps of 20 ms, so that peers
// about equally fast are equal, and are halved with each fail_timeout that a peer was left alone, so that a slow one gets
// another chance. `inflight` looks at requests under way too: a peer that hangs is found out before it has answered.

import type { Choice } from '../group.ts'
import { seconds } from '../peer.ts'
import type { Peer } from '../peer.ts'
import type { Balancer } from './balancer.ts'
import { gain } from './round-robin.ts'

/** All that are slower are equally bad. */
const TIME_MAX = 5000
const STEP = 20

/** What counts as a response's time; `connect` and `first_byte` are of sessions of the stream block. */
export type TimeUntil = 'header' | 'last_byte' | 'connect' | 'first_byte'

export function leastTime(until: TimeUntil, inflight: boolean): Balancer {
  const plain: Balancer = {
    name: 'least_time',
    ranksBackups: true,
    ...(until === 'connect' || until === 'first_byte' ? { moment: until } : {}),
    choose: (peers, choice, now) => choose(peers, choice, now, until),
  }
  if (!inflight) return plain
  return {
    ...plain,
    chosen(choice, peer) {
      peer.beginInflight()
      choice.inflight = true
    },
    headCame(choice, peer, ms) {
      if (until === 'last_byte') return
      peer.addHeaderTime(ms)
      choice.headCounted = true
      end(choice, peer, ms)
    },
    released: end,
  }
}

function end(choice: Choice, peer: Peer, ms: number): void {
  if (!choice.inflight) return
  choice.inflight = false
  peer.endInflight(ms)
}

function choose(peers: readonly Peer[], choice: Choice, now: number, until: TimeUntil): Peer | null {
  let best: Peer | null = null
  let bestTime = 0
  let first = 0
  let equals = false
  for (let i = 0; i < peers.length; i++) {
    const peer = peers[i]!
    if (!choice.mayTry(peer, now)) continue
    peer.lookAtInflight()
    const time = expected(peer, until)
    if (best === null || time * best.share < bestTime * peer.share) {
      best = peer
      bestTime = time
      first = i
      equals = false
    } else if (time * best.share === bestTime * peer.share) equals = true
  }
  return best === null || !equals ? best : amongEquals(peers, first, choice, now, until)
}

function amongEquals(peers: readonly Peer[], first: number, choice: Choice, now: number, until: TimeUntil): Peer {
  const fastest = peers[first]!
  const time = expected(fastest, until)
  let best = fastest
  let total = 0
  for (let i = first; i < peers.length; i++) {
    const peer = peers[i]!
    if (!choice.mayTry(peer, now) || expected(peer, until) * fastest.share !== time * peer.share) continue
    total += gain(peer)
    if (peer.currentWeight > best.currentWeight) best = peer
  }
  best.currentWeight -= total
  return best
}

/** Less time for its weight, of two: `random two least_time`. */
export function faster(first: Peer, second: Peer, until: TimeUntil): Peer {
  return expected(second, until) * first.weight > expected(first, until) * second.weight ? first : second
}

/** Milliseconds until it were through with what it has and one more. */
function expected(peer: Peer, until: TimeUntil): number {
  let time = until === 'last_byte' ? peer.responseTime : peer.headerTime
  const alone = seconds() - peer.checked
  if (alone > peer.failTimeout) time >>= Math.min(31, Math.trunc(alone / (peer.failTimeout + 1)))
  if (peer.inflight > 0) time = Math.max(time, peer.inflightTime)
  time = time > TIME_MAX ? TIME_MAX : time + STEP - (time % STEP)
  return time * (1 + peer.conns)
}
