// Whose word an application gets for how a client came: Gunicorn's forwarded_allow_ips, secure_scheme_headers, forwarder_headers,
// header_map and proxy_allow_ips, and the address itself from X-Forwarded-For or Forwarded where that is asked for. What a
// peer says that is not trusted is nobody's word; what it sends stays a field like any other.

import { isIP } from 'node:net'
import { unescapeUri } from '../../codec/h1/uri.ts'
import { spokeTls } from '../../codec/proxy-protocol.ts'
import { lastForwarded } from '../access/forwarded-header.ts'
import { forwarded, forwardedFromFields, TrustedProxies } from '../access/forwarded-address.ts'
import { originalAddress } from '../access/original-address.ts'
import { isAmong, type Peers } from '../access/peers.ts'
import { NEXT, Slot } from '../module.ts'
import type { HttpRequest } from '../request.ts'

export type HeaderMap = 'drop' | 'refuse' | 'dangerous'
export type ForwardedMode = 'off' | 'x-forwarded' | 'forwarded'

/** What is believed, of one location. */
export interface Trust {
  readonly proxies: TrustedProxies
  readonly everybody: boolean
  /** Who may send a PROXY protocol header; null: nothing is made of one here. */
  readonly proxyHeaders: Peers | null
  /** Lower-case names, and the values that mean "https". */
  readonly schemeHeaders: ReadonlyMap<string, string>
  /** Lower-case names with `_` that a trusted peer may send; `*` for all. */
  readonly forwarderHeaders: ReadonlySet<string>
  readonly headerMap: HeaderMap
  readonly forwarded: ForwardedMode
}

/** What is known of one request beyond its connection and its fields. */
export class Told {
  /** '' for the connection's own. */
  readonly scheme: string
  /** Where a trusted peer says that the application is mounted; null: none has. */
  private readonly scriptName: string | null
  private readonly trust: Trust
  readonly trusted: boolean

  constructor(trust: Trust, trusted: boolean, scheme: string, scriptName: string | null = null) {
    this.trust = trust
    this.trusted = trusted
    this.scheme = scheme
    this.scriptName = scriptName
  }

  /** @param configured unless a trusted peer names another */
  mount(configured: string): string {
    return this.scriptName ?? configured
  }

  /** May a field with a `_` in its name become a variable? `a_b` and `a-b` would be the same one. */
  passes(name: string): boolean {
    return (this.trusted && forwards(this.trust, name)) || this.trust.headerMap === 'dangerous'
  }
}

export const toldOf = new Slot<Told>('subrequests')

/** As the application hears it. */
export function schemeOf(r: HttpRequest, told: Told | null): string {
  if (told !== null && told.scheme !== '') return told.scheme
  return r.stream.tls === null ? 'http' : 'https'
}

const BAD_REQUEST = 400
const FORBIDDEN = 403

/** A location's trust, with what most requests come to made beforehand. */
export class Believer {
  readonly trust: Trust
  /** Of a peer that is not trusted, and of one that is and says nothing, "http" or "https". */
  readonly stranger: Told
  readonly silent: Told
  readonly http: Told
  readonly https: Told
  /** What the scheme's fields begin with, -1 where they differ: most fields need no further look. */
  readonly initial: number
  private peer = ''
  private peerTrusted = false

  constructor(trust: Trust) {
    this.trust = trust
    this.stranger = new Told(trust, false, '')
    this.silent = new Told(trust, true, '')
    this.http = new Told(trust, true, 'http')
    this.https = new Told(trust, true, 'https')
    const initials = new Set([...trust.schemeHeaders.keys()].map(name => name.charCodeAt(0)))
    this.initial = initials.size === 1 ? [...initials][0]! : -1
  }

  /** One peer has many requests. */
  trusts(peer: string): boolean {
    if (peer === this.peer) return this.peerTrusted
    this.peer = peer
    this.peerTrusted = isAmong(peer, this.trust)
    return this.peerTrusted
  }
}

/** For the phase post-read. */
export function takeWord(r: HttpRequest, believer: Believer): number {
  const { trust } = believer
  // set_real_ip_from may have said who the client is; that is nobody whose word counts.
  const original = originalAddress.get(r)
  const peer = original === null ? r.clientAddress : original.address
  let spoken = ''
  if (trust.proxyHeaders !== null && r.stream.proxyProtocol !== null) {
    if (!isAmong(peer, trust.proxyHeaders)) return FORBIDDEN
    const { source, sourcePort, tlvs } = r.stream.proxyProtocol
    if (source !== '') {
      if (isIP(source) === 0) return BAD_REQUEST
      if (original === null) {
        r.clientAddress = source
        r.clientPort = sourcePort
      }
    }
    spoken = spokeTls(tlvs) ? 'https' : ''
  }
  const trusted = believer.trusts(peer)
  const told = trusted ? tell(r, believer, spoken) : strangerTold(believer, spoken)
  if (typeof told === 'number') return told
  if (trust.headerMap === 'refuse' && hasRefused(r, told)) return BAD_REQUEST
  toldOf.set(r, told)
  if (trusted && trust.forwarded !== 'off') takeClient(r, trust, original === null)
  return NEXT
}

