// uwsgi packets: four bytes of head, then names and values with their lengths, all 16 bits and little-endian.

import { ProxyProtocol, SPOKE_TLS } from './proxy-protocol.ts'
import { unescapeUri } from './h1/uri.ts'

/** Bytes of all variables together. */
export const PACKET_MAX = 65535

function short(value: number): string {
  return String.fromCharCode(value & 255, (value >> 8) & 255)
}

export function encodeVariable(name: string, value: string): string {
  return short(name.length) + name + short(value.length) + value
}

export function packetHead(modifier1: number, size: number, modifier2: number): string {
  return String.fromCharCode(modifier1) + short(size) + String.fromCharCode(modifier2)
}

// ── reading, as the server that is asked ─────────────────────────────────────────────────────────────────────────────

const HEAD_SIZE = 4
/** The packet is not complete. */
export const INCOMPLETE = 0
export const BROKEN = -1

/** What the last readPacket() found. */
export const packet: { variables: ReadonlyMap<string, string>; error: string } = { variables: new Map(), error: '' }

/** Reads the packet that begins at `start`. @returns bytes used, INCOMPLETE or BROKEN */
export function readPacket(bytes: Buffer, start: number, end: number): number {
  if (end - start < HEAD_SIZE) return INCOMPLETE
  if (bytes[start] !== 0) return broken(`unsupported modifier ${bytes[start]}`)
  const size = bytes.readUInt16LE(start + 1)
  const stop = start + HEAD_SIZE + size
  if (stop > end) return INCOMPLETE
  const variables = new Map<string, string>()
  for (let at = start + HEAD_SIZE; at < stop;) {
    const name = stringAt(bytes, at, stop)
    const value = name === null ? null : stringAt(bytes, at + 2 + name.length, stop)
    if (name === null || value === null) return broken('truncated variable')
    variables.set(name, value)
    at += 4 + name.length + value.length
  }
  packet.variables = variables
  return HEAD_SIZE + size
}

function broken(error: string): number {
  packet.error = error
  return BROKEN
}

function stringAt(bytes: Buffer, at: number, stop: number): string | null {
  if (at + 2 > stop) return null
  const end = at + 2 + bytes.readUInt16LE(at)
  return end > stop ? null : bytes.toString('latin1', at + 2, end)
}

/** Whom the front speaks for: a client with an address, and a protocol that the request here is not in. */
export class UwsgiPeer extends ProxyProtocol {
  readonly protocol: string

  constructor(variables: ReadonlyMap<string, string>) {
    super(
      variables.get('REMOTE_ADDR') ?? '',
      Number(variables.get('REMOTE_PORT')) || 0,
      variables.get('SERVER_ADDR') ?? '',
      Number(variables.get('SERVER_PORT')) || 0,
      /^(?:on|1|true)$/i.test(variables.get('HTTPS') ?? '') ? SPOKE_TLS : '',
    )
    const protocol = variables.get('SERVER_PROTOCOL') ?? ''
    this.protocol = /^HTTP\/\d(?:\.\d)?$/.test(protocol) ? protocol : 'HTTP/1.1'
  }
}

/** Of one connection only (the answer is whole when the connection ends), or told by a variable of its own. */
const LEFT_OUT = new Set(
  'CONNECTION TRANSFER-ENCODING UPGRADE KEEP-ALIVE TE TRAILER EXPECT CONTENT-LENGTH CONTENT-TYPE'.split(' '),
)

/** The request as HTTP has it; null: variables that no request has. */
export function requestHead(variables: ReadonlyMap<string, string>): string | null {
  const method = variables.get('REQUEST_METHOD') ?? 'GET'
  const lines = [`${method} ${targetOf(variables)} HTTP/1.0`]
  for (const [name, value] of variables) {
    const field = fieldOf(name)
    if (field !== '' && value !== '') lines.push(`${field}: ${value}`)
  }
  const text = lines.join('\r\n')
  return lines.some(line => /[\r\n\0]/.test(line)) || !/^[A-Z_-]+ \/[^\s]* HTTP\/1\.0\r?/.test(text)
    ? null
    : `${text}\r\n\r\n`
}

function fieldOf(variable: string): string {
  if (variable === 'CONTENT_TYPE' || variable === 'CONTENT_LENGTH') return variable.replace('_', '-')
  if (!variable.startsWith('HTTP_')) return ''
  const name = variable.slice(5).replaceAll('_', '-')
  return LEFT_OUT.has(name.toUpperCase()) ? '' : name
}

/** As the client sent it, where the front tells it and asks for no other; else the path, in escapes again. */
function targetOf(variables: ReadonlyMap<string, string>): string {
  const sent = variables.get('REQUEST_URI') ?? ''
  const asked = variables.get('PATH_INFO')
  const query = variables.get('QUERY_STRING') ?? ''
  if (sent.startsWith('/') && (asked === undefined || isSame(sent, asked, query))) return sent
  const path = (asked || '/').replaceAll(
    /[^A-Za-z0-9/._~!$&'()*+,;=:@-]/g,
    character => `%${character.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
  )
  return query === '' ? path : `${path}?${query}`
}

function isSame(sent: string, path: string, query: string): boolean {
  const [before = '', ...behind] = sent.split('?')
  return unescapeUri(before) === path && behind.join('?') === query
}
