// One request, from its parsed head to the last byte of its answer. All fields are set in the constructor, so every
// request has one shape; modules keep their own state in slots (module.ts).

import type { RequestHead } from '../codec/h1/request-head.ts'
import type { Priority } from '../codec/h2/priority-tree.ts'
import type { ProxyProtocol } from '../codec/proxy-protocol.ts'
import { unixMs } from '../lib/clock.ts'
import { printable } from '../log/error-log.ts'
import type { Connection, ConnectionHandler } from '../net/connection.ts'
import { freshSlots } from './module.ts'
import type { DateRule } from './not-modified.ts'
import type { BodyStage, Source } from './output.ts'
import type { Step } from './phases.ts'
import type { RangePlan, RangeTaker } from './range.ts'
import type { RequestBody } from './request-body.ts'
import type { LocationRuntime, ServerRuntime } from './runtime.ts'
import type { ClientTls } from './ssl/client-tls.ts'

/** The client's side of a request: an HTTP/1 session, or one stream of an HTTP/2 one. */
export interface ClientStream {
  readonly connectionNumber: number
  /** Requests begun on the connection, this one included. */
  readonly requests: number
  readonly localAddress: string
  readonly localPort: number
  /** As nginx writes it: of a Unix socket `unix:` and its path. */
  readonly serverAddress: string
  /** Date.now() when the connection was accepted. */
  readonly connectedMs: number
  /** Had the request been sent before the answer to the one before it? */
  readonly pipelined: boolean
  /** The socket's descriptor, -1 when it has none any more. */
  readonly descriptor: number
  /** What was agreed on with a client that speaks TLS; null for plain text. */
  readonly tls: ClientTls | null
  /** What a PROXY protocol header told, null without one. */
  readonly proxyProtocol: ProxyProtocol | null
  /** Of a stream of HTTP/2, where the client has said something of it. */
  readonly priority?: Priority | null
  /** With which error of the network's the client has gone, as a log has it behind what happened; '' or none: without one. */
  readonly parting?: string
  /** Is the client known to be gone while its request is gone through with? There is no other attempt for it then. */
  readonly unheard?: boolean
  /** The last stage of every response: frames the body for the client. */
  readonly writer: BodyStage
  /** Serialises the head; it leaves with the first piece of body, or alone on flush. */
  sendHead(r: HttpRequest): void
  /** An interim answer (100, 103) as latin1 text, its empty line included. */
  sendInterim(text: string): void
  /** Takes the connection over as a byte tunnel (101, CONNECT): the session reads and writes it no more. Answers the bytes
   *  already received behind the head. The taker ends the request with stream.finish(). */
  upgrade(r: HttpRequest, handler: ConnectionHandler): { connection: Connection; received: Buffer }
  /** The response is complete, though nothing went through the writer (after upgrade). */
  finish(r: HttpRequest): void
  /** Whole short response whose body is latin1 text: head and body in one string. */
  sendText(r: HttpRequest, body: string): void
  /** Cuts the client off: the response cannot be completed. */
  abort(r: HttpRequest): void
  /** A subrequest's: nobody waits for it. */
  readonly background?: boolean
  /** A subrequest's: something else than an error page is sent where this answers true. */
  insteadOfError?(r: HttpRequest, status: number): boolean
  /** Lets more of the request body come; `false` holds the client back. */
  readBody(wanted: boolean): void
  /** The answer is ready and reads no body: one that a client holds back until it is asked for may come, to be dropped. */
  dropBody?(): void
}

/** Fields behind a body, whose values may not be known before its end. */
export interface Trailers {
  /** What fields() has answered, empty before. */
  readonly sent?: readonly string[]
  /** Names and values in turn; asked once, when the body is complete. */
  fields(r: HttpRequest): readonly string[]
}

/** Who is asked in a request's stead, as lines of the error log name it. */
export interface Asked {
  /** `scheme://peer/uri`; '' while nobody has been chosen. */
  readonly logged: string
}

/** A response has no Server: its upstream may say what it is, and says nothing. */
export const NO_SERVER = '\0'

export class HttpRequest {
  readonly stream: ClientStream
  readonly head: RequestHead
  server: ServerRuntime
  location: LocationRuntime
  steps: readonly Step[]
  cursor = 0

  method: string
  /** The path: decoded and normalised, one character per byte; what locations are matched against. */
  uri = ''
  /** Behind the `?`, as sent. */
  args = ''
  /** Were there arguments, or a rewrite's `?`, though nothing is left of them? Then $args is empty rather than missing. */
  hadArgs = false
  /** The request-target as sent ($request_uri). */
  unparsedUri = ''
  /** Is `unparsedUri`'s path the very same bytes as `uri` (nothing decoded, merged or rewritten)? */
  uriIsRaw = true
  /** Lower-case host without port: of the target, else of the Host field, else ''. */
  host = ''
  /** The client's HTTP version: 9, 10, 11 or 20. */
  version: number
  /** False after `rewrite … break`: `uri` no longer begins with what the location matched (nginx's valid_location). */
  locationMatches = true
  internal = false
  uriChanged = false
  uriChanges = 11
  /** After `try_files` in a location whose alias is the whole path: the URI goes behind it (nginx's add_uri_to_alias). */
  aliasTakesUri = false
  /** The request this one is a part of (subrequest.ts); null for a client's own. */
  readonly parent: HttpRequest | null
  /** Subrequests that may still be nested below this one. */
  nesting = 51
  /** Somebody else reads `head` after the request's end: the session must not use it for the next request. */
  headShared = false

