// Groups in words, for `portico explain`.

import type { Group } from '../../upstream/group.ts'
import { DRAINING } from '../../upstream/peer.ts'
import type { Peer } from '../../upstream/peer.ts'

export function describeGroup({ name, peers, backups }: Group): string[] {
  return [
    `upstream "${name}"`,
    ...peers.map(peer => describePeer(peer, '')),
    ...backups.map(peer => describePeer(peer, ' backup')),
  ]
}

function describePeer(peer: Peer, role: string): string {
  const weight = peer.weight === 1 ? '' : ` weight=${peer.weight}`
  const limit = peer.maxConns === 0 ? '' : ` max_conns=${peer.maxConns}`
  return `server ${peer.name}${weight}${limit}${role}${downWord(peer)}`
}

function downWord({ down }: Peer): string {
  return down === 0 ? '' : down === DRAINING ? ' drain' : ' down'
}
