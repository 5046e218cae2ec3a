// A header block on its way: one HEADERS frame, usually, and CONTINUATION frames behind it where one is not enough
// (RFC 9113, 4.3). Nothing else may come in between.

import { returnWriter, takeWriter, type ByteWriter } from './byte-writer.ts'

export class HeaderBlock {
  /** Whose it is; 0: there is none. */
  stream = 0
  /** The HEADERS frame's. */
  flags = 0
  /** CONTINUATION frames so far. */
  continuations = 0
  private writer: ByteWriter | null = null

  begin(stream: number, flags: number): void {
    this.stream = stream
    this.flags = flags
    this.continuations = 0
  }

  /** Keeps a fragment. @returns bytes kept */
  keep(bytes: Buffer, start: number, end: number): number {
    this.writer ??= takeWriter()
    this.writer.append(bytes, start, end)
    return this.writer.length
  }

  /** What was kept, to be read at once. */
  get kept(): ByteWriter {
    return this.writer!
  }

  end(): void {
    this.stream = 0
    if (this.writer !== null) returnWriter(this.writer)
    this.writer = null
  }
}
