// Fields to header blocks (RFC 7541).
//
// Without a dynamic table (capacity 0) a block depends on nothing but its fields: it can be made once and sent on any
// connection. With one, fields given as INDEXED shrink to a byte or two when they come again.

import type { ByteWriter } from './byte-writer.ts'
import { DEFAULT_TABLE_SIZE } from './constants.ts'
import { huffmanEncode, huffmanLength } from './huffman.ts'
import { DynamicTable, STATIC_INDEX, STATIC_NAMES, STATIC_SIZE, STATIC_VALUES } from './hpack-table.ts'

/** How a field is sent (6.2): to be remembered by the other side, not, or never by anybody on the way. */
export const INDEXED = 0x40
export const PLAIN = 0x00
export const NEVER = 0x10

export class HpackEncoder {
  private readonly table: DynamicTable
  private readonly capacityMax: number
  /** The table's size is to be told at the beginning of the next block; the smallest it had since the last (4.2). */
  private updates = false
  private smallest: number

  /** @param capacityMax what we are willing to remember; the other side may want less */
  constructor(capacityMax: number) {
    this.capacityMax = capacityMax
    this.table = new DynamicTable(capacityMax)
    this.smallest = capacityMax
    this.updates = capacityMax !== DEFAULT_TABLE_SIZE && capacityMax !== 0
  }

  /** The other side's SETTINGS_HEADER_TABLE_SIZE. */
  limit(capacity: number): void {
    const wanted = Math.min(capacity, this.capacityMax)
    // A table that nothing is ever put in need not be spoken of, unless the other side has less than the default: it waits
    // for our word then.
    if (wanted === this.table.capacity && (wanted > 0 || capacity >= DEFAULT_TABLE_SIZE)) return
    this.updates = true
    if (wanted < this.smallest) this.smallest = wanted
    this.table.resize(wanted)
  }

  /** Begins a block. */
  begin(out: ByteWriter): void {
    if (!this.updates) return
    this.updates = false
    if (this.smallest < this.table.capacity) integer(out, 0x20, 0x1f, this.smallest)
    integer(out, 0x20, 0x1f, this.table.capacity)
    this.smallest = this.table.capacity
  }

  /** Adds a field; the name is in lower case. */
  field(out: ByteWriter, name: string, value: string, how: number): void {
    const known = STATIC_INDEX.get(name) ?? 0
    if (known !== 0 && how !== NEVER) {
      for (let i = known; i <= STATIC_SIZE && STATIC_NAMES[i] === name; i++) {
        if (STATIC_VALUES[i] === value && value !== '') return integer(out, 0x80, 0x7f, i)
      }
    }
    let index = known
    if (this.table.capacity > 0 && how === INDEXED) {
      const same = this.find(name, value)
      if (same > 0) return integer(out, 0x80, 0x7f, same)
      if (index === 0) index = -same
      this.table.add(name, value, 0, 0)
    }
    const kind = this.table.capacity === 0 && how === INDEXED ? PLAIN : how
    integer(out, kind, kind === INDEXED ? 0x3f : 0x0f, index)
    if (index === 0) text(out, name)
    text(out, value)
  }

  /** The index of an equal field; negative: of one with that name; 0: of neither. */
  private find(name: string, value: string): number {
    const { table } = this
    let named = 0
    for (let n = 0; n < table.count; n++) {
      const i = table.at(n)
      if (table.names[i] !== name) continue
      if (table.values[i] === value) return STATIC_SIZE + 1 + n
      if (named === 0) named = STATIC_SIZE + 1 + n
    }
    return -named
  }
}

/** A number (5.1). */
function integer(out: ByteWriter, first: number, mask: number, value: number): void {
  out.reserve(6)
  const { bytes } = out
  if (value < mask) {
    bytes[out.length++] = first | value
    return
  }
  bytes[out.length++] = first | mask
  let rest = value - mask
  for (; rest >= 0x80; rest >>>= 7) bytes[out.length++] = (rest & 0x7f) | 0x80
  bytes[out.length++] = rest
}

/** A string (5.2), Huffman-coded where that is shorter. */
function text(out: ByteWriter, value: string): void {
  const coded = huffmanLength(value)
  if (coded < value.length) {
    integer(out, 0x80, 0x7f, coded)
    out.reserve(coded)
    out.length = huffmanEncode(value, out.bytes, out.length)
  } else {
    integer(out, 0, 0x7f, value.length)
    out.text(value)
  }
}
