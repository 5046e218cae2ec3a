// Header blocks to fields (RFC 7541). A block is decoded where it lies and as a whole; strings are made only for literals,
// entries of the tables are handed out again and again.
//
// Names are looked at once, when they come in as literals: what is wrong with one is kept beside it as bits, so that whoever
// takes the fields may refuse, drop or pass such a field. Decoding itself goes on: both tables must stay the same.

import { latin1 } from '../h1/fields.ts'
import { knownName, NAMES } from '../h1/names.ts'
import { huffmanDecode } from './huffman.ts'
import { DynamicTable, ENTRY_OVERHEAD, STATIC_IDS, STATIC_NAMES, STATIC_SIZE, STATIC_VALUES } from './hpack-table.ts'

// What is odd about a field. A name of lower-case letters, digits and `-` has none of these.
export const NAME_UNDERSCORE = 1
/** A token character of RFC 9110 that is rare in names, or one above ASCII. */
export const NAME_ODD = 2
/** Upper case, a control, space, or a colon that is not the first character (RFC 9113, 8.2.1); or no name at all. */
export const NAME_INVALID = 4
/** Controls in the value but HTAB (RFC 9110, 5.5), as in HTTP/1: NUL, CR and LF would end it there. */
export const VALUE_INVALID = 8
export const PSEUDO = 16

// What is wrong with a block that cannot be decoded; `faultValue` tells which index, or which size.
export const NO_FAULT = 0
/** A string is longer than `stringMax`. */
export const LONG_STRING = 1
export const BAD_INDEX = 2
export const BAD_SIZE_UPDATE = 3
export const LATE_SIZE_UPDATE = 4
/** Numbers that are beyond all sense. */
export const LONG_INDEX = 5
export const LONG_SIZE_UPDATE = 6
export const LONG_LENGTH = 7
/** The block ends within a number, or a string. */
export const CUT_NUMBER = 8
export const CUT_STRING = 9
export const BAD_HUFFMAN = 10

const NAME_FAULTS = new Uint8Array(256).fill(NAME_INVALID)
for (let c = 33; c < 256; c++) NAME_FAULTS[c] = c === 127 || c === 58 || (c >= 65 && c <= 90) ? NAME_INVALID : NAME_ODD
for (const c of '-0123456789abcdefghijklmnopqrstuvwxyz') NAME_FAULTS[c.charCodeAt(0)] = 0
NAME_FAULTS[95] = NAME_UNDERSCORE

const VALUE_FAULTS = new Uint8Array(256).fill(VALUE_INVALID, 0, 32)
VALUE_FAULTS[9] = 0
VALUE_FAULTS[127] = VALUE_INVALID

/** The fields of one block, in order; reused. */
export class FieldList {
  names: string[] = []
  values: string[] = []
  /** The names' numbers in codec/h1/names.ts, 0 for those it does not have. */
  ids: number[] = []
  /** What is odd about each, as bits. */
  faults: number[] = []
  count = 0
  /** By RFC 9113, 6.5.2; counts what did not fit, too. */
  size = 0
  /** Bytes of names and values alone, and how many of them may be kept. Beyond, fields are decoded and dropped, and `overflow`
   *  is set. */
  length = 0
  sizeMax = 65536
  overflow = false

  restart(): void {
    this.count = 0
    this.size = 0
    this.length = 0
    this.overflow = false
  }

  /** The first value of that name, null without one. */
  get(name: string): string | null {
    for (let i = 0; i < this.count; i++) if (this.names[i] === name) return this.values[i]!
    return null
  }

  /** Lets go of all strings. */
  release(): void {
    this.restart()
    this.names.length = 0
    this.values.length = 0
    this.ids.length = 0
    this.faults.length = 0
  }
}

/** Integers beyond this are nobody's length or index. */
const INTEGER_MAX = 1 << 24

let scratch = Buffer.allocUnsafe(16384)

export class HpackDecoder {
  readonly table: DynamicTable
  /** What we have told the other side (SETTINGS_HEADER_TABLE_SIZE); it may use less. */
  capacityMax: number
  /** Bytes that a name or a value may have as it is sent. Beyond, decode() fails. */
  stringMax = INTEGER_MAX
  /** Why decode() has failed. */
  fault = NO_FAULT
  faultValue = 0
  /** A field without a name has come. */
  nameless = false
  /** Bits of padding a Huffman-coded string may have. */
  private readonly paddingMax: number
  // The integer or string that was read last, and where the block goes on; -1: the block is broken.
  private value = 0
  private position = 0
  private text = ''
  private id = 0
  private faults = 0

  constructor(capacityMax: number, paddingMax = 7) {
    this.capacityMax = capacityMax
    this.paddingMax = paddingMax
    this.table = new DynamicTable(capacityMax)
  }

  /** Adds a block's fields to the list. False: it cannot be decoded, which ends the connection (COMPRESSION_ERROR). */
  decode(bytes: Buffer, start: number, end: number, into: FieldList): boolean {
    let at = start
    let updatable = true
    while (at < end) {
      const first = bytes[at]!
      if (first >= 0x80) {
        const index = first & 0x7f
        if (index < 0x7f) at++
        else if ((at = this.integer(bytes, at, end, 0x7f, LONG_INDEX)) < 0) return false
        if (!this.indexed(index < 0x7f ? index : this.value, into)) return false
      } else if (first >= 0x40 || first < 0x20) {
        if ((at = this.literal(bytes, at, end, first, into)) < 0) return false
      } else {
        // A change of the table's size comes before everything else (4.2).
        if (!updatable) return this.fail(LATE_SIZE_UPDATE) > 0
        if ((at = this.integer(bytes, at, end, 0x1f, LONG_SIZE_UPDATE)) < 0) return false
        if (this.value > this.capacityMax) return this.fail(BAD_SIZE_UPDATE, this.value) > 0
        this.table.resize(this.value)
        continue
      }
      updatable = false
    }
    return true
  }

