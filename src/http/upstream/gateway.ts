// What fastcgi_pass, uwsgi_pass and scgi_pass have in common: an address without a path, parameters instead of a request
// line, a CGI response. The modules add how a request is written and how a response is packed.

import { IF_IN_LOCATION, LIMIT_EXCEPT, LOCATION } from '../../config/directive.ts'
import type { Directive, Site } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { ERR } from '../../log/error-log.ts'
import { parseUpstreamUrl } from '../../upstream/address.ts'
import type { UpstreamUrl } from '../../upstream/address.ts'
import type { Group } from '../../upstream/group.ts'
import { DONE, WAIT } from '../module.ts'
import type { LocationBuilder, Value } from '../module.ts'
import type { Explained } from '../notes.ts'
import type { HttpRequest } from '../request.ts'
import { resume } from '../phases.ts'
import { readRequestBody } from '../request-body.ts'
import { resolverDirectives, resolverOf, resolveGroup } from '../resolver.ts'
import type { LocationResolver } from '../resolver.ts'
import type { HttpSetup, Registry } from '../setup.ts'
import { Exchange, upstreamSlot } from './exchange.ts'
import { describeGroup } from './described.ts'
import { groupAtRunTime, groupOf, GROUPS } from './groups.ts'
import { Params } from './params.ts'
import type { EncodePair, ParamText } from './params.ts'
import type { UpstreamProtocol } from './protocol.ts'
import { fieldActions } from './response-fields.ts'
import type { FieldActions } from './response-fields.ts'
import { upstreamSettings } from './settings.ts'
import type { UpstreamSettings } from './settings.ts'
import { StreamedBody } from './streamed-body.ts'

/** What a gateway protocol is, apart from its messages. */
export interface Gateway {
  /** Of its directives: `fastcgi`. */
  readonly prefix: string
  /** May stand in front of an address (`uwsgi://`), '' for none. */
  readonly scheme: string
  readonly encode: EncodePair
  /** Lower-case names of response fields the client does not get. */
  readonly hidden: readonly string[]
  /** Can it send a body whose length is not known beforehand? */
  readonly anyLength: boolean
}

/** Fields for the server itself. */
export const ACCEL_FIELDS: readonly string[] = [
  'x-accel-expires',
  'x-accel-redirect',
  'x-accel-limit-rate',
  'x-accel-buffering',
  'x-accel-charset',
]

export interface GatewayPass {
  readonly text: string
  /** Null where there are no variables. */
  readonly template: Template | null
  readonly site: Site
}

export function passDirective(): Directive<GatewayPass | null> {
  return {
    in: LOCATION | IF_IN_LOCATION | LIMIT_EXCEPT,
    args: [1, 1],
    default: null,
    inheritedBy: IF_IN_LOCATION | LIMIT_EXCEPT,
    parse([text], at) {
      const address = Template.parse(text!, at)
      return { text: text!, template: address.constant === null ? address : null, site: at }
    },
  }
}

/** One location's configuration; the modules add their own to it. */
export interface GatewayConf {
  readonly gateway: Gateway
  readonly settings: UpstreamSettings
  /** Null where the address has variables: then `address` is it. */
  readonly group: Group | null
  readonly address: Value | null
  readonly groups: Registry<Group>
  /** For names that variables make. */
  readonly resolver: LocationResolver | null
  /** Groups that variables have led to. */
  readonly known: Map<string, Group>
  readonly params: Params
  readonly fieldActions: FieldActions
}

export function compileGateway(
  gateway: Gateway,
  pass: GatewayPass,
  params: readonly ParamText[],
  conf: Readonly<Record<string, unknown>>,
  at: LocationBuilder,
  http: HttpSetup,
): GatewayConf {
  const groups = http.registry(GROUPS)
  const tempPath = pass.site.prefixPath(`${gateway.prefix}_temp`)
  const settings = upstreamSettings(gateway.prefix, conf, at, gateway.hidden, tempPath)
  http.needsFolder(settings.bufferLimits.tempPath)
  return {
    gateway,
    settings,
    group: pass.template === null ? fixedGroup(gateway, pass, groups) : null,
    address: pass.template === null ? null : at.value(pass.template),
    groups,
    resolver: pass.template === null ? null : resolverOf(at.scope.conf(resolverDirectives), http),
    known: new Map(),
    params: new Params(params, at, gateway.encode),
    fieldActions: fieldActions(settings.hidden),
  }
}

