// One request's dealings with an application: it is the Call that the dispatch queues and sends, and the source of the
// response's body. The worker is let go at END, whatever the client has got by then.
//
//   readRequestBody ─▶ dispatch(call) ─▶ send(): environ and body ─▶ worker
//                                                                      │ onHead
//   client ◀── respond in one string      ◀── HEAD with all of the body ┤
//   client ◀── ResponseBuffer or directly ◀── HEAD, DATA …             ┤
//   client ◀── FileParts                  ◀── HEAD, FILE                ┘

import { Call, type Carrier, QUEUE_FULL, QUEUE_TIMEOUT, WORKER_TIMEOUT } from '../../app/dispatch/call.ts'
import { encodeBodyFile, encodeBodyHeader, encodeRequest, encodeRequestText } from '../../codec/frames.ts'
import { type AppAnswer, appAnswer } from '../upstream/app-answer.ts'
import { parseLength } from '../../codec/h1/fields.ts'
import { reason } from '../../codec/h1/write.ts'
import { monotonic } from '../../lib/clock.ts'
import { CRIT, ERR } from '../../log/error-log.ts'
import { environOf } from './environ.ts'
import type { CacheLookup } from '../cache/lookup.ts'
import { describeFailure } from './failures.ts'
import { passHints } from './hints.ts'
import type { AppPass } from './pass.ts'
import { takeFields } from './response-fields.ts'
import { scopeOf } from './scope.ts'
import { bondOf } from './sticky.ts'
import type { SetHeader } from './set-header.ts'
import { AppBody } from './body.ts'
import { addServerTiming } from './times.ts'
import { AppTrailers } from './trailers.ts'
import { RETRY_AFTER } from './application.ts'
import { FileParts } from '../files/file-parts.ts'
import { interceptsError } from '../error-page.ts'
import { accelRedirect } from '../internal-redirect.ts'
import { openFile, REGULAR } from '../files/open-file.ts'
import type { Home } from '../../upstream/group.ts'
import { EMPTY, FLUSH, LAST, respondSpecial, sendHead, type Source } from '../output.ts'
import type { HttpRequest } from '../request.ts'
import { type Producer, ResponseBuffer } from '../response-buffer.ts'

const NO_FIELDS: readonly string[] = []
/** Up to here a response is turned into one string with its head. */
const TEXT_MAX = 16384
const PIECE = 65536

export class AppExchange extends Call implements Source, Producer, AppAnswer {
  readonly needsClient = true
  readonly r: HttpRequest
  readonly pass: AppPass
  private buffer: ResponseBuffer | null = null
  buffering: boolean
  /** The body is sent from a file: the worker has only its end to report. */
  private fromFile = false
  /** Bytes of a request body on disk that have been sent. */
  private bodySent = 0
  /** What binds its client to the worker that has it; null where nothing does. */
  private home: Home | null = null
  /** X-Accel-Redirect. */
  redirect = ''
  /** monotonic() when the head came; 0 before. */
  private headedMs = 0
  /** What the cache has for the request; null: it has nothing to do with it. */
  cache: CacheLookup | null = null
  appStatus = 0
  appFields: readonly string[] = NO_FIELDS

  constructor(r: HttpRequest, pass: AppPass) {
    super()
    this.r = r
    this.pass = pass
    this.buffering = pass.buffering
    if (pass.app.isSticky) this.bond = bondOf(pass.app.stickiness, r)
    r.source = this
    appAnswer.set(r, this)
  }

  // ── for variables ────────────────────────────────────────────────────────────────────────────────────────────────

  get appName(): string {
    return this.pass.app.name
  }

  get waitedMs(): number {
    return (this.sentMs === 0 ? monotonic() : this.sentMs) - this.madeMs
  }

  get headMs(): number {
    return this.headedMs === 0 ? -1 : this.headedMs - this.sentMs
  }

  get appMs(): number {
    return this.sentMs === 0 ? -1 : (this.doneMs === 0 ? monotonic() : this.doneMs) - this.sentMs
  }

  // ── the request ──────────────────────────────────────────────────────────────────────────────────────────────────

  override get inOnePiece(): boolean {
    const { body } = this.r
    return body === null || (!(body instanceof AppBody) && body.path === '' && body.length <= PIECE)
  }

  send(link: Carrier): void {
    const { body } = this.r
    if (body instanceof AppBody) {
      link.write(this.encode(link, null))
      body.open(this)
      return
    }
    if (body === null || body.path === '') {
      link.write(this.encode(link, body === null ? EMPTY : body.bytes()))
      return
    }
    link.write(this.encode(link, null))
    if (this.pass.app.sharesFiles) {
      link.write(encodeBodyFile(link.stream, Buffer.from(body.path, 'latin1').toString(), body.length))
      return
    }
    this.bodySent = 0
    this.onWritable(link)
  }

