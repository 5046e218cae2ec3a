// What fastcgi_pass, uwsgi_pass and scgi_pass have in common: an address without a path, parameters instead of a request
// line, a CGI response. The modules add how a request is written and how a response is packed.

import { IF_IN_LOCATION, LIMIT_EXCEPT, LOCATION } from '../../config/directive.ts'
import type { Directive, Site } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { ERR, INFO } from '../../log/error-log.ts'
import { parseUpstreamUrl } from '../../upstream/address.ts'
import type { UpstreamUrl } from '../../upstream/address.ts'
import type { Group } from '../../upstream/group.ts'
import { DONE } from '../module.ts'
import type { LocationBuilder, Value } from '../module.ts'
import type { Explained } from '../notes.ts'
import type { HttpRequest } from '../request.ts'
import { readRequestBody } from '../request-body.ts'
import { resolverDirectives, resolverOf } from '../resolver.ts'
import type { LocationResolver } from '../resolver.ts'
import type { HttpSetup, Registry } from '../setup.ts'
import { Exchange, upstreamSlot } from './exchange.ts'
import { describeCache } from '../cache/described.ts'
import { describeGroup } from './described.ts'
import { groupAtRunTime, groupOf, GROUPS, withResolved } from './groups.ts'
import { Params } from './params.ts'
import type { EncodePair, ParamText } from './params.ts'
import type { UpstreamProtocol } from './protocol.ts'
import { conditionParams } from '../cache/conditions.ts'
import { withCache } from '../cache/settings.ts'
import { fieldActions } from './response-fields.ts'
import type { FieldActions } from './response-fields.ts'
import { upstreamSettings } from './settings.ts'
import type { UpstreamSettings } from './settings.ts'
import { peerTlsFor, upstreamTls } from './tls.ts'
import type { PeerTlsSettings } from '../../upstream/peer-tls.ts'
import { streamBody } from './streamed-body.ts'

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
  /** What asks for TLS instead (`suwsgi://`); absent: nothing does. */
  readonly tlsScheme?: string
  /** Clients say what the address is: a wrong one is no error of ours. */
  readonly asksAnything?: boolean
  /** What is offered by ALPN then. */
  readonly protocols?: readonly string[]
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
    in: LOCATION | IF_IN_LOCATION,
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
  readonly known: Map<string, Found>
  /** Where `group` is spoken to over TLS (`suwsgi://`): the name it has in the configuration; '' for plain text. */
  readonly tlsHost: string
  /** How, and what name it must have instead; null where no address can ask for it. */
  readonly tls: PeerTlsSettings | null
  readonly tlsName: Value | null
  readonly params: Params
  readonly fieldActions: FieldActions
}

interface Found {
  readonly group: Group
  readonly tlsHost: string
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
  const { prefix } = gateway
  const settings = withCache(prefix, upstreamSettings(prefix, conf, at, gateway.hidden, tempPath), at, http)
  if (settings.bufferLimits.fileMax > 0) http.needsFolder(settings.bufferLimits.tempPath)
  const fixed = pass.template === null ? fixedGroup(gateway, pass, groups) : null
  const mayBeTls = gateway.tlsScheme !== undefined && (fixed === null || fixed.tlsHost !== '')
  const tls = mayBeTls ? upstreamTls(gateway.prefix, conf, http, gateway.protocols) : null
  return {
    gateway,
    settings,
    group: fixed?.group ?? null,
    tlsHost: fixed?.tlsHost ?? '',
    tls: tls?.settings ?? null,
    tlsName: tls === null || tls.name === null ? null : at.value(tls.name),
    address: pass.template === null ? null : at.value(pass.template),
    groups,
    resolver: pass.template === null ? null : resolverOf(at.scope.conf(resolverDirectives), http),
    known: new Map(),
    params: compileParams(gateway, params, settings.cache !== null, at),
    fieldActions: fieldActions(settings.hidden),
  }
}

/** The cache asks for what is good for others, too: not with the client's conditions and ranges. */
function compileParams({ encode }: Gateway, texts: readonly ParamText[], caches: boolean, at: LocationBuilder): Params {
  const params = new Params(texts, [], at, encode)
  if (caches) params.caching = new Params(texts, conditionParams(texts), at, encode)
  return params
}

/** There is no default port to make up for a missing one. */
const ANY_PORT = 80

