// Lets an upstream or a worker give its response as fast as it can and the client take it as slowly as it likes: pieces
// wait in memory, then in a temporary file, and only when that is full too must the producer wait.
//
//   producer ──push()──▶ [memory: at most memoryMax][file: at most fileMax] ──▶ r.out ──▶ client
//
// Where the file cannot be written (a full disk) it is as if it had reached its size: the producer waits, nothing is lost.
//
// File access is synchronous, as nginx's is without aio: a page-cache write of 64 KB costs less than handing it to a
// thread, and it keeps the order of pieces trivially right.

import { closeSync, openSync, readSync, unlinkSync, writeSync } from 'node:fs'
import { keep } from '../net/read-buffer.ts'
import { CRIT } from '../log/error-log.ts'
import { EMPTY, LAST, type Source } from './output.ts'
import type { HttpRequest } from './request.ts'
import { tempName } from './request-body.ts'

/** Whoever fills the buffer. */
export interface Producer {
  /** See Source. */
  readonly outlivesClient?: boolean
  /** The buffer has room again after push() answered false. */
  resumeProducing(): void
  /** The client is gone: the rest is not wanted. */
  cancelProducing(): void
}

/** Limits, from proxy_buffers and its relatives. Bytes. */
export interface BufferLimits {
  readonly memoryMax: number
  readonly fileMax: number
  readonly tempPath: string
}

const READ_PIECE = 65536

export class ResponseBuffer implements Source {
  private readonly producer: Producer
  private readonly limits: BufferLimits
  private pieces: Buffer[] = []
  private first = 0
  private memory = 0
  private descriptor = -1
  /** Is it in the log? Once for a response, however often the file is emptied and begun again. */
  private told = false
  private fileLength = 0
  private fileRead = 0
  /** What the file would not take. */
  private overflow: Buffer[] = []
  private clientReady = true
  private held = false
  /** The producer has pushed its last piece. */
  ended = false
  /** It should have pushed more. */
  private broken = false
  private endSent = false
  /** Bytes pushed. */
  length = 0

  /** Takes the place of `r.source`. Call before the first push(). */
  constructor(r: HttpRequest, producer: Producer, limits: BufferLimits) {
    this.producer = producer
    this.limits = limits
    r.source = this
    r.onEnd(() => this.release())
  }

  /** Does the client have all that has come so far? */
  get isIdle(): boolean {
    return this.clientReady && this.empty
  }

  get needsClient(): boolean {
    return !this.ended
  }

  get outlivesClient(): boolean {
    return this.producer.outlivesClient === true
  }

  /** A chunk of the read buffer. False: hold the producer until resumeProducing(). */
  push(r: HttpRequest, chunk: Buffer, last: boolean): boolean {
    this.length += chunk.length
    if (last) this.ended = true
    if (this.clientReady && this.empty) {
      if (last) this.endSent = true
      this.clientReady = r.out.writeVolatile(r, chunk, last ? LAST : 0)
      return true
    }
    if (chunk.length > 0) this.hold(r, chunk)
    else if (last && this.clientReady) this.drain(r)
    this.held = !last && this.full()
    return !this.held
  }

  /** Ends the body without more bytes. */
  end(r: HttpRequest): void {
    if (!this.ended) this.push(r, EMPTY, true)
  }

  /** No more comes, though it should: the client gets what there is, and sees that it is not the whole. */
  breakOff(r: HttpRequest): void {
    if (this.ended) return
    this.ended = true
    this.broken = true
    if (this.clientReady) this.drain(r)
  }

  drain(r: HttpRequest): void {
    this.clientReady = true
    while (this.clientReady && !r.done) {
      const piece = this.shift(r)
      if (piece === null) break
      const last = this.ended && this.empty
      if (last) this.endSent = true
      this.clientReady = r.out.write(r, piece, last && !this.broken ? LAST : 0)
      if (last && !this.broken) return
    }
    if (this.broken && this.empty && !r.done) r.stream.writer.breakOff(r)
    this.sendEnd(r)
    if (this.held && !this.full()) {
      this.held = false
      this.producer.resumeProducing()
    }
  }

