// app_pass to an application of kind node: its workers speak HTTP/1.1 on Unix sockets (docs/decisions/0005), so this is a
// proxy whose upstream is our own: nothing to configure, upgrades pass, and the client is named in X-Forwarded-*.

import { CLIENT_FIELD } from '../../app/node-start.ts'
import { parseNumber } from '../../config/units.ts'
import { monotonic } from '../../lib/clock.ts'
import { ERR } from '../../log/error-log.ts'
import { setRate } from '../access/limit-rate.ts'
import { bodyLength } from './body.ts'
import { cacheKey } from './cache-key.ts'
import type { AppPass } from './pass.ts'
import { type SetHeader, valueOf } from './set-header.ts'
import { schemeOf, type Told, toldOf } from './trust.ts'
import { addServerTiming } from './times.ts'
import { type Application, pidOf, RETRY_AFTER } from './application.ts'
import type { EntryFields } from '../cache/entry-file.ts'
import { forcedCharset } from '../filters/forced-charset.ts'
import { DONE, Slot } from '../module.ts'
import { respondSpecial, type Source } from '../output.ts'
import { readRequestBody } from '../request-body.ts'
import { answerLasts } from '../session/lasting.ts'
import type { HttpRequest } from '../request.ts'
import { type AppAnswer, appAnswer } from '../upstream/app-answer.ts'
import { ASKING, CONNECTING, RELAYING } from '../upstream/exchange-state.ts'
import { Exchange } from '../upstream/exchange.ts'
import { ACCEL_FIELDS } from '../upstream/gateway.ts'
import { asksUpgrade, http1, type H1Reader } from '../upstream/h1.ts'
import type { UpstreamProtocol } from '../upstream/protocol.ts'
import { requestUri } from '../upstream/request-uri.ts'
import {
  ERROR,
  IGNORE_ACCEL_BUFFERING,
  IGNORE_ACCEL_CHARSET,
  IGNORE_ACCEL_EXPIRES,
  IGNORE_ACCEL_LIMIT_RATE,
  IGNORE_ACCEL_REDIRECT,
  NO_LIVE,
  type UpstreamSettings,
} from '../upstream/settings.ts'
import { StreamedBody } from '../upstream/streamed-body.ts'
import { requestTrailers } from '../upstream/trailers.ts'

/** For one location. */
export interface NodePass {
  readonly app: Application
  readonly settings: UpstreamSettings
  /** Read by http1: a client may ask for another protocol. */
  readonly sendsUpgrade: true
  /** What we say in place of the client, and what where the response is to be kept. */
  readonly headers: readonly SetHeader[]
  readonly cachingHeaders: readonly SetHeader[]
  /** Fields of a response that no client gets, in lower case; null: none. */
  readonly hidden: ReadonlySet<string> | null
  /** Do we do what the X-Accel- fields say? Else they are for an nginx before us. */
  readonly accel: boolean
  /** Times are told to the client in a Server-Timing field. */
  readonly serverTiming: boolean
}

const HEAD_MAX = 65536
const CONNECT_MS = 60_000
/** `timeout 0`: as good as for ever. */
const FOREVER_MS = 2 ** 31

export function nodePass(common: AppPass): NodePass {
  const { accel, app, buffering, cache, cachingHeaders, headers, hidden, ignored } = common
  const { interceptErrors, limits: bufferLimits, requestBuffering, serverTiming } = common
  const timeout = app.settings.timeout === 0 ? FOREVER_MS : app.settings.timeout
  const settings: UpstreamSettings = {
    buffering,
    requestBuffering,
    cache,
    bind: null,
    ignoreClientAbort: false,
    socketKeepalive: false,
    socketBuffers: null,
    connectTimeout: CONNECT_MS,
    sendTimeout: timeout,
    readTimeout: timeout,
    interceptErrors,
    limitRate: null,
    forceRanges: false,
    maxRanges: 1,
    store: null,
    passTrailers: true,
    passRequestHeaders: true,
    passRequestBody: true,
    // A request that kills its worker must not be tried on all others; an idle connection that was just closed may be.
    nextUpstream: ERROR,
    nextUpstreamTries: 1,
    nextUpstreamTimeout: 0,
    ignoreHeaders: accel ? ignored : ignored | IGNORE_ACCEL_REDIRECT | IGNORE_ACCEL_EXPIRES,
    headLimits: {
      lineMax: HEAD_MAX,
      fieldMax: HEAD_MAX,
      headMax: HEAD_MAX,
      fieldsMax: HEAD_MAX,
      underscores: true,
      ignoreInvalid: true,
    },
    bufferLimits,
    hidden: new Set(),
  }
  return { app, settings, sendsUpgrade: true, accel, headers, cachingHeaders, hidden, serverTiming }
}

