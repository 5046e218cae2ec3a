// `upstream NAME { … }`: groups of servers and how one is chosen (ngx_http_upstream_module, and _keepalive, _least_conn,
// _least_time, _ip_hash, _hash, _random, _sticky, _zone; `queue`, `slow_start` and `state` are NGINX Plus's).

import { HTTP, STREAM, STREAM_UPSTREAM, UPSTREAM } from '../../config/directive.ts'
import type { Conf, Directive, Scope, Site } from '../../config/directive.ts'
import { ConfigError } from '../../config/errors.ts'
import { Template } from '../../config/template.ts'
import { parseNumber, parseSize } from '../../config/units.ts'
import { block, list, number, path, time } from '../../config/values.ts'
import { claimZone } from '../../config/zone-names.ts'
import type { Balancer } from '../../upstream/balance/balancer.ts'
import { consistentHash, hash } from '../../upstream/balance/hash.ts'
import { ipHash } from '../../upstream/balance/ip-hash.ts'
import { leastConn } from '../../upstream/balance/least-conn.ts'
import { leastTime } from '../../upstream/balance/least-time.ts'
import type { TimeUntil } from '../../upstream/balance/least-time.ts'
import { random, randomTwo, randomTwoLeastTime } from '../../upstream/balance/random.ts'
import { roundRobin } from '../../upstream/balance/round-robin.ts'
import { Group } from '../../upstream/group.ts'
import { KeepalivePool } from '../../upstream/keepalive.ts'
import { Peer } from '../../upstream/peer.ts'
import { addressesOf, addressOf, peerOptions, readServer } from '../../upstream/server.ts'
import type { Entry } from '../../upstream/shared-peers.ts'
import { httpModule } from '../module.ts'
import { resolverDirectives, resolverOf } from '../resolver.ts'
import type { HttpSetup } from '../setup.ts'
import { GROUPS } from '../upstream/groups.ts'
import { queueDirective, queueFor } from '../upstream/queue-directive.ts'
import { readState } from '../upstream/state-file.ts'
import { stickyDirective } from '../upstream/sticky-directive.ts'
import { upstreamPrefixVariables, upstreamVariables } from '../upstream/variables.ts'
import { shareGroup, ZONE_GROUPS, ZoneGroup } from '../upstream/zone-group.ts'

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

const either = UPSTREAM | STREAM_UPSTREAM

const inside = {
  server: list(either, [1, Infinity], readEntry),
  state: path(either, null),
  least_conn: method([0, 0], () => ({ balancer: leastConn, key: null })),
  least_time: method([1, 2], readLeastTime),
  ip_hash: method([0, 0], () => ({ balancer: ipHash, key: null }), UPSTREAM),
  hash: method([1, 2], readHash),
  random: method([0, 2], readRandom),
  sticky: stickyDirective(),
  queue: queueDirective(),
  zone: zone(),
  keepalive: keepalive(),
  keepalive_requests: number(UPSTREAM, 1000),
  keepalive_time: time(UPSTREAM, 3_600_000),
  keepalive_timeout: time(UPSTREAM, 60_000),
}

interface Declaration {
  readonly name: string
  readonly conf: Conf<typeof inside>
  readonly scope: Scope
  readonly site: Site
}

const directives = {
  upstream: block(
    HTTP | STREAM,
    [1, 1],
    context => (context === HTTP ? UPSTREAM : STREAM_UPSTREAM),
    ([name], at): Declaration => {
      const conf = at.inner!.conf(inside)
      if (conf.state !== null) {
        if (conf.server.length > 0) at.failAt(at.end, '"server" directives may not be used along with "state"')
        if (conf.zone === null) at.failAt(at.end, '"state" requires the upstream to be in shared memory: "zone"')
      } else if (!isWritten('server', at)) at.failAt(at.end, 'no servers are inside upstream')
      return { name: name!, conf, scope: at.inner!, site: at }
    },
  ),
  ...inside,
}

/** Whether it could be read or not. */
function isWritten(name: string, at: Site): boolean {
  return at.inner!.statement!.block!.some(statement => statement.name === name)
}

export const upstream = httpModule({
  name: 'upstream',
  inStream: true,
  directives,
  variables: upstreamVariables,
  prefixVariables: upstreamPrefixVariables,
  setup(conf, http) {
    const groups = http.registry(GROUPS)
    const pools: KeepalivePool[] = []
    const sizes = zoneSizes(conf.upstream)
    for (const declaration of conf.upstream) {
      const entries = entriesOf(declaration, http)
      const { name, site } = declaration
      if (groups.get(name.toLowerCase()) !== null) site.fail(`duplicate upstream "${name}"`)
      if (entries.length > 0 && entries.every(entry => entry.declaration.backup)) {
        site.fail(`no servers in upstream "${name}"`)
      }
      const group = groupFrom(declaration, entries, http)
      if (group.keepalive !== null) pools.push(group.keepalive)
      groups.add(name.toLowerCase(), group, site)
      share(declaration, group, entries, sizes, http)
    }
    http.onStop(() => {
      for (const pool of pools) pool.close()
    })
  },
})

/** Zones' sizes by name: the size may be said where the name is used first, or next. */
function zoneSizes(all: readonly Declaration[]): Map<string, number> {
  const sizes = new Map<string, number>()
  for (const { conf } of all) {
    if (conf.zone === null || conf.zone.size === 0) continue
    sizes.set(conf.zone.name, conf.zone.size)
  }
  return sizes
}

function entriesOf({ conf, scope, site }: Declaration, http: HttpSetup): readonly Entry[] {
  return conf.state === null ? conf.server : readState(conf.state, unsupportedIn(scope), http, site)
}

