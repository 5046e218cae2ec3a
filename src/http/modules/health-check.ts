// `health_check` and `match`: servers of a group are asked at intervals how they are (ngx_http_upstream_hc_module of NGINX
// Plus, as documented).

import { HTTP, LOCATION } from '../../config/directive.ts'
import type { Directive, Site } from '../../config/directive.ts'
import { parseNumber, parseTime } from '../../config/units.ts'
import { HealthChecks } from '../../upstream/health-checks.ts'
import type { CheckSettings, Probe } from '../../upstream/health-checks.ts'
import { httpModule } from '../module.ts'
import { RegistryKey } from '../setup.ts'
import type { HttpSetup } from '../setup.ts'
import { GatewayHealthProbe } from '../upstream/gateway-health-probe.ts'
import { readMatch, USUAL } from '../upstream/health-match.ts'
import type { Match } from '../upstream/health-match.ts'
import { getQuestion, grpcMatch, grpcQuestion, Http2HealthProbe } from '../upstream/h2/health-probe.ts'
import { HealthProbe } from '../upstream/health-probe.ts'
import { passedIn } from '../upstream/passed.ts'
import type { Passed } from '../upstream/passed.ts'
import { ZONE_GROUPS } from '../upstream/zone-group.ts'
import type { ZoneGroup } from '../upstream/zone-group.ts'

interface Declaration extends CheckSettings {
  /** '': what is usual. */
  readonly uri: string
  /** The name of a `match`, '' for what is usual. */
  readonly match: string
  readonly port: number
  readonly keepaliveMs: number
  /** Null unless the check is gRPC's: whom it asks after, and the status besides OK that will do (-1: none). */
  readonly grpc: { readonly service: string; readonly status: number } | null
  readonly site: Site
}

interface MatchDeclaration {
  readonly name: string
  readonly match: Match
  readonly site: Site
}

const directives = {
  health_check: {
    in: LOCATION,
    args: [0, Infinity],
    default: [],
    repeatable: true,
    inheritedBy: 0,
    parse: (words, at, soFar = []) => [...soFar, readCheck(words, at)],
  } satisfies Directive<readonly Declaration[]>,
  match: {
    in: HTTP,
    args: [1, 1],
    default: [],
    repeatable: true,
    block: 'data',
    parse: ([name], at, soFar = []) => [...soFar, { name: name!, match: readMatch(at.lines, at), site: at }],
  } satisfies Directive<readonly MatchDeclaration[]>,
}

const MATCHES = new RegistryKey<Match>('match')

export const healthCheck = httpModule({
  name: 'health-check',
  directives,
  setup(conf, http) {
    const matches = http.registry(MATCHES)
    for (const { name, match, site } of conf.match) matches.add(name, match, site)
  },
  compile(conf, at, http) {
    if (at.kind !== 'location') return
    for (const declaration of conf.health_check) check(declaration, passedIn(at.scope), http)
  },
})

function check(declaration: Declaration, passed: Passed | null, http: HttpSetup): void {
  const { site, match: name, port, keepaliveMs, grpc } = declaration
  // memcached has no page that there is everywhere.
  const uri = declaration.uri === '' && passed?.gateway === undefined ? '/' : declaration.uri
  if (passed === null)
    return site.fail(
      '"health_check" needs a "proxy_pass", "grpc_pass" or their like to a group of servers in the same location',
    )
  if (grpc !== null && !passed.http2) return site.fail('"type=grpc" needs a "grpc_pass" in the same location')
  const zone = http.registry(ZONE_GROUPS).get(passed.group.name)
  if (zone === null || zone.group !== passed.group) {
    return site.fail(`"health_check" requires upstream "${passed.group.name}" to be in shared memory: "zone"`)
  }
  const match = name === '' ? USUAL : (http.registry(MATCHES).get(name) ?? site.fail(`match "${name}" not found`))
  zone.checked = true
  if (declaration.mandatory) zone.mandatory = true
  const { gateway } = passed
  const makeProbe = (): Probe => {
    if (gateway !== undefined) return new GatewayHealthProbe({ uri, match, port, keepaliveMs }, gateway, passed)
    if (!passed.http2) return new HealthProbe({ uri, match, port, keepaliveMs }, passed)
    const question = grpc === null ? getQuestion(uri) : grpcQuestion(grpc.service)
    const wanted = grpc === null ? match : grpcMatch(grpc.status)
    return new Http2HealthProbe({ uri, match: wanted, port, keepaliveMs }, question, passed)
  }
  start(zone, declaration, makeProbe, http)
}

function start(zone: ZoneGroup, settings: CheckSettings, makeProbe: () => Probe, http: HttpSetup): void {
  let checks: HealthChecks | null = null
  http.onStart(services => {
    if (services.thread !== 0) return
    checks = new HealthChecks(zone.group, settings, makeProbe, services.errorLog, zone.isMine)
    checks.start()
  })
  http.onStop(() => checks?.stop())
}

type Draft = { -readonly [K in keyof Declaration]: Declaration[K] }

function readCheck(words: readonly string[], at: Site): Declaration {
  const draft: Draft = {
    intervalMs: 5000,
    jitterMs: 0,
    fails: 1,
    passes: 1,
    mandatory: false,
    persistent: false,
    uri: '',
    match: '',
    port: 0,
    keepaliveMs: 0,
    grpc: null,
    site: at,
  }
  for (const word of words) readParameter(word, draft, at)
  if (draft.grpc !== null && (draft.match !== '' || words.some(word => word.startsWith('uri='))))
    at.fail('"type=grpc" parameter is not compatible with "uri" and "match"')
  if (draft.persistent && !draft.mandatory) at.fail('"persistent" parameter requires "mandatory"')
  return draft
}

function readParameter(word: string, draft: Draft, at: Site): void {
  const refuse = (): never => at.fail(`invalid parameter "${word}"`)
  const [name, value] = word.split(/=(.*)/s) as [string, string?]
  if (value === undefined) {
    if (name === 'mandatory') draft.mandatory = true
    else if (name === 'persistent') draft.persistent = true
    else refuse()
  } else if (name === 'interval') draft.intervalMs = parseTime(value) || refuse()
  else if (name === 'jitter') draft.jitterMs = parseTime(value) ?? refuse()
  else if (name === 'fails') draft.fails = parseNumber(value) || refuse()
  else if (name === 'passes') draft.passes = parseNumber(value) || refuse()
  else if (name === 'uri') draft.uri = /^\/[!-~]*$/.test(value) ? value : refuse()
  else if (name === 'match') draft.match = value || refuse()
  else if (name === 'port') {
    draft.port = parseNumber(value) || refuse()
    if (draft.port > 65535) refuse()
  } else if (name === 'keepalive_time') draft.keepaliveMs = parseTime(value) ?? refuse()
  else if (name === 'type') {
    if (value === 'grpc') draft.grpc = { service: '', status: -1 }
    else if (value !== 'http') at.fail(`health checks of type "${value}" are not supported`)
  } else if (draft.grpc !== null && name === 'grpc_service') {
    // Its length must fit into one byte, as that of the message around it.
    draft.grpc = { ...draft.grpc, service: /^[!-~]{1,120}$/.test(value) ? value : refuse() }
  } else if (draft.grpc !== null && name === 'grpc_status') {
    const status = parseNumber(value) ?? refuse()
    draft.grpc = { ...draft.grpc, status }
  } else refuse()
}
