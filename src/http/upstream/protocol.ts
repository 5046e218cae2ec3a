// What the exchange with an upstream needs to know of the protocol spoken there. HTTP/1 is one (h1.ts);
// FastCGI, uwsgi and SCGI are others. A protocol is one object for all requests: what it must remember it keeps on the
// Exchange, or in a parser on the PeerConnection (`exchange.reader`), which one request has at a time.

import type { Exchange } from './exchange.ts'

export interface UpstreamProtocol {
  /** `http://`, `fastcgi://`: what logs put in front of the peer. */
  readonly scheme: string
  /** The same over TLS: `suwsgi://`. */
  readonly overTls?: UpstreamProtocol
  /** The request up to its body, as latin1 text; made once and sent again to the next peer. */
  requestHead(x: Exchange): string
  /** Does it name the peer, and is to be made anew for each? */
  readonly namesPeer?: boolean
  /** A connection is all that is asked for: its bytes belong to the client as soon as it stands (CONNECT). */
  readonly opensTunnel?: boolean
  /** Its 404 is no page: the client gets ours. */
  readonly pageless?: boolean
  /** Bytes of body a piece may have. */
  readonly pieceMax: number
  /** Around a piece of body: a chunk's size line and end, a record's header. '' where bodies go as they are. */
  beforePiece(x: Exchange, length: number): string
  afterPiece(x: Exchange, length: number): string
  /** Behind the last piece. */
  bodyEnd(x: Exchange): string
  /** Where bodies are subject to the protocol's own flow control it writes them itself: the head ('' once that has gone)
   *  and as much of the bytes as may go at present; answers how much that was. When more may go it calls continueSending(). */
  writeBody?(x: Exchange, head: string, bytes: Buffer, ended: boolean): number
  /** A request begins on a connection: the parser forgets the last response. */
  beginResponse(x: Exchange): void
  /** Reads a response head from bytes[start, end). Answers how many bytes it took with `x.status`, `x.names`… set; MORE;
   *  or less than 0 with `x.problem` set ('' where it is logged already). Interim heads are answered like others. Who keeps
   *  an incomplete head in a reader of his own answers for all the bytes and leaves `x.status` 0. */
  readHead(x: Exchange, bytes: Buffer, start: number, end: number): number
  /** After a final head, once: how the body is framed. Sets `x.bodyDone` where there is none. */
  beginBody(x: Exchange): void
  /** Reads body from bytes[start, end), giving what is the client's to x.deliver(). Answers where it stopped: short of
   *  `end` only if `x.bodyDone`; less than 0 with `x.problem` set. */
  readBody(x: Exchange, bytes: Buffer, start: number, end: number): number
  /** The peer has closed: was that the end of the body? */
  endsAtClose(x: Exchange): boolean
  /** Fills the client's response from the head: status, fields, length. */
  passHead(x: Exchange): void
}

/** Does nothing around the pieces of a body. */
export const bare = {
  pieceMax: Infinity,
  beforePiece: (): string => '',
  afterPiece: (): string => '',
  bodyEnd: (): string => '',
}