function groupFrom({ name, conf, site }: Declaration, entries: readonly Entry[], http: HttpSetup): Group {
  const { balancer, key, order } = methodOf(conf, site)
  const bound = key === null ? null : http.value(key)
  const group = new Group(name, peers(entries, false), peers(entries, true), balancer, poolOf(conf), bound)
  // A method that is written behind it takes its place.
  if (conf.sticky !== null && site.inner!.site('sticky')!.order > order) group.sticky = conf.sticky(http, name)
  if (conf.queue !== null) group.queue = queueFor(conf.queue, name, http)
  return group
}

function peers(entries: readonly Entry[], backup: boolean): Peer[] {
  return entries.flatMap(({ declaration, names }) => {
    if (declaration.backup !== backup || declaration.resolve) return []
    return names.map(name => new Peer(name, addressOf(name), peerOptions(declaration)))
  })
}

function share(
  { name, conf, scope, site }: Declaration,
  group: Group,
  entries: readonly Entry[],
  sizes: ReadonlyMap<string, number>,
  http: HttpSetup,
): void {
  const resolves = entries.some(entry => entry.declaration.resolve)
  if (conf.zone === null) {
    if (resolves) {
      const where = `upstream "${name}" in ${site.file}:${site.line}`
      throw new ConfigError(`resolving names at run time requires ${where} to be in shared memory`)
    }
    return
  }
  const size = sizes.get(conf.zone.name) ?? site.fail(`zero size shared memory zone "${conf.zone.name}"`)
  const resolver = resolverOf(scope.conf(resolverDirectives), http)
  if (resolves && (resolver === null || resolver.resolver.options.servers.length === 0)) {
    site.fail(`no resolver defined to resolve names at run time in upstream "${name}"`)
  }
  const shared = new ZoneGroup(group, conf.zone.name, resolver, conf.state, unsupportedIn(scope))
  http.registry(ZONE_GROUPS).set(name, shared)
  shareGroup(shared, size, entries, http, site)
}

const METHODS = ['least_conn', 'least_time', 'ip_hash', 'hash', 'random'] as const

/** The one written last, and where. */
function methodOf(conf: Conf<typeof inside>, site: Site): Method & { readonly order: number } {
  let chosen: Method = { balancer: roundRobin, key: null }
  let order = -1
  for (const name of METHODS) {
    const at = site.inner!.site(name)
    if (at === null || at.order < order) continue
    order = at.order
    chosen = conf[name]!
  }
  return { ...chosen, order }
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
  where = either,
): Directive<Method | null> {
  return {
    in: where,
    args,
    default: null,
    repeatable: true,
    parse(words, at) {
      if ([...METHODS, 'sticky'].some(other => at.scope.has(other))) at.warn('load balancing method redefined')
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
  if (two === undefined) return { balancer: random, key: null }
  if (by === undefined || by === 'least_conn') return { balancer: randomTwo, key: null }
  const [name, until] = by.split('=') as [string, string?]
  if (name !== 'least_time' || (until !== 'header' && until !== 'last_byte'))
    return at.fail(`invalid parameter "${by}"`)
  return { balancer: randomTwoLeastTime(until), key: null }
}

const OF_REQUESTS: readonly TimeUntil[] = ['header', 'last_byte']
const OF_SESSIONS: readonly TimeUntil[] = ['connect', 'first_byte', 'last_byte']

function readLeastTime([word, inflight]: readonly string[], at: Site): Method {
  const known = at.context === STREAM_UPSTREAM ? OF_SESSIONS : OF_REQUESTS
  const until = known.find(until => until === word) ?? at.fail(`invalid value "${word}"`)
  if (inflight !== undefined && inflight !== 'inflight') at.fail(`invalid parameter "${inflight}"`)
  return { balancer: leastTime(until, inflight !== undefined), key: null }
}

/** Less, and nginx has no room for its own bookkeeping. */
const ZONE_MIN = 8 * 4096

interface ZoneDeclaration {
  readonly name: string
  /** Bytes; 0 where it is said elsewhere. */
  readonly size: number
  readonly site: Site
}

function zone(): Directive<ZoneDeclaration | null> {
  return {
    in: either,
    args: [1, 2],
    default: null,
    repeatable: true,
    parse([name, size], at) {
      if (name === '') at.fail(`invalid zone name "${name}"`)
      const bytes = size === undefined ? 0 : (parseSize(size) ?? at.fail(`invalid zone size "${size}"`))
      if (size !== undefined && bytes < ZONE_MIN) at.fail(`zone "${name}" is too small`)
      claimZone(at, name!, bytes)
      return { name: name!, size: bytes, site: at }
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

/** Names are looked up now, unless that is for later. */
function readEntry(words: readonly string[], at: Site): Entry {
  const declaration = readServer(words, unsupportedIn(at.scope), at)
  const { unix, portText } = declaration.url
  if (at.context === STREAM_UPSTREAM && !unix && portText === '' && declaration.service === '') {
    at.fail(`no port in upstream "${words[0]}"`)
  }
  // Sessions have no cookies to be bound by.
  const sticky = words.slice(1).find(word => word === 'drain' || word.startsWith('route='))
  if (at.context === STREAM_UPSTREAM && sticky !== undefined) at.fail(`invalid parameter "${sticky}"`)
  return { declaration, names: declaration.resolve ? [] : addressesOf(declaration.url, at) }
}

/** Parameters of servers that the method given so far has no use for. */
function unsupportedIn(scope: Scope): readonly string[] {
  return ['ip_hash', 'hash', 'random'].some(name => scope.has(name)) ? ['backup', 'slow_start'] : []
}
