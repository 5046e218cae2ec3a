// A cache: a folder of files, and what all threads know of them in shared memory: how often each key was asked for, whether
// there is a file, whether somebody is fetching it just now. The files are the truth; the memory may be lost
// (ngx_http_file_cache.c).

import { mkdirSync, unlinkSync } from 'node:fs'
import { KeyTable } from '../../zone/key-table.ts'
import type { CachePath } from './path.ts'
import type { CacheLookup } from './lookup.ts'
import { RecentEntries } from './recent.ts'
import { hexOf } from './variant.ts'

// An entry's numbers.
const USES = 0
const FLAGS = 1
/** A status that is remembered in place of a response. */
const ERROR = 2
/** Up to when, in seconds since 1970. */
const VALID = 3
/** When it has been unused too long, in seconds. */
const EXPIRES = 4
/** When it was claimed, in ms, as far as 32 bits go. */
const CLAIMED = 5
/** The file's size in blocks. */
const BLOCKS = 6
/** Another one with each change of the file. */
const STAMP = 7
const NUMBERS = 8

const EXISTS = 1
const UPDATING = 2

// What is shared beside the table.
const SIZE = 0
const WARM = 1
const WATERMARK = 2
const STAMPS = 3

export const BLOCK = 4096
/** Bytes of a zone that nginx needs for a key, so that zones hold as much as its own: eight thousand keys in a megabyte. */
const KEY_BYTES = 128
const OVERHEAD = 8192
const ENTRY_WORDS = 4 + 8 + NUMBERS + 1
/** A claim this old is that of a thread that is no more. */
const CLAIM_MAX_MS = 600_000
/** Entries looked at to make room for one. */
const EVICT_TRIES = 20

// What enter() answers; a status is one that is remembered.
export const UNKNOWN = 0
export const KNOWN = 1
export const SCARCE = 2

export class CacheZone {
  readonly path: CachePath
  readonly table: KeyTable
  private readonly shared: Int32Array<SharedArrayBuffer>
  /** Who waits in this thread for a key to be fetched. */
  private readonly waiters = new Map<string, Set<CacheLookup>>()
  /** Of the key that enter() has just found: is there a file? */
  exists = false
  /** The stamp of its file. */
  stamp = 0
  readonly recent = new RecentEntries()
  /** Keys that are no more, whose files are yet to go. */
  private readonly dropped: string[] = []

  constructor(path: CachePath, table: SharedArrayBuffer, numbers: SharedArrayBuffer) {
    this.path = path
    this.table = new KeyTable(table, NUMBERS)
    this.shared = new Int32Array(numbers)
  }

  static bytesFor({ bytes }: CachePath): number {
    const keys = Math.max(8, Math.floor((bytes - OVERHEAD) / KEY_BYTES))
    return (keys * ENTRY_WORDS + 16) * 4
  }

  static readonly sharedBytes = 64

  /** Blocks in use. */
  get blocks(): number {
    return Atomics.load(this.shared, SIZE)
  }

  /** Files may be there that the memory does not know of. */
  get isCold(): boolean {
    return Atomics.load(this.shared, WARM) === 0
  }

  warm(): void {
    Atomics.store(this.shared, WARM, 1)
  }

  /** A thread that died with the lock in its hands takes with it what was known: the files must be looked at again. */
  recover(): boolean {
    if (this.isCold || this.table.size > 0 || this.blocks === 0) return false
    Atomics.store(this.shared, SIZE, 0)
    Atomics.store(this.shared, WARM, 0)
    return true
  }

  /** Above this many keys the zone is too full; Infinity: it has never been. */
  get watermark(): number {
    const mark = Atomics.load(this.shared, WATERMARK)
    return mark === 0 ? Infinity : mark
  }

  get count(): number {
    return this.table.size
  }

  // ── keys ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Somebody asks for the key. */
  enter(id: string, minUses: number): number {
    const now = seconds()
    const { table } = this
    table.lock()
    let entry = table.find(id)
    let answer = UNKNOWN
    this.exists = false
    if (entry === 0) entry = this.add(id)
    const { values } = table
    const at = entry === 0 ? -1 : table.valuesAt(entry)
    if (at >= 0) {
      const isNew = values[at + USES] === 0
      values[at + USES]!++
      values[at + EXPIRES] = now + this.path.inactive
      table.touch(entry)
      const error = values[at + ERROR]!
      if (error !== 0 && values[at + VALID]! >>> 0 >= now) answer = error
      else if (error !== 0) this.renew(values, at, id)
      else if (!isNew) {
        this.exists = (values[at + FLAGS]! & EXISTS) !== 0
        this.stamp = values[at + STAMP]!
        answer = this.exists || values[at + USES]! >= minUses ? KNOWN : SCARCE
      }
    }
    table.unlock()
    this.unlinkDropped()
    return answer
  }

