// The proxy_* directives of the stream block, and what they come to for one server.

import { STREAM, STREAM_SERVER, type Conf, type Directive, type Scope, type Site } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { parseSize } from '../../config/units.ts'
import { accepted, flag, number, oneOf, size, time } from '../../config/values.ts'
import { resolverDirectives, resolverOf, resolveGroup, type LocationResolver } from '../../http/resolver.ts'
import type { HttpSetup, Registry } from '../../http/setup.ts'
import { Bind, bindDirective } from '../../http/upstream/bind.ts'
import { groupAtRunTime, groupOf, GROUPS } from '../../http/upstream/groups.ts'
import { peerTlsFor, tlsDirectives, upstreamTls } from '../../http/upstream/tls.ts'
import type { Value } from '../../http/module.ts'
import { ERR } from '../../log/error-log.ts'
import { socketBuffers, type SocketBuffers } from '../../net/socket-options.ts'
import { parseUpstreamUrl, type UpstreamUrl } from '../../upstream/address.ts'
import type { Group } from '../../upstream/group.ts'
import type { PeerTlsSettings } from '../../upstream/peer-tls.ts'
import { asRequest, type Content } from '../module.ts'
import type { StreamSession } from '../session.ts'
import { UdpExchange, UNLIMITED } from '../udp/exchange.ts'
import { UdpSession } from '../udp/session.ts'
import { StreamExchange } from './exchange.ts'

const anywhere = STREAM | STREAM_SERVER

interface Pass {
  readonly text: string
  readonly template: Template
  readonly site: Site
}

const pass: Directive<Pass | null> = {
  in: STREAM_SERVER,
  args: [1, 1],
  default: null,
  inheritedBy: 0,
  parse: ([text], at) => ({ text: text!, template: Template.parse(text!, at), site: at }),
}

/** A size, or variables that make one. */
const rate: Directive<Template | null> = {
  in: anywhere,
  args: [1, 1],
  default: null,
  parse([word], at) {
    const template = Template.parse(word!, at)
    const bytes = template.constant === null ? 0 : (parseSize(word!) ?? at.fail(`"${at.name}" directive invalid value`))
    return template.constant === null ? template : bytes === 0 ? null : Template.builtIn(String(bytes))
  },
}

/** Names with variables, of protocols. */
const alpn: Directive<readonly Template[]> = {
  in: anywhere,
  args: [1, Infinity],
  default: [],
  parse: (words, at) => {
    const names = words.map(word => Template.parse(word, at))
    const isTooLong = names.some(({ constant }) => constant !== null && constant.length > ALPN_NAME_MAX)
    if (isTooLong) at.fail(`"${at.name}" directive protocol too long`)
    return names
  },
}

const bufferSize = size(anywhere, 16384)

/** Names that proxy_buffer_size has had. */
const deprecated = accepted({
  ...bufferSize,
  parse(args, at, soFar) {
    const value = bufferSize.parse(args, at, soFar)
    at.warn(`the "${at.name}" directive is deprecated, use the "proxy_buffer_size" directive instead`)
    return value
  },
} satisfies Directive<number>)

export const proxyDirectives = {
  ...inStream(tlsDirectives('proxy')),
  proxy_pass: pass,
  proxy_bind: { ...bindDirective, in: anywhere },
  proxy_ssl: flag(anywhere, false),
  proxy_ssl_alpn: alpn,
  /** `on` is version 1. */
  proxy_protocol: oneOf(anywhere, ['off', 'on', 'v1', 'v2'], 'off'),
  proxy_half_close: flag(anywhere, false),
  proxy_socket_keepalive: flag(anywhere, false),
  proxy_socket_rcvbuf: size(anywhere, 0),
  proxy_socket_sndbuf: size(anywhere, 0),
  proxy_connect_timeout: time(anywhere, 60_000),
  proxy_timeout: time(anywhere, 600_000),
  proxy_next_upstream: flag(anywhere, true),
  proxy_next_upstream_tries: number(anywhere, 0),
  proxy_next_upstream_timeout: time(anywhere, 0),
  proxy_upload_rate: rate,
  proxy_download_rate: rate,
  // Of TCP, memory is taken by the read, not by the session.
  proxy_buffer_size: bufferSize,
  proxy_downstream_buffer: deprecated,
  proxy_upstream_buffer: deprecated,
  proxy_requests: number(anywhere, 0),
  proxy_responses: number(anywhere, UNLIMITED),
}

/** The same directives, where the stream block has them. */
function inStream<D extends Record<string, Directive<any>>>(directives: D): D {
  const entries = Object.entries(directives).map(([name, one]) => [name, { ...one, in: anywhere }])
  return Object.fromEntries(entries) as D
}

/** Times in ms. */
export interface ProxySettings {
  readonly connectTimeout: number
  readonly timeout: number
  readonly nextUpstream: boolean
  readonly nextUpstreamTries: number
  readonly nextUpstreamTimeout: number
  readonly halfClose: boolean
  /** What is told to the upstream in front of everything, if anything. */
  readonly proxyProtocol: 'off' | 'v1' | 'v2'
  readonly socketKeepalive: boolean
  readonly socketBuffers: SocketBuffers | null
  readonly uploadRate: Value | null
  readonly downloadRate: Value | null
  readonly bind: Bind | null
  /** What is offered to the upstream by ALPN. */
  readonly alpn: readonly Value[]
  /** Of UDP: how much may wait; after how many datagrams a session is another; how many come back for each. */
  readonly bufferSize: number
  readonly requests: number
  readonly responses: number
}

