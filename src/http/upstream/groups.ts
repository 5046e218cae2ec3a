// Upstream groups by name: those of `upstream` blocks, and one for every address a *_pass names itself.

import type { Site } from '../../config/directive.ts'
import { Group } from '../../upstream/group.ts'
import { Peer } from '../../upstream/peer.ts'
import { peersOf } from '../../upstream/server.ts'
import type { UpstreamUrl } from '../../upstream/address.ts'
import { ERR } from '../../log/error-log.ts'
import { WAIT } from '../module.ts'
import { resume } from '../phases.ts'
import type { HttpRequest } from '../request.ts'
import { resolveGroup, type LocationResolver } from '../resolver.ts'
import { RegistryKey } from '../setup.ts'
import type { Registry } from '../setup.ts'

export const GROUPS = new RegistryKey<Group>('upstream')

/** The key of a group that is an address: not to be mistaken for a block, which may be called `10.0.0.1:80` all the same. */
function addressKey({ text }: UpstreamUrl): string {
  return `address ${text}`
}

/** The group a URL means: an `upstream` of that name if the URL has no port, else the address, which is looked up. */
export function groupOf(url: UpstreamUrl, groups: Registry<Group>, at: Site): Group {
  const named = url.unix ? null : groups.get(url.host.toLowerCase())
  if (named !== null) {
    // nginx: a name with a port is a host, never a block of that name.
    if (url.portText === '') return named
    at.fail(`upstream "${url.host}" may not have port ${url.portText}`)
  }
  const known = groups.get(addressKey(url))
  if (known !== null) return known
  // A name that is not found is told without its port.
  const group = new Group(url.unix ? `unix:${url.host}` : url.text, peersOf({ ...url, portText: '' }, {}, at))
  groups.set(addressKey(url), group)
  return group
}

/** At run time, for URLs with variables: a block's group, or one for the address; null for a name nobody knows. */
export function groupAtRunTime(url: UpstreamUrl, groups: Registry<Group>): Group | null {
  const named = url.unix ? null : groups.get(url.host.toLowerCase())
  if (named !== null && url.portText === '') return named
  const known = groups.get(addressKey(url))
  if (known !== null) return known
  return url.address === null ? null : new Group(url.text, [new Peer(url.text, url.address)])
}

/**
 * For a host that is a name nobody knows: as a step, asks for it and goes on with what is found, or answers 502.
 * @param begin its answer is the step's @param resolver null: the location has none
 */
export function withResolved(
  r: HttpRequest,
  url: UpstreamUrl,
  resolver: LocationResolver | null,
  begin: (group: Group) => number,
): number {
  if (resolver === null) {
    r.log(ERR, `no resolver defined to resolve ${url.host}`)
    return 502
  }
  let answer = WAIT
  let waits = false
  resolveGroup(r, url, resolver, group => {
    answer = group === null ? 502 : begin(group)
    if (waits) resume(r, answer)
  })
  waits = true
  return answer
}
