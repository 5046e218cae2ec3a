// `listen`: an address and what goes with its socket (ngx_http_core_listen).

import { isIPv4, isIPv6 } from 'node:net'
import { networkInterfaces } from 'node:os'
import type { Directive, Site } from '../../config/directive.ts'
import { resolveHost } from '../../upstream/resolve.ts'
import { socketOptions, type SocketOption } from './listen-options.ts'

/** An address to listen on. Two with the same key are the same socket. */
export interface ListenDeclaration {
  readonly key: string
  /** IP address ('' for Unix sockets); '0.0.0.0' and '::' are the wildcards. */
  readonly host: string
  readonly port: number
  /** Path of a Unix socket, '' for TCP. */
  readonly path: string
  readonly isDefault: boolean
  /** Connections that may wait to be accepted. */
  readonly backlog: number
  readonly ipv6only: boolean
  readonly options: readonly SocketOption[]
  /** Connections begin with a PROXY protocol header. */
  readonly proxyProtocol: boolean
  /** … or may begin with one, of these versions; null: must. */
  readonly proxyVersions: ProxyVersions | null
  /** Connections speak uwsgi, as a front's uwsgi_pass does. */
  readonly uwsgi: boolean
  /** Connections begin with a TLS handshake. */
  readonly tls: boolean
  /** They may speak HTTP/2, whatever `http2` says. */
  readonly http2: boolean
  /** Datagrams come there, no connections; the key then ends with UDP. */
  readonly udp?: boolean
  /** It says more of the socket than where it is: of all that share an address, one may. */
  readonly set: boolean
  /** Other programs may listen there too; of UDP each thread has a socket of its own. */
  readonly reuseport?: boolean
  readonly site: Site
}

/** Ends the keys of UDP addresses: TCP and UDP have their ports each to itself. */
export const UDP = '/udp'

/** An address's key as nginx writes the address. */
export function addressText(key: string): string {
  return key.endsWith(UDP) && !key.startsWith('unix:') ? key.slice(0, -UDP.length) : key
}

/** `auto` is both. */
export type ProxyVersions = 'v1' | 'v2' | 'auto'

const BACKLOG = 511

/** What is said of connections or servers, not of a socket. */
const UNSET = /^(?:default_server|default|proxy_protocol(?:=.*)?|ssl|uwsgi|http2|quic|udp)$/

/** `listen`, with what a block's servers cannot be asked for refused by `parse`. */
export function listen(contexts: number, parse = parseListen): Directive<readonly ListenDeclaration[]> {
  return {
    in: contexts,
    args: [1, 20],
    default: [],
    repeatable: true,
    inheritedBy: 0,
    parse: (args, at, soFar = []) => [...soFar, ...parse(args, at)],
  }
}

/** One directive; several addresses where it names a range of ports. */
export function parseListen(args: readonly string[], at: Site): readonly ListenDeclaration[] {
  const addresses = parseAddresses(args[0]!, at)
  const parameters = args.slice(1)
  const said: Said = { ...NOTHING_SAID }
  for (const parameter of parameters) {
    if (!readWord(parameter, said, at)) readValue(parameter, said, at)
  }
  if (parameters.includes('quic')) {
    // A client that was told of HTTP/3 and cannot reach it goes on with TCP.
    at.warn(`"listen ${args[0]} quic" is ignored, HTTP/3 is not supported yet`)
    return []
  }
  const set = parameters.some(parameter => !UNSET.test(parameter))
  return addresses.map(address => ({ ...address, ...said, set, site: at }))
}

/** What is said beside the address. */
type Said = { -readonly [K in keyof Parameters]-?: Parameters[K] }
type Parameters = Omit<ListenDeclaration, keyof ListenAddress | 'set' | 'udp' | 'site'>

const NOTHING_SAID: Readonly<Said> = {
  isDefault: false,
  backlog: BACKLOG,
  ipv6only: true,
  options: [],
  proxyProtocol: false,
  proxyVersions: null,
  uwsgi: false,
  tls: false,
  http2: false,
  reuseport: false,
}

/** Parameters without a value. False: it is none of them. */
function readWord(word: string, said: Said, at: Site): boolean {
  switch (word) {
    case 'default_server':
    case 'default':
      said.isDefault = true
      break
    case 'proxy_protocol':
      said.proxyProtocol = true
      break
    case 'ssl':
      said.tls = true
      break
    case 'uwsgi':
      said.uwsgi = true
      break
    case 'http2':
      said.http2 = true
      at.warn('the "listen ... http2" directive is deprecated, use the "http2" directive instead')
      break
    case 'reuseport':
      // Threads accept from one shared socket all the same.
      said.reuseport = true
      break
    case 'multipath':
      at.warn('"multipath" is ignored: connections are made by TCP alone')
      break
    // Every address has a socket to itself.
    case 'bind':
    case 'quic':
      break
    default:
      return false
  }
  return true
}

