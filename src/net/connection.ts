// A stream socket as the rest of the program sees it: chunks in, strings and buffers out, and one number that tells
// whether the peer is slower than we are. Everything above knows only this class, so that another transport can take
// node:net's place.
//
// Reading: node:net's `onread` hands us the thread's shared read buffer instead of pushing every chunk through a stream.
// Writing: the stream's own queue; what the kernel takes at once (nearly always) costs no callback at all.

import { writeSync, writevSync } from 'node:fs'
import net from 'node:net'
import { READ_SIZE, readBuffer } from './read-buffer.ts'
import { sendFilePart } from './sendfile.ts'

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
}

type Handle = { writeQueueSize?: number; getAsyncId?: () => number; fd?: number }
type SocketOptions = Omit<net.SocketConstructorOpts, 'handle'> & { readonly handle?: unknown }

const NOTHING = Buffer.alloc(0)

export class Connection {
  handler: ConnectionHandler
  readonly socket: net.Socket
  bytesIn = 0
  /** Bytes handed to the socket, whether the kernel has taken them yet or not. */
  bytesOut = 0
  closed = false
  reading = true
  protected readonly flushed: (error?: Error | null) => void
  private error: NodeJS.ErrnoException | null = null
  private awaitingDrain = false

  /** @param from what to make the socket of, or a connection whose socket is this one's too, and which hears of it alone */
  constructor(from: SocketOptions | Connection, handler: ConnectionHandler) {
    this.handler = handler
    // After an error nothing has gone anywhere: the close that follows tells.
    this.flushed = error => {
      if (!error) this.onFlushed()
    }
    if (from instanceof Connection) {
      this.socket = from.socket
      return
    }
    this.socket = this.open(from)
    this.socket.on('end', () => this.handler.onEnd())
    this.socket.on('error', error => {
      this.error = error
    })
    this.socket.on('close', () => {
      this.closed = true
      this.handler.onClose(this.error)
    })
  }

  private open(options: SocketOptions): net.Socket {
    return new net.Socket({
      ...options,
      allowHalfOpen: true,
      onread: {
        buffer: readBuffer(),
        callback: (size: number, buffer: Uint8Array): boolean => {
          this.bytesIn += size
          this.handler.onData(size === READ_SIZE ? (buffer as Buffer) : (buffer as Buffer).subarray(0, size))
          return this.reading
        },
      },
    } as net.SocketConstructorOpts)
  }

  /** Bytes written that the kernel has not taken yet. */
  get pending(): number {
    return this.socket.writableLength
  }

  /** As `pending`, but falling while a large write is under way: tells a slow peer from a dead one (send_timeout). */
  get queued(): number {
    return (this.socket as unknown as { _handle: Handle | null })._handle?.writeQueueSize ?? 0
  }

  /** Writes latin1 text. False: the peer is slow, hold further data until onDrain. */
  writeText(text: string): boolean {
    this.bytesOut += text.length
    this.socket.write(text, 'latin1')
    return this.settled()
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
    return socket.writableLength === 0 || this.settled()
  }

  /** Past the stream, when nothing waits in it. @returns how much the kernel has taken */
  private writeNow(parts: readonly Buffer[]): number {
    const { socket } = this
    const fd = (socket as unknown as { _handle: Handle | null })._handle?.fd ?? -1
    if (fd < 0 || socket.writableLength > 0 || !socket.writable) return 0
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
    const { fd = -1 } = (this.socket as unknown as { _handle: Handle | null })._handle ?? {}
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
    if (this.socket.writableLength === 0) return true
    if (!this.awaitingDrain) {
      this.awaitingDrain = true
      this.awaitFlush()
    }
    return false
  }

  /** Has onFlushed() called when everything written so far has gone: then an empty write's callback comes. */
  protected awaitFlush(): void {
    this.socket.write(NOTHING, this.flushed)
  }

  protected onFlushed(): void {
    this.awaitingDrain = false
    if (this.closed || this.socket.destroyed) return
    if (this.settled()) this.handler.onDrain()
  }
}

/** To a Unix socket an empty write fails once the peer has answered and closed, and takes what it said with it: there the
 *  stream itself is asked to tell. */
class UnixConnection extends Connection {
  protected override awaitFlush(): void {
    const { _writableState: state } = this.socket as unknown as { _writableState: { needDrain: boolean } }
    state.needDrain = true
    this.socket.once('drain', this.flushed)
  }
}

/** A connection for a handle that a listener accepted; reading starts at once. */
export function accepted(handle: unknown, handler: ConnectionHandler): Connection {
  const connection = new Connection({ handle }, handler)
  connection.socket.read(0)
  return connection
}

/** Connects; `onConnect` is called once when the connection stands. Failure arrives as onClose with the error. */
export function connect(
  address: Address,
  handler: ConnectionHandler,
  onConnect: () => void,
  local: LocalAddress | null = null,
): Connection {
  const connection = 'path' in address ? new UnixConnection({}, handler) : new Connection({}, handler)
  const from = local === null ? {} : { localAddress: local.host, localPort: local.port }
  connection.socket.connect(
    'path' in address ? { path: address.path } : { ...address, ...from, autoSelectFamily: false },
    onConnect,
  )
  return connection
}
