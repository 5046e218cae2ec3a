// A front thread's connection with one seat of a worker: takes the frames that come back, and finds out what became of the call
// when the connection ends.

import { FrameReader, type FrameSink, type Hello } from '../../codec/frame-reader.ts'
import { CLAIM } from '../../codec/frames.ts'
import { timers } from '../../lib/timer-wheel.ts'
import { ERR } from '../../log/error-log.ts'
import { connectLocal, type LocalConnection } from '../../net/local-connection.ts'
import { begunPath } from '../app.ts'
import { Ahead } from './ahead.ts'
import { Begun } from './begun.ts'
import { type Call, WORKER_FAILED, WORKER_LOST } from './call.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { Seated } from './links.ts'
import { SeatLink } from './seat-link.ts'
import { passLog, Wire } from './wire.ts'

/** A request up to this size lies in the kernel in one piece: the worker has read all of it or nothing. */
const ONE_PIECE = 16384

export class WorkerLink extends SeatLink implements FrameSink {
  connection: LocalConnection
  protected reader: FrameReader
  private saidBye = false
  /** The worker has ended the connection, or itself: what it has not begun by now it never will. */
  private hasEnded = false
  /** Null until it has said where it writes down what it begins. */
  private begun: Begun | null = null
  /** Behind a cut: only once, if the worker is not there any more. */
  private reconnecting = false

  constructor(dispatcher: Dispatcher, worker: Seated, at: number) {
    super(dispatcher, worker, at)
    this.reader = new FrameReader(this)
    this.connection = connectLocal(worker.path, new Wire(this))
  }

  destroy(): void {
    this.leaving = true
    this.connection.destroy()
  }

  // ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────────

  onHello({ link }: Hello): void {
    this.ready = true
    this.greeted = true
    this.begun?.close()
    this.begun = Begun.open(begunPath(this.path), link)
    this.ahead ??= Ahead.open(this.path, link, this.dispatcher.prefetch)
    this.cut = false
    this.reconnecting = false
    // After a cut this says that the worker has come back from the response nobody wanted.
    if (this.claimed) this.finish()
    else this.dispatcher.linkReady(this)
  }

  onHead(stream: number, fields: string[], body: Buffer, bodySize: number, end: boolean): void {
    const { call } = this
    if (stream !== this.stream || !this.claimed) return this.refuse('a response nobody asked for')
    if (call === null) return this.drain(body.length, end)
    call.answered = true
    if (end) this.finish()
    else this.progress()
    call.onHead(fields, body, bodySize, end)
  }

  onData(stream: number, bytes: Buffer, end: boolean): void {
    const { call } = this
    if (stream !== this.stream || !this.claimed) return this.refuse('a response nobody asked for')
    if (call === null) return this.drain(bytes.length, end)
    if (end) this.finish()
    else this.progress()
    call.onData(bytes, end)
  }

  onFile(stream: number, path: string, offset: number, length: number): void {
    if (stream !== this.stream || !this.claimed) return this.refuse('a response nobody asked for')
    this.call?.onFile(path, offset, length)
  }

  onInterim(stream: number, fields: string[]): void {
    if (stream !== this.stream || !this.claimed) return this.refuse('an interim response nobody asked for')
    this.call?.onInterim(fields)
  }

  onTrailers(stream: number, fields: string[]): void {
    if (stream !== this.stream || !this.claimed) return this.refuse('trailers of a response nobody asked for')
    this.call?.onTrailers(fields)
  }

  onLog(stream: number, flags: number, text: string): void {
    const call = stream === this.stream || stream === 0 ? this.call : null
    passLog(this.dispatcher, call, flags, text)
  }

  onFail(stream: number): void {
    const { call } = this
    if (stream !== this.stream || !this.claimed) return this.refuse('the end of a response nobody asked for')
    this.finish()
    if (call !== null) this.dispatcher.fail(call, WORKER_FAILED, this.pid)
  }

  onBye(): void {
    this.saidBye = true
    this.leaving = true
    this.dispatcher.linkLeaves(this)
  }

  // ── the connection ───────────────────────────────────────────────────────────────────────────────────────────────

  onBytes(chunk: Buffer): void {
    this.dispatcher.prefetch?.countRead()
    if (!this.reader.push(chunk) && !this.closed && this.reader.error !== null) this.refuse(this.reader.error)
  }

  onWritable(): void {
    this.full = false
    this.call?.onWritable(this)
  }

  /** The worker has closed: it must not be claimed in the moment until onClose(). */
  onEnd(): void {
    this.ready = false
    this.hasEnded = true
    this.connection.destroy()
  }

  onClose(cause: NodeJS.ErrnoException | null): void {
    const error = cause ?? this.connection.deafness
    timers.disarm(this.timer)
    this.ready = false
    const unbegun: Call[] = []
    const begun: Call[] = []
    const began = this.hasBegun(error)
    const unread = this.ahead !== null && this.ahead.close(this.claimed, this.stream, unbegun, begun)
    this.ahead = null
    if (this.cut && !this.leaving && !this.reconnecting) this.reconnect()
    else if (!this.closed) {
      this.closed = true
      const { call } = this
      this.call = null
      this.dispatcher.linkClosed(this)
      this.claimed = false
      if (call !== null)
        this.lose(call, !call.answered && (!began || (this.flags === CLAIM ? unread : this.neverRead(call, error))))
    }
    for (const call of begun) this.lose(call, false)
    for (const call of unbegun) this.lose(call, true)
  }

  /** The worker is gone. @param unbegun it never began this one, so that another one can have it */
  private lose(call: Call, unbegun: boolean): void {
    call.link = null
    if (unbegun && this.dispatcher.again(call, this.pid)) return
    this.dispatcher.fail(call, WORKER_LOST, this.pid)
  }

  /**
   * Did the worker go without having looked at the request? It said so (BYE); nobody was there to write to (EPIPE), which
   * of a body in frames of its own may be true of its last part alone; or the kernel threw away what was written, which a Unix
   * socket reports as ECONNRESET.
   */
  private neverRead(call: Call, error: NodeJS.ErrnoException | null): boolean {
    if (this.saidBye) return true
    if (error?.code === 'EPIPE' && call.inOnePiece) return true
    const inOneWrite = this.connection.bytesOut - this.sentBytes <= ONE_PIECE
    return inOneWrite && (error?.code === 'EPIPE' || error?.code === 'ECONNRESET')
  }

  /** It may have: false only where a worker that is gone has written down no more than what came before. */
  private hasBegun(error: NodeJS.ErrnoException | null): boolean {
    const { begun } = this
    this.begun = null
    const last = begun === null || !(this.hasEnded || error?.code === 'ECONNRESET') ? -1 : begun.last()
    begun?.close()
    return last < 0 || ((this.stream - last) | 0) <= 0
  }

  private reconnect(): void {
    this.reconnecting = true
    this.hasEnded = false
    this.reader.stop()
    this.reader = new FrameReader(this)
    this.paused = false
    this.full = false
    if (this.dispatcher.timeout > 0) timers.arm(this.timer, this.dispatcher.timeout)
    this.connection = connectLocal(this.path, new Wire(this))
  }

  private refuse(what: string): void {
    if (this.closed) return
    this.dispatcher.log(ERR, `worker process ${this.pid} sent ${what}`)
    this.dispatcher.giveUp(this)
    this.destroy()
  }
}
