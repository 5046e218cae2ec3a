// A stream socket as the rest of the program sees it: chunks in, strings and buffers out, and one number that tells
// whether the peer is slower than we are. Everything above knows only this class, so that another transport can take
// node:net's place.
//
// Reading: node:net's `onread` hands us the thread's shared read buffer instead of pushing every chunk through a stream.
// Writing: text goes to the handle at once where nothing waits in the stream's queue, bytes through that queue; what the
// kernel takes at once (nearly always) costs no callback at all.

import { readSync, writeSync, writevSync } from 'node:fs'
import net from 'node:net'
import { getSystemErrorName } from 'node:util'
import { beginMoment, endMoment } from '../lib/clock.ts'
import { readBuffer, readChunk } from './read-buffer.ts'
import { sendFilePart } from './sendfile.ts'
import { preparedSocket, type SocketBuffers } from './socket-options.ts'
import { traffic } from './traffic.ts'

/** What happens on a connection. `onData`'s chunk is valid only during the call (see read-buffer.ts). */
export interface ConnectionHandler {
  onData(chunk: Buffer): void
  /** The peer will send no more; we still may. */
  onEnd(): void
  /** What was queued has gone to the kernel; called only after a write that left something queued. */
  onDrain(): void
  /** Once, last. `error` is null after an orderly close. */
  onClose(error: NodeJS.ErrnoException | null): void
}

/** Where to connect to: a TCP address or the path of a Unix socket. */
export type Address = { readonly host: string; readonly port: number } | { readonly path: string }

/** Where to connect from: an address of ours; port 0 for any. */
export interface LocalAddress {
  readonly text: string
  readonly host: string
  readonly port: number
  /** It need not be this machine's: what answers it is sent here by other means. */
  readonly transparent: boolean
}

type PeerName = { address?: string; port?: number }

/** What lies under a socket. */
interface Handle {
  readonly writeQueueSize?: number
  readonly fd?: number
  getpeername?(into: PeerName): number
  /** Answers 0 when the kernel has taken all of it, -errno, or the request that will say when it has. */
  writeLatin1String(request: null, text: string): number | TextRequest
}

interface TextRequest {
  connection: Connection
  length: number
  oncomplete(this: TextRequest, status: number): void
  /** It was done before `oncomplete` could be set. */
  writeStatus?: number | null
}

const NOTHING = Buffer.alloc(0)
/** Of what a peer has said that takes nothing more, at a time and altogether. */
const LAST_PIECE = 65536
const LAST_BYTES_MAX = 8 * 1024 * 1024

/** A descriptor made elsewhere, which is to be connected. */
class UnconnectedSocket {
  readonly fd: number

  constructor(fd: number) {
    this.fd = fd
  }
}

/** node:net's socket without listeners: there may be ten thousand of them, and a connection wants to hear of each the same
 *  four things. */
class OwnSocket extends net.Socket {
  readonly owner: Connection

  /** @param from what a listener has accepted, or an UnconnectedSocket; undefined: it is to be connected */
  constructor(owner: Connection, from: unknown) {
    const socket = from instanceof UnconnectedSocket ? { fd: from.fd, manualStart: true } : { handle: from }
    super({ ...socket, allowHalfOpen: true, onread: ONREAD } as unknown as net.SocketConstructorOpts)
    this.owner = owner
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (error !== null && this.owner.readsOut) this.owner.readOut(error)
    super._destroy(error, done)
  }

  override emit(event: string | symbol, value?: any): boolean {
    if (event === 'error') {
      this.owner.socketFailed(value as NodeJS.ErrnoException)
      return true
    }
    // node:net's own code may be listening, too.
    const heard = super.emit(event as string, value)
    if (event === 'end') this.owner.handler.onEnd()
    else if (event === 'connect') this.owner.socketConnected()
    else if (event === 'close') this.owner.socketClosed()
    return heard
  }
}

/** All sockets read in the same way. */
const ONREAD = { buffer: readBuffer(), callback: received }

function received(this: OwnSocket, size: number): boolean {
  return this.owner.socketRead(readChunk(size))
}

function handleOf(socket: net.Socket): Handle | null {
  return (socket as unknown as { _handle: Handle | null })._handle
}

function textWritten(this: TextRequest, status: number): void {
  this.connection.textWritten(this.length, status)
}

/** @returns 0: it has ended; -1: there is nothing more, or an error */
function readNow(fd: number, into: Buffer): number {
  try {
    return readSync(fd, into)
  } catch {
    return -1
  }
}

/** As node:net words it. */
function writeError(status: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(status)
  return Object.assign(new Error(`write ${code}`), { errno: status, code, syscall: 'write' })
}

