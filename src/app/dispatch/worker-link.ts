// A front thread's connection with one seat of a worker: sends a request, takes the frames that come back, and knows when
// the worker is free again.
//
//   CONNECTING ──hello──▶ IDLE ◀──claimed / END──▶ BUSY ──timeout, end of stream, nonsense──▶ CLOSED
//                                                   └─client left: abandon()─▶ drained until END

import { FrameReader, type FrameSink, type Hello } from '../../codec/frame-reader.ts'
import { encodeAbort, encodeShutdown } from '../../codec/frames.ts'
import { Timer, timers } from '../../lib/timer-wheel.ts'
import { ERR, INFO, WARN } from '../../log/error-log.ts'
import { connect, type Connection, type ConnectionHandler } from '../../net/connection.ts'
import { type Call, type Carrier, WORKER_FAILED, WORKER_LOST, WORKER_TIMEOUT } from './call.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { DispatcherLink } from './links.ts'

/** What is read and dropped of a response nobody wants any more, before the worker is made to notice. */
const DRAIN_BYTES_MAX = 1024 * 1024
const DRAIN_MS_MAX = 5000
/** A request up to this size lies in the kernel in one piece: the worker has read all of it or nothing. */
const ONE_PIECE = 16384
const LEVELS = [ERR, ERR, ERR, ERR, WARN, WARN, INFO, INFO]

export class WorkerLink implements FrameSink, Carrier, DispatcherLink {
  readonly pid: number
  readonly slot: number
  readonly path: string
  /** Its cell in the table of seats. */
  readonly at: number
  connection: Connection
  /** It has said hello and may be claimed. */
  ready = false
  /** It is to take no more requests. */
  leaving = false
  closed = false
  /** Is the seat ours at the moment? */
  claimed = false
  /** Served now; null when idle, and while the rest of an abandoned response is drained. */
  call: Call | null = null
  stream = 0
  /** The socket's own backpressure is all there is. */
  credit = Infinity
  private readonly dispatcher: Dispatcher
  private reader: FrameReader
  private readonly timer: Timer<WorkerLink>
  /** performance.now() when the request was sent, or given up by its client. */
  private sentMs = 0
  private sentBytes = 0
  private drained = 0
  private saidBye = false
  private paused = false
  /** Closed by us so that the worker notices that its response is not wanted; it is connected to again. */
  private cut = false

  constructor(dispatcher: Dispatcher, slot: number, pid: number, path: string, at: number) {
    this.dispatcher = dispatcher
    this.slot = slot
    this.pid = pid
    this.path = path
    this.at = at
    this.timer = new Timer<WorkerLink>(this, timedOut)
    this.reader = new FrameReader(this)
    this.connection = connect({ path }, new Wire(this), () => {})
  }

  get inFlight(): number {
    return this.claimed ? 1 : 0
  }

  // ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** The seat has been claimed for this call. */
  serve(call: Call): void {
    this.call = call
    this.claimed = true
    this.stream = (this.stream + 1) >>> 0 || 1
    this.drained = 0
    this.sentMs = call.sentMs
    this.sentBytes = this.connection.bytesOut
    call.link = this
    call.attempts++
    if (this.dispatcher.timeout > 0) timers.arm(this.timer, this.dispatcher.timeout)
    call.send(this)
  }

  write(bytes: Buffer): boolean {
    return this.connection.write(bytes)
  }

  /** The client is slow: the worker is held back. */
  pause(): void {
    this.paused = true
    this.connection.pause()
  }

  resume(): void {
    if (!this.paused) return
    this.paused = false
    if (this.dispatcher.timeout > 0) timers.arm(this.timer, this.dispatcher.timeout)
    this.connection.resume()
  }

  /** The client has left. What the worker still sends is dropped, so that it need not know. */
  abandon(): void {
    if (this.call === null) return
    this.call.link = null
    this.call = null
    this.sentMs = performance.now()
    this.connection.write(encodeAbort(this.stream))
    this.resume()
    // A response that has begun and does not end (a stream of events) would hold the worker for ever.
    timers.arm(this.timer, this.dispatcher.timeout > 0 ? Math.min(this.dispatcher.timeout, DRAIN_MS_MAX) : DRAIN_MS_MAX)
  }

  /** Tells the worker to go, as soon as nothing of ours is with it. */
  leave(): void {
    this.leaving = true
    if (this.claimed || this.closed) return
    if (!this.connection.closed && this.ready) this.connection.write(encodeShutdown())
    this.connection.shutdown()
    this.ready = false
  }

  destroy(): void {
    this.leaving = true
    this.connection.destroy()
  }

  // ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────────

