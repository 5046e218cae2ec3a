// A subrequest: another URI of ours run through its location's steps on behalf of a client's request (ngx_http_subrequest).
// It is an HttpRequest of its own that shares the client's head; what it answers goes into an output of the caller's
// choice and never to the client by itself.
//
//   const sub = makeSubrequest(r, uri, args, new DroppedOutput(r, decided))
//   sub.method = …, sub.body = …                               what is to differ
//   if (startSubrequest(sub)) return decide(r, sub)            it is over already, `decided` will not be called
//   return WAIT                                                decided(sub) when it is over: sub.parent, sub.status …
//
// It ends with its parent, which must not end before. A background subrequest (mirror, post_action) is on its own: nobody
// waits for it but a thread that retires.

import type { Connection, ConnectionHandler } from '../net/connection.ts'
import { ERR } from '../log/error-log.ts'
import { inheritSlots, Slot } from './module.ts'
import { BodyStage, EMPTY, LAST } from './output.ts'
import { run } from './phases.ts'
import { HttpRequest, type ClientStream } from './request.ts'
import { endRequest } from './request-end.ts'
import type { LocationRuntime } from './runtime.ts'

/** Called when a subrequest is over; its parent may have ended before, if it ran in the background. */
export type SubrequestDone = (sub: HttpRequest) => void

/** The client's side of a subrequest: takes the response. What to do with the body is for those that extend it. */
export abstract class SubrequestOutput extends BodyStage implements ClientStream {
  readonly writer: BodyStage = this
  /** An interrupted or refused response: its body is not whole. */
  aborted = false
  background = false
  starting = false
  // The client's connection may be gone before a background subrequest is over.
  readonly connectionNumber: number
  readonly requests: number
  readonly localAddress: string
  readonly localPort: number
  readonly serverAddress: string
  readonly connectedMs: number
  readonly pipelined: boolean
  readonly proxyProtocol: ClientStream['proxyProtocol']
  readonly tls: ClientStream['tls']
  private readonly done: SubrequestDone

  constructor(parent: HttpRequest, done: SubrequestDone) {
    super()
    const { stream } = parent
    this.connectionNumber = stream.connectionNumber
    this.requests = stream.requests
    this.localAddress = stream.localAddress
    this.localPort = stream.localPort
    this.serverAddress = stream.serverAddress
    this.connectedMs = stream.connectedMs
    this.pipelined = stream.pipelined
    this.proxyProtocol = stream.proxyProtocol
    this.tls = stream.tls
    this.done = done
  }

  get descriptor(): number {
    return -1
  }

  /** A piece of the body. False: hold until drain(). */
  protected abstract take(r: HttpRequest, bytes: Buffer): boolean

  write(r: HttpRequest, bytes: Buffer, flags: number): boolean {
    if (r.done) return false
    const ready = bytes.length === 0 || r.bodiless || this.take(r, bytes)
    if ((flags & LAST) !== 0) this.end(r)
    return ready
  }

  /** The head stays on the request: its status, `outNames` and the rest. */
  sendHead(_r: HttpRequest): void {}

  sendText(r: HttpRequest, body: string): void {
    this.write(r, body === '' ? EMPTY : Buffer.from(body, 'latin1'), LAST)
  }

  insteadOfError(_r: HttpRequest, _status: number): boolean {
    return false
  }

  sendInterim(_text: string): void {}

  readBody(_wanted: boolean): void {}

  /** Nobody may ask for it: upstreams' 101 is refused where there is a parent. */
  upgrade(_r: HttpRequest, _handler: ConnectionHandler): { connection: Connection; received: Buffer } {
    throw new Error('a subrequest has no connection to be upgraded')
  }

  finish(r: HttpRequest): void {
    this.end(r)
  }

  abort(r: HttpRequest): void {
    this.aborted = true
    this.end(r)
  }

  private end(r: HttpRequest): void {
    if (r.done) return
    endRequest(r)
    if (this.background) leaveBackground()
    else running.get(r.parent!)?.delete(r)
    if (!this.starting) this.done(r)
  }
}

/** For who only wants to know the status and the fields. */
export class DroppedOutput extends SubrequestOutput {
  protected take(): boolean {
    return true
  }
  override writeVolatile(r: HttpRequest, _chunk: Buffer, flags: number): boolean {
    return this.write(r, EMPTY, flags)
  }
  override sendText(r: HttpRequest): void {
    this.write(r, EMPTY, LAST)
  }
}

/** For who wants the body in memory, up to a size. */
export abstract class CollectedOutput extends SubrequestOutput {
  private pieces: Buffer[] = []
  private length = 0

