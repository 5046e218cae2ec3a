// Values for ranges and networks of addresses, as geo needs them: filled line by line with a million entries, then frozen
// into sorted arrays that one binary search looks through.
//
// Networks nest. Sorted by first address, wider ones first, each knows the one around it; the last that begins at or
// before an address is the innermost candidate, and those around it follow:
//
//   10.0.0.0/8 ─┬─ 10.1.0.0/16 ── 10.1.2.0/24        look up 10.1.9.9: 10.1.2.0/24 no → its parent 10.1.0.0/16 yes
//               └─ 10.9.0.0/16

import type { Network } from './networks.ts'
import { NumberMap } from './number-map.ts'
import { lastAtOrBefore } from './sorted.ts'

/** Networks of one family (numbers or 16-byte strings); the longest prefix that contains an address wins. */
export class NetworkTable<A extends number | string> {
  // By base and prefix in one key, which sorts by base and then by prefix.
  private readonly numbers = new NumberMap()
  private readonly texts = new Map<string, number>()
  private firsts: A[] | Float64Array = []
  private lasts: A[] | Float64Array = []
  private values = new Int32Array(0)
  private parents = new Int32Array(0)

  /** @returns the value it had before, -1 for none */
  add(network: Network, value: number): number {
    const key = keyOf(network)
    if (typeof key === 'number') {
      const before = this.numbers.get(key)
      this.numbers.set(key, value)
      return before
    }
    const before = this.texts.get(key) ?? -1
    this.texts.set(key, value)
    return before
  }

  delete(network: Network): boolean {
    const key = keyOf(network)
    return typeof key === 'number' ? this.numbers.delete(key) : this.texts.delete(key)
  }

  /** Sorts; afterwards only find() may be called. `last` gives a network's last address. */
  freeze(last: (base: A, prefix: number) => A): void {
    const { numbers, texts } = this
    const areNumbers = numbers.size > 0
    const keys = areNumbers ? numbers.keys() : [...texts.keys()].sort((a, b) => (a < b ? -1 : 1))
    this.firsts = areNumbers ? new Float64Array(keys.length) : []
    this.lasts = areNumbers ? new Float64Array(keys.length) : []
    this.values = new Int32Array(keys.length)
    this.parents = new Int32Array(keys.length)
    for (let at = 0; at < keys.length; at++) {
      const key = keys[at]!
      const prefix = prefixOf(key)
      const base = (typeof key === 'number' ? (key - prefix) / PREFIXES : key.slice(0, -1)) as A
      const value = typeof key === 'number' ? numbers.get(key) : texts.get(key)!
      this.place(at, base, last(base, prefix), value)
    }
    numbers.clear()
    texts.clear()
  }

  private place(at: number, first: A, last: A, value: number): void {
    ;(this.firsts as A[])[at] = first
    ;(this.lasts as A[])[at] = last
    this.values[at] = value
    let parent = at - 1
    while (parent >= 0 && (this.lasts as A[])[parent]! < last) parent = this.parents[parent]!
    this.parents[at] = parent
  }

  /** The value for an address, -1 for none. */
  find(address: A): number {
    const lasts = this.lasts as A[]
    let at = lastAtOrBefore(this.firsts as A[], address)
    while (at >= 0 && lasts[at]! < address) at = this.parents[at]!
    return at < 0 ? -1 : this.values[at]!
  }
}

/** More than there are prefixes of IPv4. */
const PREFIXES = 64

function keyOf({ base, prefix }: Network): number | string {
  return typeof base === 'number' ? base * PREFIXES + prefix : base + String.fromCharCode(prefix)
}

function prefixOf(key: number | string): number {
  return typeof key === 'number' ? key % PREFIXES : key.charCodeAt(key.length - 1)
}

/** A range may lie within another, which it then divides; it may not stick out of one. */
export interface Overlap {
  readonly first: number
  readonly last: number
}

interface Bucket {
  readonly firsts: number[]
  readonly lasts: number[]
  readonly values: number[]
}

