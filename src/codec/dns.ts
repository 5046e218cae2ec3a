// DNS messages (RFC 1035): queries for one name, and of responses the addresses, aliases, services and names of addresses they tell.

import { formatIpv6 } from '../lib/networks.ts'

// Types of records.
export const A = 1
export const CNAME = 5
export const PTR = 12
export const AAAA = 28
export const SRV = 33

const DNAME = 39

const IN = 1
const HEADER = 12
/** A record without its name and its data. */
const RECORD = 10
const RECURSION_DESIRED = 0x0100
/** Of the flags, those that make it a response to a question as we ask them, and how they are then. */
const KIND = 0xf870
const RESPONSE = 0x8000
const TRUNCATED = 0x0200

// Some RCODEs (RFC 1035, 4.1.1).
export const FORMAT_ERROR = 1
export const REFUSED = 5
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
  readonly records: number
  /** What is odd about it, for the log. */
  readonly oddities: readonly string[]
}

/** Why parseResponse() has refused one, in nginx's words. */
export const refusal = { reason: '' }

function refuse(reason: string): null {
  refusal.reason = reason
  return null
}

const SHORT = 'short DNS response'

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

/** The errors that say nothing of a name: that we were not understood, or what no server should say. */
export function isUnanswered(code: number): boolean {
  return code === FORMAT_ERROR || code > REFUSED
}

/** Null: it is no response to a question, or broken; `refusal` tells why. */
export function parseResponse(bytes: Buffer, tcp = false): DnsResponse | null {
  if (bytes.length < HEADER) return refuse(SHORT)
  const id = bytes.readUInt16BE(0)
  const flags = bytes.readUInt16BE(2)
  const truncated = (flags & TRUNCATED) !== 0
  if ((flags & KIND) !== RESPONSE || (truncated && tcp)) {
    const hex = flags.toString(16).toUpperCase().padStart(4, '0')
    return refuse(`invalid ${tcp ? 'TCP' : 'UDP'} DNS response ${id} fl:${hex}`)
  }
  const code = flags & 15
  const answer = new Answer()
  if (isUnanswered(code)) return answer.as(id, code, truncated, '', 0)
  if (bytes.readUInt16BE(4) !== 1) return refuse('invalid number of questions in DNS response')
  const reader = new Reader(bytes, HEADER)
  const name = questionIn(reader)
  if (name === null) return null
  const type = reader.uint16()
  const kind = reader.uint16()
  const count = bytes.readUInt16BE(6)
  if (reader.failed || reader.at + count * (RECORD + 2) > bytes.length) return refuse(SHORT)
  if (kind !== IN) return refuse(`unknown query class ${kind} in DNS response`)
  if (!(type in NAMES)) return refuse(`unknown query type ${type} in DNS response`)
  // Of what was cut off nothing is used, and errors have no answer.
  if (!truncated && code === 0) {
    for (let n = count; n > 0; n--) if (!answer.read(reader, type)) return null
    // An answer, but to another question: somebody else may know better.
    const { records, names, services, alias } = answer
    const isOther = records > 0 && names.length === 0 && services.length === 0 && alias === ''
    if (isOther && (type === PTR || type === SRV)) return refuse(`no ${NAMES[type]} type in DNS response`)
  }
  return answer.as(id, code, truncated, name, type)
}

const NAMES: Readonly<Record<number, string>> = { [A]: 'A', [AAAA]: 'AAAA', [SRV]: 'SRV', [PTR]: 'PTR' }

function questionIn(reader: Reader): string | null {
  const { bytes, at } = reader
  const first = bytes[at]
  if (first === undefined) return refuse(SHORT)
  if (first >= 0xc0) return refuse('unexpected compression pointer in DNS response')
  if (first === 0) return refuse('zero-length domain name in DNS response')
  return reader.name() ?? refuse(SHORT)
}

/** Longer than anybody means. */
const TTL_MAX = 0x7fffffff

class Answer {
  readonly addresses: string[] = []
  readonly services: Service[] = []
  readonly names: string[] = []
  readonly oddities: string[] = []
  alias = ''
  ttl = TTL_MAX
  records = 0

  as(id: number, code: number, truncated: boolean, name: string, type: number): DnsResponse {
    const { addresses, alias, services, names, ttl, records, oddities } = this
    return { id, code, truncated, name, type, addresses, alias, services, names, ttl, records, oddities }
  }

  read(reader: Reader, wanted: number): boolean {
    this.records++
    const start = reader.at
    if (reader.name() === null) return refused(SHORT)
    if (reader.at - start < 2) return refused('invalid name in DNS response')
    const type = reader.uint16()
    const kind = reader.uint16()
    const ttl = reader.uint32()
    const length = reader.uint16()
    const end = reader.at + length
    if (reader.failed || end > reader.bytes.length) return refused(SHORT)
    if (kind !== IN) return refused(`unexpected RR class ${kind} in DNS response`)
    if (!this.take(reader, type, length, wanted)) return false
    this.ttl = Math.min(this.ttl, ttl > TTL_MAX ? 0 : ttl)
    reader.at = end
    return true
  }

  private take(reader: Reader, type: number, length: number, wanted: number): boolean {
    if (type === CNAME) {
      const alias = reader.name()
      if (alias === null) return refused(OUTSIDE)
      this.alias = alias
    } else if (type === DNAME) return true
    else if ((type === A || type === AAAA) && (wanted === A || wanted === AAAA)) {
      return this.takeAddress(reader, type, length, wanted)
    } else if (type !== wanted) this.oddities.push(`unexpected RR type ${type} in DNS response`)
    else if (type === PTR) {
      const name = length === 0 ? null : reader.name()
      if (name === null) return refused(OUTSIDE)
      this.names.push(name)
    } else if (type === SRV) {
      const [priority, weight, port] = [reader.uint16(), reader.uint16(), reader.uint16()]
      const name = reader.name()
      if (name === null || reader.failed) return refused(SHORT)
      this.services.push({ priority, weight, port, name })
    }
    return true
  }

  private takeAddress({ bytes, at }: Reader, type: number, length: number, wanted: number): boolean {
    if (type !== wanted) return refused(`unexpected ${NAMES[type]} record in DNS response`)
    if (length !== (type === A ? 4 : 16)) return refused(`invalid ${NAMES[type]} record in DNS response`)
    if (type === A) this.addresses.push(bytes.subarray(at, at + 4).join('.'))
    else this.addresses.push(formatIpv6(bytes.toString('latin1', at, at + 16)))
    return true
  }
}

const OUTSIDE = 'name is out of DNS response'

function refused(reason: string): false {
  refusal.reason = reason
  return false
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
