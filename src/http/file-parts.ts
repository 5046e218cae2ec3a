// Sends parts of a file that is too big to be kept in memory: 64 KiB are read, given to the client, and the next are read
// when the client has taken them. Between the parts, and behind the last, stands text (multipart/byteranges).
//
// One buffer serves a whole response: when the writer says it can take more, it has handed everything to the kernel.

import { read } from 'node:fs'
import { ALERT, CRIT } from '../log/error-log.ts'
import { errorText } from '../lib/errno.ts'
import type { OpenFile } from './open-file.ts'
import { LAST, type Source } from './output.ts'
import type { ByteRange } from './range.ts'
import type { HttpRequest } from './request.ts'

const PIECE = 65536

export class FileParts implements Source {
  private readonly r: HttpRequest
  private readonly file: OpenFile
  private readonly parts: readonly ByteRange[]
  /** Before each part, and behind the last; null when there is nothing around them. */
  private readonly texts: readonly string[] | null
  private part = 0
  private position: number
  private buffer: Buffer | null = null
  private isReading = false
  private isOver = false
  private isClosed = false
  private readonly onRead: (error: NodeJS.ErrnoException | null, count: number) => void

  /** `texts`: one more than there are parts. */
  constructor(r: HttpRequest, file: OpenFile, parts: readonly ByteRange[], texts: readonly string[] | null) {
    this.r = r
    this.file = file
    this.parts = parts
    this.texts = texts
    this.position = parts[0]!.start
    this.onRead = (error, count) => this.take(error, count)
    file.hold()
    r.source = this
  }

  /** Begins; the head must have been sent. */
  start(): void {
    if (this.writeText(0)) this.readOn()
  }

  drain(_r: HttpRequest): void {
    this.readOn()
  }

  abort(_r: HttpRequest): void {
    this.isOver = true
    // The descriptor must stay ours while the kernel may still read from it.
    if (!this.isReading) this.close()
  }

  private close(): void {
    this.isOver = true
    if (this.isClosed) return
    this.isClosed = true
    this.buffer = null
    this.file.release()
  }

  private readOn(): void {
    if (this.isReading || this.isOver) return
    const part = this.parts[this.part]!
    this.isReading = true
    read(this.file.descriptor, this.piece(), 0, Math.min(PIECE, part.end - this.position), this.position, this.onRead)
  }

  /** Stages between us and the client may keep what they get; then every piece needs memory of its own. */
  private piece(): Buffer {
    if (this.buffer === null || this.r.out !== this.r.stream.writer) this.buffer = Buffer.allocUnsafeSlow(PIECE)
    return this.buffer
  }

  private take(error: NodeJS.ErrnoException | null, count: number): void {
    this.isReading = false
    if (this.isOver || this.r.done) this.close()
    else if (error !== null || count === 0) this.cut(error)
    else this.send(this.buffer!.subarray(0, count))
  }

  private send(bytes: Buffer): void {
    this.position += bytes.length
    const isPartEnd = this.position === this.parts[this.part]!.end
    const isLast = isPartEnd && this.part + 1 === this.parts.length
    const flags = isLast && this.texts === null ? LAST : 0
    let ready = this.r.out.write(this.r, bytes, flags)
    if (isPartEnd && this.texts !== null && !this.isOver) ready = this.writeText(this.part + 1) && ready
    if (isLast || this.isOver || this.r.done) {
      this.close()
      return
    }
    if (isPartEnd) this.position = this.parts[++this.part]!.start
    if (ready) this.readOn()
  }

  private writeText(index: number): boolean {
    if (this.texts === null) return true
    const text = Buffer.from(this.texts[index]!, 'latin1')
    return this.r.out.write(this.r, text, index === this.parts.length ? LAST : 0)
  }

  /** The file has become shorter than its head promised: nothing may be made up in its place. */
  private cut(error: NodeJS.ErrnoException | null): void {
    const { r, file } = this
    if (error !== null) r.log(CRIT, `read() "${file.path}" failed (${errorText(error)})`)
    else r.log(ALERT, `read() reported that "${file.path}" was truncated at ${this.position}`)
    this.close()
    r.stream.abort(r)
  }
}