export class Connection {
  handler: ConnectionHandler
  readonly socket: net.Socket
  bytesIn = 0
  /** Bytes handed to the socket, whether the kernel has taken them yet or not. */
  bytesOut = 0
  closed = false
  reading = true
  /** The peer may answer before it has read everything, and close: what it has said by then is read though a write has failed. */
  readsOut = false
  private error: NodeJS.ErrnoException | null = null
  /** A write has answered false. */
  private awaitingDrain = false
  /** The stream will tell when it has sent its queue. */
  private flushing = false
  /** Bytes of text that went past the stream and that the kernel has not taken yet. */
  private textLeft = 0
  private readonly connected: ((handler: ConnectionHandler) => void) | null

  /** @param from libuv's handle (undefined: none yet), an UnconnectedSocket, or a connection whose socket is this one's too, and which hears of it alone
   *  @param connected called once, with the handler, when the connection stands */
  constructor(
    from: unknown,
    handler: ConnectionHandler,
    connected: ((handler: ConnectionHandler) => void) | null = null,
  ) {
    this.handler = handler
    this.connected = connected
    this.socket = from instanceof Connection ? from.socket : new OwnSocket(this, from)
  }

  // What the socket says.

  socketRead(chunk: Buffer): boolean {
    this.bytesIn += chunk.length
    traffic.reads++
    beginMoment()
    try {
      this.handler.onData(chunk)
    } finally {
      endMoment()
    }
    return this.reading
  }

  socketConnected(): void {
    if (this.connected !== null) this.connected(this.handler)
  }

  socketFailed(error: NodeJS.ErrnoException): void {
    this.error = error
  }

  socketClosed(): void {
    this.closed = true
    this.handler.onClose(this.error)
  }

  /** Before the socket is closed. @param error why it is to be */
  readOut({ code, syscall }: NodeJS.ErrnoException): void {
    if (syscall !== 'write' || (code !== 'EPIPE' && code !== 'ECONNRESET')) return
    // Nobody is to use it again.
    this.closed = true
    const piece = Buffer.allocUnsafe(LAST_PIECE)
    const start = this.bytesIn
    while (this.reading && this.bytesIn - start < LAST_BYTES_MAX) {
      const size = readNow(this.descriptor, piece)
      if (size > 0) this.socketRead(piece.subarray(0, size))
      else {
        // A response may be as long as the connection. Where there was none, the write that failed says more.
        if (size === 0 && this.bytesIn > start) this.handler.onEnd()
        return
      }
    }
  }

  /** The address of who is at the other end; of a Unix socket, nothing. */
  peerName(): PeerName {
    const name: PeerName = {}
    // Asked of the handle: the socket would keep what it has found.
    handleOf(this.socket)?.getpeername?.(name)
    return name
  }

  /** The socket's descriptor, -1 when it has none any more. */
  get descriptor(): number {
    return handleOf(this.socket)?.fd ?? -1
  }

  get localAddress(): string {
    return this.socket.localAddress ?? ''
  }

  get localPort(): number {
    return this.socket.localPort ?? 0
  }

  /** Bytes written that the kernel has not taken yet. */
  get pending(): number {
    return this.socket.writableLength + this.textLeft
  }

  /** As `pending`, but falling while a large write is under way: tells a slow peer from a dead one (send_timeout). */
  get queued(): number {
    return handleOf(this.socket)?.writeQueueSize ?? 0
  }

  /** Writes latin1 text. False: the peer is slow, hold further data until onDrain. */
  writeText(text: string): boolean {
    this.bytesOut += text.length
    const { socket } = this
    const handle = handleOf(socket)
    // Heads and short answers: the stream would do no more than this, in four times as many steps.
    if (handle !== null && socket.writableLength === 0 && !socket.connecting && !socket.writableEnded) {
      const request = handle.writeLatin1String(null, text)
      if (request === 0) return this.textLeft === 0 || this.settled()
      if (typeof request === 'number') socket.destroy(writeError(request))
      else this.await(request, text.length)
    } else socket.write(text, 'latin1')
    return this.settled()
  }

  private await(request: TextRequest, length: number): void {
    this.textLeft += length
    request.connection = this
    request.length = length
    request.oncomplete = textWritten
    if (typeof request.writeStatus === 'number') request.oncomplete(request.writeStatus)
  }

  /** @param status 0, or -errno */
  textWritten(length: number, status: number): void {
    this.textLeft -= length
    if (status === 0) {
      if (this.textLeft === 0) this.tellDrain()
    } else if (!this.socket.destroyed) this.socket.destroy(writeError(status))
  }

  /** Writes bytes that stay unchanged until they are sent. False as above. */
  write(bytes: Buffer): boolean {
    this.bytesOut += bytes.length
    this.socket.write(bytes)
    return this.settled()
  }

  /** Writes a chunk of the thread's read buffer (as onData gave it). What the kernel does not take at once is copied: the next
   *  read of any connection goes to the same memory. */
  writeVolatile(chunk: Buffer): boolean {
    this.bytesOut += chunk.length
    const taken = this.writeNow([chunk])
    if (taken === chunk.length) return true
    this.socket.write(Buffer.from(chunk.subarray(taken)))
    return this.settled()
  }

