// Groups as the API shows them: the objects of NGINX Plus's documentation.

import { BACKUP, CHILD, NAME, ROUTE, SERVER, SERVICE, TEMPLATE } from '../../upstream/peer-slots.ts'
import {
  CHECK_FAILURES,
  CHECK_UNHEALTHY,
  CHECKING,
  CHECKS,
  DOWN,
  DOWN_SINCE,
  DOWNTIME,
  DRAINING,
  FAILURES,
  LAST_CHECK,
  Peer,
  RECEIVED,
  REQUESTS,
  RESPONSES_1XX,
  SELECTED,
  SENT,
  UNAVAILABLE,
  UNHEALTHY,
} from '../../upstream/peer.ts'
import type { ServerDeclaration } from '../../upstream/server.ts'
import { addressOf } from '../../upstream/server.ts'
import { parseUpstreamUrl } from '../../upstream/address.ts'
import type { UpstreamUrl } from '../../upstream/address.ts'
import { readWide } from '../../zone/wide-counter.ts'
import type { QueueSettings } from './queueing.ts'
import type { ZoneGroup } from './zone-group.ts'

export type View = Record<string, unknown>

export function groupView(zone: ZoneGroup): View {
  const { group } = zone
  group.source?.sync(group)
  const view: View = {
    peers: [
      ...group.peers.map(peer => peerView(peer, false, zone)),
      ...group.backups.map(peer => peerView(peer, true, zone)),
    ],
    keepalive: group.keepalive?.size ?? 0,
    zombies: zone.shared?.slots.zombies() ?? 0,
    zone: zone.zone,
  }
  if (group.queue !== null) {
    const { size, concurrency } = group.queue.options as QueueSettings
    view['queue'] = {
      size: group.queue.length,
      max_size: size,
      overflows: group.queue.overflows,
      ...(concurrency === 0 ? {} : { active: group.queue.active, concurrency }),
    }
  }
  return view
}

function stateOf(peer: Peer): string {
  if ((peer.down & DOWN) !== 0) return 'down'
  if ((peer.down & UNHEALTHY) !== 0) return 'unhealthy'
  if ((peer.down & CHECKING) !== 0) return 'checking'
  if (peer.disabled) return 'unavail'
  return (peer.down & DRAINING) !== 0 ? 'draining' : 'up'
}

function peerView(peer: Peer, backup: boolean, zone: ZoneGroup): View {
  const { numbers } = peer
  const read = (at: number): number => readWide(numbers, at)
  const classes = [0, 1, 2, 3, 4].map(i => read(RESPONSES_1XX + i * 2))
  const downSince = read(DOWN_SINCE)
  const selected = read(SELECTED)
  const service = zone.shared === null ? '' : serviceOf(peer, zone)
  return {
    id: peer.id,
    server: peer.name,
    ...(service === '' ? {} : { service }),
    name: peer.server,
    backup,
    weight: peer.weight,
    state: stateOf(peer),
    active: peer.conns,
    ...(peer.maxConns === 0 ? {} : { max_conns: peer.maxConns }),
    requests: read(REQUESTS),
    ...(peer.headerTime === 0 ? {} : { header_time: peer.headerTime }),
    ...(peer.responseTime === 0 ? {} : { response_time: peer.responseTime }),
    responses: {
      '1xx': classes[0],
      '2xx': classes[1],
      '3xx': classes[2],
      '4xx': classes[3],
      '5xx': classes[4],
      total: classes.reduce((sum, count) => sum + count, 0),
    },
    sent: read(SENT),
    received: read(RECEIVED),
    fails: read(FAILURES),
    unavail: read(UNAVAILABLE),
    health_checks: {
      checks: read(CHECKS),
      fails: read(CHECK_FAILURES),
      unhealthy: read(CHECK_UNHEALTHY),
      ...(numbers[LAST_CHECK] === 0 ? {} : { last_passed: numbers[LAST_CHECK] === 1 }),
    },
    downtime: read(DOWNTIME) + (downSince === 0 ? 0 : Date.now() - downSince),
    ...(downSince === 0 ? {} : { downstart: new Date(downSince).toISOString() }),
    ...(selected === 0 ? {} : { selected: new Date(selected).toISOString() }),
  }
}

function serviceOf(peer: Peer, zone: ZoneGroup): string {
  const { slots } = zone.shared!
  const at = slots.byId(peer.id)
  const parent = at !== -1 && slots.has(at, CHILD) ? slots.byId(slots.parent(at)) : -1
  return parent === -1 ? '' : slots.text(parent, SERVICE)
}

/** Statistics begin anew. */
export function resetStatistics(zone: ZoneGroup): void {
  const { group } = zone
  group.source?.sync(group)
  for (const { numbers } of [...group.peers, ...group.backups]) {
    for (let at = REQUESTS; at < DOWN_SINCE; at++) Atomics.store(numbers, at, 0)
  }
}

// ── servers as they are configured ─────────────────────────────────────────────────────────────────────────────────

export function serverViews(zone: ZoneGroup): View[] {
  const { slots } = zone.shared!
  slots.lock()
  const views = slots.used().map(at => serverView(at, zone))
  slots.unlock()
  return views
}

/** Null: there is no such server. */
export function serverViewById(id: number, zone: ZoneGroup): View | null {
  return serverViews(zone).find(view => view['id'] === id) ?? null
}

function serverView(at: number, zone: ZoneGroup): View {
  const { slots } = zone.shared!
  const { weight, maxConns, maxFails, failTimeout, slowStart, down } = numbersAt(at, zone)
  const child = slots.has(at, CHILD)
  const template = slots.has(at, TEMPLATE)
  const service = slots.text(at, SERVICE)
  return {
    id: slots.id(at),
    server: template ? slots.text(at, SERVER) : slots.text(at, NAME),
    ...(service === '' ? {} : { service }),
    weight,
    max_conns: maxConns,
    max_fails: maxFails,
    fail_timeout: `${failTimeout}s`,
    slow_start: timeText(slowStart),
    route: slots.text(at, ROUTE),
    backup: slots.has(at, BACKUP),
    down: (down & DOWN) !== 0,
    ...((down & DRAINING) === 0 ? {} : { drain: true }),
    ...(child ? { parent: slots.parent(at), host: slots.text(at, SERVER) } : {}),
  }
}

function timeText(ms: number): string {
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`
}

function numbersAt(at: number, zone: ZoneGroup): Peer {
  return new Peer('', addressOf(':0'), {}, 0, zone.shared!.slots.numbers(at))
}

/** What the configuration would have to say: for a state file. Addresses of names are the names' matter. */
export function declarationsOf(zone: ZoneGroup): ServerDeclaration[] {
  const { slots } = zone.shared!
  slots.lock()
  const declarations = slots.used().flatMap(at => {
    if (slots.has(at, CHILD)) return []
    const { weight, maxConns, maxFails, failTimeout, slowStart, down } = numbersAt(at, zone)
    const resolve = slots.has(at, TEMPLATE)
    const server = resolve ? slots.text(at, SERVER) : slots.text(at, NAME)
    const url = parseUpstreamUrl(server, 80, false) as UpstreamUrl
    const route = slots.text(at, ROUTE)
    const isDown = (down & DOWN) !== 0
    const drain = (down & DRAINING) !== 0
    const options = { weight, maxConns, maxFails, failTimeout, slowStart, down: isDown, drain, route, server }
    return [{ server, url, options, backup: slots.has(at, BACKUP), resolve, service: slots.text(at, SERVICE) }]
  })
  slots.unlock()
  return declarations
}
