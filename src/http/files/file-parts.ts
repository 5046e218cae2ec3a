// Sends parts of a file that is too big to be kept in memory. Between the parts, and behind the last, stands text
// (multipart/byteranges). As in nginx there are three ways:
//
// - with `sendfile on`, and nothing between the file and a plain socket, the kernel copies. When the socket takes no more, a
//   small piece is written in the ordinary way, since only that is told when it has gone;
// - with `aio threads`, 64 KiB are read off the event loop, given to the client, and the next when the client has taken them;
// - else they are read at once: what the page cache has costs less than asking another thread for it.
//
// One buffer serves a whole response: when the writer says it can take more, it has handed everything to the kernel.

import { read, readSync } from 'node:fs'
import { ALERT, CRIT } from '../../log/error-log.ts'
import { errorText } from '../../lib/errno.ts'
import { ClientWriter } from '../session/client-writer.ts'
import type { OpenFile } from './open-file.ts'
import { EMPTY, LAST, type Source } from '../output.ts'
import type { ByteRange } from '../range.ts'
import type { HttpRequest } from '../request.ts'

const PIECE = 65536
/** What is written to be told when there is room again. */
const WAKE_PIECE = 16384
/** Bytes of a response that others must wait for, where the kernel does not copy. */
const TURN = 1048576

/** How a file's bytes are moved. */
export interface FileMoving {
  /** Bytes the kernel may copy before others have their turn; 0: it is not asked to. */
  readonly sendfileChunk: number
  /** Are they read by other threads? */
  readonly threads: boolean
}

/** New memory costs more than what is copied into it. */
const idleBuffers: Buffer[] = []
const IDLE_MAX = 16

const plainly: FileMoving = { sendfileChunk: 0, threads: false }

export class FileParts implements Source {
  private readonly r: HttpRequest
  private readonly file: OpenFile
  private readonly parts: readonly ByteRange[]
  /** Before each part, and behind the last; null when there is nothing around them. */
  private readonly texts: readonly string[] | null
  private readonly how: FileMoving
  private part = 0
  private position: number
  private buffer: Buffer | null = null
  /** A read is under way, or our next turn. */
  private isWaiting = false
  private isOver = false
  private isClosed = false
  private readonly onRead: (error: NodeJS.ErrnoException | null, count: number) => void
  private readonly onTurn: () => void

  /** `texts`: one more than there are parts. */
  constructor(
    r: HttpRequest,
    file: OpenFile,
    parts: readonly ByteRange[],
    texts: readonly string[] | null,
    how: FileMoving = plainly,
  ) {
    this.r = r
    this.file = file
    this.parts = parts
    this.texts = texts
    this.how = how
    this.position = parts[0]!.start
    this.onRead = (error, count) => this.take(error, count)
    this.onTurn = () => this.takeTurn()
    file.hold()
    r.source = this
  }

  /** Begins; the head must have been sent. */
  start(): void {
    if (this.writeText(0)) this.goOn()
  }

  drain(_r: HttpRequest): void {
    this.goOn()
  }

  abort(_r: HttpRequest): void {
    this.isOver = true
    // The descriptor must stay ours while the kernel may still read from it.
    if (this.isWaiting) return
    this.recycle()
    this.close()
  }

  /** The request has ended: what was in the buffer has gone to the kernel, or nowhere. */
  private recycle(): void {
    const { buffer } = this
    if (buffer !== null && this.ownsBuffer() && idleBuffers.length < IDLE_MAX) idleBuffers.push(buffer)
  }

  private close(): void {
    this.isOver = true
    if (this.isClosed) return
    this.isClosed = true
    this.buffer = null
    this.file.release()
  }

  private goOn(): void {
    if (this.isWaiting || this.isOver) return
    const { out } = this.r
    const { sendfileChunk, threads } = this.how
    const copies = sendfileChunk > 0 && out instanceof ClientWriter && out.takesFiles(this.r)
    if (copies) this.copyOn(out, sendfileChunk)
    else if (threads) this.readAhead()
    else this.readOn()
  }