  /** A remembered status is no longer good; nor is the file that was too old when it came. */
  private renew(values: Int32Array, at: number, id: string): void {
    values[at + ERROR] = 0
    if ((values[at + FLAGS]! & EXISTS) === 0) return
    values[at + FLAGS]! &= ~EXISTS
    this.resize(values, at, 0)
    this.dropped.push(id)
  }

  /** Makes room if need be. 0: there is none. */
  private add(id: string): number {
    const { table } = this
    let entry = table.add()
    if (entry !== 0) return entry
    const { size } = table
    Atomics.store(this.shared, WATERMARK, Math.max(1, size - (size >> 3)))
    this.evictLocked()
    table.find(id)
    entry = table.add()
    return entry
  }

  /** A file has been found for the key that the memory did not know of. */
  found(id: string, size: number): void {
    this.change(id, (values, at) => {
      if ((values[at + FLAGS]! & EXISTS) !== 0) return
      values[at + FLAGS]! |= EXISTS
      values[at + STAMP] = this.nextStamp()
      this.resize(values, at, blocksOf(size))
    })
  }

  /** The file has been changed in place. */
  changed(id: string): void {
    this.change(id, (values, at) => {
      values[at + STAMP] = this.nextStamp()
    })
  }

  private nextStamp(): number {
    return Atomics.add(this.shared, STAMPS, 1) + 1
  }

  /** From the loader: a file that nobody has asked for yet. One that there is no room for goes: nobody would ever remove it. */
  load(id: string, size: number): void {
    const { table } = this
    table.lock()
    if (table.find(id) === 0) {
      const entry = table.add()
      if (entry === 0) this.dropped.push(id)
      else {
        const { values } = table
        const at = table.valuesAt(entry)
        values[at + USES] = 1
        values[at + FLAGS] = EXISTS
        values[at + STAMP] = this.nextStamp()
        values[at + EXPIRES] = seconds() + this.path.inactive
        this.resize(values, at, blocksOf(size))
      }
    }
    table.unlock()
    this.unlinkDropped()
  }

  /** There is no file after all. */
  missing(id: string): void {
    this.change(id, (values, at) => {
      values[at + FLAGS]! &= ~EXISTS
      this.resize(values, at, 0)
    })
  }

  /** From now on there is a file, and nobody fetches it any more. While it was fetched the key may have had to go: without it
   *  the file would be nobody's. */
  stored(id: string, size: number): void {
    const { table } = this
    table.lock()
    let entry = table.find(id)
    if (entry === 0) entry = this.add(id)
    if (entry === 0) this.dropped.push(id)
    else {
      const { values } = table
      const at = table.valuesAt(entry)
      if (values[at + USES] === 0) values[at + USES] = 1
      values[at + FLAGS] = EXISTS
      values[at + STAMP] = this.nextStamp()
      values[at + ERROR] = 0
      values[at + EXPIRES] = seconds() + this.path.inactive
      this.resize(values, at, blocksOf(size))
    }
    table.unlock()
    this.unlinkDropped()
    this.wake(id)
  }

  /** There is no response but this status, for a while. */
  failed(id: string, status: number, validSec: number): void {
    this.change(id, (values, at) => {
      values[at + ERROR] = status
      values[at + VALID] = validSec
    })
  }

  /** True: the caller fetches it, and must stored() or release() it. False: somebody else does. */
  claim(id: string, ageMs = CLAIM_MAX_MS): boolean {
    let isMine = true
    const now = Date.now() | 0
    this.change(id, (values, at) => {
      isMine = (values[at + FLAGS]! & UPDATING) === 0 || ((now - values[at + CLAIMED]!) | 0) > ageMs
      if (!isMine) return
      values[at + FLAGS]! |= UPDATING
      values[at + CLAIMED] = now
    })
    return isMine
  }

  release(id: string): void {
    this.change(id, (values, at) => {
      values[at + FLAGS]! &= ~UPDATING
    })
    this.wake(id)
  }

