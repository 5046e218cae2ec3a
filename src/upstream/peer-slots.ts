// The memory behind a group's `zone`: a table of slots, each a server with its numbers (peer.ts) and its names, that all
// threads see. What changes the table holds the lock and raises the version; the numbers are anybody's at any time.
//
//   header │ slot: 56 numbers, use, id, order, flags, parent, … │ name, server, route, service │ slot …

import { lock, unlock } from '../zone/shared-lock.ts'
import { readWide, setWide } from '../zone/wide-counter.ts'
import { CHECKING, NUMBERS, OFF } from './peer.ts'

// The header's words.
const LOCK = 0
const READY = 1
const VERSION = 2
const SIGNATURE = 3
const NEXT_ID = 4
const OWNER = 5
const MANDATORY = 6
const SAVE_LOCK = 7
const HEADER = 64

// A slot's words behind the numbers.
const USE = NUMBERS
const ID = NUMBERS + 1
/** Its place in the group; of what was removed, when. */
const ORDER = NUMBERS + 2
const FLAGS = NUMBERS + 3
const PARENT = NUMBERS + 4
const PORT = NUMBERS + 5
/** Two words. */
const VALID = NUMBERS + 6
const LENGTHS = NUMBERS + 8
const SLOT = 256
/** Bytes. */
const TEXTS = (LENGTHS + 4) * 4

// A slot's use; 0: it is free.
const USED = 1
/** It was removed, but some request may still be there. */
const REMOVED = 2

/** A removed slot is not used again within, since a thread may be just about to choose it. */
const REST_SECONDS = 2

// Flags.
export const BACKUP = 1
/** A name that is asked for again and again: its addresses have slots of their own. */
export const TEMPLATE = 2
/** An address of such a name. */
export const CHILD = 4

/** A server's name, with its port, and a service's have so many characters at most. */
export const TEXT_MAX = 272

// Texts, each with its place and its room.
export const NAME = 0
export const SERVER = 1
export const ROUTE = 2
export const SERVICE = 3
const TEXT_AT = [0, 128, 400, 432]
const TEXT_ROOM = [128, TEXT_MAX, 32, TEXT_MAX]

/** Of a zone that large. nginx's slots are smaller; ours take twice the memory, so that a zone holds as many. */
export function zoneBytes(size: number): number {
  return Math.max(16 * SLOT * 4, size * 2)
}

export class PeerSlots {
  readonly words: Int32Array<SharedArrayBuffer>
  readonly capacity: number
  private readonly bytes: Buffer

  constructor(memory: SharedArrayBuffer) {
    this.words = new Int32Array(memory)
    this.bytes = Buffer.from(memory)
    this.capacity = Math.floor((this.words.length - HEADER) / SLOT)
  }

  lock(): void {
    const whole = lock(this.words, LOCK)
    if (whole && this.words[READY] === 1) return
    if (this.words[READY] === 0) {
      this.words[NEXT_ID] = 0
      this.words[READY] = 1
    }
  }
  unlock(): void {
    unlock(this.words, LOCK)
  }

  /** Threads that write a state file do it one after the other. */
  saving<T>(run: () => T): T {
    lock(this.words, SAVE_LOCK)
    const result = run()
    unlock(this.words, SAVE_LOCK)
    return result
  }

  get version(): number {
    return Atomics.load(this.words, VERSION)
  }
  /** What was changed under the lock shall be seen. */
  changed(): void {
    Atomics.add(this.words, VERSION, 1)
  }
  /** Of the configuration the slots were made from. */
  get signature(): number {
    return this.words[SIGNATURE]!
  }
  set signature(value: number) {
    this.words[SIGNATURE] = value
  }
  /** Which thread sees to names and health; another one may take over. */
  get owner(): number {
    return Atomics.load(this.words, OWNER)
  }
  set owner(token: number) {
    Atomics.store(this.words, OWNER, token)
  }
  /** Is a new server to wait for its health check? */
  set mandatory(value: boolean) {
    Atomics.store(this.words, MANDATORY, value ? 1 : 0)
  }

  // ── slots, by their first word ───────────────────────────────────────────────────────────────────────────────────

  /** Slots in use, in order. */
  used(): number[] {
    const slots: number[] = []
    for (let i = 0; i < this.capacity; i++) {
      const at = HEADER + i * SLOT
      if (this.words[at + USE] === USED) slots.push(at)
    }
    const { words } = this
    return slots.sort((a, b) => words[a + ORDER]! - words[b + ORDER]! || words[a + ID]! - words[b + ID]!)
  }

  /** Slots that were removed while requests were there. */
  zombies(): number {
    let count = 0
    for (let i = 0; i < this.capacity; i++) {
      const at = HEADER + i * SLOT
      if (this.words[at + USE] === REMOVED && Atomics.load(this.words, at) > 0) count++
    }
    return count
  }

  byId(id: number): number {
    return this.used().find(at => this.id(at) === id) ?? -1
  }

  /** A new slot, its numbers 0; -1: there is no room. */
  add(): number {
    const { words } = this
    const now = seconds()
    for (let i = 0; i < this.capacity; i++) {
      const at = HEADER + i * SLOT
      const rests =
        words[at + USE] === REMOVED && (Atomics.load(words, at) > 0 || now - words[at + ORDER]! < REST_SECONDS)
      if (words[at + USE] === USED || rests) continue
      words.fill(0, at, at + SLOT)
      words[at + USE] = USED
      words[at + ID] = words[NEXT_ID]!++
      if (words[MANDATORY] === 1) words[at + OFF] = CHECKING
      return at
    }
    return -1
  }

  remove(at: number): void {
    this.words[at + ORDER] = seconds()
    this.words[at + USE] = REMOVED
  }

  numbers(at: number): Int32Array<SharedArrayBuffer> {
    return this.words.subarray(at, at + NUMBERS)
  }
  id(at: number): number {
    return this.words[at + ID]!
  }
  order(at: number): number {
    return this.words[at + ORDER]!
  }
  setOrder(at: number, order: number): void {
    this.words[at + ORDER] = order
  }
  has(at: number, flag: number): boolean {
    return (this.words[at + FLAGS]! & flag) !== 0
  }
  setFlags(at: number, flags: number): void {
    this.words[at + FLAGS] = flags
  }
  parent(at: number): number {
    return this.words[at + PARENT]!
  }
  setParent(at: number, id: number): void {
    this.words[at + PARENT] = id
  }
  port(at: number): number {
    return this.words[at + PORT]!
  }
  setPort(at: number, port: number): void {
    this.words[at + PORT] = port
  }
  /** Date.now() until which a template's addresses are true. */
  valid(at: number): number {
    return readWide(this.words, at + VALID)
  }
  setValid(at: number, ms: number): void {
    setWide(this.words, at + VALID, ms)
  }

  text(at: number, which: number): string {
    const start = at * 4 + TEXTS + TEXT_AT[which]!
    return this.bytes.toString('latin1', start, start + this.words[at + LENGTHS + which]!)
  }
  setText(at: number, which: number, text: string): void {
    const start = at * 4 + TEXTS + TEXT_AT[which]!
    this.words[at + LENGTHS + which] = this.bytes.write(text, start, TEXT_ROOM[which]!, 'latin1')
  }
}

function seconds(): number {
  return Math.floor(performance.timeOrigin / 1000 + performance.now() / 1000) | 0
}
