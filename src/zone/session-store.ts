// TLS sessions in memory that threads share, until they are too old or there is no room: the least recently made goes first.
// A table (key-table.ts) says where each begins; it lies in blocks that are chained.
//
//   block: index of the next, 0 for none │ 252 bytes

import { KeyTable } from './key-table.ts'

const BLOCK = 256
const CONTENT = BLOCK - 4
/** As in nginx: a session that holds a long chain of certificates is not kept. */
const SESSION_MAX = 4096

// An entry's numbers.
const FIRST = 0
const LENGTH = 1
/** Seconds. */
const EXPIRES = 2

// The words at the beginning of the blocks' memory, which is one block.
const FREE = 0
const STATE = 1
const READY = 1

/** Of a zone's bytes, how many are for the table: a session takes about one entry and one block. */
export function tableBytes(zone: number): number {
  return Math.floor(zone / 5 / 4) * 4
}

export class SharedSessions {
  private readonly table: KeyTable
  private readonly words: Int32Array<SharedArrayBuffer>
  private readonly bytes: Buffer
  private readonly blocks: number
  private readonly lifetime: number

  /** @param lifetime seconds */
  constructor(table: SharedArrayBuffer, blocks: SharedArrayBuffer, lifetime: number) {
    this.table = new KeyTable(table)
    this.words = new Int32Array(blocks)
    this.bytes = Buffer.from(blocks)
    this.blocks = Math.floor(blocks.byteLength / BLOCK)
    this.lifetime = lifetime
  }

  save(id: string, session: Buffer): void {
    if (session.length > SESSION_MAX || id === '') return
    this.locked(() => this.saveLocked(id, session))
  }

  load(id: string): Buffer | null {
    return this.locked(() => {
      const entry = this.table.find(id)
      if (entry === 0) return null
      const at = this.table.valuesAt(entry)
      if (this.table.values[at + EXPIRES]! >= now()) return this.read(at)
      this.drop(entry)
      return null
    })
  }

  remove(id: string): void {
    this.locked(() => {
      const entry = this.table.find(id)
      if (entry !== 0) this.drop(entry)
    })
  }

  private locked<T>(run: () => T): T {
    const { table, words } = this
    table.lock()
    // The table has begun anew, or this is the first time.
    if (words[STATE] !== READY || (table.size === 0 && words[FREE] !== 1)) this.clear()
    try {
      return run()
    } finally {
      table.unlock()
    }
  }

  private clear(): void {
    const { words, blocks } = this
    for (let block = 1; block < blocks; block++) words[(block * BLOCK) / 4] = block + 1 < blocks ? block + 1 : 0
    words[FREE] = blocks > 1 ? 1 : 0
    words[STATE] = READY
  }

  private saveLocked(id: string, session: Buffer): void {
    const { table } = this
    const known = table.find(id)
    if (known !== 0) this.drop(known)
    this.expire()
    const first = this.write(session)
    if (first === 0) return
    table.find(id)
    let entry = table.add()
    if (entry === 0) {
      this.drop(table.oldest())
      table.find(id)
      entry = table.add()
    }
    const at = table.valuesAt(entry)
    table.values[at + FIRST] = first
    table.values[at + LENGTH] = session.length
    table.values[at + EXPIRES] = now() + this.lifetime
  }

  /** A few of the oldest, if their time is over. */
  private expire(): void {
    const { table } = this
    for (let i = 0; i < 3; i++) {
      const oldest = table.oldest()
      if (oldest === 0 || table.values[table.valuesAt(oldest) + EXPIRES]! >= now()) return
      this.drop(oldest)
    }
  }

  private drop(entry: number): void {
    const { table } = this
    const block = table.values[table.valuesAt(entry) + FIRST]!
    this.giveBack(block)
    table.remove(entry)
  }

  /** @returns the first block; 0: the zone is too small for it */
  private write(session: Buffer): number {
    const { words } = this
    let first = 0
    for (let end = session.length; end > 0;) {
      const start = Math.floor((end - 1) / CONTENT) * CONTENT
      const block = this.take()
      if (block === 0) {
        this.giveBack(first)
        return 0
      }
      session.copy(this.bytes, block * BLOCK + 4, start, end)
      words[(block * BLOCK) / 4] = first
      first = block
      end = start
    }
    return first
  }

  private take(): number {
    const { table, words } = this
    while (words[FREE] === 0 && table.oldest() !== 0) this.drop(table.oldest())
    const block = words[FREE]!
    if (block !== 0) words[FREE] = words[(block * BLOCK) / 4]!
    return block
  }

  private giveBack(first: number): void {
    const { words } = this
    for (let block = first; block !== 0;) {
      const next = words[(block * BLOCK) / 4]!
      words[(block * BLOCK) / 4] = words[FREE]!
      words[FREE] = block
      block = next
    }
  }

  private read(at: number): Buffer {
    const { words } = this
    const length = this.table.values[at + LENGTH]!
    const session = Buffer.allocUnsafeSlow(length)
    let block = this.table.values[at + FIRST]!
    for (let done = 0; done < length; done += CONTENT) {
      this.bytes.copy(session, done, block * BLOCK + 4, block * BLOCK + 4 + Math.min(CONTENT, length - done))
      block = words[(block * BLOCK) / 4]!
    }
    return session
  }
}

function now(): number {
  return Math.floor(Date.now() / 1000)
}
