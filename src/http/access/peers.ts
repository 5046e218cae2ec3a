// Peers by their addresses: who is at the other end of a connection itself, whatever is said of clients behind it.

import type { Directive, Site } from '../../config/directive.ts'
import { parseNetwork, type Network } from '../../lib/networks.ts'
import { TrustedProxies } from './forwarded-address.ts'

/** `*` stands for everybody; null: not said. */
export type PeerAddresses = readonly (Network | '*')[] | null

export interface Peers {
  readonly proxies: TrustedProxies
  readonly everybody: boolean
}

/** `ADDRESS … | * | none`. */
export function peerAddresses(scopes: number): Directive<PeerAddresses> {
  return {
    in: scopes,
    args: [1, Infinity],
    default: null,
    parse: (words, at) => (words[0] === 'none' && words.length === 1 ? [] : words.map(word => networkOf(word, at))),
  }
}

function networkOf(word: string, at: Site): Network | '*' {
  return word === '*' ? '*' : (parseNetwork(word) ?? at.fail(`invalid network "${word}" in "${at.name}" directive`))
}

export function among(addresses: readonly (Network | '*')[]): Peers {
  const networks = addresses.filter(one => one !== '*')
  return { proxies: new TrustedProxies(networks, true), everybody: networks.length < addresses.length }
}

/** Peers on Unix sockets are of this machine: who may connect is settled by the socket's mode. */
export function isAmong(peer: string, { proxies, everybody }: Peers): boolean {
  return everybody || peer.startsWith('unix:') || proxies.contains(peer)
}
