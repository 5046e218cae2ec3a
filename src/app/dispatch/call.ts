// A request as the dispatch sees it: something that waits its turn, is sent to a worker and told what comes back. What it
// means to a client is the business of whoever makes one (http/app/exchange.ts).

/** How a call reaches its worker: all of a connection (WorkerLink), or one stream on it (Lane). */
export interface Carrier {
  /** The number of the call's frames. */
  readonly stream: number
  /** Bytes of body that may be sent at the moment; whoever sends them subtracts. */
  credit: number
  /** False: hold until onWritable(). */
  write(bytes: Buffer): boolean
  /** The client is slow: the worker is held back. */
  pause(): void
  resume(): void
  /** The client has left. */
  abandon(): void
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
  /** May it be given to another worker? Not when parts of its body are gone. */
  repeatable = true
  /** The end of its body has not been sent. */
  sending = false
  /** The last of them: its pid, 0 while there is none. */
  worker = 0
  /** performance.now() when it was made, sent to that worker, and done with by it; 0 before. */
  readonly madeMs = performance.now()
  sentMs = 0
  doneMs = 0
  /** Place among all waiting calls, 0 while it does not wait. */
  ticket = 0
  /** performance.now() at which it has waited long enough. */
  patience = 0
  before: Call | null = null
  after: Call | null = null

  /** Writes the request to the link. */
  abstract send(link: Carrier): void
  /** The link can take more, after one of its writes answered false. */
  abstract onWritable(link: Carrier): void
  /** See FrameSink of codec/frame-reader.ts. With `end` the worker is free again already. */
  abstract onHead(fields: string[], body: Buffer, bodySize: number, end: boolean): void
  abstract onData(bytes: Buffer, end: boolean): void
  abstract onFile(path: string, offset: number, length: number): void
  abstract onLog(level: number, text: string): void
  /** Of a websocket: a message's payload follows through onData; closed by the application. */
  onMessage(_isText: boolean, _length: number): void {}
  onClose(_code: number, _reason: Buffer): void {}
  /** It ends here, one of the reasons above: an error to the client, or a cut when it has seen the head. */
  abstract onFailure(reason: number, pid: number): void
}

/** First come, first served; a call can leave from the middle. */
export class CallQueue {
  size = 0
  first: Call | null = null
  private last: Call | null = null

  push(call: Call): void {
    call.before = this.last
    call.after = null
    if (this.last === null) this.first = call
    else this.last.after = call
    this.last = call
    this.size++
  }

  remove(call: Call): void {
    if (call.before === null) this.first = call.after
    else call.before.after = call.after
    if (call.after === null) this.last = call.before
    else call.after.before = call.before
    call.before = null
    call.after = null
    call.ticket = 0
    this.size--
  }
}
