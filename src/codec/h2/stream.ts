// One stream of an HTTP/2 connection, either side's: its state (RFC 9113, 5.1), its windows, and what of its body waits to be
// sent. What happens on it is told to whoever extends it.

import { CANCEL } from './constants.ts'
import type { Endpoint } from './endpoint.ts'
import type { FieldList } from './hpack-decoder.ts'

const NONE: Buffer[] = []

export abstract class Stream {
  readonly endpoint: Endpoint
  readonly id: number
  /** The other side has ended it (END_STREAM), and our end is on its way. */
  remoteEnded = false
  localEnded = false
  /** Nothing more can come or go. */
  closed = false
  /** What each side may still send. */
  sendWindow: number
  receiveWindow: number
  /** Bytes of its frames that have gone to `out`: all, and of the body alone. */
  bytesOut = 0
  bodyOut = 0
  /** Longest DATA frame to make. */
  frameMax = 16384
  /** RFC 9218: 0 goes first, 7 last. */
  urgency = 3
  /** RFC 7540's priorities, once a client uses them: depth in the tree, and the share of what the parent has. */
  rank = 1
  weight = 16 / 256
  /** Body that waits for windows and for its turn, oldest first; `first` of `pieces` has been sent up to `offset`. */
  pieces: Buffer[] = NONE
  first = 0
  offset = 0
  queued = 0
  /** More has been asked for (onRoom) since something was queued last. */
  asked = false
  /** Nothing will be added to what waits. */
  ending = false
  /** Names and values in turn, to follow the body. */
  trailers: readonly string[] | null = null
  /** Neighbours in the list of streams that have something to send. */
  waiting = false
  next: Stream | null = null
  previous: Stream | null = null

  constructor(endpoint: Endpoint, id: number) {
    this.endpoint = endpoint
    this.id = id
    this.sendWindow = endpoint.peerInitialWindow
    this.receiveWindow = endpoint.ownInitialWindow
  }

  /** A request's or response's head, an interim response's, or trailers. The list is valid during the call only. */
  abstract onHeaders(fields: FieldList, ended: boolean): void
  /** A piece of the body, valid during the call only. Its bytes are missing in receiveWindow: see Endpoint.grant(). */
  abstract onData(bytes: Buffer, start: number, end: number): void
  /** The other side has said all it had to; not called where onHeaders has said so. */
  abstract onEnded(): void
  /** The stream is closed: the other side has reset it, or the connection is over. */
  abstract onReset(code: number): void
  /** The stream is closed: the other side has broken the rules, and it has been told so. */
  abstract onError(code: number, message: string): void
  /** Nothing waits: all bytes that were given have been copied, and more may be given. */
  abstract onRoom(): void
  /** A part of what waits has gone. */
  abstract onProgress(): void
  /** The end of what we send has gone. */
  abstract onSent(): void

  enqueue(bytes: Buffer): void {
    if (this.pieces === NONE) this.pieces = []
    this.pieces.push(bytes)
    this.queued += bytes.length
  }

  dropQueue(): void {
    this.pieces = NONE
    this.first = 0
    this.offset = 0
    this.queued = 0
  }

  cancel(): void {
    this.endpoint.reset(this, CANCEL)
  }
}
