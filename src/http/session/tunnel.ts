// A client connection that was given away (101, CONNECT): its taker hears what happens on it, and the session hears of its
// end.

import type { ConnectionHandler } from '../../net/connection.ts'
import type { HttpRequest } from '../request.ts'

/** What the tunnel needs of the session it came from. */
export interface TunnelOwner {
  finish(r: HttpRequest): void
  onClose(error: NodeJS.ErrnoException | null): void
}

export class Tunnel implements ConnectionHandler {
  private readonly session: TunnelOwner
  private readonly r: HttpRequest
  private readonly taker: ConnectionHandler
  constructor(session: TunnelOwner, r: HttpRequest, taker: ConnectionHandler) {
    this.session = session
    this.r = r
    this.taker = taker
  }
  onData(chunk: Buffer): void {
    this.taker.onData(chunk)
  }
  onEnd(): void {
    this.taker.onEnd()
  }
  onDrain(): void {
    this.taker.onDrain()
  }
  onClose(error: NodeJS.ErrnoException | null): void {
    this.taker.onClose(error)
    if (!this.r.done) this.session.finish(this.r)
    this.session.onClose(error)
  }
}
