// The events of a connection with a worker, for links: FrameSink has an onData of its own. And what the flags of a LOG frame say.

import { ERR, INFO, WARN } from '../../log/error-log.ts'
import type { ConnectionHandler } from '../../net/connection.ts'

/** By syslog's numbers. */
const LEVELS = [ERR, ERR, ERR, ERR, WARN, WARN, INFO, INFO]
/** A file with a body is gone as soon as its client is, for example. */
const WHILE_WANTED = 16

/** The error log's level for a LOG frame, -1: not to be logged. @param isWanted somebody waits for the response it is about */
export function logLevel(flags: number, isWanted: boolean): number {
  if ((flags & WHILE_WANTED) !== 0 && !isWanted) return -1
  return LEVELS[flags & ~WHILE_WANTED] ?? ERR
}

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
