// The PROXY protocol's header, which a balancer sends in front of a connection's first byte to tell whose it is: version 1
// is a line of text, version 2 is binary and may carry further values (TLVs). Read piece by piece, as sockets give it.

import { crc32c } from '../lib/crc32c.ts'
import { addressBytes, formatIpv6, ipv4Text } from '../lib/networks.ts'

/** What a header tells. */
export class ProxyProtocol {
  readonly source: string
  readonly sourcePort: number
  readonly destination: string
  readonly destinationPort: number
  /** Version 2's values, undivided: type, length in two bytes, value, and so on; latin1. */
  readonly tlvs: string

  constructor(source: string, sourcePort: number, destination: string, destinationPort: number, tlvs: string) {
    this.source = source
    this.sourcePort = sourcePort
    this.destination = destination
    this.destinationPort = destinationPort
    this.tlvs = tlvs
  }
}

/** The longest header taken, as in nginx; version 1 needs 107 bytes at most where it tells addresses. */
export const HEADER_MAX = 4096
const LINE_MAX = 107
const UNKNOWN = 'PROXY UNKNOWN'
const LINE_START = Buffer.from('PROXY ', 'latin1')
const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')
const PREFIX_V2 = 16

/** Outcomes of readProxyProtocol() below the number of bytes used. */
export const INCOMPLETE = 0
export const BROKEN = -1

/** What the last call found: null for a connection about which the header tells nothing, or why it is broken. */
export const header: { value: ProxyProtocol | null; error: string } = { value: null, error: '' }

/** Reads the header that begins at `start`. @returns bytes used, INCOMPLETE or BROKEN */
export function readProxyProtocol(bytes: Buffer, start: number, end: number): number {
  header.value = null
  header.error = ''
  if (start === end) return INCOMPLETE
  // 'P' or the signature's first byte: one tells the versions apart.
  return bytes[start] === SIGNATURE[0] ? readBinary(bytes, start, end) : readLine(bytes, start, end)
}

/** Can these bytes be the beginning of a header of that version? `auto` stands for both. */
export function mayBegin(version: 'v1' | 'v2' | 'auto', bytes: Buffer, start: number, end: number): boolean {
  const begins = (first: Buffer): boolean => {
    const size = Math.min(first.length, end - start)
    return first.compare(bytes, start, start + size, 0, size) === 0
  }
  return (version !== 'v2' && begins(LINE_START)) || (version !== 'v1' && begins(SIGNATURE))
}

function broken(error: string): number {
  header.error = error
  return BROKEN
}

// ── version 1 ────────────────────────────────────────────────────────────────────────────────────────────────────────

const LINE = /^PROXY TCP[46] ([0-9A-Fa-f:.]+) ([0-9A-Fa-f:.]+) ([0-9]+) ([0-9]+)$/

function readLine(bytes: Buffer, start: number, end: number): number {
  const stop = Math.min(end, start + LINE_MAX)
  const text = bytes.toString('latin1', start, stop)
  if (text.startsWith(UNKNOWN)) return skipLine(bytes.subarray(start, Math.min(end, start + HEADER_MAX)))
  const newline = text.indexOf('\n')
  if (newline < 0) {
    const mayBe = 'PROXY '.startsWith(text.slice(0, 6)) && stop - start < LINE_MAX && !/\r[^]/.test(text)
    return mayBe ? INCOMPLETE : brokenLine(text)
  }
  const line = text.slice(0, newline)
  if (!line.endsWith('\r')) return brokenLine(text)
  const parts = LINE.exec(line.slice(0, -1))
  if (parts === null) return brokenLine(text)
  const [, source, destination, from, to] = parts as unknown as [string, string, string, string, string]
  if (Number(from) > 65535 || Number(to) > 65535) return brokenLine(text)
  header.value = new ProxyProtocol(source, Number(from), destination, Number(to), '')
  return newline + 1
}

/** Whatever follows in it is of no interest (section 2.1). */
function skipLine(bytes: Buffer): number {
  const end = bytes.indexOf('\r\n', UNKNOWN.length, 'latin1')
  if (end >= 0) return end + 2
  return bytes.length < HEADER_MAX ? INCOMPLETE : brokenLine(bytes.toString('latin1'))
}

function brokenLine(text: string): number {
  return broken(`broken header: "${text.slice(0, text.search(/[\r\n]|$/))}"`)
}

// ── version 2 ────────────────────────────────────────────────────────────────────────────────────────────────────────

const LOCAL = 0
const PROXY = 1
const INET = 1
const INET6 = 2
const STREAM = 1

