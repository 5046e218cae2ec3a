// IP addresses and networks as data. An IPv4 address is a number, an IPv6 address a string of 16 characters, one a byte
// (latin1, as everywhere): values of a kind compare with < and ===, and need no object.

export type Address = number | string

/** Dotted decimal; -1 for anything else (ngx_inet_addr). */
export function parseIpv4(text: string): number {
  let address = 0
  let octet = -1
  let dots = 0
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (c >= 48 && c <= 57) {
      octet = (octet < 0 ? 0 : octet * 10) + (c - 48)
      if (octet > 255) return -1
    } else if (c === 46 && octet >= 0 && dots < 3) {
      address = address * 256 + octet
      octet = -1
      dots++
    } else return -1
  }
  return dots === 3 && octet >= 0 ? address * 256 + octet : -1
}

/** The 16 bytes, or null. The last 32 bits may be dotted decimal. */
export function parseIpv6(text: string): string | null {
  let rest = text
  let tail = ''
  if (text.includes('.')) {
    const colon = text.lastIndexOf(':')
    const v4 = parseIpv4(text.slice(colon + 1))
    if (colon < 0 || v4 < 0) return null
    tail = ipv4Bytes(v4)
    rest = text.slice(0, colon + 1)
    rest = rest.endsWith('::') ? rest : rest.slice(0, -1)
  }
  const gap = rest.indexOf('::')
  if (gap < 0) {
    const bytes = groups(rest)
    return bytes === null || bytes.length + tail.length !== 16 ? null : bytes + tail
  }
  const left = gap === 0 ? '' : groups(rest.slice(0, gap))
  const right = gap + 2 === rest.length ? '' : groups(rest.slice(gap + 2))
  if (left === null || right === null) return null
  const zeros = 16 - left.length - right.length - tail.length
  return zeros < 2 ? null : left + '\0'.repeat(zeros) + right + tail
}

/** `a:b:c` as bytes. */
function groups(text: string): string | null {
  let bytes = ''
  for (const group of text.split(':')) {
    if (!/^[0-9A-Fa-f]{1,4}$/.test(group)) return null
    const value = parseInt(group, 16)
    bytes += String.fromCharCode(value >> 8, value & 255)
  }
  return bytes
}

const MAPPED = `${'\0'.repeat(10)}\xff\xff`

/** An address for comparing with networks; null if the text is none. IPv4 in IPv6's clothes (::ffff:a.b.c.d) is IPv4. */
export function parseAddress(text: string): Address | null {
  const v4 = parseIpv4(text)
  if (v4 >= 0) return v4
  const v6 = parseIpv6(text)
  return v6 !== null && v6.startsWith(MAPPED) ? ipv4At(v6, 12) : v6
}

function ipv4At(bytes: string, at: number): number {
  return (
    bytes.charCodeAt(at) * 0x1000000 +
    (bytes.charCodeAt(at + 1) << 16) +
    (bytes.charCodeAt(at + 2) << 8) +
    bytes.charCodeAt(at + 3)
  )
}

/** Four characters, one a byte. */
function ipv4Bytes(address: number): string {
  return String.fromCharCode(address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255)
}

/** Four or sixteen characters, '' if the text is no address. */
export function addressBytes(text: string): string {
  const v4 = parseIpv4(text)
  return v4 >= 0 ? ipv4Bytes(v4) : (parseIpv6(text) ?? '')
}

/** The text as the kernel would print the address: lower case, the longest run of zero groups as `::`. */
export function canonicalAddress(text: string): string {
  const v6 = parseIpv6(text)
  if (v6 === null) return ipv4Text(parseIpv4(text))
  return formatIpv6(v6)
}

export function ipv4Text(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`
}

/** RFC 5952 section 4, with dotted decimal for mapped addresses (section 5). */
export function formatIpv6(bytes: string): string {
  if (bytes.startsWith(MAPPED)) return `::ffff:${ipv4Text(ipv4At(bytes, 12))}`
  const words: string[] = []
  for (let i = 0; i < 16; i += 2) words.push(((bytes.charCodeAt(i) << 8) | bytes.charCodeAt(i + 1)).toString(16))
  let start = -1
  let longest = 1
  for (let i = 0; i < 8; i++) {
    let end = i
    while (end < 8 && words[end] === '0') end++
    if (end - i > longest) {
      start = i
      longest = end - i
    }
    i = Math.max(i, end)
  }
  if (start < 0) return words.join(':')
  return `${words.slice(0, start).join(':')}::${words.slice(start + longest).join(':')}`
}

/** Addresses whose first `prefix` bits are those of `base`. */
export class Network {
  /** Its first address. */
  readonly base: Address
  readonly last: Address
  readonly prefix: number
  /** Were bits behind the prefix set in the text? nginx warns of that. */
  readonly hasLowBits: boolean

  constructor(address: Address, prefix: number) {
    this.prefix = prefix
    this.base = typeof address === 'number' ? lowest(address, prefix) : edge(address, prefix, 0)
    this.last =
      typeof address === 'number' ? (this.base as number) + 2 ** (32 - prefix) - 1 : edge(address, prefix, 255)
    this.hasLowBits = this.base !== address
  }

  contains(address: Address): boolean {
    return typeof address === typeof this.base && address >= this.base && address <= this.last
  }
}

function lowest(address: number, prefix: number): number {
  return address - (address % 2 ** (32 - prefix))
}

/** The bits behind the prefix all 0 or all 1. */
function edge(address: string, prefix: number, fill: 0 | 255): string {
  const whole = prefix >> 3
  const bits = prefix & 7
  let bytes = address.slice(0, whole)
  if (bits > 0) {
    const low = 255 >> bits
    bytes += String.fromCharCode((address.charCodeAt(whole) & ~low & 255) | (fill & low))
  }
  return bytes.padEnd(16, String.fromCharCode(fill))
}

/** `address` or `address/bits`; null if it is neither (ngx_ptocidr). */
export function parseNetwork(text: string): Network | null {
  const slash = text.indexOf('/')
  const host = slash < 0 ? text : text.slice(0, slash)
  const v4 = parseIpv4(host)
  const address = v4 >= 0 ? v4 : parseIpv6(host)
  if (address === null) return null
  const bits = v4 >= 0 ? 32 : 128
  if (slash < 0) return new Network(address, bits)
  const prefix = /^[0-9]{1,3}$/.test(text.slice(slash + 1)) ? Number(text.slice(slash + 1)) : -1
  return prefix < 0 || prefix > bits ? null : new Network(address, prefix)
}

/** The name under which DNS knows what an address is called (RFC 1035, 3.5; RFC 3596, 2.5); '' if the text is no address. */
export function reverseName(text: string): string {
  const address = parseAddress(text)
  if (address === null) return ''
  if (typeof address === 'number') return `${ipv4Text(address).split('.').toReversed().join('.')}.in-addr.arpa`
  const digits = Buffer.from(address, 'latin1').toString('hex')
  return `${digits.split('').toReversed().join('.')}.ip6.arpa`
}