  override placed(place: number): void {
    const { sticky } = this.pass.app.stickiness
    if (sticky === null || this.isGuest) return
    this.home = { sid: `${place}` }
    sticky.chosen(this.r, this.home)
  }

  /** The session may be one that the worker has begun: a stream of events is not awaited to find that out. */
  private learn(home: Home): void {
    const { sticky } = this.pass.app.stickiness
    sticky?.answered(this.r, home)
    sticky?.completed(this.r, home)
  }

  /** The method, as the application hears it. */
  protected get methodAsked(): string {
    return this.r.method
  }

  protected get headers(): readonly SetHeader[] {
    return this.pass.headers
  }

  private encode(link: Carrier, body: Buffer | null): Buffer {
    const { r, methodAsked, headers } = this
    const { app, scriptName } = this.pass
    if (app.settings.kind === 'asgi')
      return encodeRequest(link.stream, scopeOf(r, headers, scriptName, methodAsked), body)
    const { text, pairs } = environOf(r, headers, scriptName, methodAsked)
    return encodeRequestText(link.stream, text, pairs, body, link.flags)
  }

  /** A body on disk that the worker may not open goes through the socket, as fast as the worker takes it. */
  onWritable(link: Carrier): void {
    const { body } = this.r
    if (body instanceof AppBody) {
      body.flush()
      return
    }
    if (body === null || body.path === '' || this.pass.app.sharesFiles || this.r.done) return
    let ready = true
    while (ready && this.bodySent < body.length && link.credit > 0) {
      const piece = Buffer.allocUnsafeSlow(Math.min(PIECE, body.length - this.bodySent))
      const size = body.read(piece, this.bodySent)
      if (size === 0) {
        this.r.log(CRIT, `request body in "${body.path}" is shorter than it was`)
        link.destroy()
        return
      }
      this.bodySent += size
      link.credit -= size
      link.write(encodeBodyHeader(link.stream, size, this.bodySent === body.length))
      ready = link.write(piece.subarray(0, size))
    }
    this.sending = this.bodySent < body.length
  }

  // ── the response ─────────────────────────────────────────────────────────────────────────────────────────────────

  onHead(fields: string[], body: Buffer, bodySize: number, end: boolean): void {
    const { r } = this
    if (r.done) return
    this.noteHead()
    if (end) this.closeBody()
    const status = fields[0]!
    if (end && fields.length === 1 && bodySize === 0 && status.startsWith('500')) {
      respondSpecial(r, 500)
      return
    }
    if (!this.takeStatus(status)) return
    this.appFields = fields
    if (this.home !== null) this.learn(this.home)
    if (this.pass.interceptErrors && r.status >= 300 && interceptsError(r, r.status)) {
      this.showOurs(fields)
      return
    }
    takeFields(this, fields)
    if (this.pass.serverTiming) addServerTiming(r, this)
    if (this.redirect !== '') {
      this.goElsewhere()
      return
    }
    // What a 304 says is the length of what it stands for, which nobody knows here (RFC 9110, 8.6).
    const isOwnSize = this.methodAsked !== 'HEAD' && r.status !== 304
    if (r.contentLength < 0 && bodySize >= 0 && isOwnSize) r.contentLength = bodySize
    if (end) this.respondWhole(body)
    else this.begin(body)
  }

  protected noteHead(): void {
    this.headedMs = monotonic()
  }

  onData(bytes: Buffer, end: boolean): void {
    const { r } = this
    if (r.done) return
    if (end) this.closeBody()
    if (this.fromFile) {
      if (bytes.length > 0) this.breakOff('sent more body behind a file')
      return
    }
    // An empty piece says that the head is not to wait for the first one that is not.
    if (bytes.length === 0 && !end) r.out.write(r, EMPTY, FLUSH)
    else this.passOn(bytes, end)
  }

  /** Hints, which a client of HTTP/1.0 would take for the response; behind that they are too late. */
  override onInterim(fields: string[]): void {
    if (!this.r.done) passHints(this.r, fields)
  }

  override onTrailers(fields: string[]): void {
    if (this.r.trailers instanceof AppTrailers) this.r.trailers.take(fields)
  }

  /** The head is out, the body is the part of a file. */
  onFile(path: string, offset: number, length: number): void {
    const { r } = this
    if (r.done) return
    if (!r.headSent || this.fromFile || this.buffer !== null) {
      this.breakOff('named a file in the middle of a body')
      return
    }
    this.fromFile = true
    const name = Buffer.from(path, 'utf8').toString('latin1')
    const file = openFile(name)
    if (file.kind !== REGULAR || file.size < offset + length) {
      r.log(
        ERR,
        file.kind !== REGULAR && file.failure !== ''
          ? file.failure
          : `"${name}" is not a file of ${offset + length} bytes`,
      )
      file.closeIfUnused()
      r.stream.abort(r)
      return
    }
    if (length === 0 || r.bodiless) {
      file.closeIfUnused()
      r.out.write(r, EMPTY, LAST)
    } else if (file.text !== null) r.out.write(r, Buffer.from(file.text.slice(offset, offset + length), 'latin1'), LAST)
    else new FileParts(r, file, [{ start: offset, end: offset + length }], null).start()
  }