function strangerTold({ trust, stranger }: Believer, spoken: string): Told {
  return spoken === '' ? stranger : new Told(trust, false, spoken)
}

/** @returns a status where fields contradict each other */
function tell(r: HttpRequest, believer: Believer, spoken: string): Told | number {
  const { trust, initial } = believer
  const { names, values, count } = r.head
  let scriptName: string | null = null
  let scheme = ''
  for (let i = 0; i < count; i++) {
    const name = names[i]!
    const secure = initial < 0 || name.charCodeAt(0) === initial ? trust.schemeHeaders.get(name) : undefined
    if (secure !== undefined) {
      const said = values[i] === secure ? 'https' : 'http'
      if (scheme !== '' && scheme !== said) return BAD_REQUEST
      scheme = said
    } else if (name === 'script_name' && forwards(trust, name)) scriptName = values[i]!
  }
  const known = scheme || forwardedScheme(r, trust) || spoken
  if (scriptName !== null) return new Told(trust, true, known, scriptName)
  return known === '' ? believer.silent : known === 'https' ? believer.https : believer.http
}

function forwards({ forwarderHeaders }: Trust, name: string): boolean {
  return forwarderHeaders.has(name) || forwarderHeaders.has('*')
}

function hasRefused(r: HttpRequest, told: Told): boolean {
  const { names, count } = r.head
  for (let i = 0; i < count; i++) if (names[i]!.includes('_') && !told.passes(names[i]!)) return true
  return false
}

/** Where the application is mounted for a request. @param configured app_script_name */
export function mountOf(r: HttpRequest, configured: string): string {
  return toldOf.get(r)?.mount(configured) ?? configured
}

/** Is a request for the application at all, which a proxy or the configuration may say is mounted somewhere? */
export function isMounted(r: HttpRequest, configured: string): boolean {
  const mount = mountOf(r, configured)
  return mount === '' || pathBelow(r.uri, mount) !== null
}

/**
 * What of a path is below the mount; null: it is elsewhere. The mount may be percent-encoded: Gunicorn compares it with the
 * path as the client sent it.
 */
export function pathBelow(path: string, mount: string): string | null {
  if (isBelow(path, mount)) return path.slice(mount.length)
  const decoded = unescapeUri(mount)
  return decoded !== mount && isBelow(path, decoded) ? path.slice(decoded.length) : null
}

function isBelow(path: string, mount: string): boolean {
  if (!path.startsWith(mount)) return false
  return path.length === mount.length || mount.endsWith('/') || path[mount.length] === '/'
}

// ── the client, where a proxy's word for it counts ───────────────────────────────────────────────────────────────────

function forwardedScheme(r: HttpRequest, trust: Trust): string {
  if (trust.forwarded === 'off') return ''
  const said =
    trust.forwarded === 'x-forwarded'
      ? lastOf(r, 'x-forwarded-proto')
      : (lastForwarded(r, trust.proxies, trust.everybody)?.proto ?? '')
  const scheme = said.toLowerCase()
  if (scheme === 'https' || scheme === 'wss') return 'https'
  return scheme === 'http' || scheme === 'ws' ? 'http' : ''
}

/** The nearest proxy's word of a list: those before it may be a client's own. */
function lastOf(r: HttpRequest, name: string): string {
  const { names, values, count } = r.head
  for (let i = count - 1; i >= 0; i--) {
    if (names[i] === name) return values[i]!.slice(values[i]!.lastIndexOf(',') + 1).trim()
  }
  return ''
}

/** @param isOpen nobody has said yet who the client is */
/** A name, an IPv4 address or an IPv6 address in brackets, perhaps with a port. */
const HOST = /^(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::\d{1,5})?$/

function takeClient(r: HttpRequest, trust: Trust, isOpen: boolean): void {
  let host = ''
  if (trust.forwarded === 'x-forwarded') {
    if (isOpen && forwardedFromFields(r, r.clientAddress, 'x-forwarded-for', trustedOf(trust), true))
      takeAddress(r, forwarded.address, forwarded.port)
    host = lastOf(r, 'x-forwarded-host')
  } else {
    const element = lastForwarded(r, trust.proxies, trust.everybody)
    if (isOpen && element !== null && element.address !== '') takeAddress(r, element.address, element.port)
    host = element?.host ?? ''
  }
  if (host !== '' && HOST.test(host)) takeHost(r, host)
}

function takeAddress(r: HttpRequest, address: string, port: number): void {
  originalAddress.set(r, { address: r.clientAddress, port: r.clientPort })
  r.clientAddress = address
  r.clientPort = port
}

/** For everybody's word every address is a proxy's, and the first one of the list the client's. */
const EVERYBODY: Pick<TrustedProxies, 'contains'> = { contains: () => true }

function trustedOf(trust: Trust): TrustedProxies {
  if (trust.everybody) return EVERYBODY as TrustedProxies
  return trust.proxies
}

function takeHost(r: HttpRequest, host: string): void {
  const { names, values, count } = r.head
  for (let i = 0; i < count; i++) if (names[i] === 'host') values[i] = host
  const port = /:(\d+)$/.exec(host)
  r.host = (port === null ? host : host.slice(0, port.index)).toLowerCase()
  r.head.port = port === null ? 0 : Number(port[1])
}