function readBinary(bytes: Buffer, start: number, end: number): number {
  const size = Math.min(end - start, SIGNATURE.length)
  if (bytes.compare(SIGNATURE, 0, size, start, start + size) !== 0) {
    return brokenLine(bytes.toString('latin1', start, Math.min(end, start + LINE_MAX)))
  }
  if (end - start < PREFIX_V2) return INCOMPLETE
  const version = bytes[start + 12]! >> 4
  if (version !== 2) return broken(`unknown PROXY protocol version: ${version}`)
  const length = bytes.readUInt16BE(start + 14)
  if (PREFIX_V2 + length > HEADER_MAX) return broken('header is too large')
  if (end - start < PREFIX_V2 + length) return INCOMPLETE
  return readAddresses(bytes, start, length)
}

function readAddresses(bytes: Buffer, start: number, length: number): number {
  const command = bytes[start + 12]! & 15
  const family = bytes[start + 13]! >> 4
  const transport = bytes[start + 13]! & 15
  const used = PREFIX_V2 + length
  // A balancer's own connection, or a kind of socket that has no addresses for us.
  if (command === LOCAL || command !== PROXY || transport !== STREAM) return used
  if (family !== INET && family !== INET6) return used
  const size = family === INET ? 4 : 16
  const at = start + PREFIX_V2
  if (length < 2 * size + 4) return broken('PROXY protocol header is too short for its addresses')
  const text = family === INET ? ipv4At : ipv6At
  const ports = at + 2 * size
  header.value = new ProxyProtocol(
    text(bytes, at),
    bytes.readUInt16BE(ports),
    text(bytes, at + size),
    bytes.readUInt16BE(ports + 2),
    bytes.toString('latin1', ports + 4, start + used),
  )
  return used
}

function ipv4At(bytes: Buffer, at: number): string {
  return ipv4Text(bytes.readUInt32BE(at))
}

function ipv6At(bytes: Buffer, at: number): string {
  return formatIpv6(bytes.toString('latin1', at, at + 16))
}

// ── TLVs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

const SSL = 0x20
const TYPES: Readonly<Record<string, number>> = { alpn: 1, authority: 2, unique_id: 5, ssl: SSL, netns: 0x30 }
const SSL_TYPES: Readonly<Record<string, number>> = {
  version: 0x21,
  cn: 0x22,
  cipher: 0x23,
  sig_alg: 0x24,
  key_alg: 0x25,
}
/** The ssl TLV begins with a byte of flags and the result of the verification. */
const SSL_PREFIX = 5

/** The TLV of a client that spoke TLS and was not asked for a certificate. */
export const SPOKE_TLS = '\x20\0\x05\x01\0\0\0\0'
const CLIENT_SSL = 1

/** Did the client speak TLS to whoever sent the header? */
export function spokeTls(tlvs: string): boolean {
  const ssl = findTlv(tlvs, SSL)
  return ssl !== null && ssl.length >= SSL_PREFIX && (ssl.charCodeAt(0) & CLIENT_SSL) !== 0
}

/** What was wrong when a value was last asked for by its name, in nginx's words; '' nothing. */
export const asked = { error: '' }

/** A getter for one value, by nginx's name for it: `alpn`, `0x01`, `ssl_cn`, `ssl_verify`. */
export function tlvNamed(name: string): (tlvs: string) => string | null {
  const ofSsl = name.startsWith('ssl_')
  const get = ofSsl ? getterOf(name, name.slice(4), SSL_TYPES) : getterOf(name, name, TYPES)
  return tlvs => {
    asked.error = ''
    if (!ofSsl) return get(tlvs)
    return within(tlvs, name === 'ssl_verify' ? verifyResult : ssl => get(ssl.slice(SSL_PREFIX)))
  }
}

function getterOf(
  name: string,
  typeName: string,
  types: Readonly<Record<string, number>>,
): (tlvs: string) => string | null {
  const byNumber = typeName.startsWith('0x')
  const type = byNumber ? numberIn(typeName) : (types[typeName] ?? -1)
  if (type >= 0) return tlvs => findTlv(tlvs, type)
  return () => {
    asked.error = `${byNumber ? 'invalid' : 'unknown'} PROXY protocol TLV "${name}"`
    return null
  }
}

function numberIn(hex: string): number {
  return /^0x[0-9a-f]{1,15}$/.test(hex) ? parseInt(hex, 16) : -1
}

function within(tlvs: string, read: (ssl: string) => string | null): string | null {
  const ssl = findTlv(tlvs, SSL)
  return ssl === null || ssl.length < SSL_PREFIX ? null : read(ssl)
}

function verifyResult(ssl: string): string {
  return `${Buffer.from(ssl.slice(1, SSL_PREFIX), 'latin1').readUInt32BE()}`
}

/** The first value of a type; null if there is none before the end or before something broken. */
function findTlv(tlvs: string, type: number): string | null {
  let at = 0
  while (at < tlvs.length) {
    const length = (tlvs.charCodeAt(at + 1) << 8) | tlvs.charCodeAt(at + 2)
    const next = at + 3 + length
    if (at + 3 > tlvs.length || next > tlvs.length) {
      asked.error = 'broken PROXY protocol TLV'
      return null
    }
    if (tlvs.charCodeAt(at) === type) return tlvs.slice(at + 3, next)
    at = next
  }
  return null
}

