// A group with a `zone`: its servers move into memory that all threads share, and one thread sees to those that are names
// to be asked for at run time, or that a state file or the API has changed.

import type { Site } from '../../config/directive.ts'
import { DnsPeers } from '../../upstream/dns-peers.ts'
import type { Group } from '../../upstream/group.ts'
import { CHECKING, UNHEALTHY } from '../../upstream/peer.ts'
import { PeerSlots, zoneBytes } from '../../upstream/peer-slots.ts'
import { SharedPeers } from '../../upstream/shared-peers.ts'
import type { Entry } from '../../upstream/shared-peers.ts'
import type { LocationResolver } from '../resolver.ts'
import { RegistryKey } from '../setup.ts'
import type { HttpSetup } from '../setup.ts'
import { stateNow } from './state-file.ts'
import { whenThreadEnds } from './thread-end.ts'

/** What the API and health checks work on. */
export class ZoneGroup {
  readonly group: Group
  readonly zone: string
  readonly resolver: LocationResolver | null
  /** Where changes are written to; null: nowhere. */
  readonly statePath: string | null
  /** Parameters of servers that the group's method has no use for. */
  readonly unsupported: readonly string[]
  /** Null until the thread has started. */
  shared: SharedPeers | null = null
  /** Is this the thread that sees to names and health for all? */
  isMine: () => boolean = () => false
  /** Are there health checks, and must a server pass one before it gets requests? Known when all is compiled. */
  checked = false
  mandatory = false

  constructor(
    group: Group,
    zone: string,
    resolver: LocationResolver | null,
    statePath: string | null,
    unsupported: readonly string[],
  ) {
    this.group = group
    this.zone = zone
    this.resolver = resolver
    this.statePath = statePath
    this.unsupported = unsupported
  }
}

export const ZONE_GROUPS = new RegistryKey<ZoneGroup>('upstream zone')

/** nginx gives a server about so much of a zone. */
const SERVER_BYTES = 512

export function shareGroup(zone: ZoneGroup, size: number, entries: readonly Entry[], http: HttpSetup, at: Site): void {
  const { group } = zone
  const needed = entries.reduce((sum, { names }) => sum + Math.max(1, names.length), 0)
  if (needed * SERVER_BYTES > size) at.fail(`zone "${zone.zone}" is too small`)
  const memory = `upstream ${zone.zone} ${group.name}`
  http.sharedMemory(memory, zoneBytes(size))
  let dns: DnsPeers | null = null
  http.onStart(services => {
    const shared = shareServers(zone, services.shared(memory), entries)
    zone.shared = shared
    group.source = shared
    shared.sync(group)
    if (services.thread !== 0) return
    const token = (Math.floor(Math.random() * 0x7ffffffe) + 1) | 0
    shared.slots.owner = token
    zone.isMine = () => shared.slots.owner === token
    // What checks had found out that are not made any more is of no interest.
    if (!zone.checked) for (const peer of [...group.peers, ...group.backups]) peer.setDown(UNHEALTHY | CHECKING, 0)
    else if (!zone.mandatory) for (const peer of [...group.peers, ...group.backups]) peer.setDown(CHECKING, 0)
    if (zone.resolver === null) return
    const { resolver, timeoutMs } = zone.resolver
    dns = new DnsPeers(group.name, shared, resolver, timeoutMs, services.errorLog, zone.isMine)
    dns.start()
  })
  http.onStop(() => dns?.stop())
  whenThreadEnds(http, () => zone.shared?.stop())
}

/** What a state file says is read once more where nobody writes it: the API may have changed the servers since. */
function shareServers(zone: ZoneGroup, memory: SharedArrayBuffer, entries: readonly Entry[]): SharedPeers {
  const { statePath, unsupported, mandatory } = zone
  if (statePath === null) return new SharedPeers(memory, entries, mandatory)
  return new PeerSlots(memory).saving(
    () => new SharedPeers(memory, stateNow(statePath, unsupported) ?? entries, mandatory),
  )
}