const slot = new Slot<NodePass>()

export function passToNode(r: HttpRequest, pass: NodePass): number {
  slot.set(r, pass)
  const { body } = r
  if (!pass.settings.requestBuffering && body !== null && !body.complete && pass.app.hasWorkers) {
    r.body = new StreamedBody(r, body.declared)
    ask(r)
    return DONE
  }
  return readRequestBody(r, bodyReady)
}

const waitsSince = new Slot<number>()

/** Before the first worker is there, the request waits for it; but not for what the cache has. */
function bodyReady(r: HttpRequest): void {
  const { app, settings } = slot.get(r)!
  if (app.hasWorkers || !app.mayCome || settings.cache !== null) ask(r)
  else awaitWorker(r)
}

function awaitWorker(r: HttpRequest): void {
  const { app } = slot.get(r)!
  const again = waitsSince.get(r) !== null
  if (!again) waitsSince.set(r, monotonic())
  if (app.awaitWorker(r, again, ask, waitedInVain)) r.source = NOTHING
  else refuse(r, 'too many requests are waiting')
}

function waitedInVain(r: HttpRequest): void {
  refuse(r, 'no worker became free in time')
}

function refuse(r: HttpRequest, why: string): void {
  r.log(ERR, `app "${slot.get(r)!.app.name}": ${why}`)
  r.addHeader('Retry-After', RETRY_AFTER)
  respondSpecial(r, 503)
}

/** Nothing is being produced for a request that waits. */
const NOTHING: Source = { drain() {}, abort() {} }

function ask(r: HttpRequest): void {
  if (r.done) return
  const pass = slot.get(r)!
  const x = new NodeExchange(r, pass)
  x.uri = requestUri(r, '', false, '')
  x.sendsBody = r.body !== null
  if (r.body instanceof StreamedBody) x.streamed = r.body
  x.connect()
}

/** How often a request that nobody has read was tried again. */
const retries = new Slot<number>()
/** Three workers that end just then: each may close an idle connection, one that it never accepted, and refuse the next. */
const RETRIES_MAX = 9

/** What connecting ends with where nobody listens any more; the last one where it has been closed before it was accepted. */
const AWAY: readonly (string | undefined)[] = ['ECONNREFUSED', 'ENOENT', 'ECONNRESET']

/** A request up to this size is written at once. */
const ONE_PIECE = 16384

class NodeExchange extends Exchange implements AppAnswer {
  private readonly pass: NodePass
  readonly appFields: readonly string[] = []
  worker = 0
  /** Nobody listens on the worker's socket. */
  private nobodyListens = false
  /** The worker had closed its end before any of the request was written. */
  private unheard = false
  readonly waitedMs: number

  constructor(r: HttpRequest, pass: NodePass) {
    super(r, nodeHttp, pass.settings, pass, pass.app.group!)
    this.pass = pass
    const since = waitsSince.get(r)
    this.waitedMs = since === null ? 0 : monotonic() - since
    appAnswer.set(r, this)
  }

  override connect(): void {
    const { pass, r } = this
    if (r.done || this.lookUp()) return
    if (pass.settings.cache !== null && !pass.app.hasWorkers && pass.app.mayCome) {
      this.letGo()
      awaitWorker(r)
      return
    }
    super.connect()
    const { peer } = this.choice
    if (peer === null) return
    this.worker = pidOf(peer)
    this.pass.app.countServed(this.worker)
  }

  override onClose(error: NodeJS.ErrnoException | null): void {
    this.nobodyListens = AWAY.includes(error?.code)
    if (error?.code === 'EPIPE' || error?.code === 'ECONNRESET') this.settleUnheard()
    super.onClose(error)
  }

  /** A Unix socket that ends without a reset has been read to the last byte: the worker has had the request, be the connection
   *  one that was idle before, and may be dying of it. A second one would find its socket still open, and die of it next. */
  override onEnd(): void {
    if (this.state === ASKING) this.cached = false
    super.onEnd()
  }