  clientAddress: string
  clientPort: number

  body: RequestBody | null = null

  /** 0 until decided. */
  status = 0
  /** What an error page is sent with, whoever makes it; 0: its own status (nginx's err_status). */
  errorStatus = 0
  /** An error page is on its way; a second error gets none (unless recursive_error_pages). */
  inErrorPage = false
  /** The status of the access checks so far that refused, under `satisfy any`. */
  accessStatus = 0
  /** A status line of an upstream or application with its own reason; '' for the standard one. */
  statusLine = ''
  contentType = ''
  /** Bytes of body, -1 when not known. */
  contentLength = -1
  /** Last-Modified as an HTTP date, '' for none. */
  lastModified = ''
  /** It is an upstream's own field, which an error is sent with, too. */
  lastModifiedStays = false
  etag = ''
  /** Server and Date of an upstream or application that is allowed to set them; '' for our own, NO_SERVER for none. */
  serverHeader = ''
  dateHeader = ''
  /** Location as it will be sent: a path is made absolute where absolute_redirect says so. */
  redirect = ''
  readonly outNames: string[] = []
  readonly outValues: string[] = []
  /** What is to follow the body, null for nothing; only a chunked body can have it. */
  trailers: Trailers | null = null
  /** How dates are compared when conditions of the request are weighed against this response; null: they are not. Set before
   *  the head is sent, as is the following. */
  conditional: DateRule | null = null
  /** How many parts of this response a client may ask for; 0: it gets the whole. */
  rangesMax = 0
  /** The parts it gets: whoever makes the body sends these alone. */
  range: RangePlan | null = null
  rangeTaker: RangeTaker | null = null
  /** The client gets a head and no body (HEAD, 204, 304). */
  bodiless = false
  /** Keep the connection after this request? Handlers may only clear it. */
  keepAlive: boolean
  headSent = false
  out: BodyStage
  source: Source | null = null
  /** What is being done, in nginx's words, for the `while …` of the error log; '' for nothing in particular. */
  action = ''
  /** Stays when somebody else has taken over, as in nginx. */
  asked: Asked | null = null
  /** Runs when the request ends, whichever way (temp files, slots, counters). */
  cleanups: (() => void)[] | null = null
  done = false
  /** All of the response has gone out. */
  complete = false

  /** unixMs() when the head was complete. */
  readonly startMs: number
  /** Bytes of this request received: head and body as they came. */
  requestLength = 0
  /** Bytes sent to the client: all, and of the body alone. */
  bytesSent = 0
  bodyBytesSent = 0
  readonly slots: unknown[] = freshSlots()

  constructor(
    stream: ClientStream,
    head: RequestHead,
    server: ServerRuntime,
    clientAddress: string,
    clientPort: number,
    parent: HttpRequest | null = null,
  ) {
    this.stream = stream
    this.parent = parent
    this.head = head
    this.server = server
    this.location = server.outside
    this.steps = server.outside.steps
    this.method = head.method
    this.version = head.version
    this.keepAlive = head.keepAlive
    this.clientAddress = clientAddress
    this.clientPort = clientPort
    this.out = stream.writer
    this.startMs = unixMs()
  }

  /** First request header field of that (lower-case) name. */
  header(name: string): string | null {
    return this.head.get(name)
  }

  /** Adds a response header field. */
  addHeader(name: string, value: string): void {
    this.outNames.push(name)
    this.outValues.push(value)
  }

  /** First of the added response header fields of that name, any case. */
  responseHeader(name: string): string | null {
    for (let i = 0; i < this.outNames.length; i++) {
      if (this.outNames[i]!.length === name.length && this.outNames[i]!.toLowerCase() === name)
        return this.outValues[i]!
    }
    return null
  }

  onEnd(cleanup: () => void): void {
    if (this.cleanups === null) this.cleanups = [cleanup]
    else this.cleanups.push(cleanup)
  }

  /**
   * Logs with nginx's context: what was being done, client, server, request line, upstream, host.
   * @param hasLines the message is an application's, and may have several lines
   */
  log(level: number, message: string, hasLines = false): void {
    this.report(level, this.action === '' ? message : `${message} while ${this.action}`, hasLines)
  }

  /** As log(), where the message itself says what was being done. */
  report(level: number, message: string, hasLines = false): void {
    const log = this.location.errorLog
    if (level > log.level) return
    const server = this.server.name
    const line = this.head.requestLine
    const upstream = this.asked === null ? '' : this.asked.logged
    const host = this.header('host')
    const referrer = this.header('referer')
    const context =
      `, client: ${this.clientAddress}, server: ${server}` +
      (line === '' ? '' : `, request: "${line}"`) +
      (this.parent === null ? '' : `, subrequest: "${this.uri}"`) +
      (upstream === '' ? '' : `, upstream: "${upstream}"`) +
      (host === null ? '' : `, host: "${host}"`) +
      (referrer === null ? '' : `, referrer: "${referrer}"`)
    log.log(level, message + printable(context, false), this.stream.connectionNumber, hasLines)
  }
}
