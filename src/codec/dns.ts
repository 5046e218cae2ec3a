// DNS messages (RFC 1035): queries for one name, and of responses the addresses, aliases, services and names of addresses they tell.

import { formatIpv6 } from '../lib/networks.ts'

// Types of records.
export const A = 1
export const CNAME = 5
export const PTR = 12
export const AAAA = 28
export const SRV = 33

const IN = 1
const HEADER = 12
const RECURSION_DESIRED = 0x0100
const RESPONSE = 0x8000
const TRUNCATED = 0x0200
const NAME_MAX = 255
const LABEL_MAX = 63
/** A name that points at names again and again. */
const POINTERS_MAX = 32

export interface Service {
  readonly priority: number
  readonly weight: number
  readonly port: number
  readonly name: string
}

export interface DnsResponse {
  readonly id: number
  /** 0 for success, else RCODE. */
  readonly code: number
  readonly truncated: boolean
  /** The question, in lower case. */
  readonly name: string
  readonly type: number
  readonly addresses: readonly string[]
  /** The last alias in the answer, '' for none. */
  readonly alias: string
  readonly services: readonly Service[]
  /** What an address is called (PTR). */
  readonly names: readonly string[]
  /** Seconds that all of the answer is true for. */
  readonly ttl: number
}

/** Null: no name that a query could ask for. */
export function makeQuery(id: number, name: string, type: number): Buffer | null {
  const labels = name.split('.')
  if (name.length > NAME_MAX || labels.some(label => label === '' || label.length > LABEL_MAX)) return null
  const bytes = Buffer.alloc(HEADER + name.length + 2 + 4)
  bytes.writeUInt16BE(id, 0)
  bytes.writeUInt16BE(RECURSION_DESIRED, 2)
  bytes.writeUInt16BE(1, 4)
  let at = HEADER
  for (const label of labels) {
    bytes[at++] = label.length
    at += bytes.write(label, at, 'latin1')
  }
  bytes.writeUInt16BE(type, at + 1)
  bytes.writeUInt16BE(IN, at + 3)
  return bytes
}

/** Null: it is no response to a question, or broken. */
export function parseResponse(bytes: Buffer): DnsResponse | null {
  if (bytes.length < HEADER) return null
  const flags = bytes.readUInt16BE(2)
  if ((flags & RESPONSE) === 0 || bytes.readUInt16BE(4) !== 1) return null
  const reader = new Reader(bytes, HEADER)
  const name = reader.name()
  const type = reader.uint16()
  if (name === null || reader.uint16() !== IN || reader.failed) return null
  const code = flags & 15
  const truncated = (flags & TRUNCATED) !== 0
  const answer = new Answer()
  // Of what was cut off nothing is used, and errors have no answer.
  if (!truncated && code === 0) {
    for (let n = bytes.readUInt16BE(6); n > 0; n--) if (!answer.read(reader, type)) return null
  }
  const { addresses, alias, services, names, ttl } = answer
  // An answer, but to another question: somebody else may know better.
  if (type === PTR && answer.records > 0 && names.length === 0 && alias === '') return null
  return {
    id: bytes.readUInt16BE(0),
    code,
    truncated,
    name,
    type,
    addresses,
    alias,
    services,
    names,
    ttl: Math.min(ttl, TTL_MAX),
  }
}

/** Longer than anybody means. */
const TTL_MAX = 0x7fffffff

class Answer {
  readonly addresses: string[] = []
  readonly services: Service[] = []
  readonly names: string[] = []
  alias = ''
  ttl = TTL_MAX
  records = 0

  read(reader: Reader, wanted: number): boolean {
    this.records++
    if (reader.name() === null) return false
    const type = reader.uint16()
    const isInternet = reader.uint16() === IN
    const ttl = reader.uint32()
    const length = reader.uint16()
    const end = reader.at + length
    if (reader.failed || end > reader.bytes.length) return false
    if (isInternet && (type === wanted || type === CNAME)) {
      if (!this.take(reader, type, length)) return false
      this.ttl = Math.min(this.ttl, ttl > TTL_MAX ? 0 : ttl)
    }
    reader.at = end
    return true
  }

  private take(reader: Reader, type: number, length: number): boolean {
    const { bytes, at } = reader
    if (type === A) {
      if (length !== 4) return false
      this.addresses.push(bytes.subarray(at, at + 4).join('.'))
    } else if (type === AAAA) {
      if (length !== 16) return false
      this.addresses.push(formatIpv6(bytes.toString('latin1', at, at + 16)))
    } else if (type === CNAME) {
      const alias = reader.name()
      if (alias === null) return false
      this.alias = alias
    } else if (type === PTR) {
      const name = length === 0 ? null : reader.name()
      if (name === null) return false
      this.names.push(name)
    } else if (type === SRV) {
      const [priority, weight, port] = [reader.uint16(), reader.uint16(), reader.uint16()]
      const name = reader.name()
      if (name === null || reader.failed) return false
      this.services.push({ priority, weight, port, name })
    }
    return true
  }
}

class Reader {
  readonly bytes: Buffer
  at: number
  failed = false

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes
    this.at = at
  }

  uint16(): number {
    if (this.at + 2 > this.bytes.length) return this.fail()
    this.at += 2
    return this.bytes.readUInt16BE(this.at - 2)
  }

  uint32(): number {
    if (this.at + 4 > this.bytes.length) return this.fail()
    this.at += 4
    return this.bytes.readUInt32BE(this.at - 4)
  }

  private fail(): number {
    this.failed = true
    return 0
  }

  /** In lower case and without the last dot. It may go on elsewhere in the message (RFC 1035, 4.1.4). */
  name(): string | null {
    const { bytes } = this
    let name = ''
    let at = this.at
    let pointers = 0
    for (;;) {
      const length = bytes[at]
      if (length === undefined) return null
      if (length >= 0xc0) {
        const low = bytes[at + 1]
        if (low === undefined || ++pointers > POINTERS_MAX) return null
        if (pointers === 1) this.at = at + 2
        at = ((length & 0x3f) << 8) | low
        continue
      }
      if (length > LABEL_MAX || at + 1 + length > bytes.length) return null
      if (length === 0) {
        if (pointers === 0) this.at = at + 1
        return name
      }
      name += `${name === '' ? '' : '.'}${bytes.toString('latin1', at + 1, at + 1 + length).toLowerCase()}`
      if (name.length > NAME_MAX) return null
      at += 1 + length
    }
  }
}