  onHello(_hello: Hello): void {
    this.ready = true
    this.cut = false
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

  onLog(stream: number, level: number, text: string): void {
    const words = Buffer.from(text, 'utf8').toString('latin1')
    if (this.call !== null && (stream === this.stream || stream === 0)) this.call.onLog(LEVELS[level] ?? ERR, words)
    else this.dispatcher.log(LEVELS[level] ?? ERR, words)
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
    if (!this.reader.push(chunk) && !this.closed && this.reader.error !== null) this.refuse(this.reader.error)
  }

  onWritable(): void {
    this.call?.onWritable(this)
  }

  /** The worker has closed: it must not be claimed in the moment until onClose(). */
  onEnd(): void {
    this.ready = false
    this.connection.destroy()
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    timers.disarm(this.timer)
    this.ready = false
    if (this.cut && !this.leaving) {
      this.reconnect()
      return
    }
    if (this.closed) return
    this.closed = true
    const { call } = this
    this.call = null
    this.dispatcher.linkClosed(this)
    this.claimed = false
    if (call === null) return
    call.link = null
    if (!call.answered && this.neverRead(error) && this.dispatcher.again(call)) return
    this.dispatcher.fail(call, WORKER_LOST, this.pid)
  }

  /**
   * Did the worker go without having looked at the request? It said so (BYE); nobody was there to write to (EPIPE); or the
   * kernel threw away what was written, which a Unix socket reports as ECONNRESET.
   */
  private neverRead(error: NodeJS.ErrnoException | null): boolean {
    if (this.saidBye || error?.code === 'EPIPE') return true
    return error?.code === 'ECONNRESET' && this.connection.bytesOut - this.sentBytes <= ONE_PIECE
  }

  private reconnect(): void {
    this.reader.stop()
    this.reader = new FrameReader(this)
    this.paused = false
    if (this.dispatcher.timeout > 0) timers.arm(this.timer, this.dispatcher.timeout)
    this.connection = connect({ path: this.path }, new Wire(this), () => {})
  }

  // ── states ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** END: the worker is idle again, before the client has got anything. */
  private finish(): void {
    const { call, dispatcher } = this
    if (call !== null) {
      // The worker has answered without reading all: it is told that no more of the body comes.
      if (call.sending) this.connection.write(encodeAbort(this.stream))
      call.link = null
      dispatcher.spent(call)
    }
    this.call = null
    this.claimed = false
    if (this.paused) {
      // The end came together with what was too much for the client: the next response must be read all the same.
      this.paused = false
      this.connection.resume()
    }
    timers.disarm(this.timer)
    if (this.leaving) {
      dispatcher.linkDone(this)
      this.leave()
    } else dispatcher.linkIdle(this)
  }

  /** Threads are timed by what they do; a sync worker, as in Gunicorn, by the whole request. */
  private progress(): void {
    if (this.dispatcher.timeout > 0 && !this.dispatcher.timesWholeRequest)
      timers.arm(this.timer, this.dispatcher.timeout)
  }

  private drain(bytes: number, end: boolean): void {
    this.drained += bytes
    if (end) this.finish()
    else if (this.drained > DRAIN_BYTES_MAX) this.cutOff()
  }

  /** The worker's next write fails; when it says hello again it is free. */
  private cutOff(): void {
    if (this.cut) return
    this.cut = true
    this.reader.stop()
    this.connection.destroy()
  }

  private refuse(what: string): void {
    if (this.closed) return
    this.dispatcher.log(ERR, `worker process ${this.pid} sent ${what}`)
    this.dispatcher.giveUp(this)
    this.destroy()
  }

  /** For Timer. */
  onTimeout(): void {
    const { call, dispatcher } = this
    if (!this.claimed) return
    if (call === null && !this.cut) {
      this.cutOff()
      return
    }
    if (this.paused) {
      timers.arm(this.timer, dispatcher.timeout)
      return
    }
    if (call === null && performance.now() - this.sentMs < dispatcher.timeout) {
      timers.arm(this.timer, dispatcher.timeout)
      return
    }
    this.call = null
    if (call !== null) call.link = null
    dispatcher.giveUp(this)
    this.destroy()
    if (call !== null) dispatcher.fail(call, WORKER_TIMEOUT, this.pid)
  }
}

export interface WireUser {
  onBytes(chunk: Buffer): void
  onEnd(): void
  onWritable(): void
  onClose(error: NodeJS.ErrnoException | null): void
}

/** The connection's events: FrameSink has an onData of its own. */
export class Wire implements ConnectionHandler {
  private readonly link: WireUser
  constructor(link: WireUser) {
    this.link = link
  }
  onData(chunk: Buffer): void {
    this.link.onBytes(chunk)
  }
  onEnd(): void {
    this.link.onEnd()
  }
  onDrain(): void {
    this.link.onWritable()
  }
  onClose(error: NodeJS.ErrnoException | null): void {
    this.link.onClose(error)
  }
}

function timedOut(link: WorkerLink): void {
  link.onTimeout()
}