  /** A Unix socket is reset when its other end is closed with bytes in it that nobody has read, or before it was accepted: a
   *  request in one piece goes to the next that listens, as one does on an idle connection that was just closed. */
  private settleUnheard(): void {
    const { attempt, r, state, streamed } = this
    if (state !== ASKING || attempt === null || attempt.bytesReceived > 0) return
    this.settleCounts()
    const isWhole = streamed === null && (r.body === null || r.body.path === '')
    this.unheard = isWhole && attempt.bytesSent <= ONE_PIECE
    const tried = retries.get(r) ?? 0
    if (!this.unheard || tried === RETRIES_MAX) return
    retries.set(r, tried + 1)
    this.cached = true
    this.requestSent = false
  }

  /** A worker that cannot be connected to is gone, though the master has not said so yet: the request waits for another.
   *  Not if it had been sent on an idle connection to that worker before: it may be what the worker died of. */
  override failed(why: number): void {
    const { r, pass } = this
    const tried = retries.get(r) ?? 0
    const isAway = this.state === CONNECTING && this.nobodyListens && (this.unheard || !this.wasAsked())
    if (!(isAway || why === NO_LIVE) || tried === RETRIES_MAX || !pass.app.mayCome || r.done) {
      super.failed(why)
      return
    }
    retries.set(r, tried + 1)
    pass.app.lose(this.worker)
    this.letGo()
    bodyReady(r)
  }

  /** Has this very worker had the request before? */
  private wasAsked(): boolean {
    const { attempts } = this
    return attempts.length > 1 && attempts.at(-2)!.addr === attempts.at(-1)!.addr
  }

  /** The worker may be busy with others, or hang: the master asks it. */
  override onTimeout(): void {
    const { worker, state } = this
    super.onTimeout()
    if (worker !== 0 && state !== RELAYING) this.pass.app.doubt(worker)
  }

  /** `timeout` is for the head: events and websockets may be silent for as long as they like. */
  override mayRest(): boolean {
    return true
  }

  /** node:http sends it with the first piece of the body, unless told to send it before (flushHeaders). */
  override headAtOnce(): boolean {
    return true
  }

  get appName(): string {
    return this.pass.app.name
  }

  get appStatus(): number {
    return this.attempt === null ? 0 : this.status
  }

  get headMs(): number {
    return this.attempt === null ? -1 : this.attempt.headerMs
  }

  get appMs(): number {
    if (this.attempt === null || this.worker === 0) return -1
    return this.attempt.responseMs < 0 ? this.attempt.elapsed : this.attempt.responseMs
  }

  get headers(): readonly SetHeader[] {
    const { cachingHeaders, headers } = this.pass
    return this.cache !== null && this.cache.cacheable ? cachingHeaders : headers
  }

  get hidden(): ReadonlySet<string> | null {
    return this.pass.hidden
  }

  override get ownKey(): string {
    return cacheKey(this.r, '')
  }

  protected override passKept(fields: EntryFields): void {
    putHead(this, fields)
  }

  get acceleration(): boolean {
    return this.pass.accel
  }

  tellTimes(): void {
    if (this.pass.serverTiming) addServerTiming(this.r, this)
  }
}

// ── what is said and heard ───────────────────────────────────────────────────────────────────────────────────────────

/** Fields that end at this hop, or that we write ourselves. */
const OWN = new Set(
  (
    'host connection keep-alive proxy-connection te trailer transfer-encoding content-length upgrade expect ' +
    `x-forwarded-for x-forwarded-proto ${CLIENT_FIELD}`
  ).split(' '),
)

const nodeHttp: UpstreamProtocol = { ...http1, requestHead, passHead, bodyEnd }

const NO_NAMES: ReadonlySet<string> = new Set()

/** What the client has sent behind its body. */
function bodyEnd(x: Exchange): string {
  const { streamed } = x
  const end = http1.bodyEnd(x)
  return end === '' || streamed === null || streamed.trailers.length === 0
    ? end
    : requestTrailers(streamed.trailers, NO_NAMES)
}