  // ── copied by the kernel ─────────────────────────────────────────────────────────────────────────────────────────

  private copyOn(writer: ClientWriter, max: number): void {
    let left = max
    while (!this.isOver) {
      const { end } = this.parts[this.part]!
      const wanted = Math.min(left, end - this.position)
      const count = Math.max(writer.sendFile(this.r, this.file.descriptor, this.position, wanted), 0)
      this.position += count
      left -= count
      if (count < wanted) {
        // That it takes no more may also mean that there is no connection any more, which only the event loop can tell.
        left -= WAKE_PIECE
        if (!this.sendPiece(Math.min(WAKE_PIECE, wanted - count))) return
      } else if (this.position === end) {
        if (!this.finishPart(true)) return
      }
      if (left <= 0) {
        this.awaitTurn()
        return
      }
    }
  }

  // ── read and written ─────────────────────────────────────────────────────────────────────────────────────────────

  private readOn(): void {
    let left = TURN
    while (!this.isOver) {
      const wanted = Math.min(PIECE, this.parts[this.part]!.end - this.position)
      left -= wanted
      if (!this.sendPiece(wanted)) return
      if (left <= 0) {
        this.awaitTurn()
        return
      }
    }
  }

  private awaitTurn(): void {
    this.isWaiting = true
    setImmediate(this.onTurn)
  }

  private takeTurn(): void {
    this.isWaiting = false
    if (this.isOver || this.r.done) this.close()
    else this.goOn()
  }

  private sendPiece(size: number): boolean {
    const piece = this.piece()
    try {
      const count = readSync(this.file.descriptor, piece, 0, size, this.position)
      if (count > 0) return this.send(piece.subarray(0, count))
      this.cut(null)
    } catch (error) {
      this.cut(error as NodeJS.ErrnoException)
    }
    return false
  }

  // ── read by other threads ────────────────────────────────────────────────────────────────────────────────────────

  private readAhead(): void {
    const part = this.parts[this.part]!
    this.isWaiting = true
    read(this.file.descriptor, this.piece(), 0, Math.min(PIECE, part.end - this.position), this.position, this.onRead)
  }

  private take(error: NodeJS.ErrnoException | null, count: number): void {
    this.isWaiting = false
    if (this.isOver || this.r.done) this.close()
    else if (error !== null || count === 0) this.cut(error)
    else if (this.send(this.buffer!.subarray(0, count))) this.goOn()
  }

  private piece(): Buffer {
    if (!this.ownsBuffer()) this.buffer = Buffer.allocUnsafeSlow(PIECE)
    else this.buffer ??= idleBuffers.pop() ?? Buffer.allocUnsafeSlow(PIECE)
    return this.buffer
  }

  /** Stages between us and the client may keep what they get; then every piece needs memory of its own. */
  private ownsBuffer(): boolean {
    const { r } = this
    return r.out === r.stream.writer && r.parent === null
  }

  // ── all ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @returns is there more to send, and room for it? */
  private send(bytes: Buffer): boolean {
    this.position += bytes.length
    const isPartEnd = this.position === this.parts[this.part]!.end
    const isLast = isPartEnd && this.part + 1 === this.parts.length && this.texts === null
    const ready = this.r.out.write(this.r, bytes, isLast ? LAST : 0)
    if (!isPartEnd) return ready
    return isLast ? this.finishPart(false) : this.finishPart(true) && ready
  }

  /** @param open has the last piece yet to be told to be the last?
   *  @returns as above */
  private finishPart(open: boolean): boolean {
    const { r, texts } = this
    const next = this.part + 1
    let ready = true
    if (texts !== null && !this.isOver) ready = this.writeText(next)
    else if (open && next === this.parts.length && !r.done) r.out.write(r, EMPTY, LAST)
    if (next === this.parts.length || this.isOver || r.done) {
      this.close()
      return false
    }
    this.part = next
    this.position = this.parts[next]!.start
    return ready
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