  isClaimed(id: string, ageMs: number): boolean {
    let claimed = false
    const now = Date.now() | 0
    this.change(id, (values, at) => {
      claimed = (values[at + FLAGS]! & UPDATING) !== 0 && ((now - values[at + CLAIMED]!) | 0) <= ageMs
    })
    return claimed
  }

  private change(id: string, run: (values: Int32Array, at: number) => void): void {
    const { table } = this
    table.lock()
    const entry = table.find(id)
    if (entry !== 0) run(table.values, table.valuesAt(entry))
    table.unlock()
  }

  private resize(values: Int32Array, at: number, blocks: number): void {
    Atomics.add(this.shared, SIZE, blocks - values[at + BLOCKS]!)
    values[at + BLOCKS] = blocks
  }

  // ── who waits ────────────────────────────────────────────────────────────────────────────────────────────────────

  wait(id: string, lookup: CacheLookup): void {
    const waiting = this.waiters.get(id)
    if (waiting === undefined) this.waiters.set(id, new Set([lookup]))
    else waiting.add(lookup)
  }

  stopWaiting(id: string, lookup: CacheLookup): void {
    const waiting = this.waiters.get(id)
    if (waiting === undefined || !waiting.delete(lookup)) return
    if (waiting.size === 0) this.waiters.delete(id)
  }

  private wake(id: string): void {
    const waiting = this.waiters.get(id)
    if (waiting !== undefined) for (const lookup of Array.from(waiting)) lookup.wake()
  }

  // ── making room ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Throws out the least recently used. False: there is none that may go. */
  evict(): boolean {
    this.table.lock()
    const done = this.evictLocked()
    this.table.unlock()
    this.unlinkDropped()
    return done
  }

  private evictLocked(): boolean {
    const { table } = this
    for (let i = 0; i < EVICT_TRIES; i++) {
      const entry = table.oldest()
      if (entry === 0) return false
      if (this.isBusy(entry)) table.touch(entry)
      else {
        this.drop(entry)
        return true
      }
    }
    return false
  }

  /** Throws out one that has been unused too long. Answers 0 if it did, else the seconds until the next one may be. */
  expire(): number {
    const { table } = this
    table.lock()
    const entry = table.oldest()
    let wait = 10
    if (entry !== 0) {
      wait = table.values[table.valuesAt(entry) + EXPIRES]! - seconds()
      if (wait <= 0 && this.isBusy(entry)) {
        table.touch(entry)
        wait = 1
      } else if (wait <= 0) {
        wait = 0
        this.drop(entry)
      }
    }
    table.unlock()
    this.unlinkDropped()
    return Math.min(wait, 10)
  }

  private isBusy(entry: number): boolean {
    const at = this.table.valuesAt(entry)
    const { values } = this.table
    return (values[at + FLAGS]! & UPDATING) !== 0 && ((Date.now() - values[at + CLAIMED]!) | 0) <= CLAIM_MAX_MS
  }

  private drop(entry: number): void {
    const { table } = this
    const at = table.valuesAt(entry)
    const { values } = table
    if ((values[at + FLAGS]! & EXISTS) !== 0) this.dropped.push(table.keyAt(entry, 16))
    this.resize(values, at, 0)
    table.remove(entry)
  }

  // ── files ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Behind the lock: a disk may be slow, and other threads wait. */
  private unlinkDropped(): void {
    while (this.dropped.length > 0) {
      try {
        unlinkSync(this.fileOf(this.dropped.pop()!))
      } catch {
        // Somebody has tidied the folder: it is gone, which is what was wanted.
      }
    }
  }

  fileOf(id: string): Buffer {
    const hex = hexOf(id)
    return Buffer.from(`${this.folderOf(hex)}/${hex}`, 'latin1')
  }

  makeFolder(id: string): void {
    mkdirSync(Buffer.from(this.folderOf(hexOf(id)), 'latin1'), { recursive: true, mode: 0o700 })
  }

  /** Named after the last digits, as `levels` says. */
  private folderOf(hex: string): string {
    let folder = this.path.folder
    let end = hex.length
    for (const level of this.path.levels) {
      folder += `/${hex.slice(end - level, end)}`
      end -= level
    }
    return folder
  }
}

export function seconds(): number {
  return Math.floor(Date.now() / 1000)
}

function blocksOf(size: number): number {
  return Math.ceil(size / BLOCK)
}
