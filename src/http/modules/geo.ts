// geo: a variable whose value is looked up by an address, in networks or in ranges (ngx_http_geo_module).

import { HTTP, STREAM, type Site, type Statement } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { block } from '../../config/values.ts'
import { NetworkTable, RangeTable } from '../../lib/address-ranges.ts'
import { ipv4Text, Network, parseAddress, parseIpv4, parseNetwork } from '../../lib/networks.ts'
import { cachedVariable, variableName } from '../cached-variable.ts'
import { forwarded, forwardedFromFields, TrustedProxies } from '../access/forwarded-address.ts'
import { httpModule, type Variable } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import type { HttpSetup } from '../setup.ts'

interface GeoDeclaration {
  /** The variable with the address, null for the client's. */
  readonly source: string | null
  readonly name: string
  readonly volatile: boolean
  readonly proxies: TrustedProxies | null
  readonly recursive: boolean
  readonly find: (address: string) => string
  readonly site: Site
}

const directives = {
  geo: block(HTTP | STREAM, [1, 2], 'data', parseGeo),
}

/** What an address that is none (or a Unix socket's) is looked up as. */
const NO_ADDRESS = 0xffffffff

function parseGeo(args: readonly string[], at: Site): GeoDeclaration {
  const source = args.length === 2 ? variableName(args[0]!, at) : null
  const name = variableName(args.at(-1)!, at)
  const reader = new GeoReader(at)
  for (const line of at.lines) reader.line(line)
  const { volatile, recursive, proxies } = reader
  const trusted = proxies.length === 0 ? null : new TrustedProxies(proxies, false)
  return { source, name, volatile, proxies: trusted, recursive, find: reader.finish(), site: at }
}

class GeoReader {
  volatile = false
  recursive = false
  readonly proxies: Network[] = []
  private ranges: RangeTable | null = null
  private rangesDefault: string | null = null
  private readonly v4 = new NetworkTable<number>()
  private readonly v6 = new NetworkTable<string>()
  private networks = 0
  private readonly values: string[] = []
  private readonly indexes = new Map<string, number>()
  private readonly at: Site

  constructor(at: Site) {
    this.at = at
  }

  line(line: Statement): void {
    const { name, words } = line
    // Of a connection no proxy has told anything.
    const requests = this.at.context === HTTP
    if (words.length === 0) {
      if (name === 'ranges') return this.useRanges(line)
      if (name === 'proxy_recursive' && requests) this.recursive = true
      else if (name === 'volatile') this.volatile = true
      else this.at.failAt(line, 'invalid number of the geo parameters')
      return
    }
    if (words.length !== 1) this.at.failAt(line, 'invalid number of the geo parameters')
    const value = words[0]!.text
    if (name === 'proxy' && requests) this.proxies.push(this.network(value, line))
    else if (this.ranges !== null) this.range(this.ranges, line, name, value)
    else this.cidr(line, name, value)
  }

  private useRanges(line: Statement): void {
    if (this.networks > 0) this.at.failAt(line, 'the "ranges" directive must be the first directive inside "geo" block')
    this.ranges ??= new RangeTable()
  }

  private range(ranges: RangeTable, line: Statement, name: string, value: string): void {
    if (name === 'default') {
      const old = this.rangesDefault
      if (old !== null) this.at.warn(`duplicate default geo range value: "${value}", old value: "${old}"`, line)
      this.rangesDefault = value
      return
    }
    const text = name === 'delete' ? value : name
    const dash = text.indexOf('-')
    const first = dash < 0 ? -1 : parseIpv4(text.slice(0, dash))
    const last = dash < 0 ? -1 : parseIpv4(text.slice(dash + 1))
    if (first < 0 || last < first) this.at.failAt(line, `invalid range "${text}"`)
    if (name === 'delete') {
      if (!ranges.delete(first, last)) this.at.warn(`no address range "${text}" to delete`, line)
      return
    }
    const outcome = ranges.add(first, last, this.indexOf(value))
    if (typeof outcome === 'number') this.warnReplaced(line, `range "${text}"`, value, outcome)
    else if (outcome !== null) {
      this.at.failAt(line, `range "${text}" overlaps "${ipv4Text(outcome.first)}-${ipv4Text(outcome.last)}"`)
    }
  }

  private cidr(line: Statement, name: string, value: string): void {
    this.networks++
    if (name === 'default') {
      this.add(line, parseNetwork('0.0.0.0/0')!, name, value)
      this.add(line, parseNetwork('::/0')!, name, value)
      return
    }
    const text = name === 'delete' ? value : name
    const network = this.network(text, line)
    if (name !== 'delete') this.add(line, network, text, value)
    else if (!(typeof network.base === 'number' ? this.v4 : this.v6).delete(network)) {
      this.at.warn(`no network "${text}" to delete`, line)
    }
  }

  private add(line: Statement, network: Network, text: string, value: string): void {
    const old = (typeof network.base === 'number' ? this.v4 : this.v6).add(network, this.indexOf(value))
    if (old >= 0) this.warnReplaced(line, `network "${text}"`, value, old)
  }

  private network(text: string, line: Statement): Network {
    const network = parseNetwork(text) ?? this.at.failAt(line, `invalid network "${text}"`)
    if (network.hasLowBits) this.at.warn(`low address bits of ${text} are meaningless`, line)
    return network
  }

  private warnReplaced(line: Statement, what: string, value: string, old: number): void {
    this.at.warn(`duplicate ${what}, value: "${value}", old value: "${this.values[old]}"`, line)
  }

  /** Values are few and the same many times. */
  private indexOf(value: string): number {
    let index = this.indexes.get(value)
    if (index === undefined) {
      index = this.values.push(value) - 1
      this.indexes.set(value, index)
    }
    return index
  }

  finish(): (address: string) => string {
    return this.ranges === null ? this.finishNetworks() : this.finishRanges(this.ranges)
  }

  private finishNetworks(): (address: string) => string {
    const { v4, v6, values } = this
    v4.freeze((base, prefix) => base + 2 ** (32 - prefix) - 1)
    v6.freeze((base, prefix) => new Network(base, prefix).last as string)
    return text => {
      const address = parseAddress(text) ?? NO_ADDRESS
      const index = typeof address === 'number' ? v4.find(address) : v6.find(address)
      return index < 0 ? '' : values[index]!
    }
  }

  private finishRanges(ranges: RangeTable): (address: string) => string {
    const { values } = this
    const fallback = this.rangesDefault ?? ''
    ranges.freeze()
    return text => {
      const address = parseAddress(text)
      const index = ranges.find(typeof address === 'number' ? address : NO_ADDRESS)
      return index < 0 ? fallback : values[index]!
    }
  }
}

export const geo = httpModule({
  name: 'geo',
  inStream: true,
  directives,
  setup(conf, http) {
    for (const declared of conf.geo) http.define(declared.name, compileGeo(declared, http), declared.site)
  },
})

function compileGeo({ source, volatile, proxies, recursive, find, site }: GeoDeclaration, http: HttpSetup): Variable {
  const from = source === null ? null : http.value(Template.parse(`\${${source}}`, site))
  const get = (r: HttpRequest): string => {
    const address = from === null ? r.clientAddress : from.get(r)
    const named = proxies !== null && forwardedFromFields(r, address, 'x-forwarded-for', proxies, recursive)
    return find(named ? forwarded.address : address)
  }
  return volatile ? { get } : cachedVariable(get)
}
