// `resolver` and `resolver_timeout`: the DNS servers that a location asks for names which are known only at run time
// (ngx_http_core_resolver). For all that pass requests to a place with variables in it.

import {
  HTTP,
  LOCATION,
  MAIL,
  MAIL_SERVER,
  SERVER,
  STREAM,
  STREAM_SERVER,
  STREAM_UPSTREAM,
  UPSTREAM,
  type Conf,
  type Directive,
  type Site,
} from '../config/directive.ts'
import { parseSeconds } from '../config/units.ts'
import { time } from '../config/values.ts'
import { ERR } from '../log/error-log.ts'
import type { UpstreamUrl } from '../upstream/address.ts'
import { parseUpstreamUrl } from '../upstream/address.ts'
import { Group } from '../upstream/group.ts'
import { Peer } from '../upstream/peer.ts'
import { resolveHost } from '../upstream/resolve.ts'
import { codeText, type Resolution } from '../upstream/resolution.ts'
import { Resolver, type DnsServer, type ResolverOptions } from '../upstream/resolver.ts'
import type { HttpRequest } from './request.ts'
import type { HttpSetup } from './setup.ts'

const DNS_PORT = 53

function parseResolver(args: readonly string[], at: Site): ResolverOptions | null {
  // In mail alone: an outer one is not asked.
  if (args[0] === 'off' && (at.context & (MAIL | MAIL_SERVER)) !== 0) return null
  const servers: DnsServer[] = []
  let validMs: number | null = null
  let ipv4 = true
  let ipv6 = true
  for (const word of args) {
    if (word.startsWith('valid='))
      validMs = (parseSeconds(word.slice(6)) ?? at.fail(`invalid parameter: ${word}`)) * 1000
    else if (word === 'ipv4=on' || word === 'ipv4=off') ipv4 = word === 'ipv4=on'
    else if (word === 'ipv6=on' || word === 'ipv6=off') ipv6 = word === 'ipv6=on'
    else if (/^ipv[46]=/.test(word)) at.fail(`invalid parameter: ${word}`)
    else servers.push(...serversOf(word, at))
  }
  if (!ipv4 && !ipv6) at.fail('"ipv4" and "ipv6" cannot both be "off"')
  if (servers.length === 0) at.fail('no name servers defined')
  // 0 is as good as nothing.
  return { servers, validMs: validMs || null, ipv4, ipv6 }
}

function serversOf(word: string, at: Site): DnsServer[] {
  const url = parseUpstreamUrl(word, DNS_PORT, false)
  if (typeof url === 'string' || url.unix)
    return at.fail(`${typeof url === 'string' ? url : 'invalid host'} in resolver "${word}"`)
  if (url.address !== null && 'host' in url.address) return [url.address]
  const hosts = resolveHost(url.host) ?? at.fail(`host not found in resolver "${word}"`)
  return hosts.map(host => ({ host, port: url.port }))
}

const contexts = HTTP | SERVER | LOCATION | UPSTREAM | STREAM | STREAM_SERVER | STREAM_UPSTREAM | MAIL | MAIL_SERVER

export const resolverDirectives = {
  resolver: {
    in: contexts,
    args: [1, Infinity],
    default: null,
    parse: parseResolver,
  } satisfies Directive<ResolverOptions | null>,
  resolver_timeout: time(contexts, 30_000),
}

/** A location's resolver. */
export interface LocationResolver {
  readonly resolver: Resolver
  readonly timeoutMs: number
}

/** One for each `resolver` directive, and with it what it has learnt. */
const resolvers = new WeakMap<ResolverOptions, Resolver>()

/** Null: there is none. For compile(): `resolverOf(at.scope.conf(resolverDirectives), http)`. */
export function resolverOf(conf: Conf<typeof resolverDirectives>, http: HttpSetup): LocationResolver | null {
  const options = conf.resolver
  if (options === null) return null
  let resolver = resolvers.get(options)
  if (resolver === undefined) {
    const fresh = new Resolver(options)
    resolvers.set(options, fresh)
    http.onStart(services => {
      fresh.errorLog = services.errorLog
    })
    http.onStop(() => fresh.close())
    resolver = fresh
  }
  return { resolver, timeoutMs: conf.resolver_timeout }
}

/**
 * Finds the peers of a URL whose host is a name, and goes on with them as a group of this request's own, or with null when
 * there are none, which has been logged. `done` may be called before this returns, and is not for a request that has ended.
 */
export function resolveGroup(
  r: HttpRequest,
  url: UpstreamUrl,
  { resolver, timeoutMs }: LocationResolver,
  done: (group: Group | null) => void,
): void {
  let kept = true
  const waiter = resolver.resolve(url.host, timeoutMs, result => {
    if (r.done) return
    if (result.code !== 0) r.log(ERR, `${url.host} could not be resolved (${codeText(result.code)})`)
    done(result.code === 0 ? groupFor(url, result, kept) : null)
  })
  kept = false
  if (waiter !== null) r.onEnd(() => waiter.cancel())
}

/** In the answer's order; what was kept begins anywhere, so that the first address does not get all the requests. */
function groupFor(url: UpstreamUrl, { addresses }: Resolution, kept: boolean): Group {
  const first = kept ? Math.floor(Math.random() * addresses.length) : 0
  const peers = addresses.map((_, i) => {
    const host = addresses[(first + i) % addresses.length]!
    return new Peer(`${host.includes(':') ? `[${host}]` : host}:${url.port}`, { host, port: url.port })
  })
  return new Group(url.text, peers)
}
