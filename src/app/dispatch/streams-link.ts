// A front thread's connection with a worker that serves many requests at a time (kinds asgi and gevent): every call has a
// stream of its own on it (lane.ts). Nobody ever pauses the connection: a stream that is held back has used up its window.

import { FrameReader, type FrameSink, type Hello } from '../../codec/frame-reader.ts'
import { encodeShutdown, encodeWindow, SOON } from '../../codec/frames.ts'
import { ERR } from '../../log/error-log.ts'
import { connectLocal, type LocalConnection } from '../../net/local-connection.ts'
import { begunPath } from '../app.ts'
import { Begun } from './begun.ts'
import type { Call } from './call.ts'
import type { Dispatcher } from './dispatcher.ts'
import type { DispatcherLink, Seated } from './links.ts'
import { Lane } from './lane.ts'
import { passLog, Wire, type WireUser } from './wire.ts'

/** Requests up to this size wait for others of the same turn, behind which they are written together. */
const SMALL = 16384
/** So many bytes are enough for a write. */
const HELD_MAX = 65536

export class StreamsLink implements FrameSink, WireUser, DispatcherLink {
  readonly pid: number
  readonly slot: number
  readonly place: number
  readonly path: string
  readonly at: number
  readonly connection: LocalConnection
  readonly dispatcher: Dispatcher
  ready = false
  greeted = false
  leaving = false
  readonly overdue = false
  closed = false
  private readonly reader: FrameReader
  private readonly lanes = new Map<number, Lane>()
  /** Lanes for calls to come. */
  private readonly spare: Lane[] = []
  private last = 0
  /** After BYE: the last stream that the worker has taken, -1 before. */
  private lastTaken = -1
  /** Null until it has said where it writes down what it begins. */
  private begun: Begun | null = null
  /** It was we who ended the connection: the worker may live, and begin what it has been sent. */
  private cut = false
  private hung = false
  /** Requests for a worker that has others to do; they leave at the end of the turn. */
  private held: Buffer[] = []
  private heldBytes = 0
  private readonly atTurnsEnd = (): void => this.flush()

  constructor(dispatcher: Dispatcher, { slot, place, pid, path }: Seated, at: number) {
    this.dispatcher = dispatcher
    this.slot = slot
    this.place = place
    this.pid = pid
    this.path = path
    this.at = at
    this.reader = new FrameReader(this)
    this.connection = connectLocal(path, new Wire(this))
  }

  get inFlight(): number {
    return this.lanes.size
  }

  /** A place of the worker has been claimed for this call. */
  serve(call: Call): void {
    const lane = this.spare.pop() ?? new Lane(this)
    this.last = (this.last + 1) >>> 0 || 1
    this.lanes.set(this.last, lane)
    call.placed(this.place)
    lane.begin(call, this.last)
  }

  /**
   * For lanes: each write to a worker costs about as much as all else that a short request takes here. One that is idle is not to
   * wait; one that is busy gets those of a turn together.
   * @param first the beginning of a request
   * @returns false: write no more until onWritable()
   */
  write(bytes: Buffer, first: boolean): boolean {
    if (first && bytes.length <= SMALL && this.lanes.size > 1) {
      if (this.held.length === 0) setImmediate(this.atTurnsEnd)
      this.held.push(bytes)
      this.heldBytes += bytes.length
      if (this.heldBytes >= HELD_MAX) this.flush()
      return true
    }
    this.flush()
    return this.put(bytes)
  }

  private flush(): void {
    const { held } = this
    if (held.length === 0) return
    this.held = []
    this.heldBytes = 0
    this.put(held.length === 1 ? held[0]! : Buffer.concat(held))
  }

  private put(bytes: Buffer): boolean {
    const { connection } = this
    const room = connection.write(bytes)
    if (connection.deafness !== null && !this.leaving) this.leaves()
    return room
  }

  /** The worker takes no more. */
  private leaves(): void {
    this.leaving = true
    this.dispatcher.linkLeaves(this)
  }

  /** Tells the worker to go. It finishes what it has, and says which of ours it has not begun. */
  leave(): void {
    if (this.leaving || this.closed) return
    this.leaving = true
    this.write(encodeShutdown(), false)
    if (this.lanes.size === 0) this.connection.shutdown()
  }

