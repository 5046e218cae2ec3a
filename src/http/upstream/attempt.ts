// What became of a request at one peer: the raw material of $upstream_addr, $upstream_status and their relatives.

import { monotonic } from '../../lib/clock.ts'

export class Attempt {
  /** The peer's name, or the group's when no peer was live; '' where we could not make a connection at all. */
  addr: string
  /** Is this the first one after an internal redirect? */
  readonly redirected: boolean
  status = 0
  /** ms; -1 while unknown. */
  queueMs = -1
  connectMs = -1
  headerMs = -1
  responseMs = -1
  /** Bytes behind the response's head, with their framing as nginx counts them, and all bytes. */
  responseLength = 0
  bytesReceived = 0
  bytesSent = 0
  readonly startedAt: number

  constructor(addr: string, redirected: boolean) {
    this.addr = addr
    this.redirected = redirected
    this.startedAt = monotonic()
  }

  get elapsed(): number {
    return Math.max(0, Math.round(monotonic() - this.startedAt))
  }
}
