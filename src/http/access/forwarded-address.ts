// The client's address on the word of trusted proxies: the last address of X-Forwarded-For or its like, and with
// `recursive` the last one that is not itself a trusted proxy's (ngx_http_get_forwarded_addr).

import { canonicalAddress, parseAddress, type Network } from '../../lib/networks.ts'
import type { HttpRequest } from '../request.ts'

/** Whose word counts. */
export class TrustedProxies {
  private readonly networks: readonly Network[]
  private readonly unix: boolean

  constructor(networks: readonly Network[], unix: boolean) {
    this.networks = networks
    this.unix = unix
  }

  /** An address as text; `unix:` for Unix sockets. */
  contains(text: string): boolean {
    if (text.startsWith('unix:')) return this.unix
    const address = parseAddress(text)
    if (address === null) return false
    for (const network of this.networks) if (network.contains(address)) return true
    return false
  }
}

/** Where the last forwardedFrom() led; read it at once. */
export const forwarded = { address: '', port: 0 }

/** Follows one list of addresses from its end. False: the sender is not trusted, or what it says is no address. */
export function forwardedFrom(from: string, list: string, trusted: TrustedProxies, recursive: boolean): boolean {
  forwarded.address = from
  forwarded.port = 0
  return follow(list, trusted, recursive) !== NOTHING
}

/** As forwardedFrom() for a header field that may be there several times: the last one is the nearest. */
export function forwardedFromFields(
  r: HttpRequest,
  from: string,
  name: string,
  trusted: TrustedProxies,
  recursive: boolean,
): boolean {
  forwarded.address = from
  forwarded.port = 0
  const { names, values, count } = r.head
  let found = false
  for (let i = count - 1; i >= 0; i--) {
    if (names[i] !== name) continue
    const outcome = follow(values[i]!, trusted, recursive)
    found ||= outcome !== NOTHING
    if (!recursive || outcome !== ALL_TRUSTED) break
  }
  return found
}

const NOTHING = 0
const STOPPED = 1
const ALL_TRUSTED = 2

function follow(list: string, trusted: TrustedProxies, recursive: boolean): number {
  let end = list.length
  let outcome = NOTHING
  for (;;) {
    if (!trusted.contains(forwarded.address)) return outcome
    while (end > 0 && isSeparator(list.charCodeAt(end - 1))) end--
    let start = end
    while (start > 0 && !isSeparator(list.charCodeAt(start - 1))) start--
    if (!readAddress(list.slice(start, end))) return outcome
    outcome = STOPPED
    end = start
    if (!recursive || end === 0) return ALL_TRUSTED
  }
}

function isSeparator(code: number): boolean {
  return code === 32 || code === 44
}

/** `address`, `address:port` or `[address]:port`. */
function readAddress(text: string): boolean {
  let host = text
  let port = 0
  if (parseAddress(text) === null) {
    const parts = /^(?:\[([^\]]*)\]|([0-9.]*))(?::([0-9]{1,5}))?$/.exec(text)
    host = parts?.[1] ?? parts?.[2] ?? ''
    port = Number(parts?.[3] ?? 0)
    if (parseAddress(host) === null || port > 65535) return false
    if (parts?.[3] !== undefined && port === 0) return false
  }
  forwarded.address = canonicalAddress(host)
  forwarded.port = port
  return true
}