  private indexed(index: number, into: FieldList): boolean {
    if (index <= STATIC_SIZE) {
      if (index === 0) return this.fail(BAD_INDEX, index) > 0
      push(into, STATIC_NAMES[index]!, STATIC_VALUES[index]!, STATIC_IDS[index]!, index < 15 ? PSEUDO : 0)
      return true
    }
    const { table } = this
    const n = index - STATIC_SIZE - 1
    if (n >= table.count) return this.fail(BAD_INDEX, index) > 0
    const i = table.at(n)
    push(into, table.names[i]!, table.values[i]!, table.ids[i]!, table.faults[i]!)
    return true
  }

  /** @returns where the block goes on, -1: broken */
  private literal(bytes: Buffer, start: number, end: number, first: number, into: FieldList): number {
    const indexing = first >= 0x40
    const mask = indexing ? 0x3f : 0x0f
    let index = first & mask
    let at = start + 1
    if (index === mask) {
      if ((at = this.integer(bytes, start, end, mask, LONG_INDEX)) < 0) return -1
      index = this.value
    }
    if (index === 0) {
      if ((at = this.string(bytes, at, end)) < 0) return -1
      this.takeName(bytes)
    } else if (!this.nameOf(index)) return -1
    const name = this.text
    const { id } = this
    if ((at = this.string(bytes, at, end)) < 0) return -1
    const value = this.takeValue(bytes)
    if (indexing) this.table.add(name, value, id, this.faults)
    push(into, name, value, id, this.faults)
    return at
  }

  private nameOf(index: number): boolean {
    if (index <= STATIC_SIZE) {
      this.text = STATIC_NAMES[index]!
      this.id = STATIC_IDS[index]!
      this.faults = index < 15 ? PSEUDO : 0
      return true
    }
    const { table } = this
    const n = index - STATIC_SIZE - 1
    if (n >= table.count) return this.fail(BAD_INDEX, index) > 0
    const i = table.at(n)
    this.text = table.names[i]!
    this.id = table.ids[i]!
    this.faults = table.faults[i]! & ~VALUE_INVALID
    return true
  }

  // Where the last string lies: in the block, or in `scratch` when it was Huffman-coded.
  private stringStart = 0
  private stringEnd = 0
  private decoded = false

  /** Finds a string (5.2). @returns where the block goes on, -1: broken */
  private string(bytes: Buffer, start: number, end: number): number {
    if (start >= end) return this.fail(CUT_NUMBER)
    const first = bytes[start]!
    let length = first & 0x7f
    let at = start + 1
    if (length === 0x7f) {
      if ((at = this.integer(bytes, start, end, 0x7f, LONG_LENGTH)) < 0) return -1
      length = this.value
    }
    const stop = at + length
    if (stop > end) return this.fail(CUT_STRING)
    if (length > this.stringMax) return this.fail(LONG_STRING, length)
    if (first < 0x80) {
      this.decoded = false
      this.stringStart = at
      this.stringEnd = stop
      return stop
    }
    if (scratch.length < length * 1.6 + 1) scratch = Buffer.allocUnsafe(length * 2)
    this.decoded = true
    this.stringStart = 0
    this.stringEnd = huffmanDecode(bytes, at, stop, scratch, this.paddingMax)
    return this.stringEnd < 0 ? this.fail(BAD_HUFFMAN) : stop
  }

  private takeName(block: Buffer): void {
    const bytes = this.decoded ? scratch : block
    const { stringStart: start, stringEnd: end } = this
    let faults = 0
    if (start === end) {
      faults = NAME_INVALID
      this.nameless = true
    }
    const pseudo = start < end && bytes[start] === 58
    for (let i = pseudo ? start + 1 : start; i < end; i++) faults |= NAME_FAULTS[bytes[i]!]!
    this.faults = pseudo ? faults | PSEUDO : faults
    this.id = faults !== 0 || pseudo || start === end ? 0 : knownName(bytes, start, end)
    this.text = this.id === 0 ? latin1(bytes, start, end) : NAMES[this.id]!
  }

  private takeValue(block: Buffer): string {
    const bytes = this.decoded ? scratch : block
    const { stringStart: start, stringEnd: end } = this
    let faults = 0
    for (let i = start; i < end; i++) faults |= VALUE_FAULTS[bytes[i]!]!
    this.faults |= faults
    return latin1(bytes, start, end)
  }

  private fail(fault: number, value = 0): -1 {
    this.fault = fault
    this.faultValue = value
    return -1
  }

  /** Reads a number (5.1) into `value`. @returns where the block goes on, -1: it ends within, or is absurd (`long`) */
  private integer(bytes: Buffer, start: number, end: number, mask: number, long: number): number {
    let value = bytes[start]! & mask
    let at = start + 1
    if (value === mask) {
      for (let shift = 0; ; shift += 7) {
        if (shift > 21) return this.fail(long)
        if (at >= end) return this.fail(CUT_NUMBER)
        const byte = bytes[at++]!
        value += (byte & 0x7f) << shift
        if (byte < 0x80) break
      }
      if (value > INTEGER_MAX) return this.fail(long)
    }
    this.value = value
    return at
  }
}

function push(into: FieldList, name: string, value: string, id: number, faults: number): void {
  const length = name.length + value.length
  into.size += length + ENTRY_OVERHEAD
  into.length += length
  if (into.length > into.sizeMax) {
    into.overflow = true
    return
  }
  const i = into.count++
  into.names[i] = name
  into.values[i] = value
  into.ids[i] = id
  into.faults[i] = faults
}