  protected abstract limit(sub: HttpRequest): number

  protected take(r: HttpRequest, bytes: Buffer): boolean {
    this.length += bytes.length
    if (this.length <= this.limit(r)) this.pieces.push(bytes)
    else {
      r.log(ERR, `too big subrequest response: ${Math.max(this.length, r.contentLength)}`)
      this.abort(r)
    }
    return true
  }

  body(): Buffer {
    return Buffer.concat(this.pieces)
  }
}

/** Makes one: a GET without a body. Null: they are nested too deep, which has been logged. */
export function makeSubrequest(
  parent: HttpRequest,
  uri: string,
  args: string,
  output: SubrequestOutput,
): HttpRequest | null {
  if (parent.nesting === 0) {
    parent.log(ERR, `subrequests cycle while processing "${uri}"`)
    return null
  }
  const sub = new HttpRequest(output, parent.head, parent.server, parent.clientAddress, parent.clientPort, parent)
  sub.nesting = parent.nesting - 1
  sub.method = 'GET'
  sub.version = parent.version
  sub.uri = uri
  sub.args = args
  sub.unparsedUri = parent.unparsedUri
  sub.uriIsRaw = false
  sub.host = parent.host
  sub.internal = true
  sub.cursor = parent.server.rewriteStart
  inheritSlots(parent, sub)
  return sub
}

/** The same request again, at the location's content handler (NGX_HTTP_SUBREQUEST_CLONE). */
export function cloneSubrequest(
  parent: HttpRequest,
  location: LocationRuntime,
  output: SubrequestOutput,
): HttpRequest | null {
  const sub = makeSubrequest(parent, parent.uri, parent.args, output)
  if (sub === null) return null
  sub.method = parent.method
  sub.uriIsRaw = parent.uriIsRaw
  sub.locationMatches = parent.locationMatches
  sub.aliasTakesUri = parent.aliasTakesUri
  sub.internal = parent.internal
  sub.location = location
  sub.steps = parent.steps
  sub.cursor = parent.cursor
  shareBody(parent, sub)
  return sub
}

const bareLocations = new WeakMap<LocationRuntime, LocationRuntime>()

/** The location without what its filters would do to a response that nobody sees. */
export function bareLocation(location: LocationRuntime): LocationRuntime {
  let bare = bareLocations.get(location)
  if (bare === undefined) {
    bare = { ...location, filters: [] }
    bareLocations.set(location, bare)
  }
  return bare
}

/** The client's body, if it has been read, goes with the subrequest, too. */
export function shareBody(parent: HttpRequest, sub: HttpRequest): void {
  if (parent.body === null || !parent.body.complete) return
  parent.body.share()
  sub.body = parent.body
}

/** True: it is over already. */
export function startSubrequest(sub: HttpRequest): boolean {
  const output = sub.stream as SubrequestOutput
  const parent = sub.parent!
  output.starting = true
  run(sub)
  output.starting = false
  if (!sub.done && !output.background) addRunning(parent, sub)
  return sub.done
}

/** Subrequests that end with their parents: a page may have very many, one after the other. */
const running = new Slot<Set<HttpRequest>>()

function addRunning(parent: HttpRequest, sub: HttpRequest): void {
  const known = running.get(parent)
  if (known !== null) {
    known.add(sub)
    return
  }
  const subs = new Set([sub])
  running.set(parent, subs)
  parent.onEnd(() => {
    for (const one of subs) endRequest(one)
  })
}

/** Starts one that may outlive its parent. */
export function startInBackground(sub: HttpRequest): void {
  outlive(sub)
  startSubrequest(sub)
}

/** It will be started, and its parent may have ended by then. */
export function outlive(sub: HttpRequest): void {
  const output = sub.stream as SubrequestOutput
  output.background = true
  // The session would read the next request's head into it.
  mainOf(sub).headShared = true
  backgroundCount++
}

/** The client's own request. */
export function mainOf(r: HttpRequest): HttpRequest {
  let main = r
  while (main.parent !== null) main = main.parent
  return main
}

// Background subrequests of this thread, and who waits for them to end.
let backgroundCount = 0
let onIdle: (() => void) | null = null

function leaveBackground(): void {
  if (--backgroundCount > 0 || onIdle === null) return
  const idle = onIdle
  onIdle = null
  idle()
}

/** For a thread that retires: calls back, at once or when the last background subrequest is over. */
export function whenBackgroundIsIdle(idle: () => void): void {
  if (backgroundCount === 0) idle()
  else onIdle = idle
}