  /** The end came when the client could take no more, and nothing was left to be sent with it. */
  private sendEnd(r: HttpRequest): void {
    if (!this.ended || this.broken || this.endSent || !this.clientReady || r.done) return
    this.endSent = true
    r.out.write(r, EMPTY, LAST)
  }

  abort(_r: HttpRequest): void {
    this.producer.cancelProducing()
  }

  private get empty(): boolean {
    return this.memory === 0 && this.fileLength === this.fileRead && this.overflow.length === 0
  }

  private full(): boolean {
    if (this.overflow.length > 0) return true
    return this.limits.fileMax === 0 ? this.memory >= this.limits.memoryMax : this.fileLength >= this.limits.fileMax
  }

  /** Memory holds what came first; once a file is in use everything newer goes there until it has been sent. */
  private hold(r: HttpRequest, chunk: Buffer): void {
    const inFile = this.fileLength > this.fileRead
    if (this.overflow.length > 0) this.overflow.push(keep(chunk))
    else if (this.limits.fileMax === 0 || (!inFile && this.memory + chunk.length <= this.limits.memoryMax)) {
      this.pieces.push(keep(chunk))
      this.memory += chunk.length
    } else this.store(r, chunk)
  }

  private store(r: HttpRequest, chunk: Buffer): void {
    try {
      if (this.descriptor < 0) {
        const path = `${this.limits.tempPath}/${tempName()}`
        this.descriptor = openSync(Buffer.from(path, 'latin1'), 'wx+', 0o600)
        // Nobody else needs the name; without it nothing can be left behind.
        unlinkSync(Buffer.from(path, 'latin1'))
        if (!this.told)
          r.report(
            r.location.tempFileLogLevel,
            `an upstream response is buffered to a temporary file ${path} while reading upstream`,
          )
        this.told = true
      }
      // At its place: what a write that failed has left of itself is written over.
      for (let done = 0; done < chunk.length;) {
        done += writeSync(this.descriptor, chunk, done, chunk.length - done, this.fileLength + done)
      }
      this.fileLength += chunk.length
    } catch (error) {
      r.log(CRIT, `response could not be buffered in "${this.limits.tempPath}" (${(error as Error).message})`)
      this.overflow.push(keep(chunk))
      if (this.fileLength === this.fileRead && this.descriptor >= 0) this.rewind()
    }
  }

  /** The oldest bytes held. */
  private shift(r: HttpRequest): Buffer | null {
    if (this.first < this.pieces.length) {
      const piece = this.pieces[this.first]!
      this.pieces[this.first++] = EMPTY
      this.memory -= piece.length
      if (this.first === this.pieces.length) {
        this.pieces = []
        this.first = 0
      }
      return piece
    }
    if (this.fileRead >= this.fileLength) return this.overflow.shift() ?? null
    const piece = Buffer.allocUnsafeSlow(Math.min(READ_PIECE, this.fileLength - this.fileRead))
    try {
      const size = readSync(this.descriptor, piece, 0, piece.length, this.fileRead)
      if (size === 0) throw new Error('its file is shorter than what was written to it')
      this.fileRead += size
      if (this.fileRead === this.fileLength) this.rewind()
      return piece.subarray(0, size)
    } catch (error) {
      r.log(CRIT, `buffered response could not be read (${(error as Error).message})`)
      r.stream.abort(r)
      return null
    }
  }

  /** All of the file has been sent: what comes next may wait in memory again, and the file is closed. */
  private rewind(): void {
    closeSync(this.descriptor)
    this.descriptor = -1
    this.fileLength = 0
    this.fileRead = 0
  }

  private release(): void {
    this.pieces = []
    this.first = 0
    this.memory = 0
    this.overflow = []
    if (this.descriptor >= 0) this.rewind()
  }
}
