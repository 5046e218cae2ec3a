// A request as the dispatch sees it: something that waits its turn, is sent to a worker and told what comes back. What it
// means to a client is the business of whoever makes one (http/app/exchange.ts).

import { monotonic } from '../../lib/clock.ts'
import type { Bond } from './bond.ts'

/** How a call reaches its worker: all of a connection (WorkerLink), or one stream on it (Lane). */
export interface Carrier {
  /** The number of the call's frames. */
  readonly stream: number
  /** Of its REQUEST. */
  readonly flags: number
  /** Bytes of body that may be sent at the moment; whoever sends them subtracts. */
  credit: number
  /** False: hold until onWritable(). */
  write(bytes: Buffer): boolean
  /** The client is slow: the worker is held back. */
  pause(): void
  resume(): void
  /** The call's client has left. */
  abandon(call: Call): void
  /** The request cannot be sent whole. */
  destroy(): void
}

// Why a call cannot be served.
/** The application cannot be loaded. */
export const NOT_LOADED = 1
/** Too many wait already. */
export const QUEUE_FULL = 2
/** It has waited for as long as it may. */
export const QUEUE_TIMEOUT = 3
/** The worker died, or broke the protocol. */
export const WORKER_LOST = 4
/** The worker did not answer in time. */
export const WORKER_TIMEOUT = 5
/** The worker gave the response up. */
export const WORKER_FAILED = 6

export abstract class Call {
  /** Who serves it; null while it waits, and when the worker is done. */
  link: Carrier | null = null
  /** Has anything of the response come? */
  answered = false
  /** Workers it was given to. */
  attempts = 0
  /** The last of those that went before they had read it: its pid, 0 while there is none. */
  lostBy = 0
  /** May it be given to another worker? Not when parts of its body are gone. */
  repeatable = true
  /** The end of its body has not been sent. */
  sending = false
  /** The last of them: its pid, 0 while there is none. */
  worker = 0
  /** monotonic() when it was made, sent to that worker, and done with by it; 0 before. */
  readonly madeMs = monotonic()
  sentMs = 0
  doneMs = 0
  /** Place among all that have had to wait; 0 for others. */
  ticket = 0
  /** Does it wait in line? */
  queued = false
  /** monotonic() at which it has waited long enough. */
  patience = 0
  /** Null: any worker will do. */
  bond: Bond | null = null
  /** The worker it is bound to had no place, and keeps it. */
  isGuest = false
  before: Call | null = null
  after: Call | null = null

  /** Does all of it go into one frame, body included? Only such a call can be sent ahead. */
  get inOnePiece(): boolean {
    return false
  }

  /** The worker with this place is to have it. */
  placed(_place: number): void {}
  /** Writes the request to the link. */
  abstract send(link: Carrier): void
  /** The link can take more, after one of its writes answered false. */
  abstract onWritable(link: Carrier): void
  /** See FrameSink of codec/frame-reader.ts. With `end` the worker is free again already. */
  abstract onHead(fields: string[], body: Buffer, bodySize: number, end: boolean): void
  abstract onData(bytes: Buffer, end: boolean): void
  abstract onFile(path: string, offset: number, length: number): void
  onInterim(_fields: string[]): void {}
  onTrailers(_fields: string[]): void {}
  abstract onLog(level: number, text: string): void
  /** Of a websocket: a message's payload follows through onData; closed by the application. */
  onMessage(_isText: boolean, _length: number): void {}
  onClose(_code: number, _reason: Buffer): void {}
  /** It ends here, one of the reasons above: an error to the client, or a cut when it has seen the head. */
  abstract onFailure(reason: number, pid: number): void
}

/** First come, first served; a call can leave from the middle, and come back to its place. */
export class CallQueue {
  size = 0
  first: Call | null = null
  private last: Call | null = null

  push(call: Call): void {
    this.insert(call, this.last)
  }

  /** Puts a call back that has been taken out, where its ticket belongs. */
  restore(call: Call): void {
    let before: Call | null = null
    for (let at = this.first; at !== null && ((call.ticket - at.ticket) | 0) > 0; at = at.after) before = at
    this.insert(call, before)
  }

  private insert(call: Call, before: Call | null): void {
    const after = before === null ? this.first : before.after
    call.before = before
    call.after = after
    if (before === null) this.first = call
    else before.after = call
    if (after === null) this.last = call
    else after.before = call
    call.queued = true
    this.size++
  }

  remove(call: Call): void {
    if (call.before === null) this.first = call.after
    else call.before.after = call.after
    if (call.after === null) this.last = call.before
    else call.after.before = call.before
    call.before = null
    call.after = null
    call.queued = false
    this.size--
  }
}
