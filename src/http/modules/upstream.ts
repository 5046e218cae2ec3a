// `upstream NAME { … }`: groups of servers and how one is chosen (ngx_http_upstream_module, and _keepalive, _least_conn,
// _ip_hash).

import { HTTP, UPSTREAM } from '../../config/directive.ts'
import type { Conf, Directive, Site } from '../../config/directive.ts'
import { parseNumber, parseSeconds } from '../../config/units.ts'
import { block, list, number, time } from '../../config/values.ts'
import { parseUpstreamUrl } from '../../upstream/address.ts'
import type { Balancer } from '../../upstream/balance/balancer.ts'
import { ipHash } from '../../upstream/balance/ip-hash.ts'
import { leastConn } from '../../upstream/balance/least-conn.ts'
import { roundRobin } from '../../upstream/balance/round-robin.ts'
import { Group } from '../../upstream/group.ts'
import { KeepalivePool } from '../../upstream/keepalive.ts'
import type { Peer, PeerOptions } from '../../upstream/peer.ts'
import { httpModule } from '../module.ts'
import { GROUPS, peersOf } from '../upstream/groups.ts'
import { upstreamPrefixVariables, upstreamVariables } from '../upstream/variables.ts'

interface Server {
  readonly peers: readonly Peer[]
  readonly backup: boolean
}

interface KeepaliveSize {
  readonly max: number
  readonly local: boolean
}

/** Without `keepalive` a group keeps so many connections, each for the location that opened it. */
const KEEPALIVE: KeepaliveSize = { max: 32, local: true }

const inside = {
  server: list(UPSTREAM, [1, Infinity], readServer),
  least_conn: method(leastConn),
  ip_hash: method(ipHash),
  keepalive: keepalive(),
  keepalive_requests: number(UPSTREAM, 1000),
  keepalive_time: time(UPSTREAM, 3_600_000),
  keepalive_timeout: time(UPSTREAM, 60_000),
}

interface Declaration {
  readonly name: string
  readonly conf: Conf<typeof inside>
  readonly site: Site
}

const directives = {
  upstream: block(HTTP, [1, 1], UPSTREAM, ([name], at): Declaration => {
    const conf = at.inner!.conf(inside)
    if (conf.server.length === 0) at.failAt(at.end, 'no servers are inside upstream')
    return { name: name!, conf, site: at }
  }),
  ...inside,
}

export const upstream = httpModule({
  name: 'upstream',
  directives,
  variables: upstreamVariables,
  prefixVariables: upstreamPrefixVariables,
  setup(conf, http) {
    const groups = http.registry(GROUPS)
    const pools: KeepalivePool[] = []
    for (const { name, conf: own, site } of conf.upstream) {
      const pool = poolOf(own)
      if (pool !== null) pools.push(pool)
      groups.add(name.toLowerCase(), new Group(name, peers(own, false), peers(own, true), methodOf(own), pool), site)
    }
    http.onStop(() => {
      for (const pool of pools) pool.close()
    })
  },
})

function peers(conf: Conf<typeof inside>, backup: boolean): Peer[] {
  return conf.server.filter(server => server.backup === backup).flatMap(server => server.peers)
}

function methodOf(conf: Conf<typeof inside>): Balancer {
  return conf.ip_hash ?? conf.least_conn ?? roundRobin
}

function poolOf(conf: Conf<typeof inside>): KeepalivePool | null {
  const { max, local } = conf.keepalive
  if (max === 0) return null
  return new KeepalivePool({
    max,
    local,
    requests: conf.keepalive_requests,
    timeMs: conf.keepalive_time,
    timeoutMs: conf.keepalive_timeout,
  })
}

function method(balancer: Balancer): Directive<Balancer | null> {
  return { in: UPSTREAM, args: [0, 0], default: null, parse: () => balancer }
}

function keepalive(): Directive<KeepaliveSize> {
  return {
    in: UPSTREAM,
    args: [1, 2],
    default: KEEPALIVE,
    parse([count, scope], at) {
      const max = parseNumber(count!) ?? at.fail(`invalid value "${count}" in "keepalive" directive`)
      if (scope !== undefined && scope !== 'local') at.fail(`invalid parameter "${scope}"`)
      return { max, local: scope === 'local' }
    },
  }
}

function readServer([address, ...parameters]: readonly string[], at: Site): Server {
  const options = { weight: 1, maxConns: 0, maxFails: 1, failTimeout: 10, down: false, backup: false }
  for (const parameter of parameters) readParameter(parameter, options, at)
  const url = parseUpstreamUrl(address!, 80, false)
  if (typeof url === 'string') return at.fail(`${url} in upstream "${address}"`)
  return { peers: peersOf(url, options satisfies PeerOptions, at), backup: options.backup }
}

interface ServerOptions {
  weight: number
  maxConns: number
  maxFails: number
  failTimeout: number
  down: boolean
  backup: boolean
}

function readParameter(parameter: string, options: ServerOptions, at: Site): void {
  const refuse = (): never => at.fail(`invalid parameter "${parameter}"`)
  const [name, value] = parameter.split(/=(.*)/s) as [string, string?]
  if (name === 'down' && value === undefined) options.down = true
  else if (name === 'backup' && value === undefined) {
    if (at.scope.has('ip_hash')) at.fail(`balancing method does not support parameter "${parameter}"`)
    options.backup = true
  } else if (value === undefined) refuse()
  else if (name === 'weight') options.weight = (parseNumber(value) ?? 0) || refuse()
  else if (name === 'max_conns') options.maxConns = parseNumber(value) ?? refuse()
  else if (name === 'max_fails') options.maxFails = parseNumber(value) ?? refuse()
  else if (name === 'fail_timeout') options.failTimeout = parseSeconds(value) ?? refuse()
  else refuse()
}