  /** Text, bytes and text again in one system call. `volatile`: the bytes are a chunk of the read buffer. */
  writeAll(before: string, bytes: Buffer, after: string, volatile: boolean): boolean {
    const { socket } = this
    this.bytesOut += before.length + bytes.length + after.length
    if (volatile) {
      const parts = [Buffer.from(before, 'latin1'), bytes, Buffer.from(after, 'latin1')]
      const taken = this.writeNow(parts)
      if (taken === before.length + bytes.length + after.length) return true
      socket.write(Buffer.concat(parts).subarray(taken))
      return this.settled()
    }
    socket.cork()
    if (before !== '') socket.write(before, 'latin1')
    socket.write(bytes)
    if (after !== '') socket.write(after, 'latin1')
    socket.uncork()
    return this.settled()
  }

  /** Past the stream, when nothing waits in it. @returns how much the kernel has taken */
  private writeNow(parts: readonly Buffer[]): number {
    const { socket } = this
    const fd = handleOf(socket)?.fd ?? -1
    if (fd < 0 || this.pending > 0 || !socket.writable) return 0
    try {
      return parts.length === 1 ? writeSync(fd, parts[0]!) : writevSync(fd, parts)
    } catch {
      // No room; or the peer is gone, which the stream's own write will find out.
      return 0
    }
  }

  /** Sends a part of a file without reading it, to a plain socket with nothing queued: bytes the kernel has taken, 0 at the
   *  file's end, -1 if it takes none now or the bytes must be written. Nobody tells when it takes more: write some. */
  sendFile(descriptor: number, position: number, length: number): number {
    const { fd = -1 } = handleOf(this.socket) ?? {}
    const count = fd < 0 ? -1 : sendFilePart(fd, descriptor, position, length)
    if (count > 0) this.bytesOut += count
    return count
  }

  /** Closes the sending side once all is sent; reading goes on. */
  shutdown(): void {
    this.socket.end()
  }

  /** Closes at once; what is still queued is lost. */
  destroy(): void {
    this.socket.destroy()
  }

  /** Closes with a TCP reset (reset_timedout_connection). */
  reset(): void {
    // After end(), Node 26 never finishes a reset: the process would spin.
    if (this.socket.writableEnded) this.socket.destroy()
    else this.socket.resetAndDestroy()
  }

  pause(): void {
    if (!this.reading) return
    this.reading = false
    this.socket.pause()
  }

  resume(): void {
    if (this.reading || this.closed) return
    this.reading = true
    this.socket.resume()
  }

  private settled(): boolean {
    if (this.pending === 0) return true
    this.awaitingDrain = true
    if (!this.flushing && this.socket.writableLength > 0 && !this.socket.writableEnded) {
      this.flushing = true
      this.awaitFlush()
    }
    return false
  }

  /** Has flushed() called when the stream's queue, as it is now, has gone: then an empty write's callback comes. */
  protected awaitFlush(): void {
    this.socket.write(NOTHING, this.flushed())
  }

  protected flushed(): (error?: Error | null) => void {
    return error => {
      this.flushing = false
      // After an error nothing has gone anywhere: the close that follows tells.
      if (!error) this.tellDrain()
    }
  }

  private tellDrain(): void {
    if (!this.awaitingDrain || this.closed || this.socket.destroyed || !this.settled()) return
    this.awaitingDrain = false
    this.handler.onDrain()
  }
}

/** To a Unix socket an empty write fails once the peer has answered and closed, and takes what it said with it: there the
 *  stream itself is asked to tell. */
export class UnixConnection extends Connection {
  protected override awaitFlush(): void {
    const { _writableState: state } = this.socket as unknown as { _writableState: { needDrain: boolean } }
    state.needDrain = true
    this.socket.once('drain', this.flushed())
  }
}

/** A connection for a handle that a listener accepted; reading starts at once. */
export function accepted(handle: unknown, handler: ConnectionHandler): Connection {
  return new Connection(handle, handler)
}

/** Connects; `onConnect` is called once, with the handler, when the connection stands. Failure arrives as onClose with the error. */
export function connect(
  address: Address,
  handler: ConnectionHandler,
  onConnect: (handler: ConnectionHandler) => void,
  local: LocalAddress | null = null,
  buffers: SocketBuffers | null = null,
): Connection {
  const transparent = local !== null && local.transparent
  const isPlain = buffers === null && !transparent
  const fd = isPlain ? -1 : preparedSocket('path' in address ? null : address.host, buffers, transparent)
  const from = fd < 0 ? undefined : new UnconnectedSocket(fd)
  const connection =
    'path' in address ? new UnixConnection(from, handler, onConnect) : new Connection(from, handler, onConnect)
  const place = local === null ? {} : { localAddress: local.host, localPort: local.port }
  connection.socket.connect(
    'path' in address ? { path: address.path } : { ...address, ...place, autoSelectFamily: false },
  )
  return connection
}
