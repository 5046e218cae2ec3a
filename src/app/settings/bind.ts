// Addresses in Gunicorn's spelling: `host:port`, `host`, `:port`, `[v6]:port`, `unix:path`, `fd://N`.

import { isIPv6 } from 'node:net'
import { SettingError } from './setting.ts'

export type BindAddress =
  | { readonly type: 'tcp'; /** '' for all addresses. */ readonly host: string; readonly port: number }
  | { readonly type: 'unix'; readonly path: string }
  /** A listening socket that whoever started the program has left open. */
  | { readonly type: 'fd'; readonly fd: number }

const DEFAULT_PORT = 8000

/** Throws SettingError. */
export function parseBind(word: string): BindAddress {
  const address = word.trim()
  const unix = /^unix:(?:\/\/)?(.*)$/s.exec(address)
  if (unix !== null) {
    if (unix[1] === '') throw new SettingError('there is no path after "unix:"')
    return { type: 'unix', path: unix[1]! }
  }
  if (address.startsWith('fd://')) return { type: 'fd', fd: descriptorOf(address.slice(5)) }
  return parseTcp(address.replace(/^tcp:\/\//, ''))
}

function descriptorOf(digits: string): number {
  if (/^\d{1,7}$/.test(digits)) return Number(digits)
  throw new SettingError(`"${digits}" is no file descriptor`)
}

function parseTcp(address: string): BindAddress {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(address)
  if (bracketed !== null) {
    if (!isIPv6(bracketed[1]!)) throw new SettingError(`"${bracketed[1]}" is no IPv6 address`)
    return { type: 'tcp', host: bracketed[1]!, port: portOf(bracketed[2]) }
  }
  if (isIPv6(address)) throw new SettingError(`an IPv6 address stands in brackets: [${address}]:${DEFAULT_PORT}`)
  if (/^\d+$/.test(address)) throw new SettingError(`a port alone is written ":${address}"`)
  const colon = address.indexOf(':')
  if (colon === -1) return { type: 'tcp', host: hostOf(address), port: DEFAULT_PORT }
  return { type: 'tcp', host: hostOf(address.slice(0, colon)), port: portOf(address.slice(colon + 1)) }
}

function hostOf(host: string): string {
  if (!/^[A-Za-z0-9._*-]*$/.test(host)) throw new SettingError(`"${host}" is no name of a host`)
  return host === '*' ? '' : host.toLowerCase()
}

function portOf(digits: string | undefined): number {
  if (digits === undefined) return DEFAULT_PORT
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : -1
  if (port < 0 || port > 65535) throw new SettingError(`"${digits}" is no port`)
  return port
}

/** As nginx's `listen` has it. */
export function listenAddress(address: BindAddress): string {
  if (address.type === 'unix') return `unix:${address.path}`
  if (address.type === 'fd') return `fd://${address.fd}`
  const { host, port } = address
  if (host === '') return `0.0.0.0:${port}`
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** As a person would type it into a browser. */
export function addressUrl(address: BindAddress): string {
  return address.type === 'tcp' ? `http://${listenAddress(address)}` : listenAddress(address)
}
