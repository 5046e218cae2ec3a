// Keys in memory that threads share: drawn by the first thread that comes, and, where a period is given, replaced by new ones
// each time it is over. The one before stays good for another period; what is older is gone for good.
//
//   word 0: lock │ word 1: number of the period + 1, 0: no key yet │ 16: this period's key │ 16 + SIZE: the one before

import { randomFillSync } from 'node:crypto'
import { lock, unlock } from './shared-lock.ts'

const KEY_SIZE = 80
const KEYS_AT = 16
export const TICKET_KEYS_BYTES = KEYS_AT + 2 * KEY_SIZE

const LOCK = 0
const PERIOD = 1

export class SharedKeys {
  private readonly words: Int32Array<SharedArrayBuffer>
  private readonly bytes: Buffer
  private readonly seconds: number
  private period = 0
  /** This period's key and the one before; copies, which nobody else writes to. */
  private keys: readonly Buffer[] = []

  /** @param seconds a period; 0: the key stays */
  constructor(memory: SharedArrayBuffer, seconds: number) {
    this.words = new Int32Array(memory)
    this.bytes = Buffer.from(memory)
    this.seconds = seconds
  }

  /** The newest first. */
  current(): readonly Buffer[] {
    const period = this.seconds === 0 ? 1 : Math.floor(Date.now() / 1000 / this.seconds) + 1
    if (period !== this.period) this.advance(period)
    return this.keys
  }

  private advance(period: number): void {
    const { words, bytes } = this
    lock(words, LOCK)
    const last = words[PERIOD]!
    if (last < period) {
      const before = last === 0 || last < period - 1 ? randomFillSync(Buffer.alloc(KEY_SIZE)) : this.copy(0)
      before.copy(bytes, KEYS_AT + KEY_SIZE)
      randomFillSync(Buffer.alloc(KEY_SIZE)).copy(bytes, KEYS_AT)
      words[PERIOD] = period
    }
    this.keys = [this.copy(0), this.copy(1)]
    this.period = period
    unlock(words, LOCK)
  }

  private copy(index: number): Buffer {
    const start = KEYS_AT + index * KEY_SIZE
    return Buffer.from(this.bytes.subarray(start, start + KEY_SIZE))
  }
}
