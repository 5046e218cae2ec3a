// `server ADDRESS PARAMETERS` of an upstream block (ngx_http_upstream_server): read from a configuration, from a state file
// and from the API alike, and written back as such a line.

import type { Site } from '../config/directive.ts'
import { parseNumber, parseSeconds, parseTime } from '../config/units.ts'
import { parseUpstreamUrl } from './address.ts'
import type { UpstreamUrl } from './address.ts'
import { Peer } from './peer.ts'
import type { PeerOptions } from './peer.ts'
import { TEXT_MAX } from './peer-slots.ts'
import { resolveHost } from './resolve.ts'

/** Bytes of a `sid`. */
export const SID_MAX = 32

/** Sums of weights must fit a machine word, and more shades than these are of no use. */
const WEIGHT_MAX = 1_000_000

export function isWeight(number: number | null): boolean {
  return number !== null && number > 0 && number <= WEIGHT_MAX
}

export interface ServerDeclaration {
  /** As written. */
  readonly server: string
  readonly url: UpstreamUrl
  readonly options: Required<Omit<PeerOptions, 'route'>> & { readonly route: string }
  readonly backup: boolean
  /** The name is asked for again and again; its addresses are the peers. */
  readonly resolve: boolean
  /** `service=`: what SRV records to ask for; '' for none. */
  readonly service: string
}

/** How to refuse it. */
export interface Refusal {
  fail(problem: string): never
}

interface Draft {
  weight: number
  maxConns: number
  maxFails: number
  failTimeout: number
  slowStart: number
  down: boolean
  drain: boolean
  route: string
  backup: boolean
  resolve: boolean
  service: string
}

/** @param unsupported parameters the group's method has no use for, and may not have */
export function readServer(words: readonly string[], unsupported: readonly string[], at: Refusal): ServerDeclaration {
  const [server, ...parameters] = words
  const draft: Draft = {
    weight: 1,
    maxConns: 0,
    maxFails: 1,
    failTimeout: 10,
    slowStart: 0,
    down: false,
    drain: false,
    route: '',
    backup: false,
    resolve: false,
    service: '',
  }
  for (const parameter of parameters) readParameter(parameter, draft, unsupported, at)
  const { backup, resolve, service, ...options } = draft
  if (service !== '' && !resolve) at.fail(`service upstream "${server}" requires "resolve" parameter`)
  if (server!.length > TEXT_MAX) at.fail(`too long host in upstream "${server}"`)
  const url = parseUpstreamUrl(server!, 80, false)
  if (typeof url === 'string') return at.fail(`${url} in upstream "${server}"`)
  if (service !== '' && (url.portText !== '' || url.unix)) at.fail(`service upstream "${server}" may not have port`)
  if (service !== '' && url.address !== null) at.fail(`service upstream "${server}" requires domain name`)
  return {
    server: server!,
    url,
    options: { ...options, server: server! },
    backup,
    // An address needs no asking.
    resolve: resolve && url.address === null,
    service,
  }
}

function readParameter(parameter: string, draft: Draft, unsupported: readonly string[], at: Refusal): void {
  const refuse = (): never => at.fail(`invalid parameter "${parameter}"`)
  const [name, value] = parameter.split(/=(.*)/s) as [string, string?]
  if (unsupported.includes(name)) at.fail(`balancing method does not support parameter "${parameter}"`)
  if (value === undefined) {
    if (name === 'down') {
      draft.down = true
      draft.drain = false
    } else if (name === 'drain') {
      draft.drain = true
      draft.down = false
    } else if (name === 'backup') draft.backup = true
    else if (name === 'resolve') draft.resolve = true
    else refuse()
  } else if (name === 'weight') {
    const weight = parseNumber(value)
    draft.weight = isWeight(weight) ? weight! : refuse()
  } else if (name === 'max_conns') draft.maxConns = parseNumber(value) ?? refuse()
  else if (name === 'max_fails') draft.maxFails = parseNumber(value) ?? refuse()
  else if (name === 'fail_timeout') draft.failTimeout = parseSeconds(value) ?? refuse()
  else if (name === 'slow_start') draft.slowStart = parseTime(value) ?? refuse()
  else if (name === 'route') {
    if (value === '') at.fail('route is empty')
    if (value.length > SID_MAX) at.fail(`route is longer than ${SID_MAX}`)
    draft.route = value
  } else if (name === 'service') {
    if (value === '') at.fail('service is empty')
    if (value.length > TEXT_MAX) at.fail(`service is longer than ${TEXT_MAX}`)
    draft.service = value
  } else refuse()
}

/** As a peer takes them: without a route where there is none. */
export function peerOptions({ options }: ServerDeclaration): PeerOptions {
  const { route, ...rest } = options
  return route === '' ? rest : { ...rest, route }
}

/** The line for a state file, with the words of readServer(). */
export function serverLine({ server, options, backup, resolve, service }: ServerDeclaration): string {
  const words = [`server ${server}`]
  if (options.weight !== 1) words.push(`weight=${options.weight}`)
  if (options.maxConns !== 0) words.push(`max_conns=${options.maxConns}`)
  if (options.maxFails !== 1) words.push(`max_fails=${options.maxFails}`)
  if (options.failTimeout !== 10) words.push(`fail_timeout=${options.failTimeout}s`)
  if (options.slowStart !== 0) words.push(`slow_start=${options.slowStart}ms`)
  if (options.route !== '') words.push(`route=${options.route}`)
  if (service !== '') words.push(`service=${service}`)
  if (resolve) words.push('resolve')
  if (backup) words.push('backup')
  if (options.drain) words.push('drain')
  if (options.down) words.push('down')
  return `${words.join(' ')};`
}

/** One peer for each address. */
export function peersOf(url: UpstreamUrl, options: PeerOptions, at: Refusal | Site): Peer[] {
  return addressesOf(url, at).map(name => new Peer(name, addressOf(name), options))
}

/** Names of the peers a URL means, found out now. */
export function addressesOf(url: UpstreamUrl, at: Refusal): string[] {
  if (url.address !== null) return [url.text]
  const addresses = resolveHost(url.host)
  if (addresses === null || addresses.length === 0) {
    const port = url.portText === '' ? '' : `:${url.portText}`
    return at.fail(`host not found in upstream "${url.host}${port}"`)
  }
  return addresses.map(host => peerName(host, url.port))
}

/** An address as nginx writes it; what has no port, a Unix socket, is `unix:` alone. */
export function peerName(host: string, port: number): string {
  if (host.startsWith('unix:')) return host
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Where a peer of that name is: `127.0.0.1:80`, `[::1]:80`, `unix:/path`. */
export function addressOf(name: string): Peer['address'] {
  if (name.startsWith('unix:')) return { path: Buffer.from(name.slice(5), 'latin1').toString() }
  const colon = name.lastIndexOf(':')
  return { host: name.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(name.slice(colon + 1)) }
}
