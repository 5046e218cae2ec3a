// The client's address, taken from a trusted proxy's word for it (ngx_http_realip_module).

import {
  HTTP,
  LOCATION,
  MAIL,
  MAIL_SERVER,
  SERVER,
  STREAM,
  STREAM_SERVER,
  type Directive,
  type Site,
} from '../../config/directive.ts'
import { flag, one } from '../../config/values.ts'
import { parseNetwork, type Network } from '../../lib/networks.ts'
import { resolveHost } from '../../upstream/resolve.ts'
import { forwarded, forwardedFrom, forwardedFromFields, TrustedProxies } from '../access/forwarded-address.ts'
import { originalAddress } from '../access/original-address.ts'
import { httpModule, NEXT } from '../module.ts'
import type { HttpRequest } from '../request.ts'

const everywhere = HTTP | SERVER | LOCATION

/** null stands for `unix:`. */
const setRealIpFrom: Directive<readonly (Network | null)[]> = {
  in: everywhere | STREAM | STREAM_SERVER | MAIL | MAIL_SERVER,
  args: [1, 1],
  default: [],
  repeatable: true,
  parse: ([word], at, soFar = []) => [...soFar, ...networksOf(word!, at)],
}

function networksOf(word: string, at: Site): readonly (Network | null)[] {
  if (word === 'unix:') return [null]
  const network = parseNetwork(word)
  if (network === null) {
    const addresses = resolveHost(word) ?? at.fail(`host not found in set_real_ip_from "${word}"`)
    return addresses.map(address => parseNetwork(address)).filter(known => known !== null)
  }
  if (network.hasLowBits) at.warn(`low address bits of ${word} are meaningless`)
  return [network]
}

/** Written like this all fields of that name count; of any other, and of `x-forwarded-for`, the first alone. */
const FORWARDED_FOR = 'X-Forwarded-For'

const directives = {
  set_real_ip_from: setRealIpFrom,
  real_ip_header: one(everywhere, 'x-real-ip', word => (word === FORWARDED_FOR ? word : word.toLowerCase())),
  real_ip_recursive: flag(everywhere, false),
}

export const realip = httpModule({
  name: 'realip',
  directives,
  variables: {
    realip_remote_addr: { get: r => originalAddress.get(r)?.address ?? r.clientAddress },
    realip_remote_port: { get: r => portText(originalAddress.get(r)?.port ?? r.clientPort) },
  },
  inStream: true,
  inMail: true,
  connection(conf, at) {
    const networks = conf.set_real_ip_from
    if (networks.length > 0) {
      at.postAccept(takeAddress, { trusted: trustedOf(networks), header: 'proxy_protocol', recursive: false })
    }
  },
  compile(conf, at) {
    const networks = conf.set_real_ip_from
    if (networks.length === 0) return
    const own: RealIp = {
      trusted: trustedOf(networks),
      header: conf.real_ip_header,
      recursive: conf.real_ip_recursive,
    }
    if (at.kind === 'server') at.step('post-read', takeAddress, own)
    at.step('preaccess', takeAddress, own)
  },
})

interface RealIp {
  readonly trusted: TrustedProxies
  readonly header: string
  readonly recursive: boolean
}

function trustedOf(networks: readonly (Network | null)[]): TrustedProxies {
  const known = networks.filter(network => network !== null)
  return new TrustedProxies(known, known.length < networks.length)
}

function portText(port: number): string {
  return port === 0 ? '' : `${port}`
}

/** Once a request, at the first level where it applies. */
function takeAddress(r: HttpRequest, conf: RealIp): number {
  if (originalAddress.get(r) !== null || !findAddress(r, conf)) return NEXT
  originalAddress.set(r, { address: r.clientAddress, port: r.clientPort })
  r.clientAddress = forwarded.address
  r.clientPort = forwarded.port
  return NEXT
}

/** Leaves it in `forwarded`. */
function findAddress(r: HttpRequest, { trusted, header, recursive }: RealIp): boolean {
  const from = r.clientAddress
  if (header === FORWARDED_FOR) return forwardedFromFields(r, from, 'x-forwarded-for', trusted, recursive)
  if (header !== 'proxy_protocol') {
    const value = r.header(header)
    return value !== null && forwardedFrom(from, value, trusted, recursive)
  }
  const { proxyProtocol } = r.stream
  if (proxyProtocol === null || !forwardedFrom(from, proxyProtocol.source, trusted, recursive)) return false
  forwarded.port = proxyProtocol.sourcePort
  return true
}
