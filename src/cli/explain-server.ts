// Which address and which server an explained request meets, and why the others did not.

import { isIP } from 'node:net'
import { canonicalAddress } from '../lib/networks.ts'
import type { CompiledHttp } from '../http/server/compile.ts'
import { coreDirectives } from '../http/core/core.ts'
import type { Notes, ServerNote } from '../http/notes.ts'
import type { ListenRuntime, ServerRuntime } from '../http/runtime.ts'
import { regex } from '../http/regex.ts'
import type { Url } from './explain-url.ts'
import type { Walk } from './explain-walk.ts'
import { textOf, type Detail } from './explain-written.ts'

export interface Met {
  readonly listen: ListenRuntime
  readonly localAddress: string
  readonly port: number
}

/** Servers of an address that are told one by one. */
const SHOWN_MAX = 10

/** The address the URL leads to; null: nothing listens at all. */
export function meetAddress(http: CompiledHttp, notes: Notes, url: Url, walk: Walk): Met | null {
  const literal = isIP(url.hostname) === 0 ? '' : canonicalAddress(url.hostname)
  const onPort = url.host === '' ? http.listens : http.listens.filter(({ port }) => port === url.port)
  const isAny = (host: string): boolean => host === '0.0.0.0' || host === '::'
  const found =
    onPort.find(({ host, path }) => path === '' && canonicalAddress(host) === literal) ??
    onPort.find(({ host }) => isAny(host)) ??
    onPort[0]
  const address = found ?? http.listens[0]
  if (address === undefined) {
    walk.add('address', 'none: no server listens')
    return null
  }
  if (found === undefined)
    walk.add('address', `nothing listens on port ${url.port}; as if it had come to the first address`)
  const listen = address.within.get(literal) ?? address.runtime
  const { declared } = notes.servers.find(note => note.declared.key === listen.address)!
  const kinds = `${listen.tls ? ' with TLS' : ''}${listen.proxyProtocol ? ' behind the PROXY protocol' : ''}`
  walk.add('address', `${listen.address}${kinds}`, declared.site)
  const any = isAny(address.host) || address.path !== ''
  const localAddress = !any ? address.host : literal === '' ? '127.0.0.1' : literal
  return { listen, localAddress, port: address.port }
}

/** Tells of the server that was found for a host. */
export function tellServer(
  notes: Notes,
  listen: ListenRuntime,
  server: ServerRuntime,
  host: string | null,
  walk: Walk,
): void {
  const all = notes.servers.filter(note => note.declared.key === listen.address)
  const chosen = all.find(note => note.server === server)!
  const others = all.filter(note => note !== chosen)
  const details = others.slice(0, SHOWN_MAX).map(note => otherServer(note, host, listen))
  if (others.length > SHOWN_MAX) details.push({ text: `and ${others.length - SHOWN_MAX} more`, place: null })
  walk.add('server', reasonFor(chosen, all, host, listen), chosen.scope.statement, details)
}

function reasonFor(chosen: ServerNote, all: readonly ServerNote[], host: string | null, listen: ListenRuntime): string {
  const name = chosen.server.name === '' ? 'without a name' : chosen.server.name
  const matching = host === null ? undefined : namesOf(chosen).find(pattern => matches(pattern, host, chosen))
  if (matching !== undefined) return `${name}: host "${host}" is its server_name ${matching}${kindOf(matching)}`
  const asked = host === null ? 'no host was given' : `no server_name is "${host}"`
  if (all.length === 1) return `${name}: the only one of the address (${asked})`
  const why =
    listen.defaultServer === chosen.server && chosen.declared.isDefault ? 'default_server' : 'the first of the address'
  return `${name}: ${asked}; this is ${why}`
}

function otherServer(note: ServerNote, host: string | null, listen: ListenRuntime): Detail {
  const names = namesOf(note)
  const site = note.scope.site('server_name')
  const also = host === null ? undefined : names.find(pattern => matches(pattern, host, note))
  const isDefault = listen.defaultServer === note.server ? ' (the default)' : ''
  const why = also === undefined ? 'does not match' : `${also} matches too, but comes after`
  const text = site === null ? 'no server_name' : textOf('server_name', site.words)
  return { text: `not ${text}${isDefault}: ${why}`, place: note.scope.statement }
}

function namesOf({ scope }: ServerNote): readonly string[] {
  return scope.conf(coreDirectives).server_name
}

/** In the order of nginx: exact, `*.name`, `name.*`, regular expression. */
function matches(pattern: string, host: string, { scope, declared }: ServerNote): boolean {
  if (pattern.startsWith('~'))
    return regex(pattern.slice(1), true, scope.site('server_name') ?? declared.site).test(host)
  const name = pattern.toLowerCase()
  if (name.startsWith('.')) return host === name.slice(1) || host.endsWith(name)
  if (name.startsWith('*.')) return host.endsWith(name.slice(1)) && host.length > name.length - 1
  if (name.endsWith('.*')) return host.startsWith(name.slice(0, -1))
  return host === name
}

function kindOf(pattern: string): string {
  if (pattern.startsWith('~')) return ' (regular expression)'
  return pattern.includes('*') || pattern.startsWith('.') ? ' (wildcard)' : ''
}
