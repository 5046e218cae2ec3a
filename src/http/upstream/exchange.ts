// One request's dealings with its upstream, whatever protocol is spoken there:
//
//   choose a peer ─▶ connect, or take an idle connection ─▶ send head and body ─▶ read the response's head
//     ▲                                                                             │ interim heads are passed over
//     └── retry.ts: what failed may be tried elsewhere ◀── failure ─────────────────┤
//                                                                                   ▼
//   keep or close the connection ◀── body complete ◀── body to the client (relay.ts), as fast as the upstream gives it
//
// Nothing here is allocated per event; the connection, its timer and its parser outlive the exchange.

import { errorText } from '../../lib/errno.ts'
import { CRIT, ERR, INFO, WARN } from '../../log/error-log.ts'
import type { LocalAddress } from '../../net/connection.ts'
import { PeerConnection } from '../../upstream/peer-connection.ts'
import type { PeerUser } from '../../upstream/peer-connection.ts'
import { Choice, FAILED, PASSED_ON, SUCCEEDED } from '../../upstream/group.ts'
import type { Group } from '../../upstream/group.ts'
import type { Peer } from '../../upstream/peer.ts'
import type { PeerTls } from '../../upstream/peer-tls.ts'
import { opensslText } from '../../net/tls-errors.ts'
import { Slot } from '../module.ts'
import type { Value } from '../module.ts'
import { EMPTY, FLUSH, respondSpecial } from '../output.ts'
import type { Source } from '../output.ts'
import type { Asked, HttpRequest } from '../request.ts'
import type { Producer, ResponseBuffer } from '../response-buffer.ts'
import { Attempt } from './attempt.ts'
import type { UpstreamProtocol } from './protocol.ts'
import { QueueStay } from './queueing.ts'
import { continueBody, endOfBody, readHead, relayBody } from './relay.ts'
import { mayRetry, statusOf } from './retry.ts'
import type { ReadRate } from './read-rate.ts'
import { askCache, type CacheLookup } from '../cache/lookup.ts'
import { continueSending, sendRequest } from './sending.ts'
import { ERROR, HTTP_403, HTTP_404, NO_LIVE, TIMEOUT } from './settings.ts'
import type { UpstreamSettings } from './settings.ts'
import type { CachedResponse } from '../cache/stored-response.ts'
import type { StoredResponse } from './store.ts'
import type { StreamedBody } from './streamed-body.ts'
import { openTunnel } from './tunnel.ts'

// States.
export const PREPARING = 0
export const CONNECTING = 1
/** The request is on its way, or its response has not begun. */
export const ASKING = 2
export const RELAYING = 3
export const TUNNELLING = 4
export const OVER = 5

const TIMED_OUT = '(110: Connection timed out)'

const NO_NAMES: readonly string[] = []

export const upstreamSlot = new Slot<Exchange>()

export class Exchange implements PeerUser, Source, Producer, Asked {
  readonly needsClient = true
  readonly r: HttpRequest
  readonly protocol: UpstreamProtocol
  readonly settings: UpstreamSettings
  /** The protocol's own configuration, and for the pool: whose connections may be shared. */
  readonly conf: unknown
  readonly group: Group
  readonly choice: Choice
  /** In the group's queue; null where there is none. */
  private readonly stay: QueueStay | null
  /** ms the next attempt has waited there. */
  queueMs = -1
  state = PREPARING

  // The request.
  /** What is asked of the upstream, for its request line and for logs. */
  uri = ''
  method: string
  /** Made at the first attempt: the head, and behind it what proxy_set_body says. */
  head: string | null = null
  /** Does the client's body follow the head, and how far has it gone? */
  sendsBody = false
  bodyAt = 0
  streamed: StreamedBody | null = null
  /** What proxy_set_body says, where it is not a part of the head. */
  ownBody: Buffer | null = null
  bodySent = false
  requestSent = false

  // The connection.
  /** How TLS is spoken on it; null: in plain text. */
  tls: PeerTls | null = null
  /** Its name, where that is to be found anew for each peer ($upstream_last_server_name). */
  tlsName: Value | null = null
  link: PeerConnection | null = null
  /** It had carried other requests before. */
  cached = false
  attempts: Attempt[]
  attempt: Attempt | null = null
  /** When it began to choose, for proxy_next_upstream_timeout. */
  startedAt: number

  /** What the cache has for the request; null: it has nothing to do with it. */
  cache: CacheLookup | null = null
  private cacheAsked = false

