// An exchange with an application whose responses are kept (app_cache). What the cache has is served without a worker; what it
// has not is fetched, by one request at a time where app_cache_lock says so, and goes to the cache before the client has it.
// When the application fails, or its queue is full, what has grown old may do (app_cache_use_stale).

import { QUEUE_FULL, QUEUE_TIMEOUT, WORKER_TIMEOUT } from '../../app/dispatch/call.ts'
import { monotonic } from '../../lib/clock.ts'
import type { EntryFields } from '../cache/entry-file.ts'
import type { Fetcher } from '../cache/fetcher.ts'
import { askCache } from '../cache/lookup.ts'
import type { CacheSettings } from '../cache/settings.ts'
import type { CachedResponse } from '../cache/stored-response.ts'
import { respondSpecial } from '../output.ts'
import type { HttpRequest } from '../request.ts'
import { mainOf } from '../subrequest.ts'
import { reasonOf } from '../upstream/retry.ts'
import { ERROR, HTTP_503, IGNORE_ACCEL_EXPIRES, IGNORE_ACCEL_REDIRECT, TIMEOUT } from '../upstream/settings.ts'
import { AppBody } from './body.ts'
import { cacheKey } from './cache-key.ts'
import { AppExchange } from './exchange.ts'
import type { AppPass } from './pass.ts'
import { isForUs } from './fields.ts'
import { takeFields } from './response-fields.ts'
import type { SetHeader } from './set-header.ts'

const NO_NAMES: readonly string[] = []

export class CachedAppExchange extends AppExchange implements Fetcher {
  method: string
  private readonly conf: CacheSettings
  /** monotonic() when a worker was asked for; 0: none has been. */
  private askedMs = 0
  /** The cache or an error page answers the client: what the worker says is for nobody. */
  private isOver = false
  private stored: CachedResponse | null = null
  /** The head as the application sent it: its status line, then names and values in turn. */
  private head: readonly string[] = NO_NAMES
  status = 0
  statusText = ''
  names: readonly string[] = NO_NAMES
  values: readonly string[] = NO_NAMES

  constructor(r: HttpRequest, pass: AppPass, conf: CacheSettings) {
    super(r, pass)
    this.conf = conf
    this.method = r.method
  }

  /** Answers from the cache, or asks the application. */
  start(): void {
    if (!askCache(this, this.conf)) this.proceed()
  }

  // ── for the cache ────────────────────────────────────────────────────────────────────────────────────────────────

  readonly forcesRanges = false
  readonly headMax = Infinity

  get isStreaming(): boolean {
    return this.r.body instanceof AppBody
  }

  get ownKey(): string {
    return cacheKey(this.r, this.pass.scriptName)
  }

  get ignored(): number {
    const { accel, ignored } = this.pass
    return accel ? ignored : ignored | IGNORE_ACCEL_EXPIRES
  }

  get tempPath(): string {
    return this.pass.limits.tempPath
  }

  spelling(i: number): string {
    return this.head[1 + 2 * i]!
  }

  proceed(): void {
    this.askedMs = monotonic()
    this.pass.app.dispatcher!.dispatch(this)
  }

  finalize(status: number): void {
    const { r } = this
    this.letGo()
    if (!r.done) respondSpecial(r, status)
  }

  override letGo(): void {
    const { link, r } = this
    this.isOver = true
    link?.abandon(this)
    this.settle()
    if (r.source === this) r.source = null
  }

  passOver(): void {
    // What is served in place of it lets the worker go.
  }

  takeKept({ status, statusText, names, values, originalName }: EntryFields): void {
    const fields = [statusText === '' ? `${status}` : statusText]
    for (let i = 0; i < names.length; i++) fields.push(originalName(i), values[i]!)
    this.takeStatus(fields[0]!)
    takeFields(this, fields)
    // $upstream_http_* shows them; the worker has not answered.
    this.appFields = fields
    this.appStatus = 0
  }

  /** This request has no more to do with the cache. */
  private settle(): void {
    if (this.stored !== null) this.stored.discard()
    if (this.cache !== null) this.cache.free()
  }

  // ── for variables ────────────────────────────────────────────────────────────────────────────────────────────────

  override get waitedMs(): number {
    return this.askedMs === 0 ? 0 : (this.sentMs === 0 ? monotonic() : this.sentMs) - this.askedMs
  }

  // ── the request ──────────────────────────────────────────────────────────────────────────────────────────────────

  protected override get methodAsked(): string {
    return this.method
  }