  onLog(level: number, text: string): void {
    this.r.log(level, text, true)
  }

  /** The worker is done: what the client still sends is for nobody. */
  protected closeBody(): void {
    if (this.r.body instanceof AppBody) this.r.body.close()
  }

  onFailure(why: number, pid: number): void {
    const { r } = this
    if (r.done) return
    this.closeBody()
    r.log(ERR, describeFailure(this, why, pid))
    this.respondFailure(why)
  }

  protected respondFailure(why: number): void {
    const { r } = this
    if (why === QUEUE_FULL || why === QUEUE_TIMEOUT) r.addHeader('Retry-After', RETRY_AFTER)
    else dropFields(r)
    respondSpecial(r, why === QUEUE_FULL || why === QUEUE_TIMEOUT ? 503 : why === WORKER_TIMEOUT ? 504 : 502)
  }

  private breakOff(what: string): void {
    this.r.log(ERR, `app "${this.pass.app.name}": worker ${what}`)
    this.r.stream.abort(this.r)
  }

  protected takeStatus(line: string): boolean {
    const { r } = this
    const status = parseLength(line.slice(0, 3))
    if (status < 200 || status > 999) {
      r.log(ERR, `app "${this.pass.app.name}" sent invalid status "${line}"`)
      respondSpecial(r, 502)
      return false
    }
    this.appStatus = status
    r.status = status
    r.statusLine = line.length === 3 || line.slice(4) === reason(status) ? '' : line
    return true
  }

  /**
   * X-Accel-Redirect: the client gets what another location of ours makes of that URI, with a few of the application's fields
   * (nginx's ngx_http_upstream_process_headers). Its body, if there is one, is not wanted.
   */
  private goElsewhere(): void {
    this.letGo()
    accelRedirect(this.r, this.redirect)
  }

  /** A page of ours in place of the application's (app_intercept_errors). Who is asked to authenticate must be told how. */
  private showOurs(fields: readonly string[]): void {
    const { r } = this
    this.letGo()
    r.statusLine = ''
    for (let i = 1; r.status === 401 && i + 1 < fields.length; i += 2)
      if (fields[i]!.toLowerCase() === 'www-authenticate') r.addHeader(fields[i]!, fields[i + 1]!)
    respondSpecial(r, r.status)
  }

  /** Nobody wants what the worker still has to say. */
  protected letGo(): void {
    this.link?.abandon(this)
    this.r.source = null
  }

  /** All of it is here: head and body leave together. */
  protected respondWhole(body: Buffer): void {
    const { r } = this
    r.bodiless = r.method === 'HEAD' || r.status === 204 || r.status === 304
    if (
      r.location.filters.length === 0 &&
      r.errorStatus === 0 &&
      body.length <= TEXT_MAX &&
      (r.bodiless || body.length === r.contentLength)
    ) {
      r.headSent = true
      r.stream.sendText(r, body.toString('latin1'))
      return
    }
    this.sendWhole(body)
  }

  protected sendWhole(body: Buffer): void {
    const { r } = this
    sendHead(r)
    if (!r.done) r.out.writeVolatile(r, body, LAST)
  }

  protected begin(body: Buffer): void {
    const { r } = this
    sendHead(r)
    if (body.length > 0 && !r.done) this.passOn(body, false)
  }

  /** Body bytes on to the client; the worker is held back only when there is no room left for them. */
  private passOn(bytes: Buffer, end: boolean): void {
    const { r } = this
    if (this.buffering) {
      this.buffer ??= new ResponseBuffer(r, this, this.pass.limits)
      if (!this.buffer.push(r, bytes, end) && !end) this.link?.pause()
      return
    }
    const ready = r.out.writeVolatile(r, bytes, (end ? LAST : 0) | FLUSH)
    if (!ready && !end) this.link?.pause()
  }

  // ── the client ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Source: without a buffer in between the client's pace is the worker's. */
  drain(_r: HttpRequest): void {
    this.link?.resume()
  }

  resumeProducing(): void {
    this.link?.resume()
  }

  /** Source: the request is over. If it is over early, somebody may be waiting or working for it. */
  abort(_r: HttpRequest): void {
    this.pass.app.dispatcher?.forget(this)
  }

  cancelProducing(): void {
    this.pass.app.dispatcher?.forget(this)
  }
}

/** What the worker had said of a response that will not be sent. */
function dropFields(r: HttpRequest): void {
  if (r.headSent) return
  r.outNames.length = 0
  r.outValues.length = 0
  r.contentLength = -1
}