function requestHead(x: Exchange): string {
  const { r } = x
  const { head } = r
  const headers = x instanceof NodeExchange ? x.headers : []
  const host = r.header('host') ?? (r.host === '' ? 'localhost' : r.host)
  let text = `${x.method} ${x.uri} HTTP/1.1\r\n`
  if (!isSet(headers, 'host')) text += `Host: ${host}\r\n`
  const told = toldOf.get(r)
  let forwarded = r.clientAddress
  for (let i = 0; i < head.count; i++) {
    const name = head.names[i]!
    if (name === 'x-forwarded-for') forwarded = forwardedFor(r, told, head.values[i]!)
    else if (!OWN.has(name) && !isSet(headers, name)) text += `${head.originalName(i)}: ${head.values[i]}\r\n`
  }
  if (!isSet(headers, 'x-forwarded-for')) text += `X-Forwarded-For: ${forwarded}\r\n`
  const scheme = schemeOf(r, told)
  if (!isSet(headers, 'x-forwarded-proto')) text += `X-Forwarded-Proto: ${scheme}\r\n`
  for (const header of headers) {
    const value = valueOf(header, r)
    if (value !== '') text += `${header.name}: ${value}\r\n`
  }
  // What goes on as it came is framed as it came, be it complete by now.
  const streamsChunks = x.streamed !== null && x.streamed.declared < 0
  if (r.body !== null && !streamsChunks && bodyLength(r.body) >= 0) text += `Content-Length: ${bodyLength(r.body)}\r\n`
  else if (r.body !== null) text += 'Transfer-Encoding: chunked\r\n'
  else if (head.contentLength === 0) text += 'Content-Length: 0\r\n'
  const upgrade = asksUpgrade(x) ? r.header('upgrade') : null
  text += upgrade === null ? 'Connection: keep-alive\r\n' : `Connection: upgrade\r\nUpgrade: ${upgrade}\r\n`
  const client = r.clientAddress === 'unix:' ? '- -' : `${r.clientAddress} ${r.clientPort}`
  return `${text}${CLIENT_FIELD}: ${client} ${scheme}\r\n\r\n`
}

/** A trusted proxy's word is as good as ours: its own address is of no interest. */
function forwardedFor(r: HttpRequest, told: Told | null, said: string): string {
  return told !== null && told.trusted ? said : `${said}, ${r.clientAddress}`
}

function isSet(headers: readonly SetHeader[], name: string): boolean {
  for (const { key } of headers) if (key === name) return true
  return false
}

function passHead(x: Exchange): void {
  const { head } = x.reader as H1Reader
  // The parser's next head must not change what variables show of this one.
  head.names = []
  head.values = []
  // Node's server, once it has passed over an upgrade, keeps silent about whatever it cannot read on that connection.
  if (!x.upgrade && asksUpgrade(x)) x.reusable = false
  putHead(x, head)
  if (x instanceof NodeExchange) x.tellTimes()
}

interface Spelled {
  originalName(i: number): string
}

/** Status, fields and length of the head that was read, or kept, go on the request. */
function putHead(x: Exchange, head: Spelled): void {
  const { names, r, values } = x
  const hidden = x instanceof NodeExchange ? x.hidden : null
  r.status = x.status
  r.statusLine = x.statusText
  r.contentLength = x.chunked ? -1 : x.contentLength
  for (let i = 0; i < names.length; i++) {
    if (hidden === null || !hidden.has(names[i]!)) passField(x, names[i]!, head.originalName(i), values[i]!)
  }
}

/** Streams of these end when one of the sides has enough. */
const EVENTS = 'text/event-stream'

function passField(x: Exchange, name: string, spelled: string, value: string): void {
  const { r } = x
  switch (name) {
    case 'content-length':
    case 'transfer-encoding':
    case 'connection':
    case 'keep-alive':
    case 'date':
    case 'server':
      return
    case 'upgrade':
      if (x.status === 101) r.addHeader(spelled, value)
      return
    case 'content-type':
      r.contentType = value
      if (value.startsWith(EVENTS)) answerLasts(r)
      return
    case 'last-modified':
      r.lastModified = value
      return
    case 'etag':
      r.etag = value
      return
    default:
      if (!name.startsWith('x-accel-') || !takeAccel(x, name, value)) r.addHeader(spelled, value)
  }
}

/** @returns false: it is for an nginx before us, or for nobody */
function takeAccel(x: Exchange, name: string, value: string): boolean {
  const ignores = (bit: number): boolean => (x.settings.ignoreHeaders & bit) !== 0
  if (name === 'x-accel-buffering' && value.toLowerCase() === 'no' && !ignores(IGNORE_ACCEL_BUFFERING))
    x.buffering = false
  if (x instanceof NodeExchange && !x.acceleration) return false
  if (name === 'x-accel-charset' && !ignores(IGNORE_ACCEL_CHARSET)) forcedCharset.set(x.r, value)
  else if (name === 'x-accel-limit-rate' && !ignores(IGNORE_ACCEL_LIMIT_RATE)) {
    const rate = parseNumber(value)
    if (rate !== null) setRate(x.r, rate)
  }
  return ACCEL_FIELDS.includes(name)
}
