// The sets of bytes that escapes and POSIX classes stand for: PCRE's built-in tables, which know ASCII only.

import type { ByteSet } from './nodes.ts'

export function setOf(...ranges: readonly (readonly [from: number, to: number])[]): ByteSet {
  const set = new Uint8Array(256)
  for (const [from, to] of ranges) set.fill(1, from, to + 1)
  return set
}

export function only(byte: number): ByteSet {
  return setOf([byte, byte])
}

export function inverse(set: ByteSet): ByteSet {
  return set.map(member => 1 - member)
}

export function add(to: ByteSet, set: ByteSet): void {
  for (let byte = 0; byte < 256; byte++) to[byte]! |= set[byte]!
}

/** With both cases of every ASCII letter in it. */
export function bothCases(set: ByteSet): ByteSet {
  const both = set.slice()
  for (let byte = 0x41; byte <= 0x5a; byte++) both[byte] = both[byte + 0x20] = set[byte]! | set[byte + 0x20]!
  return both
}

const digit = setOf([0x30, 0x39])
const space = setOf([0x09, 0x0d], [0x20, 0x20])
const word = setOf([0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [0x61, 0x7a])
const horizontal = setOf([0x09, 0x09], [0x20, 0x20], [0xa0, 0xa0])
const vertical = setOf([0x0a, 0x0d], [0x85, 0x85])

export const wordBytes: ByteSet = word
export const anyByte: ByteSet = setOf([0, 255])
export const notNewline: ByteSet = inverse(only(0x0a))

/** Escapes that stand for a set, within a class and outside. */
export const escapeSets: Readonly<Record<string, ByteSet>> = {
  d: digit,
  D: inverse(digit),
  s: space,
  S: inverse(space),
  w: word,
  W: inverse(word),
  h: horizontal,
  H: inverse(horizontal),
  v: vertical,
  V: inverse(vertical),
}

/** Classes that `[:alpha:]` and its like name. */
export const posixSets: Readonly<Record<string, ByteSet>> = {
  alpha: setOf([0x41, 0x5a], [0x61, 0x7a]),
  lower: setOf([0x61, 0x7a]),
  upper: setOf([0x41, 0x5a]),
  alnum: setOf([0x30, 0x39], [0x41, 0x5a], [0x61, 0x7a]),
  ascii: setOf([0, 127]),
  blank: setOf([0x09, 0x09], [0x20, 0x20]),
  cntrl: setOf([0, 31], [127, 127]),
  digit,
  graph: setOf([33, 126]),
  print: setOf([32, 126]),
  punct: setOf([33, 47], [58, 64], [91, 96], [123, 126]),
  space,
  word,
  xdigit: setOf([0x30, 0x39], [0x41, 0x46], [0x61, 0x66]),
}

/** `\p{…}` by the code points 0 to 255; null when there is no such property. */
export function propertySet(name: string): ByteSet | null {
  const negated = name.startsWith('^')
  const plain = (negated ? name.slice(1) : name).replaceAll(/[\s_-]/g, '')
  if (plain === 'Any') return negated ? inverse(anyByte) : anyByte
  const names = plain === 'L&' || plain === 'Lc' ? ['LC'] : [plain, `Script=${plain}`]
  for (const candidate of names) {
    let property: RegExp
    try {
      property = new RegExp(`\\p{${candidate}}`, 'u')
    } catch {
      // Not a name of that kind.
      continue
    }
    const set = anyByte.map((_, byte) => (property.test(String.fromCharCode(byte)) ? 1 : 0))
    return negated ? inverse(set) : set
  }
  return null
}