function fixedGroup(gateway: Gateway, pass: GatewayPass, groups: Registry<Group>): Found {
  const { site } = pass
  const text = withoutScheme(gateway, pass.text)
  const url = parseUpstreamUrl(text, ANY_PORT, false)
  if (typeof url === 'string') return site.fail(`${url} in upstream "${text}"`)
  const noPort = !url.unix && url.portText === '' && groups.get(url.host.toLowerCase()) === null
  if (noPort) site.fail(`no port in upstream "${text}"`)
  return { group: groupOf(url, groups, site), tlsHost: tlsHostOf(gateway, pass.text, url) }
}

function hasScheme(text: string, scheme: string): boolean {
  return text.slice(0, scheme.length).toLowerCase() === scheme
}

/** `suwsgi://`: the host, for a handshake with it. */
function tlsHostOf(gateway: Gateway, text: string, url: UpstreamUrl): string {
  return isTls(gateway, text) ? url.host || 'localhost' : ''
}

function isTls({ tlsScheme }: Gateway, text: string): boolean {
  return tlsScheme !== undefined && hasScheme(text, tlsScheme)
}

function withoutScheme(gateway: Gateway, text: string): string {
  const { scheme, tlsScheme } = gateway
  if (isTls(gateway, text)) return text.slice(tlsScheme!.length)
  return scheme !== '' && hasScheme(text, scheme) ? text.slice(scheme.length) : text
}

/** The content handler of a location that passes requests on. */
export function askGateway(r: HttpRequest, protocol: UpstreamProtocol, conf: GatewayConf): number {
  if (conf.group !== null) return exchange(r, protocol, conf, conf.group, conf.tlsHost)
  const found = findGroup(r, protocol, conf)
  return typeof found === 'number' ? found : exchange(r, protocol, conf, found.group, found.tlsHost)
}

function exchange(
  r: HttpRequest,
  protocol: UpstreamProtocol,
  conf: GatewayConf,
  group: Group,
  tlsHost: string,
): number {
  const x = new Exchange(r, tlsHost === '' ? protocol : (protocol.overTls ?? protocol), conf.settings, conf, group)
  if (tlsHost !== '') {
    const settings = peerTlsFor(r, conf.tls!)
    if (settings === null) return 500
    x.tls = { settings, name: conf.tlsName?.constant ?? tlsHost }
    if (conf.tlsName?.constant === null) x.tlsName = conf.tlsName
  }
  const { body } = r
  x.sendsBody = conf.settings.passRequestBody && body !== null
  const streams = x.sendsBody && !conf.settings.requestBuffering && !body!.complete
  if (streams && (conf.gateway.anyLength || body!.declared >= 0)) {
    streamBody(x, begin)
    return DONE
  }
  return readRequestBody(r, begin)
}

function begin(r: HttpRequest): void {
  const x = upstreamSlot.get(r)!
  // With a cache it is made when that has been asked: what it says may depend on the answer.
  if (x.settings.cache === null) {
    x.head = x.protocol.requestHead(x)
    if (x.head === '') {
      x.finalize(500)
      return
    }
  }
  x.connect()
}

/** What would be asked of whom (`portico explain`). */
export const gatewayExplained: Explained<GatewayConf> = {
  describe(r, conf) {
    if (conf.group !== null) return [...describeGroup(conf.group), ...describeCache(r, conf.settings.cache, '')]
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
function findGroup(r: HttpRequest, protocol: UpstreamProtocol, conf: GatewayConf): Found | number {
  const address = conf.address!.get(r)
  const text = withoutScheme(conf.gateway, address)
  const known = conf.known.get(address)
  if (known !== undefined) return known
  const url = parseUpstreamUrl(text, ANY_PORT, false)
  if (typeof url === 'string') {
    r.log(conf.gateway.asksAnything === true ? INFO : ERR, `${url} in upstream "${text}"`)
    return 500
  }
  if (!url.unix && url.portText === '' && conf.groups.get(url.host.toLowerCase()) === null) {
    r.log(ERR, `no port in upstream "${url.host}"`)
    return 500
  }
  const group = groupAtRunTime(url, conf.groups)
  const tlsHost = tlsHostOf(conf.gateway, address, url)
  if (group === null) return resolve(r, protocol, conf, url, tlsHost)
  if (conf.known.size >= KNOWN_MAX) conf.known.clear()
  const found = { group, tlsHost }
  conf.known.set(address, found)
  return found
}

/** Apart from findGroup(), which most requests leave without a closure. */
function resolve(
  r: HttpRequest,
  protocol: UpstreamProtocol,
  conf: GatewayConf,
  url: UpstreamUrl,
  tlsHost: string,
): number {
  return withResolved(r, url, conf.resolver, group => exchange(r, protocol, conf, group, tlsHost))
}
