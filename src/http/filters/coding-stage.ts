// Codes a response's body on its way out. What a step makes goes on at once; when the client is slower than that, the rest
// of the input waits, so that a small piece which unpacks to a huge one is never unpacked ahead of the client.

import { ERR } from '../../log/error-log.ts'
import type { Coder } from './coder.ts'
import { sentFile, type OpenFile } from '../files/open-file.ts'
import { BodyStage, EMPTY, FLUSH, LAST } from '../output.ts'
import type { HttpRequest } from '../request.ts'

const TEXT_MAX = 65536
const textBytes = Buffer.allocUnsafeSlow(TEXT_MAX)

/** Small files are kept in that many forms at most. */
const FORMS_MAX = 4

export class CodingStage extends BodyStage {
  private coder: Coder | null = null
  private readonly open: () => Coder
  /** What all that are opened so have in common; '': their work is not worth keeping. */
  private readonly form: string
  /** The file that the body consists of, where its coded form is to be kept. */
  private keeper: OpenFile | null = null
  private isOver = false
  /** Who is to blame in the log: `gunzip`. */
  private readonly name: string
  private input: Buffer = EMPTY
  private from = 0
  private flags = 0
  /** Input, or a flush, that has not gone through the coder. */
  private isPending = false
  private isPumping = false
  /** Bytes of body in and out. */
  inBytes = 0
  outBytes = 0

  constructor(name: string, open: () => Coder, form = '') {
    super()
    this.name = name
    this.open = open
    this.form = form
  }

  write(r: HttpRequest, bytes: Buffer, flags: number): boolean {
    this.take(bytes, flags)
    return this.pump(r)
  }

  override writeVolatile(r: HttpRequest, chunk: Buffer, flags: number): boolean {
    this.take(chunk, flags)
    const ready = this.pump(r)
    // The chunk is somebody else's again when we return.
    if (this.isPending) this.input = Buffer.from(this.input)
    return ready
  }

  /** A small file: coded from memory that serves all of them. */
  override writeLatin1(r: HttpRequest, text: string, flags: number): boolean {
    if (text.length > TEXT_MAX || this.isPending) return super.writeLatin1(r, text, flags)
    if ((flags & LAST) !== 0 && this.form !== '' && this.inBytes === 0) {
      const file = sentFile.get(r)
      if (file !== null && file.isCached && file.text === text) {
        const coded = file.coded?.get(this.form)
        if (coded !== undefined) return this.pass(r, text.length, coded, flags)
        this.keeper = file
      }
    }
    return this.writeVolatile(r, textBytes.subarray(0, textBytes.write(text, 'latin1')), flags)
  }

  override drain(r: HttpRequest): void {
    if (this.pump(r)) super.drain(r)
  }

  /** The work has been done before. */
  private pass(r: HttpRequest, length: number, coded: Buffer, flags: number): boolean {
    this.isOver = true
    this.inBytes = length
    this.outBytes = coded.length
    return this.next!.write(r, coded, flags)
  }

  private take(bytes: Buffer, flags: number): void {
    this.inBytes += bytes.length
    this.flags |= flags
    if (this.isPending && this.from < this.input.length) {
      this.input = Buffer.concat([this.input.subarray(this.from), bytes])
    } else this.input = bytes
    this.from = 0
    this.isPending = true
  }

  /** True: all has gone through, and the client's side is ready for more. */
  private pump(r: HttpRequest): boolean {
    // A client's side that empties at once asks for more while we are giving.
    if (this.isPumping) return false
    this.isPumping = true
    let ready = true
    while (this.isPending && ready && !this.isOver) ready = this.step(r, (this.coder ??= this.open()))
    this.isPumping = false
    return ready && !this.isPending
  }

  private step(r: HttpRequest, coder: Coder): boolean {
    const { flags } = this
    const { none, flush, finish } = coder.flushes
    const isEnd = (flags & LAST) !== 0
    const made = coder.step(
      this.input,
      this.from,
      isEnd && !coder.mayLackEnd ? finish : (flags & FLUSH) !== 0 ? flush : none,
    )
    if (coder.failure !== '') return this.fail(r, coder)
    this.from = this.input.length - coder.inputLeft
    const isDone = !coder.unfinished
    this.outBytes += made.length
    if (isEnd && isDone && coder.mayLackEnd) return this.finish(r, coder, Buffer.from(made))
    if (isDone) this.settle(coder)
    if (made.length === 0 && (!isDone || (flags & (LAST | FLUSH)) === 0)) return true
    const piece = Buffer.from(made)
    if (this.keeper !== null) this.keep(piece, isDone)
    return this.next!.write(r, piece, isDone ? flags : 0)
  }

  /** What was there goes out, be it that the end is missing. */
  private finish(r: HttpRequest, coder: Coder, piece: Buffer): boolean {
    coder.step(EMPTY, 0, coder.flushes.finish)
    if (coder.failure !== '') {
      if (piece.length > 0) this.next!.write(r, piece, FLUSH)
      return this.fail(r, coder)
    }
    const { flags } = this
    this.settle(coder)
    return this.next!.write(r, piece, flags)
  }

  /** A form that came in one piece. */
  private keep(piece: Buffer, isWhole: boolean): void {
    const file = this.keeper!
    this.keeper = null
    if (!isWhole) return
    file.coded ??= new Map()
    if (file.coded.size < FORMS_MAX) file.coded.set(this.form, Buffer.concat([piece]))
  }

  private settle(coder: Coder): void {
    this.isPending = false
    this.input = EMPTY
    this.from = 0
    if ((this.flags & LAST) !== 0) {
      this.isOver = true
      this.coder = null
      coder.release()
    }
    this.flags = 0
  }

  /** What has gone out cannot be taken back: the client must see that the body is not whole. */
  private fail(r: HttpRequest, coder: Coder): boolean {
    r.log(ERR, `${this.name} failed: ${coder.failure}`)
    this.isPending = false
    this.input = EMPTY
    r.stream.abort(r)
    return false
  }

  override destroy(_r: HttpRequest): void {
    this.input = EMPTY
    this.isPending = false
    this.isOver = true
    this.coder?.release()
    this.coder = null
  }
}
