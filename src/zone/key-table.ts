// A hash table in shared memory: keys → a few numbers, in entries of fixed size, the least recently used at hand. All of a
// zone's memory is laid out at once; when it is full, it is for the caller to say who goes.
//
//   header │ buckets: first entry of each chain │ entries: chain, order of use, key, numbers
//
// Keys are what clients say, or where they come from: an IPv6 client has 2^64 addresses. Whoever knew which of them share a
// chain could make it as long as the table, and all threads wait for whoever walks along it. So the hash has a secret, the
// table's own.
//
// Every method but lock() is for the thread that holds the lock.

import { hash as digest, randomInt } from 'node:crypto'
import { lock, unlock } from './shared-lock.ts'

// The header's words.
const LOCK = 0
const STATE = 1
const FREE = 2
const NEWEST = 3
const OLDEST = 4
const COUNT = 5
/** Two words. */
const SECRET = 6
const HEADER = 16

const READY = 1
const WORD_VALUES = 0x1_0000_0000

// An entry's words, with indexes of entries from 1 on; 0 is none.
const CHAIN = 0
const OLDER = 1
const NEWER = 2
const LENGTH = 3
const KEY = 4
const KEY_WORDS = 8
/** The first of the caller's numbers. */
const VALUES = KEY + KEY_WORDS
const VALUE_COUNT = 4

const KEY_BYTES = KEY_WORDS * 4
/** Marks a key that is too long to be kept: its SHA-256 is kept instead. */
const DIGEST = -1

// The key being looked for, in an entry's form.
const keyWords = new Int32Array(KEY_WORDS)
const keyBytes = Buffer.from(keyWords.buffer)
let keyLength = 0
let keyHash = 0

export class KeyTable {
  private readonly words: Int32Array<SharedArrayBuffer>
  private readonly buckets: number
  private readonly entries: number
  /** Words of an entry. */
  private readonly entrySize: number
  readonly capacity: number

  /** @param valueCount how many numbers an entry has */
  constructor(memory: SharedArrayBuffer, valueCount = VALUE_COUNT) {
    this.words = new Int32Array(memory)
    this.entrySize = VALUES + valueCount
    const room = this.words.length - HEADER
    this.capacity = Math.floor(room / (this.entrySize + 1))
    this.buckets = this.capacity
    this.entries = HEADER + this.buckets
  }

  /** Entries in use. */
  get size(): number {
    return this.words[COUNT]!
  }

  lock(): void {
    const whole = lock(this.words, LOCK)
    if (!whole || this.words[STATE] !== READY) this.clear()
  }

  unlock(): void {
    unlock(this.words, LOCK)
  }

  private clear(): void {
    const { words, capacity } = this
    words.fill(0, STATE)
    words[SECRET] = randomInt(WORD_VALUES)
    words[SECRET + 1] = randomInt(WORD_VALUES)
    for (let entry = 1; entry <= capacity; entry++) words[this.at(entry) + CHAIN] = entry === capacity ? 0 : entry + 1
    words[FREE] = capacity > 0 ? 1 : 0
    words[STATE] = READY
  }

  private at(entry: number): number {
    return this.entries + (entry - 1) * this.entrySize
  }

  /** Where the caller's numbers of an entry begin, in `values`. */
  get values(): Int32Array<SharedArrayBuffer> {
    return this.words
  }

  valuesAt(entry: number): number {
    return this.at(entry) + VALUES
  }

  /** The first bytes of an entry's key, as latin1. */
  keyAt(entry: number, length: number): string {
    const key = Buffer.alloc(length)
    Buffer.from(new Int32Array(this.words.subarray(this.at(entry) + KEY, this.at(entry) + VALUES)).buffer).copy(key)
    return key.toString('latin1')
  }

  /** The entry of a latin1 key, 0 if there is none. */
  find(key: string): number {
    const { words } = this
    readKey(key)
    keyHash = this.hashOf(keyWords, 0, keyLength)
    let entry = words[this.bucket()]!
    while (entry !== 0 && !this.isKey(entry)) entry = words[this.at(entry) + CHAIN]!
    return entry
  }

  private bucket(): number {
    return HEADER + ((keyHash >>> 0) % this.buckets)
  }

  private isKey(entry: number): boolean {
    const { words } = this
    const at = this.at(entry)
    if (words[at + LENGTH] !== keyLength) return false
    for (let i = 0; i < KEY_WORDS; i++) if (words[at + KEY + i] !== keyWords[i]) return false
    return true
  }

  /** A new entry, its numbers 0, for the key that find() has just not found; 0: there is no room. It is the newest. */
  add(): number {
    const { words } = this
    const entry = words[FREE]!
    if (entry === 0) return 0
    const at = this.at(entry)
    const bucket = this.bucket()
    words[FREE] = words[at + CHAIN]!
    words[at + CHAIN] = words[bucket]!
    words[bucket] = entry
    words[at + LENGTH] = keyLength
    words.set(keyWords, at + KEY)
    words.fill(0, at + VALUES, at + this.entrySize)
    this.link(entry)
    words[COUNT]!++
    return entry
  }

  /** Makes it the newest. */
  touch(entry: number): void {
    if (this.words[NEWEST] === entry) return
    this.unlink(entry)
    this.link(entry)
  }

  /** The least recently used, 0 if there is none. */
  oldest(): number {
    return this.words[OLDEST]!
  }

  remove(entry: number): void {
    const { words } = this
    const at = this.at(entry)
    let link = HEADER + ((this.hashOf(words, at + KEY, words[at + LENGTH]!) >>> 0) % this.buckets)
    while (words[link] !== entry) link = this.at(words[link]!) + CHAIN
    words[link] = words[at + CHAIN]!
    this.unlink(entry)
    words[at + CHAIN] = words[FREE]!
    words[FREE] = entry
    words[COUNT]!--
  }

  /** HalfSipHash-1-3 by words: a last word for the length, three rounds at the end. */
  private hashOf(from: Int32Array, at: number, length: number): number {
    const key0 = this.words[SECRET]!
    const key1 = this.words[SECRET + 1]!
    const count = length === DIGEST ? KEY_WORDS : (length + 3) >> 2
    let [v0, v1, v2, v3] = [key0, key1, key0 ^ 0x6c796765, key1 ^ 0x74656462]
    for (let i = 0; i < count + 4; i++) {
      const word = i < count ? from[at + i]! : i === count ? length : 0
      v3 ^= word
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
      v0 ^= word
      if (i === count) v2 ^= 0xff
    }
    return v1 ^ v3
  }

  private link(entry: number): void {
    const { words } = this
    const at = this.at(entry)
    const newest = words[NEWEST]!
    words[at + OLDER] = newest
    words[at + NEWER] = 0
    words[NEWEST] = entry
    if (newest === 0) words[OLDEST] = entry
    else words[this.at(newest) + NEWER] = entry
  }

  private unlink(entry: number): void {
    const { words } = this
    const at = this.at(entry)
    const older = words[at + OLDER]!
    const newer = words[at + NEWER]!
    if (newer === 0) words[NEWEST] = older
    else words[this.at(newer) + OLDER] = older
    if (older === 0) words[OLDEST] = newer
    else words[this.at(older) + NEWER] = newer
  }
}

function readKey(key: string): void {
  keyWords.fill(0)
  keyLength = key.length
  if (key.length <= KEY_BYTES) keyBytes.write(key, 0, 'latin1')
  else {
    keyLength = DIGEST
    digest('sha256', Buffer.from(key, 'latin1'), 'buffer').copy(keyBytes)
  }
}
