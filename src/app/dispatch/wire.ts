// The events of a connection with a worker, for links: FrameSink has an onData of its own.

import type { ConnectionHandler } from '../../net/connection.ts'

export interface WireUser {
  onBytes(chunk: Buffer): void
  onEnd(): void
  onWritable(): void
  onClose(error: NodeJS.ErrnoException | null): void
}

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