  /** Applications end their streams of events then, which last for ever otherwise. */
  warn(): void {
    if (this.ready && !this.leaving && !this.closed) this.write(encodeShutdown(SOON), false)
  }

  destroy(): void {
    this.leaving = true
    this.cut = true
    this.connection.destroy()
  }

  /** For lanes: the worker is killed. Its end tells what it has not begun: until then that stays with it. */
  hangs(): void {
    if (this.hung) return
    this.hung = true
    this.leaving = true
    this.dispatcher.giveUp(this)
  }

  /** For lanes: nothing of the stream will be heard any more. */
  laneDone(lane: Lane): void {
    this.lanes.delete(lane.stream)
    this.spare.push(lane)
    if (this.closed) return
    if (!this.leaving) this.dispatcher.linkIdle(this)
    else {
      this.dispatcher.linkDone(this)
      if (this.lanes.size === 0) this.connection.shutdown()
    }
  }

  // ── frames ───────────────────────────────────────────────────────────────────────────────────────────────────────
  // A stream nobody knows is one that was given up: what the worker sent before it heard of that is passed over.

  onHello({ link }: Hello): void {
    this.begun ??= Begun.open(begunPath(this.path), link)
    this.ready = true
    this.greeted = true
    this.dispatcher.linkReady(this)
  }

  onHead(stream: number, fields: string[], body: Buffer, bodySize: number, end: boolean): void {
    this.lanes.get(stream)?.onHead(fields, body, bodySize, end)
  }

  onData(stream: number, bytes: Buffer, end: boolean): void {
    this.lanes.get(stream)?.onData(bytes, end)
  }

  onFile(stream: number, path: string, offset: number, length: number): void {
    this.lanes.get(stream)?.call?.onFile(path, offset, length)
    // It is open here now: the application may delete it.
    if (!this.closed) this.write(encodeWindow(stream, 0), false)
  }

  onInterim(stream: number, fields: string[]): void {
    this.lanes.get(stream)?.call?.onInterim(fields)
  }

  onTrailers(stream: number, fields: string[]): void {
    this.lanes.get(stream)?.call?.onTrailers(fields)
  }

  onLog(stream: number, flags: number, text: string): void {
    const call = this.lanes.get(stream)?.call ?? null
    passLog(this.dispatcher, call, flags, text)
  }

  onFail(stream: number): void {
    this.lanes.get(stream)?.onFail()
  }

  onWindow(stream: number, size: number): void {
    this.lanes.get(stream)?.onWindow(size)
  }

  onMessage(stream: number, isText: boolean, length: number): void {
    this.lanes.get(stream)?.onMessage(isText, length)
  }

  onCloseFrame(stream: number, code: number, reason: Buffer): void {
    this.lanes.get(stream)?.call?.onClose(code, reason)
  }

  onBye(last: number): void {
    this.lastTaken = last
    this.leaves()
    for (const lane of this.lanes.values()) if (isAfter(lane.stream, last)) lane.lost(true)
  }

  // ── the connection ───────────────────────────────────────────────────────────────────────────────────────────────

  onBytes(chunk: Buffer): void {
    if (this.reader.push(chunk) || this.closed || this.reader.error === null) return
    this.dispatcher.log(ERR, `worker process ${this.pid} sent ${this.reader.error}`)
    this.dispatcher.giveUp(this)
    this.destroy()
  }

  onWritable(): void {
    for (const lane of this.lanes.values()) lane.onWritable()
  }

  onEnd(): void {
    this.ready = false
    this.connection.destroy()
  }

  onClose(_error: NodeJS.ErrnoException | null): void {
    if (this.closed) return
    this.closed = true
    this.ready = false
    this.reader.stop()
    this.dispatcher.linkClosed(this)
    const last = this.lastBegun()
    for (const lane of this.lanes.values()) lane.lost(last >= 0 && isAfter(lane.stream, last))
  }

  /** The last stream that the worker, which is gone, can have begun; -1: that cannot be told. */
  private lastBegun(): number {
    const { begun } = this
    this.begun = null
    const last = begun === null || this.cut ? -1 : begun.last()
    begun?.close()
    return last >= 0 ? last : this.lastTaken
  }
}

/** Stream numbers wrap round. */
function isAfter(stream: number, other: number): boolean {
  return ((stream - other) | 0) > 0
}
