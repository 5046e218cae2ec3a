// The same client, the same peer: a hash of the client's address (the first three bytes of an IPv4 one, as neighbours
// often are one client behind several addresses) picks by weight, and picks again while the peer is not available; after
// twenty times round robin decides. The hash is nginx's, so that both send a client to the same place.

import type { Choice } from '../group.ts'
import type { Peer } from '../peer.ts'
import type { Balancer } from './balancer.ts'
import { byWeight } from './hash.ts'
import { roundRobin } from './round-robin.ts'

const REHASHES_MAX = 20
const NO_ADDRESS: readonly number[] = [0, 0, 0]

export const ipHash: Balancer = {
  name: 'ip_hash',
  choose(peers: readonly Peer[], choice: Choice, now: number): Peer | null {
    if (choice.rehashes > REHASHES_MAX || peers.length < 2) return roundRobin.choose(peers, choice, now)
    const address = addressBytes(choice.clientAddress)
    let total = 0
    for (const peer of peers) total += peer.weight
    for (; choice.rehashes <= REHASHES_MAX; choice.rehashes++) {
      for (const byte of address) choice.hash = (choice.hash * 113 + byte) % 6271
      const peer = byWeight(peers, choice.hash % total)
      if (choice.mayTry(peer, now)) return peer
    }
    return roundRobin.choose(peers, choice, now)
  },
}

/** What counts of an address: three bytes of IPv4, all sixteen of IPv6, nothing of a Unix socket's. */
export function addressBytes(address: string): readonly number[] {
  if (address.includes(':')) return ipv6Bytes(address)
  const parts = address.split('.')
  return parts.length === 4 ? parts.slice(0, 3).map(Number) : NO_ADDRESS
}

function ipv6Bytes(address: string): readonly number[] {
  if (address.startsWith('unix:')) return NO_ADDRESS
  const [left, right] = address.split('::') as [string, string?]
  const before = groups(left)
  const after = right === undefined ? [] : groups(right)
  const zeros = Array.from({ length: Math.max(0, 16 - before.length - after.length) }, () => 0)
  return [...before, ...zeros, ...after]
}

function groups(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap(group => {
    if (group.includes('.')) return group.split('.').map(Number)
    const value = Number.parseInt(group, 16)
    return [value >> 8, value & 255]
  })
}