  protected override get headers(): readonly SetHeader[] {
    const { cachingHeaders, headers } = this.pass
    return this.cache !== null && this.cache.cacheable ? cachingHeaders : headers
  }

  // ── the response ─────────────────────────────────────────────────────────────────────────────────────────────────

  override onHead(fields: string[], body: Buffer, bodySize: number, end: boolean): void {
    const { cache, r } = this
    if (this.isOver || (r.done && !this.hearsOut)) return
    if (cache === null || !this.readHead(fields)) {
      super.onHead(fields, body, bodySize, end)
      if (end) this.settle()
      return
    }
    this.noteHead()
    if (cache.takeHead(this.status >= 300 ? reasonOf(this.status) : 0, false)) {
      this.closeBody()
      return
    }
    if (this.mayBeKept) this.stored = cache.storing()
    this.keep(body, end)
    if (!r.done) super.onHead(fields, body, bodySize, end)
  }

  override onData(bytes: Buffer, end: boolean): void {
    if (this.isOver) return
    this.keep(bytes, end)
    super.onData(bytes, end)
  }

  /** A file that is sent from its own place need not be kept in another. */
  override onFile(path: string, offset: number, length: number): void {
    if (this.isOver) return
    this.settle()
    this.stored = null
    super.onFile(path, offset, length)
  }

  override onFailure(why: number, pid: number): void {
    if (this.isOver) return
    if (this.r.done) this.settle()
    else super.onFailure(why, pid)
  }

  protected override respondFailure(why: number): void {
    if (this.cache !== null && !this.r.headSent && this.cache.failed(failureOf(why))) return
    this.settle()
    super.respondFailure(why)
  }

  /** False: it is for the base class to refuse. */
  private readHead(fields: readonly string[]): boolean {
    const line = fields[0]!
    const status = /^[2-9]\d\d(?: |$)/.test(line) ? Number(line.slice(0, 3)) : 0
    if (status === 0) return false
    const names: string[] = []
    const values: string[] = []
    for (let i = 1; i + 1 < fields.length; i += 2) {
      names.push(isForUs(fields[i]!) ? '' : fields[i]!.toLowerCase())
      values.push(fields[i + 1]!.trim())
    }
    this.head = fields
    this.status = status
    this.statusText = line.length === 3 ? '' : line
    this.names = names
    this.values = values
    return true
  }

  /** As with nginx's upstreams, what is not buffered is not kept, nor what another location is to answer. */
  private get mayBeKept(): boolean {
    const { buffering, names, pass, values } = this
    if ((pass.ignored & IGNORE_ACCEL_REDIRECT) === 0 && pass.accel && names.includes('x-accel-redirect')) return false
    const said = names.indexOf('x-accel-buffering')
    return buffering && (said === -1 || values[said]!.toLowerCase() !== 'no')
  }

  /** The file is in its place before the client can know. */
  private keep(bytes: Buffer, end: boolean): void {
    const { stored } = this
    if (stored !== null) stored.write(bytes)
    if (!end) return
    if (stored !== null) stored.finish(this.declared)
    this.settle()
  }

  private get declared(): number {
    const at = this.names.indexOf('content-length')
    return at === -1 ? -1 : Number(this.values[at])
  }

  protected override respondWhole(body: Buffer): void {
    if (this.cache === null) super.respondWhole(body)
    else {
      this.weigh()
      this.sendWhole(body)
    }
  }

  protected override begin(body: Buffer): void {
    this.weigh()
    super.begin(body)
  }

  private weigh(): void {
    if (this.cache !== null && this.cache.cacheable) this.cache.weigh(false)
  }

  // ── the client ───────────────────────────────────────────────────────────────────────────────────────────────────

  /** Is the response wanted though the client may have gone? */
  private get hearsOut(): boolean {
    if (this.isOver || this.cache === null || this.sentMs === 0) return false
    return this.status === 0 ? this.cache.cacheable : this.stored !== null
  }

  override abort(r: HttpRequest): void {
    if (this.hearsOut) {
      mainOf(r).headShared = true
      this.link?.resume()
      return
    }
    this.isOver = true
    this.settle()
    super.abort(r)
  }

  override cancelProducing(): void {
    this.abort(this.r)
  }
}

/** In the words of app_cache_use_stale. */
function failureOf(why: number): number {
  return why === QUEUE_FULL || why === QUEUE_TIMEOUT ? HTTP_503 : why === WORKER_TIMEOUT ? TIMEOUT : ERROR
}