  // The response's head, as the protocol has found it.
  problem = ''
  status = 0
  statusText = ''
  names: readonly string[] = NO_NAMES
  values: readonly string[] = NO_NAMES
  contentLength = -1
  chunked = false
  reusable = false
  upgrade = false
  interims = 0
  /** Bytes of 103 heads so far. */
  hintsLength = 0
  /** Response bytes received while the head is not complete. */
  partial: Buffer | null = null

  // The response's body.
  buffering: boolean
  buffer: ResponseBuffer | null = null
  /** What is being read came with the head, and is not buffered. */
  preread = false
  bodyLeft = -1
  bodyDone = false
  /** Behind it, names and values in turn. */
  trailers: readonly string[] = NO_NAMES
  /** It is kept as a file, too. */
  stored: StoredResponse | CachedResponse | null = null
  /** How fast it may be read, null for no limit. */
  readRate: ReadRate | null = null
  /** The client does not take more. */
  held = false
  /** A piece found in the chunk at hand that has not gone on yet: so that the last one is known to be the last. */
  chunk: Buffer | null = null
  pieceStart = 0
  pieceEnd = 0

  constructor(r: HttpRequest, protocol: UpstreamProtocol, settings: UpstreamSettings, conf: unknown, group: Group) {
    this.r = r
    this.protocol = protocol
    this.settings = settings
    this.conf = conf
    this.group = group
    const key = group.key === null ? '' : group.key.get(r)
    this.choice = new Choice(group, r.clientAddress, settings.nextUpstreamTries, key)
    if (group.sticky !== null) this.choice.hint = group.sticky.hint(r)
    this.stay = group.queue === null ? null : new QueueStay(this, group.queue)
    this.method = r.method
    this.buffering = settings.buffering
    this.startedAt = performance.now()
    const before = upstreamSlot.get(r)
    this.attempts = before === null ? [] : before.attempts
    upstreamSlot.set(r, this)
    r.source = this
    r.asked = this
  }

  /** The parser of the connection in use. */
  get reader(): unknown {
    return this.link!.reader
  }
  set reader(parser: unknown) {
    this.link!.reader = parser
  }

  // ── choosing and connecting ──────────────────────────────────────────────────────────────────────────────────────

  /** Asks the next peer. */
  connect(): void {
    if (this.r.done) return
    const { settings, stay } = this
    if (settings.cache !== null && !this.cacheAsked) {
      this.cacheAsked = true
      if (askCache(this, settings.cache)) return
    }
    this.r.action = 'connecting to upstream'
    if (stay !== null && !stay.admit()) return
    if (this.choose()) return
    if (stay !== null && this.attempt === null && stay.hold()) return
    this.begin(this.group.name)
    this.log(ERR, 'no live upstreams while connecting to upstream')
    this.failed(NO_LIVE)
  }

  /** @returns false: no peer is live */
  choose(): boolean {
    const peer = this.choice.next()
    if (peer === null) return false
    if (this.group.sticky !== null) this.group.sticky.chosen(this.r, peer)
    this.begin(peer.name)
    if (this.tlsName !== null) this.tls = { settings: this.tls!.settings, name: this.tlsName.get(this.r) }
    const idle =
      this.group.keepalive === null
        ? null
        : this.group.keepalive.take(peer, this.conf, this.tls, this.local(), this.protocol)
    if (idle === null) this.open(peer)
    else {
      this.link = idle
      idle.user = this
      this.cached = true
      this.attempt!.connectMs = 0
      sendRequest(this)
    }
    return true
  }

  /** Asks the same peer on a new connection: the idle one it was sent on had been closed. */
  private reconnect(): void {
    const peer = this.choice.peer!
    this.begin(peer.name)
    this.open(peer)
  }

  private begin(addr: string): void {
    const redirected = this.attempt === null && this.attempts.length > 0
    this.attempt = new Attempt(addr, redirected)
    // push() would make room for sixteen more.
    if (this.attempts.length === 0) this.attempts = [this.attempt]
    else this.attempts.push(this.attempt)
    this.attempt.queueMs = this.queueMs
    this.queueMs = -1
    this.requestSent = false
    this.bodySent = false
    this.bodyAt = 0
    this.partial = null
    this.cached = false
    this.interims = 0
    this.status = 0
  }

  private open(peer: Peer): void {
    this.state = CONNECTING
    this.link = new PeerConnection(peer, this, this.tls, this.local())
    this.link.spoken = this.protocol
    if (this.settings.socketKeepalive) this.link.connection.socket.setKeepAlive(true)
    this.link.watch(this.settings.connectTimeout)
  }

