// Addresses of upstreams as configurations write them (ngx_parse_url): host and port, IPv6 in brackets, `unix:` and a path,
// and behind it a URI where there may be one.

import { isIPv4, isIPv6 } from 'node:net'
import type { Address } from '../net/connection.ts'

export interface UpstreamUrl {
  /** What logs call it if it turns out to be one address. */
  readonly text: string
  /** Host without port; brackets stay. For a Unix socket its path. */
  readonly host: string
  /** The port as written, '' if it was not. */
  readonly portText: string
  readonly port: number
  readonly unix: boolean
  readonly uri: string
  /** The one address this is without asking anybody, null for a name. */
  readonly address: Address | null
}

/** @returns what is wrong in nginx's words, as a string */
export function parseUpstreamUrl(text: string, defaultPort: number, withUri: boolean): UpstreamUrl | string {
  if (text.slice(0, 5).toLowerCase() === 'unix:') return unixUrl(text, withUri)
  return text.startsWith('[') ? ipv6Url(text, defaultPort, withUri) : inetUrl(text, defaultPort, withUri)
}

/** sun_path's size on Linux. */
const UNIX_PATH_MAX = 107

function unixUrl(text: string, withUri: boolean): UpstreamUrl | string {
  const colon = withUri ? text.indexOf(':', 5) : -1
  const path = colon === -1 ? text.slice(5) : text.slice(5, colon)
  if (path === '') return 'no path in the unix domain socket'
  if (path.length > UNIX_PATH_MAX) return 'too long path in the unix domain socket'
  return {
    text: `unix:${path}`,
    host: path,
    portText: '',
    port: 0,
    unix: true,
    uri: colon === -1 ? '' : text.slice(colon + 1),
    address: { path: Buffer.from(path, 'latin1').toString() },
  }
}

function ipv6Url(text: string, defaultPort: number, withUri: boolean): UpstreamUrl | string {
  const bracket = text.indexOf(']')
  if (bracket === -1) return 'invalid host'
  const slash = text.indexOf('/', bracket)
  if (slash !== -1 && !withUri) return 'invalid host'
  const end = slash === -1 ? text.length : slash
  const tail = text.slice(bracket + 1, end)
  if (tail !== '' && !tail.startsWith(':')) return 'invalid host'
  const port = tail === '' ? defaultPort : parsePort(tail.slice(1))
  if (port === 0) return 'invalid port'
  const host = text.slice(1, bracket)
  if (host === '') return 'no host'
  if (!isIPv6(host) || host.includes('%')) return 'invalid IPv6 address'
  return {
    text: `[${host}]:${port}`,
    host: `[${host}]`,
    portText: tail.slice(1),
    port,
    unix: false,
    uri: text.slice(end),
    address: { host, port },
  }
}

function inetUrl(text: string, defaultPort: number, withUri: boolean): UpstreamUrl | string {
  const uriAt = text.search(/[/?]/)
  if (uriAt !== -1 && !withUri) return 'invalid host'
  const end = uriAt === -1 ? text.length : uriAt
  const authority = text.slice(0, end)
  const first = authority.indexOf(':')
  const portText = first === -1 ? '' : authority.slice(first + 1)
  const port = first === -1 ? defaultPort : parsePort(portText)
  if (port === 0) return 'invalid port'
  const host = first === -1 ? authority : authority.slice(0, first)
  if (host === '') return 'no host'
  return {
    text: `${host}:${port}`,
    host,
    portText,
    port,
    unix: false,
    uri: text.slice(end),
    address: isIPv4(host) ? { host, port } : null,
  }
}

function parsePort(text: string): number {
  if (!/^[0-9]{1,9}$/.test(text)) return 0
  const port = Number(text)
  return port <= 65535 ? port : 0
}