/** Parameters with a value, and those of the socket alone. */
function readValue(parameter: string, said: Said, at: Site): void {
  if (parameter.startsWith('proxy_protocol=')) {
    said.proxyProtocol = true
    said.proxyVersions = versionsOf(parameter.slice(15), at)
  } else if (parameter.startsWith('backlog=')) {
    said.backlog = Number(parameter.slice(8))
    if (!Number.isInteger(said.backlog) || said.backlog <= 0) at.fail(`invalid backlog "${parameter}"`)
  } else if (parameter.startsWith('ipv6only=')) {
    const value = parameter.slice(9)
    if (value !== 'on' && value !== 'off') at.fail(`invalid ipv6only flags "${value}"`)
    said.ipv6only = value === 'on'
  } else if (parameter.startsWith('accept_filter=')) {
    at.warn(`accept filters "${parameter}" are not supported on this platform, ignored`)
  } else {
    const options = socketOptions(parameter, at) ?? at.fail(`invalid parameter "${parameter}"`)
    said.options = [...said.options, ...options]
  }
}

/** Gunicorn's proxy_protocol: connections without a header are served as well. */
function versionsOf(word: string, at: Site): ProxyVersions {
  return word === 'v1' || word === 'v2' || word === 'auto'
    ? word
    : at.fail(`invalid parameter "proxy_protocol=${word}"`)
}

type ListenAddress = Pick<ListenDeclaration, 'key' | 'host' | 'port' | 'path'>

/** Where nginx listens if no `listen` is given. */
export function defaultListen(asRoot: boolean, site: Site): ListenDeclaration {
  return { ...tcp('0.0.0.0', asRoot ? 80 : 8000), ...NOTHING_SAID, set: false, site }
}

/** `address:8000-8010` is eleven of them. */
function parseAddresses(text: string, at: Site): readonly ListenAddress[] {
  const range = text.startsWith('unix:') ? null : /^(.*?)(\d+)-(\d+)$/.exec(text)
  if (range === null) return parseAddress(text, at)
  const [, before, first, last] = range
  if (before !== '' && !before!.endsWith(':')) at.fail(`invalid port in "${text}" of the "listen" directive`)
  const from = portOf(first, text, at)
  const to = portOf(last, text, at)
  if (to < from) at.fail(`invalid port range in "${text}" of the "listen" directive`)
  return Array.from({ length: to - from + 1 }, (_, i) => parseAddress(`${before}${from + i}`, at)).flat()
}

/** Several where a host's name stands for several. */
function parseAddress(text: string, at: Site): readonly ListenAddress[] {
  if (text.startsWith('unix:')) {
    const path = text.slice(5)
    if (path === '') at.fail(`no path in the unix domain socket in "${text}" of the "listen" directive`)
    const absolute = at.prefixPath(path)
    if (absolute.length > 107) at.fail(`too long path in the unix domain socket "${text}" of the "listen" directive`)
    return [{ key: `unix:${absolute}`, host: '', port: 0, path: absolute }]
  }
  const v6 = /^\[([^\]]*)\](?::(\d+))?$/.exec(text)
  if (v6 !== null) {
    if (!isIPv6(v6[1]!)) at.fail(`invalid IPv6 address in "${text}" of the "listen" directive`)
    return [tcp(v6[1]!, portOf(v6[2], text, at))]
  }
  if (text.startsWith('[')) at.fail(`invalid host in "${text}" of the "listen" directive`)
  if (/^\d+$/.test(text)) return [tcp('0.0.0.0', portOf(text, text, at))]
  const colon = text.lastIndexOf(':')
  const host = colon === -1 ? text : text.slice(0, colon)
  const port = portOf(colon === -1 ? undefined : text.slice(colon + 1), text, at)
  if (host === '*') return [tcp('0.0.0.0', port)]
  if (isIPv4(host)) return [tcp(host, port)]
  const addresses = addressesOf(host)
  if (addresses.length === 0) at.fail(`host not found in "${text}" of the "listen" directive`)
  return addresses.map(address => tcp(address, port))
}

/** All that a name stands for, as nginx asks for them (ngx_inet_resolve_host, AI_ADDRCONFIG). */
function addressesOf(host: string): readonly string[] {
  const known = resolveHost(host) ?? (host === 'localhost' ? ['127.0.0.1'] : [])
  return known.filter(address => isIPv4(address) || (isIPv6(address) && hasIpv6()))
}

/** Has this host an address of that kind, apart from its loopback? */
function hasIpv6(): boolean {
  const addresses = Object.values(networkInterfaces()).flatMap(list => list ?? [])
  return addresses.some(({ family, internal }) => family === 'IPv6' && !internal)
}

function portOf(text: string | undefined, whole: string, at: Site): number {
  if (text === undefined) return 80
  const port = Number(text)
  if (!/^\d+$/.test(text) || port < 1 || port > 65535) at.fail(`invalid port in "${whole}" of the "listen" directive`)
  return port
}

function tcp(host: string, port: number): ListenAddress {
  return { key: `${host.includes(':') ? `[${host}]` : host}:${port}`, host, port, path: '' }
}
