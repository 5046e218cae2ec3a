// A connection over a Unix socket on which a peer may stop listening before it has said its last: a worker that leaves answers what
// it has read, and then closes. To node:net a write that fails is the end of a connection, and what had not been read is lost with
// it. Here such a write goes nowhere, which can be asked for, and reading goes on until the peer has closed.

import { writeSync } from 'node:fs'
import { type ConnectionHandler, UnixConnection } from './connection.ts'

export class LocalConnection extends UnixConnection {
  /** Why the peer takes nothing any more; null as long as it does. */
  deafness: NodeJS.ErrnoException | null = null

  override write(bytes: Buffer): boolean {
    if (this.deafness !== null) {
      this.bytesOut += bytes.length
      return true
    }
    const { socket } = this
    if (this.pending > 0 || socket.connecting || !socket.writable) return super.write(bytes)
    let taken = 0
    try {
      taken = writeSync(this.descriptor, bytes)
    } catch (error) {
      const failure = error as NodeJS.ErrnoException
      if (failure.code === 'EPIPE' || failure.code === 'ECONNRESET') {
        this.deafness = failure
        this.bytesOut += bytes.length
        return true
      }
      // No room, for which the stream can wait; and of anything else it will tell.
    }
    if (taken < bytes.length) {
      this.bytesOut += taken
      return super.write(bytes.subarray(taken))
    }
    this.bytesOut += taken
    return true
  }
}

/** Connects to a Unix socket. Failure arrives as onClose with the error. */
export function connectLocal(path: string, handler: ConnectionHandler): LocalConnection {
  const connection = new LocalConnection(undefined, handler)
  connection.socket.connect({ path })
  return connection
}