/** Ranges of IPv4 addresses, later ones over earlier ones. As in nginx they are kept for each /16 apart. */
export class RangeTable {
  private readonly buckets = new Map<number, Bucket>()
  private firsts = new Uint32Array(0)
  private lasts = new Uint32Array(0)
  private values = new Int32Array(0)

  /** @returns null, the older value of the very same range, or the older range that the new one overlaps */
  add(first: number, last: number, value: number): null | number | Overlap {
    let replaced: null | number = null
    for (let from = first; from <= last; from = nextBucket(from)) {
      const to = Math.min(last, nextBucket(from) - 1)
      const outcome = insert(this.bucket(from), from, to, value)
      if (typeof outcome === 'object' && outcome !== null) return outcome
      replaced ??= outcome
    }
    return replaced
  }

  private bucket(address: number): Bucket {
    const key = Math.floor(address / 65536)
    let bucket = this.buckets.get(key)
    if (bucket === undefined) {
      bucket = { firsts: [], lasts: [], values: [] }
      this.buckets.set(key, bucket)
    }
    return bucket
  }

  /** Takes away exactly that range. @returns false if some of it was not there as such */
  delete(first: number, last: number): boolean {
    let whole = true
    for (let from = first; from <= last; from = nextBucket(from)) {
      const to = Math.min(last, nextBucket(from) - 1)
      const bucket = this.buckets.get(Math.floor(from / 65536))
      const at = bucket === undefined ? -1 : bucket.firsts.findIndex((f, i) => f === from && bucket.lasts[i] === to)
      if (at < 0) whole = false
      else replace(bucket!, at, 1, [])
    }
    return whole
  }

  freeze(): void {
    const keys = [...this.buckets.keys()].sort((a, b) => a - b)
    let count = 0
    for (const { firsts } of this.buckets.values()) count += firsts.length
    this.firsts = new Uint32Array(count)
    this.lasts = new Uint32Array(count)
    this.values = new Int32Array(count)
    let at = 0
    for (const key of keys) {
      const { firsts, lasts, values } = this.buckets.get(key)!
      this.firsts.set(firsts, at)
      this.lasts.set(lasts, at)
      this.values.set(values, at)
      at += firsts.length
    }
    this.buckets.clear()
  }

  /** -1 for none. */
  find(address: number): number {
    const at = lastAtOrBefore(this.firsts, address)
    return at >= 0 && this.lasts[at]! >= address ? this.values[at]! : -1
  }
}

function nextBucket(address: number): number {
  return (Math.floor(address / 65536) + 1) * 65536
}

function insert(bucket: Bucket, first: number, last: number, value: number): null | number | Overlap {
  const { firsts, lasts, values } = bucket
  // A growing sequence, as databases are written, is looked at only at its end.
  let at = firsts.length
  while (at > 0 && firsts[at - 1]! > last) at--
  if (at === 0 || lasts[at - 1]! < first) {
    replace(bucket, at, 0, [[first, last, value]])
    return null
  }
  const found = at - 1
  const [f, l, v] = [firsts[found]!, lasts[found]!, values[found]!]
  if (first < f || last > l) return { first: f, last: l }
  if (first === f && last === l) {
    values[found] = value
    return v
  }
  const pieces: Piece[] = [[first, last, value]]
  if (first > f) pieces.unshift([f, first - 1, v])
  if (last < l) pieces.push([last + 1, l, v])
  replace(bucket, found, 1, pieces)
  return null
}

type Piece = readonly [first: number, last: number, value: number]

function replace({ firsts, lasts, values }: Bucket, at: number, count: number, pieces: readonly Piece[]): void {
  if (count === 0 && at === firsts.length && pieces.length === 1) {
    firsts.push(pieces[0]![0])
    lasts.push(pieces[0]![1])
    values.push(pieces[0]![2])
    return
  }
  firsts.splice(at, count, ...pieces.map(piece => piece[0]))
  lasts.splice(at, count, ...pieces.map(piece => piece[1]))
  values.splice(at, count, ...pieces.map(piece => piece[2]))
}
