// `upstream NAME { … }`: groups of servers and how one is chosen (ngx_http_upstream_module, and _keepalive, _least_conn,
// _ip_hash, _hash, _random, _zone).

import { HTTP, UPSTREAM } from '../../config/directive.ts'
import type { Conf, Directive, Site } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { parseNumber, parseSeconds, parseSize } from '../../config/units.ts'
import { block, list, number, time } from '../../config/values.ts'
import { murmurHash2 } from '../../lib/murmur-hash.ts'
import { parseUpstreamUrl } from '../../upstream/address.ts'
import type { Balancer } from '../../upstream/balance/balancer.ts'
import { consistentHash, hash } from '../../upstream/balance/hash.ts'
import { ipHash } from '../../upstream/balance/ip-hash.ts'
import { leastConn } from '../../upstream/balance/least-conn.ts'
import { random, randomTwo } from '../../upstream/balance/random.ts'
import { roundRobin } from '../../upstream/balance/round-robin.ts'
import { Group } from '../../upstream/group.ts'
import { KeepalivePool } from '../../upstream/keepalive.ts'
import { PEER_BYTES } from '../../upstream/peer.ts'
import type { Peer, PeerOptions } from '../../upstream/peer.ts'
import { httpModule } from '../module.ts'
import type { HttpSetup } from '../setup.ts'
import { GROUPS, peersOf } from '../upstream/groups.ts'
import { upstreamPrefixVariables, upstreamVariables } from '../upstream/variables.ts'

interface Server {
  readonly peers: readonly Peer[]
  readonly backup: boolean
}

interface Method {
  readonly balancer: Balancer
  /** What `hash` goes by. */
  readonly key: Template | null
}

interface KeepaliveSize {
  readonly max: number
  readonly local: boolean
}

/** Without `keepalive` a group keeps so many connections, each for the location that opened it. */
const KEEPALIVE: KeepaliveSize = { max: 32, local: true }

const inside = {
  server: list(UPSTREAM, [1, Infinity], readServer),
  least_conn: method([0, 0], () => ({ balancer: leastConn, key: null })),
  ip_hash: method([0, 0], () => ({ balancer: ipHash, key: null })),
  hash: method([1, 2], readHash),
  random: method([0, 2], readRandom),
  zone: zone(),
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
    for (const declaration of conf.upstream) {
      const group = groupFrom(declaration, http)
      if (group.keepalive !== null) pools.push(group.keepalive)
      groups.add(declaration.name.toLowerCase(), group, declaration.site)
      if (declaration.conf.zone !== null) shareNumbers(group, declaration.conf.zone, http)
    }
    http.onStop(() => {
      for (const pool of pools) pool.close()
    })
  },
})

function groupFrom({ name, conf, site }: Declaration, http: HttpSetup): Group {
  const { balancer, key } = methodOf(conf, site)
  const bound = key === null ? null : http.value(key)
  return new Group(name, peers(conf, false), peers(conf, true), balancer, poolOf(conf), bound)
}

function peers(conf: Conf<typeof inside>, backup: boolean): Peer[] {
  return conf.server.filter(server => server.backup === backup).flatMap(server => server.peers)
}

const METHODS = ['least_conn', 'ip_hash', 'hash', 'random'] as const

/** The one written last. */
function methodOf(conf: Conf<typeof inside>, site: Site): Method {
  let chosen: Method = { balancer: roundRobin, key: null }
  let order = -1
  for (const name of METHODS) {
    const at = site.inner!.site(name)
    if (at === null || at.order < order) continue
    order = at.order
    chosen = conf[name]!
  }
  return chosen
}

/** The threads count a group's requests and failures together. Memory of other servers would be misread: it has another key. */
function shareNumbers(group: Group, name: string, http: HttpSetup): void {
  const all = [...group.peers, ...group.backups]
  const servers = all.map(peer => `${peer.name} ${peer.weight} ${peer.maxConns} ${peer.maxFails} ${peer.failTimeout}`)
  const memory = `upstream ${name} ${group.name} ${murmurHash2(servers.join('\n'))}`
  http.sharedMemory(memory, all.length * PEER_BYTES)
  http.onStart(services => {
    for (const [i, peer] of all.entries()) peer.share(services.shared(memory), i * PEER_BYTES)
  })
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

function method(
  args: readonly [number, number],
  read: (args: readonly string[], at: Site) => Method,
): Directive<Method | null> {
  return {
    in: UPSTREAM,
    args,
    default: null,
    parse(words, at) {
      if (METHODS.some(other => at.scope.has(other))) at.warn('load balancing method redefined')
      return read(words, at)
    },
  }
}

function readHash([key, parameter]: readonly string[], at: Site): Method {
  if (parameter !== undefined && parameter !== 'consistent') at.fail(`invalid parameter "${parameter}"`)
  return { balancer: parameter === undefined ? hash : consistentHash, key: Template.parse(key!, at) }
}

function readRandom([two, by]: readonly string[], at: Site): Method {
  if (two !== undefined && two !== 'two') at.fail(`invalid parameter "${two}"`)
  if (by !== undefined && by !== 'least_conn') at.fail(`invalid parameter "${by}"`)
  return { balancer: two === undefined ? random : randomTwo, key: null }
}

/** Less, and nginx has no room for its own bookkeeping. */
const ZONE_MIN = 8 * 4096

/** The name is what counts: our memory is as large as the servers are many. */
function zone(): Directive<string | null> {
  return {
    in: UPSTREAM,
    args: [1, 2],
    default: null,
    parse([name, size], at) {
      if (name === '') at.fail(`invalid zone name "${name}"`)
      if (size === undefined) return name!
      const bytes = parseSize(size) ?? at.fail(`invalid zone size "${size}"`)
      if (bytes < ZONE_MIN) at.fail(`zone "${name}" is too small`)
      return name!
    },
  }
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
  return { peers: peersOf(url, { ...options, server: address! } satisfies PeerOptions, at), backup: options.backup }
}

interface ServerOptions {
  weight: number
  maxConns: number
  maxFails: number
  failTimeout: number
  down: boolean
  backup: boolean
}

const WITHOUT_BACKUPS = ['ip_hash', 'hash', 'random']

function readParameter(parameter: string, options: ServerOptions, at: Site): void {
  const refuse = (): never => at.fail(`invalid parameter "${parameter}"`)
  const [name, value] = parameter.split(/=(.*)/s) as [string, string?]
  if (name === 'down' && value === undefined) options.down = true
  else if (name === 'backup' && value === undefined) {
    if (WITHOUT_BACKUPS.some(name => at.scope.has(name)))
      at.fail(`balancing method does not support parameter "${parameter}"`)
    options.backup = true
  } else if (value === undefined) refuse()
  else if (name === 'weight') options.weight = (parseNumber(value) ?? 0) || refuse()
  else if (name === 'max_conns') options.maxConns = parseNumber(value) ?? refuse()
  else if (name === 'max_fails') options.maxFails = parseNumber(value) ?? refuse()
  else if (name === 'fail_timeout') options.failTimeout = parseSeconds(value) ?? refuse()
  else refuse()
}
