// A text that one thread writes and all read, in shared memory: a table of what changes rarely.
//
//   word 0: lock │ word 1: how often it was written │ word 2: its length │ from byte 16 on: the text, latin1

import { lock, unlock } from './shared-lock.ts'

const LOCK = 0
const VERSION = 1
const LENGTH = 2
const TEXT_AT = 16

export class SharedText {
  private readonly words: Int32Array<SharedArrayBuffer>
  private readonly bytes: Buffer

  constructor(memory: SharedArrayBuffer) {
    this.words = new Int32Array(memory)
    this.bytes = Buffer.from(memory)
  }

  /** Another number each time it was written; 0: never. */
  get version(): number {
    return Atomics.load(this.words, VERSION)
  }

  /** False: there is no room for it, and the one before stays. */
  write(text: string): boolean {
    if (TEXT_AT + text.length > this.bytes.length) return false
    lock(this.words, LOCK)
    this.bytes.write(text, TEXT_AT, 'latin1')
    this.words[LENGTH] = text.length
    Atomics.add(this.words, VERSION, 1)
    unlock(this.words, LOCK)
    return true
  }

  read(): string {
    lock(this.words, LOCK)
    const text = this.bytes.toString('latin1', TEXT_AT, TEXT_AT + this.words[LENGTH]!)
    unlock(this.words, LOCK)
    return text
  }
}
