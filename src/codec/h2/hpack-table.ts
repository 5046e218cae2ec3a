// The header tables of HPACK (RFC 7541, 2.3): the static one, and the dynamic one that each direction of a connection has.

import { knownName, NAMES } from '../h1/names.ts'

/** What an entry adds to the table's size besides its own text (4.1). */
export const ENTRY_OVERHEAD = 32

// Names with their values, in the order of appendix A; the first entry is number 1.
const STATIC =
  ':authority|:method GET|:method POST|:path /|:path /index.html|:scheme http|:scheme https|:status 200|:status 204|' +
  ':status 206|:status 304|:status 400|:status 404|:status 500|accept-charset|accept-encoding gzip, deflate|' +
  'accept-language|accept-ranges|accept|access-control-allow-origin|age|allow|authorization|cache-control|' +
  'content-disposition|content-encoding|content-language|content-length|content-location|content-range|content-type|' +
  'cookie|date|etag|expect|expires|from|host|if-match|if-modified-since|if-none-match|if-range|if-unmodified-since|' +
  'last-modified|link|location|max-forwards|proxy-authenticate|proxy-authorization|range|referer|refresh|retry-after|' +
  'server|set-cookie|strict-transport-security|transfer-encoding|user-agent|vary|via|www-authenticate'

export const STATIC_NAMES: string[] = ['']
export const STATIC_VALUES: string[] = ['']
/** The names' numbers in codec/h1/names.ts, 0 for those it does not have. */
export const STATIC_IDS: number[] = [0]
/** The first entry with a name. */
export const STATIC_INDEX = new Map<string, number>()

for (const entry of STATIC.split('|')) {
  const space = entry.indexOf(' ')
  const text = space === -1 ? entry : entry.slice(0, space)
  const id = text.startsWith(':') ? 0 : knownName(Buffer.from(text), 0, text.length)
  const name = id === 0 ? text : NAMES[id]!
  if (!STATIC_INDEX.has(name)) STATIC_INDEX.set(name, STATIC_NAMES.length)
  STATIC_NAMES.push(name)
  STATIC_VALUES.push(space === -1 ? '' : entry.slice(space + 1))
  STATIC_IDS.push(id)
}

export const STATIC_SIZE = STATIC_NAMES.length - 1

/** Newest entries first, as their numbers are; a ring of strings. */
export class DynamicTable {
  names: string[] = []
  values: string[] = []
  ids: number[] = []
  faults: number[] = []
  count = 0
  /** By RFC 7541, 4.1. */
  size = 0
  /** What the table may grow to. */
  capacity: number
  private newest = 0

  constructor(capacity: number) {
    this.capacity = capacity
  }

  /** Where the arrays have the entry that is the n-th newest, from 0. */
  at(n: number): number {
    const i = this.newest - n
    return i < 0 ? i + this.names.length : i
  }

  resize(capacity: number): void {
    this.capacity = capacity
    this.evict(0)
  }

  add(name: string, value: string, id: number, faults: number): void {
    const size = name.length + value.length + ENTRY_OVERHEAD
    this.evict(size)
    // An entry that is larger than the table empties it, and that is all (4.4).
    if (size > this.capacity) return
    if (this.count === this.names.length) this.grow()
    this.newest = this.newest + 1 === this.names.length ? 0 : this.newest + 1
    this.names[this.newest] = name
    this.values[this.newest] = value
    this.ids[this.newest] = id
    this.faults[this.newest] = faults
    this.size += size
    this.count++
  }

  private evict(room: number): void {
    while (this.count > 0 && this.size + room > this.capacity) {
      const oldest = this.at(--this.count)
      this.size -= this.names[oldest]!.length + this.values[oldest]!.length + ENTRY_OVERHEAD
      this.names[oldest] = ''
      this.values[oldest] = ''
    }
  }

  private grow(): void {
    const { names, values, ids, faults, count } = this
    const order = Array.from({ length: count }, (_, i) => this.at(count - 1 - i))
    const spare = Math.max(8, count)
    const empty = Array.from<string>({ length: spare }).fill('')
    const zeros = Array.from<number>({ length: spare }).fill(0)
    this.names = [...order.map(i => names[i]!), ...empty]
    this.values = [...order.map(i => values[i]!), ...empty]
    this.ids = [...order.map(i => ids[i]!), ...zeros]
    this.faults = [...order.map(i => faults[i]!), ...zeros]
    this.newest = count === 0 ? this.names.length - 1 : count - 1
  }
}