/** There is no default port to make up for a missing one. */
const ANY_PORT = 80

function fixedGroup(gateway: Gateway, pass: GatewayPass, groups: Registry<Group>): Group {
  const { site } = pass
  if (gateway.scheme !== '' && hasScheme(pass.text, `s${gateway.scheme}`)) {
    site.fail(`s${gateway.prefix} protocol requires SSL support`)
  }
  const text = withoutScheme(gateway, pass.text)
  const url = parseUpstreamUrl(text, ANY_PORT, false)
  if (typeof url === 'string') return site.fail(`${url} in upstream "${text}"`)
  const noPort = !url.unix && url.portText === '' && groups.get(url.host.toLowerCase()) === null
  return noPort ? site.fail(`no port in upstream "${text}"`) : groupOf(url, groups, site)
}

function hasScheme(text: string, scheme: string): boolean {
  return text.slice(0, scheme.length).toLowerCase() === scheme
}

function withoutScheme({ scheme }: Gateway, text: string): string {
  return scheme !== '' && hasScheme(text, scheme) ? text.slice(scheme.length) : text
}

/** The content handler of a location that passes requests on. */
export function askGateway(r: HttpRequest, protocol: UpstreamProtocol, conf: GatewayConf): number {
  const group = conf.group ?? findGroup(r, protocol, conf)
  return typeof group === 'number' ? group : exchange(r, protocol, conf, group)
}

function exchange(r: HttpRequest, protocol: UpstreamProtocol, conf: GatewayConf, group: Group): number {
  const x = new Exchange(r, protocol, conf.settings, conf, group)
  const { body } = r
  x.sendsBody = conf.settings.passRequestBody && body !== null
  const streams = x.sendsBody && !conf.settings.requestBuffering && !body!.complete
  if (streams && (conf.gateway.anyLength || body!.declared >= 0)) {
    x.streamed = new StreamedBody(r, body!.declared)
    r.body = x.streamed
    begin(r)
    return DONE
  }
  return readRequestBody(r, begin)
}

function begin(r: HttpRequest): void {
  const x = upstreamSlot.get(r)!
  const head = x.protocol.requestHead(x)
  if (head === '') {
    x.finalize(500)
    return
  }
  x.head = head
  x.connect()
}

/** What would be asked of whom (`portico explain`). */
export const gatewayExplained: Explained<GatewayConf> = {
  describe(r, conf) {
    if (conf.group !== null) return describeGroup(conf.group)
    const text = withoutScheme(conf.gateway, conf.address!.get(r))
    const url = parseUpstreamUrl(text, ANY_PORT, false)
    if (typeof url === 'string') return [`the address "${text}" cannot be used: 500`]
    const group = groupAtRunTime(url, conf.groups)
    return group === null ? [`"${url.host}" is resolved for each request`] : describeGroup(group)
  },
}

/** Groups remembered of a location whose address has variables. */
const KNOWN_MAX = 512

/** The group that variables lead to, WAIT for one that is yet to be resolved, or the status if they lead nowhere. */
function findGroup(r: HttpRequest, protocol: UpstreamProtocol, conf: GatewayConf): Group | number {
  const text = withoutScheme(conf.gateway, conf.address!.get(r))
  const known = conf.known.get(text)
  if (known !== undefined) return known
  const url = parseUpstreamUrl(text, ANY_PORT, false)
  if (typeof url === 'string') {
    r.log(ERR, `${url} in upstream "${text}"`)
    return 500
  }
  if (!url.unix && url.portText === '' && conf.groups.get(url.host.toLowerCase()) === null) {
    r.log(ERR, `no port in upstream "${url.host}"`)
    return 500
  }
  const group = groupAtRunTime(url, conf.groups)
  if (group === null) return resolve(r, protocol, conf, url)
  if (conf.known.size >= KNOWN_MAX) conf.known.clear()
  conf.known.set(text, group)
  return group
}

/** The host is a name that must be asked for. */
function resolve(r: HttpRequest, protocol: UpstreamProtocol, conf: GatewayConf, url: UpstreamUrl): number {
  if (conf.resolver === null) {
    r.log(ERR, `no resolver defined to resolve ${url.host}`)
    return 502
  }
  let answer = WAIT
  let waits = false
  resolveGroup(r, url, conf.resolver, group => {
    answer = group === null ? 502 : exchange(r, protocol, conf, group)
    if (waits) resume(r, answer)
  })
  waits = true
  return answer
}
