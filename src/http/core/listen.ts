// `listen`: an address and what goes with its socket (ngx_http_core_listen).

import { isIPv4, isIPv6 } from 'node:net'
import type { Directive, Site } from '../../config/directive.ts'
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
  readonly backlog: number
  readonly ipv6only: boolean
  readonly options: readonly SocketOption[]
  /** Connections begin with a PROXY protocol header. */
  readonly proxyProtocol: boolean
  /** Connections speak uwsgi, as a front's uwsgi_pass does. */
  readonly uwsgi: boolean
  /** … or may begin with one, of these versions; null: must. */
  readonly proxyVersions: ProxyVersions | null
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
  let isDefault = false
  let backlog = BACKLOG
  let ipv6only = true
  let proxyProtocol = false
  let proxyVersions: ProxyVersions | null = null
  let tls = false
  let http2 = false
  let uwsgi = false
  let quic = false
  let reuseport = false
  const options: SocketOption[] = []
  for (const option of args.slice(1)) {
    if (option === 'default_server' || option === 'default') isDefault = true
    else if (option === 'proxy_protocol') proxyProtocol = true
    else if (option.startsWith('proxy_protocol=')) {
      proxyProtocol = true
      proxyVersions = versionsOf(option.slice(15), at)
    } else if (option === 'ssl') tls = true
    else if (option === 'uwsgi') uwsgi = true
    else if (option === 'http2') {
      http2 = true
      at.warn('the "listen ... http2" directive is deprecated, use the "http2" directive instead')
    } else if (option.startsWith('backlog=')) {
      backlog = Number(option.slice(8))
      if (!Number.isInteger(backlog) || backlog <= 0) at.fail(`invalid backlog "${option}"`)
    } else if (option === 'ipv6only=on') ipv6only = true
    else if (option === 'ipv6only=off') ipv6only = false
    else if (option.startsWith('ipv6only=')) at.fail(`invalid ipv6only flags "${option.slice(9)}"`)
    // Threads accept from one shared socket all the same.
    else if (option === 'reuseport') reuseport = true
    // Every address has a socket to itself.
    else if (option === 'bind') continue
    else if (option === 'multipath') at.warn('"multipath" is ignored: connections are made by TCP alone')
    else if (option.startsWith('accept_filter=')) {
      at.warn(`accept filters "${option}" are not supported on this platform, ignored`)
    } else if (option === 'quic') quic = true
    else options.push(...(socketOptions(option, at) ?? at.fail(`invalid parameter "${option}"`)))
  }
  if (quic) {
    // A client that was told of HTTP/3 and cannot reach it goes on with TCP.
    at.warn(`"listen ${args[0]} quic" is ignored, HTTP/3 is not supported yet`)
    return []
  }
  const set = args.slice(1).some(option => !UNSET.test(option))
  const common = {
    set,
    isDefault,
    backlog,
    ipv6only,
    options,
    proxyProtocol,
    proxyVersions,
    uwsgi,
    tls,
    http2,
    reuseport,
    site: at,
  }
  return addresses.map(address => ({ ...address, ...common }))
}

/** Gunicorn's proxy_protocol: connections without a header are served as well. */
function versionsOf(word: string, at: Site): ProxyVersions {
  return word === 'v1' || word === 'v2' || word === 'auto'
    ? word
    : at.fail(`invalid parameter "proxy_protocol=${word}"`)
}

type ListenAddress = Pick<ListenDeclaration, 'key' | 'host' | 'port' | 'path'>

/** The address nginx listens on where no `listen` is given. */
export function defaultAddress(asRoot: boolean): ListenAddress {
  return tcp('0.0.0.0', asRoot ? 80 : 8000)
}

/** `address:8000-8010` is eleven of them. */
function parseAddresses(text: string, at: Site): readonly ListenAddress[] {
  const range = text.startsWith('unix:') ? null : /^(.*?)(\d+)-(\d+)$/.exec(text)
  if (range === null) return [parseAddress(text, at)]
  const [, before, first, last] = range
  if (before !== '' && !before!.endsWith(':')) at.fail(`invalid port in "${text}" of the "listen" directive`)
  const from = portOf(first, text, at)
  const to = portOf(last, text, at)
  if (to < from) at.fail(`invalid port range in "${text}" of the "listen" directive`)
  return Array.from({ length: to - from + 1 }, (_, i) => parseAddress(`${before}${from + i}`, at))
}

function parseAddress(text: string, at: Site): ListenAddress {
  if (text.startsWith('unix:')) {
    const path = text.slice(5)
    if (path === '') at.fail(`no path in the unix domain socket in "${text}" of the "listen" directive`)
    const absolute = at.prefixPath(path)
    if (absolute.length > 107) at.fail(`too long path in the unix domain socket "${text}" of the "listen" directive`)
    return { key: `unix:${absolute}`, host: '', port: 0, path: absolute }
  }
  const v6 = /^\[([^\]]*)\](?::(\d+))?$/.exec(text)
  if (v6 !== null) {
    if (!isIPv6(v6[1]!)) at.fail(`invalid IPv6 address in "${text}" of the "listen" directive`)
    return tcp(v6[1]!, portOf(v6[2], text, at))
  }
  if (text.startsWith('[')) at.fail(`invalid host in "${text}" of the "listen" directive`)
  if (/^\d+$/.test(text)) return tcp('0.0.0.0', portOf(text, text, at))
  const colon = text.lastIndexOf(':')
  const host = colon === -1 ? text : text.slice(0, colon)
  const port = portOf(colon === -1 ? undefined : text.slice(colon + 1), text, at)
  if (host === '*') return tcp('0.0.0.0', port)
  if (host === 'localhost') return tcp('127.0.0.1', port)
  if (!isIPv4(host)) at.fail(`host not found in "${text}" of the "listen" directive`)
  return tcp(host, port)
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
