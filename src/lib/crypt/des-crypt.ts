// The oldest crypt(3): a block of zeros through DES 25 times, with the password as key and two characters of salt that
// swap bits of the expansion (FIPS 46-3's tables; bits are numbered from 1, as there). Slow by today's measure, and so is
// whoever still uses it: eight characters of a password are all it sees.

import { digits, digitValue } from './digits.ts'

const numbers = (text: string): number[] => text.trim().split(/\s+/).map(Number)

const INITIAL = numbers(`58 50 42 34 26 18 10 2 60 52 44 36 28 20 12 4 62 54 46 38 30 22 14 6 64 56 48 40 32 24 16 8
  57 49 41 33 25 17 9 1 59 51 43 35 27 19 11 3 61 53 45 37 29 21 13 5 63 55 47 39 31 23 15 7`)
const FINAL = INITIAL.map((_, i) => INITIAL.indexOf(i + 1) + 1)
const EXPANSION =
  numbers(`32 1 2 3 4 5 4 5 6 7 8 9 8 9 10 11 12 13 12 13 14 15 16 17 16 17 18 19 20 21 20 21 22 23 24 25
  24 25 26 27 28 29 28 29 30 31 32 1`)
const PERMUTATION = numbers(`16 7 20 21 29 12 28 17 1 15 23 26 5 18 31 10 2 8 24 14 32 27 3 9 19 13 30 6 22 11 4 25`)
const KEY_CHOICE_1 = numbers(`57 49 41 33 25 17 9 1 58 50 42 34 26 18 10 2 59 51 43 35 27 19 11 3 60 52 44 36
  63 55 47 39 31 23 15 7 62 54 46 38 30 22 14 6 61 53 45 37 29 21 13 5 28 20 12 4`)
const KEY_CHOICE_2 = numbers(`14 17 11 24 1 5 3 28 15 6 21 10 23 19 12 4 26 8 16 7 27 20 13 2
  41 52 31 37 47 55 30 40 51 45 33 48 44 49 39 56 34 53 46 42 50 36 29 32`)
const SHIFTS = [1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1]
/** S1 to S8, each four rows of sixteen. */
const SUBSTITUTIONS = [
  `14 4 13 1 2 15 11 8 3 10 6 12 5 9 0 7 0 15 7 4 14 2 13 1 10 6 12 11 9 5 3 8
   4 1 14 8 13 6 2 11 15 12 9 7 3 10 5 0 15 12 8 2 4 9 1 7 5 11 3 14 10 0 6 13`,
  `15 1 8 14 6 11 3 4 9 7 2 13 12 0 5 10 3 13 4 7 15 2 8 14 12 0 1 10 6 9 11 5
   0 14 7 11 10 4 13 1 5 8 12 6 9 3 2 15 13 8 10 1 3 15 4 2 11 6 7 12 0 5 14 9`,
  `10 0 9 14 6 3 15 5 1 13 12 7 11 4 2 8 13 7 0 9 3 4 6 10 2 8 5 14 12 11 15 1
   13 6 4 9 8 15 3 0 11 1 2 12 5 10 14 7 1 10 13 0 6 9 8 7 4 15 14 3 11 5 2 12`,
  `7 13 14 3 0 6 9 10 1 2 8 5 11 12 4 15 13 8 11 5 6 15 0 3 4 7 2 12 1 10 14 9
   10 6 9 0 12 11 7 13 15 1 3 14 5 2 8 4 3 15 0 6 10 1 13 8 9 4 5 11 12 7 2 14`,
  `2 12 4 1 7 10 11 6 8 5 3 15 13 0 14 9 14 11 2 12 4 7 13 1 5 0 15 10 3 9 8 6
   4 2 1 11 10 13 7 8 15 9 12 5 6 3 0 14 11 8 12 7 1 14 2 13 6 15 0 9 10 4 5 3`,
  `12 1 10 15 9 2 6 8 0 13 3 4 14 7 5 11 10 15 4 2 7 12 9 5 6 1 13 14 0 11 3 8
   9 14 15 5 2 8 12 3 7 0 4 10 1 13 11 6 4 3 2 12 9 5 15 10 11 14 1 7 6 0 8 13`,
  `4 11 2 14 15 0 8 13 3 12 9 7 5 10 6 1 13 0 11 7 4 9 1 10 14 3 5 12 2 15 8 6
   1 4 11 13 12 3 7 14 10 15 6 8 0 5 9 2 6 11 13 8 1 4 10 7 9 5 0 15 14 2 3 12`,
  `13 2 8 4 6 15 11 1 10 9 3 14 5 0 12 7 1 15 13 8 10 3 7 4 12 5 6 11 0 14 9 2
   7 11 4 1 9 12 14 2 0 6 10 13 15 3 5 8 2 1 14 7 4 10 8 13 15 12 9 0 3 5 6 11`,
].map(numbers)