  /** From which address of ours; null for any. */
  private local(): LocalAddress | null {
    return this.settings.bind === null ? null : this.settings.bind.addressFor(this.r)
  }

  onConnect(): void {
    this.attempt!.connectMs = this.attempt!.elapsed
    if (this.protocol.opensTunnel === true) openTunnel(this)
    else sendRequest(this)
  }

  // ── events of the connection ─────────────────────────────────────────────────────────────────────────────────────

  onData(chunk: Buffer): void {
    this.attempt!.bytesReceived += chunk.length
    if (this.state === RELAYING) {
      if (this.readRate === null) relayBody(this, chunk, 0, chunk.length)
      else this.readRate.take(chunk, 0, chunk.length)
    } else if (this.state === ASKING) readHead(this, chunk)
  }

  onDrain(): void {
    if (!this.bodySent) continueSending(this)
  }

  onEnd(): void {
    if (this.state === RELAYING) {
      if (this.readRate === null) endOfBody(this)
      else this.readRate.end()
    } else if (this.state === ASKING || this.state === CONNECTING) {
      if (!this.stale()) this.log(ERR, `upstream prematurely closed connection while ${this.action()}`)
      this.failed(ERROR)
    }
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    if (this.state === OVER) return
    if (error === null) {
      this.onEnd()
      return
    }
    if (this.state === CONNECTING && this.link?.handshaking === true) {
      const text = opensslText(error)
      const why =
        text !== null ? `SSL_do_handshake() failed (SSL: ${text})` : error.code === undefined ? error.message : ''
      this.log(ERR, `${why === '' ? `recv() failed (${errorText(error)})` : why} while ${this.action()}`)
      this.failed(ERROR)
    } else if (error.syscall === 'bind') {
      this.log(CRIT, `bind(${this.link?.local?.text}) failed (${errorText(error)}) while ${this.action()}`)
      this.finalize(500)
    } else if (this.state === CONNECTING) {
      const { name } = this.choice.peer!
      const unix = name.startsWith('unix:')
      const level = error.code === 'ECONNREFUSED' || !unix ? ERR : CRIT
      this.log(level, `connect()${unix ? ` to ${name}` : ''} failed (${errorText(error)}) while ${this.action()}`)
      this.failed(ERROR)
    } else if (this.state === RELAYING) {
      this.log(ERR, `recv() failed (${errorText(error)}) while ${this.action()}`)
      this.cut()
    } else {
      if (!this.stale()) {
        const call = error.code === 'EPIPE' ? 'send' : 'recv'
        this.log(ERR, `${call}() failed (${errorText(error)}) while ${this.action()}`)
      }
      this.failed(ERROR)
    }
  }

  onTimeout(): void {
    if (this.state === RELAYING) {
      this.log(ERR, `upstream timed out ${TIMED_OUT} while ${this.action()}`)
      this.cut()
    } else this.failed(TIMEOUT)
  }

  /** What it is about, in nginx's words. */
  action(): string {
    switch (this.state) {
      case CONNECTING:
        return this.link?.handshaking === true ? 'SSL handshaking to upstream' : 'connecting to upstream'
      case ASKING:
        return this.bodySent ? 'reading response header from upstream' : 'sending request to upstream'
      case TUNNELLING:
        return 'proxying upgraded connection'
      default:
        return this.preread ? 'reading response header from upstream' : 'reading upstream'
    }
  }

  // ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** An idle connection that the peer was about to close: says nothing about the peer. */
  private stale(): boolean {
    return this.cached && this.attempt!.bytesReceived === 0
  }

  /** This attempt has failed before anything went to the client: the next one, or an error page. */
  failed(why: number): void {
    const stale = why === ERROR && this.cached
    const action = this.action()
    this.closeLink()
    this.attempt!.status = statusOf(why)
    this.attempt!.responseMs = this.attempt!.elapsed
    if (!stale) {
      const disabled = this.choice.release(why === HTTP_403 || why === HTTP_404 ? PASSED_ON : FAILED, this.attempt)
      if (disabled) this.log(WARN, `upstream server temporarily disabled while ${action}`)
    }
    if (why === TIMEOUT) this.log(ERR, `upstream timed out ${TIMED_OUT} while ${action}`)
    if (!mayRetry(this, why, stale)) {
      if (stale) this.log(ERR, `upstream prematurely closed connection while ${action}`)
      if (this.cache !== null && this.cache.failed(why)) return
      this.finalize(statusOf(why))
    } else if (stale) this.reconnect()
    else this.connect()
  }

