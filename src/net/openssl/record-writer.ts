// Makes records of what is sent: as few as possible, none longer than asked for, and no more ahead of the socket than a few.

import { getRawPointer } from 'node:ffi'
import type { Connection } from '../connection.ts'
import { clearErrors } from './errors.ts'
import { openssl } from './library.ts'
import { claim, flush } from './records.ts'

/** What a record may hold. */
export const RECORD_MAX = 16384
/** What is put together for one record. */
const scratch = Buffer.allocUnsafeSlow(RECORD_MAX)
const scratchAt = getRawPointer(scratch)
/** Records made before they are sent, so that memory does not grow with what is written. */
const AHEAD = 4 * RECORD_MAX
const written = Buffer.alloc(8)

export interface RecordSource {
  readonly alive: boolean
  /** The handshake is not over yet (RFC 8446, 2.3). */
  readonly early: boolean
  /** OpenSSL has refused, and its errors say why. */
  fail(): void
}

export class RecordWriter {
  private readonly owner: RecordSource
  private readonly plain: Connection
  private readonly ssl: bigint
  private readonly recordSize: number

  constructor(owner: RecordSource, plain: Connection, ssl: bigint, recordSize: number) {
    this.owner = owner
    this.plain = plain
    this.ssl = ssl
    this.recordSize = recordSize
  }

  all(before: string, bytes: Buffer, after: string): void {
    const size = before.length + bytes.length + after.length
    if (size <= this.recordSize) {
      scratch.write(before, 0, 'latin1')
      bytes.copy(scratch, before.length)
      scratch.write(after, before.length + bytes.length, 'latin1')
      this.bytes(scratch, size)
    } else {
      this.text(before)
      this.bytes(bytes, bytes.length)
      this.text(after)
    }
  }

  text(text: string): void {
    if (text.length > RECORD_MAX) {
      const bytes = Buffer.from(text, 'latin1')
      this.bytes(bytes, bytes.length)
    } else this.bytes(scratch, scratch.write(text, 0, 'latin1'))
  }

  bytes(bytes: Buffer, size: number): void {
    const { owner } = this
    claim(this.plain)
    clearErrors()
    const from = bytes === scratch ? scratchAt : getRawPointer(bytes)
    let ahead = 0
    for (let at = 0; at < size && owner.alive;) {
      const piece = Math.min(this.recordSize, size - at)
      const done = this.owner.early
        ? this.writeEarly(bytes, at, piece)
        : openssl().SSL_write(this.ssl, from + BigInt(at), piece)
      if (done <= 0) {
        owner.fail()
        return
      }
      at += done
      ahead += done
      if (ahead < AHEAD) continue
      flush(this.plain)
      ahead = 0
    }
  }

  private writeEarly(bytes: Buffer, at: number, size: number): number {
    const done = openssl().SSL_write_early_data(this.ssl, bytes.subarray(at), BigInt(size), written)
    return done === 1 ? size : -1
  }
}