/** @param setting two characters of salt, with anything behind; null if they are no salt */
export function desCrypt(password: Buffer, setting: string): string | null {
  const low = digitValue(setting[0] ?? '')
  const high = digitValue(setting[1] ?? '')
  if (low < 0 || high < 0) return null
  const expansion = salted(low | (high << 6))
  const keys = schedule(keyBits(password))
  let block = new Uint8Array(64)
  for (let i = 0; i < 25; i++) block = encrypt(block, keys, expansion)
  let text = setting.slice(0, 2)
  for (let i = 0; i < 66; i += 6) text += digits(reversed(block, i), 1)
  return text
}

/** Six bits, the first the highest; beyond the block they are 0. */
function reversed(block: Uint8Array, at: number): number {
  let value = 0
  for (let i = 0; i < 6; i++) value = (value << 1) | (block[at + i] ?? 0)
  return value
}

/** A bit of the salt swaps two bits of the expansion, 24 apart. */
function salted(salt: number): number[] {
  const expansion = [...EXPANSION]
  for (let i = 0; i < 12; i++) {
    if (((salt >> i) & 1) === 0) continue
    expansion[i] = EXPANSION[i + 24]!
    expansion[i + 24] = EXPANSION[i]!
  }
  return expansion
}

/** Seven bits of each of the first eight characters; the parity bits stay 0. */
function keyBits(password: Buffer): Uint8Array {
  const bits = new Uint8Array(64)
  const end = password.indexOf(0)
  const length = Math.min(8, end === -1 ? password.length : end)
  for (let i = 0; i < length * 8; i++) if (i % 8 !== 7) bits[i] = (password[i >> 3]! >> (6 - (i % 8))) & 1
  return bits
}

function schedule(key: Uint8Array): Uint8Array[] {
  let chosen = KEY_CHOICE_1.map(bit => key[bit - 1]!)
  return SHIFTS.map(shift => {
    chosen = [...turned(chosen.slice(0, 28), shift), ...turned(chosen.slice(28), shift)]
    return Uint8Array.from(KEY_CHOICE_2, bit => chosen[bit - 1]!)
  })
}

function turned(half: readonly number[], by: number): number[] {
  return [...half.slice(by), ...half.slice(0, by)]
}

function encrypt(
  block: Uint8Array,
  keys: readonly Uint8Array[],
  expansion: readonly number[],
): Uint8Array<ArrayBuffer> {
  const start = INITIAL.map(bit => block[bit - 1]!)
  let left = start.slice(0, 32)
  let right = start.slice(32)
  for (const key of keys) {
    const mixed = scramble(right, key, expansion)
    const next = left.map((bit, i) => bit ^ mixed[i]!)
    left = right
    right = next
  }
  const end = [...right, ...left]
  return Uint8Array.from(FINAL, bit => end[bit - 1]!)
}

function scramble(half: readonly number[], key: Uint8Array, expansion: readonly number[]): number[] {
  const out: number[] = []
  for (let box = 0; box < 8; box++) {
    const b = Array.from({ length: 6 }, (_, i) => half[expansion[box * 6 + i]! - 1]! ^ key[box * 6 + i]!)
    const row = b[0]! * 2 + b[5]!
    const column = b[1]! * 8 + b[2]! * 4 + b[3]! * 2 + b[4]!
    const value = SUBSTITUTIONS[box]![row * 16 + column]!
    out.push(value >> 3, (value >> 2) & 1, (value >> 1) & 1, value & 1)
  }
  return PERMUTATION.map(bit => out[bit - 1]!)
}