  /** The queue does not let it in. */
  refused(status: number, level: number, problem: string): void {
    this.begin(this.group.name)
    this.log(level, problem)
    this.attempt!.status = status
    this.finalize(status)
  }

  /** Gives up with an error page. */
  finalize(status: number): void {
    this.letGo()
    const { r } = this
    r.action = 'sending to client'
    if (!r.done) respondSpecial(r, status)
  }

  /** Somebody else answers the request; the upstream is not heard any further. */
  letGo(): void {
    this.over(false)
    if (this.r.source === this) this.r.source = null
  }

  /** The response has come in whole: the connection can serve somebody else. `more`: bytes came that nobody asked for. */
  complete(more: boolean): void {
    this.over(this.reusable && this.bodySent && !more)
  }

  /** The response cannot be completed any more: its client must see that. */
  cut(): void {
    const { r } = this
    // What there is of it goes on, be it only the head.
    const { buffer } = this
    if (this.state === RELAYING && !r.done && (buffer === null || buffer.isIdle)) r.out.write(r, EMPTY, FLUSH)
    this.over(false)
    if (r.done) return
    if (buffer !== null && !buffer.ended) buffer.breakOff(r)
    else r.stream.writer.breakOff(r)
  }

  private over(keep: boolean): void {
    if (this.state === OVER) return
    this.state = OVER
    const { link, attempt } = this
    if (attempt !== null && attempt.responseMs < 0) attempt.responseMs = attempt.elapsed
    this.settleCounts()
    const { peer } = this.choice
    if (peer !== null && this.group.sticky !== null) this.group.sticky.completed(this.r, peer)
    this.choice.release(SUCCEEDED, attempt)
    if (this.stay !== null) this.stay.end()
    if (this.readRate !== null) this.readRate.stop()
    if (this.stored !== null) this.stored.discard()
    if (this.cache !== null) this.cache.free()
    if (link === null) return
    const pool = this.group.keepalive
    if (!keep || pool === null) this.closeLink()
    else {
      this.settleCounts()
      this.link = null
      pool.put(link, this.conf)
    }
  }

  private closeLink(): void {
    if (this.link === null) return
    this.settleCounts()
    this.link.close()
    this.link = null
  }

  settleCounts(): void {
    const { link, attempt } = this
    if (attempt !== null && link !== null) attempt.bytesSent = link.connection.bytesOut - link.bytesBefore
  }

  // ── the client's side ────────────────────────────────────────────────────────────────────────────────────────────

  /** The protocol has found content in the chunk at hand. */
  deliver(start: number, end: number): void {
    if (this.pieceEnd > this.pieceStart) continueBody(this, false)
    this.pieceStart = start
    this.pieceEnd = end
  }

  /** Source, while no ResponseBuffer stands between: the client can take more. */
  drain(): void {
    this.resumeProducing()
  }

  resumeProducing(): void {
    this.held = false
    if (this.readRate === null) this.resumeReading()
    else this.readRate.resume()
  }

  resumeReading(): void {
    if (this.link === null || this.state === OVER) return
    this.link.connection.resume()
    this.link.watch(this.settings.readTimeout)
  }

  abort(): void {
    this.cancelProducing()
  }

  /** Is the response wanted though the client may have gone? */
  get hearsOut(): boolean {
    const { settings, cache, state } = this
    if (settings.ignoreClientAbort || settings.store !== null) return true
    return cache !== null && (state === RELAYING ? this.stored !== null : cache.cacheable)
  }

  /** The request is over for the client, usually because it went away. */
  cancelProducing(): void {
    if (this.state === OVER || this.state === TUNNELLING) return
    if (this.hearsOut && this.state !== PREPARING) {
      // The upstream is heard out all the same; relay.ts drops what it says.
      this.resumeProducing()
      return
    }
    // Who was reading its body has told already.
    if (this.state !== PREPARING && !this.r.complete && (this.streamed === null || this.bodySent)) {
      const isUnheard = this.state === ASKING && this.attempt!.bytesReceived === 0
      const action = isUnheard ? 'sending request to upstream' : this.action()
      const problem = 'client prematurely closed connection, so upstream connection is closed too'
      this.log(INFO, `epoll_wait() reported that ${problem} while ${action}`)
    }
    this.over(false)
  }

  get logged(): string {
    const { attempt, protocol, uri } = this
    if (attempt === null) return ''
    return `${protocol.scheme}${attempt.addr}${attempt.addr.startsWith('unix:') ? ':' : ''}${uri}`
  }

  log(level: number, message: string): void {
    this.r.report(level, message)
  }
}