function settingsOf(conf: Conf<typeof proxyDirectives>, stream: HttpSetup): ProxySettings {
  const optional = (template: Template | null): Value | null => (template === null ? null : stream.value(template))
  const bind = conf.proxy_bind
  return {
    connectTimeout: conf.proxy_connect_timeout,
    timeout: conf.proxy_timeout,
    nextUpstream: conf.proxy_next_upstream,
    nextUpstreamTries: conf.proxy_next_upstream_tries,
    nextUpstreamTimeout: conf.proxy_next_upstream_timeout,
    halfClose: conf.proxy_half_close,
    proxyProtocol: conf.proxy_protocol === 'on' ? 'v1' : conf.proxy_protocol,
    socketKeepalive: conf.proxy_socket_keepalive,
    socketBuffers: socketBuffers(conf.proxy_socket_rcvbuf, conf.proxy_socket_sndbuf),
    uploadRate: optional(conf.proxy_upload_rate),
    downloadRate: optional(conf.proxy_download_rate),
    bind: bind === null ? null : new Bind(stream.value(bind.address), bind),
    alpn: conf.proxy_ssl_alpn.map(name => stream.value(name)),
    bufferSize: conf.proxy_buffer_size,
    requests: conf.proxy_requests,
    responses: conf.proxy_responses,
  }
}

/** RFC 7301, 3.1 */
const ALPN_NAME_MAX = 255

/** There is no default port to make up for a missing one. */
const ANY_PORT = 80

/** The content of a server that passes connections on; null: it does not. */
export function compileProxy(scope: Scope, stream: HttpSetup): Content | null {
  const conf = scope.conf(proxyDirectives)
  const declared = conf.proxy_pass
  if (declared === null) return null
  const groups = stream.registry(GROUPS)
  const { template, site } = declared
  const fixed = template.constant === null ? null : fixedGroup(template.constant, groups, site)
  const tls = conf.proxy_ssl ? upstreamTls('proxy', conf, stream) : null
  return new Proxy(
    settingsOf(conf, stream),
    fixed,
    stream.value(template),
    groups,
    resolverOf(scope.conf(resolverDirectives), stream),
    tls?.settings ?? null,
    tls === null || tls.name === null ? null : stream.value(tls.name),
  )
}

interface Fixed {
  readonly group: Group
  readonly host: string
}

function fixedGroup(text: string, groups: Registry<Group>, site: Site): Fixed {
  const url = parseUpstreamUrl(text, ANY_PORT, false)
  if (typeof url === 'string') return site.fail(`${url} in upstream "${text}"`)
  if (needsPort(url, groups)) site.fail(`no port in upstream "${text}"`)
  return { group: groupOf(url, groups, site), host: url.host }
}

function needsPort(url: UpstreamUrl, groups: Registry<Group>): boolean {
  return !url.unix && url.portText === '' && groups.get(url.host.toLowerCase()) === null
}

class Proxy implements Content {
  private readonly settings: ProxySettings
  private readonly fixed: Fixed | null
  private readonly address: Value
  private readonly groups: Registry<Group>
  private readonly resolver: LocationResolver | null
  private readonly tls: PeerTlsSettings | null
  private readonly tlsName: Value | null

  constructor(
    settings: ProxySettings,
    fixed: Fixed | null,
    address: Value,
    groups: Registry<Group>,
    resolver: LocationResolver | null,
    tls: PeerTlsSettings | null,
    tlsName: Value | null,
  ) {
    this.settings = settings
    this.fixed = fixed
    this.address = address
    this.groups = groups
    this.resolver = resolver
    this.tls = tls
    this.tlsName = tlsName
  }

  beginUdp(session: UdpSession): void {
    session.limit(this.settings.requests, this.settings.bufferSize)
    this.begin(session)
  }

  begin(session: StreamSession | UdpSession): void {
    if (this.fixed !== null) this.connect(session, this.fixed.group, this.fixed.host)
    else this.find(session)
  }

  private connect(session: StreamSession | UdpSession, group: Group, host: string): void {
    if (session instanceof UdpSession) {
      new UdpExchange(session, group, this.settings).begin()
      return
    }
    const { tlsName } = this
    const tls = this.tls === null ? null : peerTlsFor(asRequest(session), this.tls)
    if (tls === null && this.tls !== null) {
      session.finalize(500)
      return
    }
    const name = tlsName === null ? host : tlsName.get(asRequest(session))
    const peerTls = tls === null ? null : { settings: this.offering(tls, session), name }
    new StreamExchange(session, group, this.settings, peerTls).connect()
  }

  private refuse(session: StreamSession | UdpSession, problem: string): void {
    session.log(ERR, problem, `, bytes from/to client:${session.bytesReceived}/0, bytes from/to upstream:0/0`)
    session.finalize(500)
  }

  private offering(tls: PeerTlsSettings, session: StreamSession): PeerTlsSettings {
    const names = this.settings.alpn.map(name => name.get(asRequest(session)))
    const protocols = names.filter(name => name !== '' && name.length <= ALPN_NAME_MAX)
    return protocols.length === 0 ? tls : { ...tls, protocols }
  }

  /** The upstream that variables name. */
  private find(session: StreamSession | UdpSession): void {
    const text = this.address.get(asRequest(session))
    const url = parseUpstreamUrl(text, ANY_PORT, false)
    if (typeof url === 'string' || needsPort(url, this.groups)) {
      this.refuse(session, `${typeof url === 'string' ? url : 'no port'} in upstream "${text}"`)
      return
    }
    const group = groupAtRunTime(url, this.groups)
    if (group !== null) this.connect(session, group, url.host)
    else if (this.resolver === null) this.refuse(session, `no resolver defined to resolve ${url.host}`)
    else {
      resolveGroup(asRequest(session), url, this.resolver, found => {
        if (found === null) session.finalize(500)
        else this.connect(session, found, url.host)
      })
    }
  }
}