// ── written ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** Version 1, as latin1 text (section 2.1). As from nginx it is of the client's family, be the server's address of another one:
 *  a client's that a balancer has told may. */
export function proxyLine({ source, sourcePort, destination, destinationPort }: ProxyProtocol): string {
  const from = addressBytes(source)
  if (from === '' || addressBytes(destination) === '') return 'PROXY UNKNOWN\r\n'
  return `PROXY ${from.length === 4 ? 'TCP4' : 'TCP6'} ${source} ${destination} ${sourcePort} ${destinationPort}\r\n`
}

const PROXIED = '\x21'
const OF_OUR_OWN = '\x20'
const STREAM_V4 = '\x11'
const STREAM_V6 = '\x21'
const DATAGRAM_V4 = '\x12'
const DATAGRAM_V6 = '\x22'
/** Begins an IPv4 address written as an IPv6 one (RFC 4291, 2.5.5.2). */
const MAPPED = `${'\0'.repeat(10)}\xff\xff`
/** Begins the value of the checksum: its type, and that it has four bytes. */
const CHECKSUM = '\x03\0\x04'

/** Version 2 with a checksum, as latin1 text (section 2.2); a client without an address is told as a connection of our own. */
export function proxyHeader(told: ProxyProtocol, datagrams = false): string {
  const { source, sourcePort, destination, destinationPort, tlvs } = told
  const [from, to] = alike(addressBytes(source), addressBytes(destination))
  const known = from !== ''
  const addresses = known ? from + to + uint16(sourcePort) + uint16(destinationPort) : ''
  const [v4, v6] = datagrams ? [DATAGRAM_V4, DATAGRAM_V6] : [STREAM_V4, STREAM_V6]
  const family = known ? (from.length === 4 ? v4 : v6) : '\0'
  const length = uint16(addresses.length + tlvs.length + CHECKSUM.length + 4)
  const command = known ? PROXIED : OF_OUR_OWN
  const header = `${SIGNATURE.toString('latin1')}${command}${family}${length}${addresses}${tlvs}${CHECKSUM}`
  // It is over the whole header, with zeros in its own place.
  return header + uint32(crc32c(`${header}\0\0\0\0`))
}

/** Of the two families the larger one, if they differ; both '' where one of them has no address. IPv4 by way of a socket of
 *  both families is IPv4. */
function alike(from: string, to: string): [from: string, to: string] {
  if (from === '' || to === '') return ['', '']
  if (from.startsWith(MAPPED) && to.startsWith(MAPPED)) return [from.slice(12), to.slice(12)]
  const size = Math.max(from.length, to.length)
  return [inFamily(from, size), inFamily(to, size)]
}

function inFamily(address: string, size: number): string {
  return address.length === size ? address : MAPPED + address
}

/** One value by nginx's name for its type, for a header's `tlvs`; '' for an empty value. */
export function tlv(name: 'alpn' | 'authority' | 'ssl', value: string): string {
  return value === '' ? '' : String.fromCharCode(name === 'ssl' ? SSL : TYPES[name]!) + uint16(value.length) + value
}

/** What there is to tell of a client that spoke TLS. Texts may be '': they are not told. */
export interface TlsTold {
  readonly version: string
  readonly cipher: string
  /** The name in the client's certificate. */
  readonly commonName: string
  /** How our own certificate is signed, and its key (`RSA2048`). */
  readonly signature: string
  readonly key: string
  /** Has the client shown a certificate: now, or when the session began that is resumed? */
  readonly certificate: 'none' | 'connection' | 'session'
  /** OpenSSL's verdict on it: 0 for a good one, 1 where there is none. */
  readonly verify: number
}

/** Bits of `client`: see section 2.2.6 of the protocol, and CLIENT_SSL. */
const CLIENT_CERTIFICATE = { none: 0, connection: 6, session: 4 }

/** The `ssl` value. */
export function tlsTlv(told: TlsTold): string {
  const part = (name: string, value: string): string =>
    value === '' ? '' : String.fromCharCode(SSL_TYPES[name]!) + uint16(value.length) + value
  const { version, commonName, cipher, signature, key } = told
  const parts = part('version', version) + part('cn', commonName) + part('cipher', cipher)
  const client = String.fromCharCode(CLIENT_SSL | CLIENT_CERTIFICATE[told.certificate])
  return tlv('ssl', client + uint32(told.verify) + parts + part('sig_alg', signature) + part('key_alg', key))
}

function uint16(value: number): string {
  return String.fromCharCode((value >>> 8) & 255, value & 255)
}

function uint32(value: number): string {
  return uint16(value >>> 16) + uint16(value & 0xffff)
}
