// One request's dealings with its upstream, whatever protocol is spoken there:
//
//   choose a peer ─▶ connect, or take an idle connection ─▶ send head and body ─▶ read the response's head
//     ▲                                                                             │ interim heads are passed over
//     └── retry.ts: what failed may be tried elsewhere ◀── failure ─────────────────┤
//                                                                                   ▼
//   keep or close the connection ◀── body complete ◀── body to the client (relay.ts), as fast as the upstream gives it
//
// Nothing here is allocated per event; the connection, its timer and its parser outlive the exchange.

import { ALERT, ERR, INFO, WARN } from '../../log/error-log.ts'
import type { LocalAddress } from '../../net/connection.ts'
import { connectionRefusal } from '../../upstream/connection-limit.ts'
import { PeerConnection } from '../../upstream/peer-connection.ts'
import type { PeerUser } from '../../upstream/peer-connection.ts'
import { FAILED, PASSED_ON, SUCCEEDED } from '../../upstream/group.ts'
import type { Group } from '../../upstream/group.ts'
import type { Peer } from '../../upstream/peer.ts'
import { Slot } from '../module.ts'
import { EMPTY, FLUSH, respondSpecial } from '../output.ts'
import type { Source } from '../output.ts'
import type { Asked, HttpRequest } from '../request.ts'
import type { Producer } from '../response-buffer.ts'
import { mainOf } from '../subrequest.ts'
import { Attempt } from './attempt.ts'
import { connectionLost } from './connection-lost.ts'
import { ASKING, CONNECTING, ExchangeState, OVER, PREPARING, RELAYING, TUNNELLING } from './exchange-state.ts'
import type { UpstreamProtocol } from './protocol.ts'
import { QueueStay } from './queueing.ts'
import { continueBody, endOfBody, readHead, relayBody } from './relay.ts'
import { type FieldActions, passFields, type ResponseFields, type Rewriting } from './response-fields.ts'
import { mayRetry, statusOf } from './retry.ts'
import type { EntryFields } from '../cache/entry-file.ts'
import type { Fetcher } from '../cache/fetcher.ts'
import { askCache } from '../cache/lookup.ts'
import { continueSending, sendRequest } from './sending.ts'
import { ERROR, HTTP_403, HTTP_404, NO_LIVE, TIMEOUT } from './settings.ts'
import type { UpstreamSettings } from './settings.ts'
import { openTunnel } from './tunnel.ts'

const TIMED_OUT = '(110: Connection timed out)'

/** To move so many bytes costs less than a write of their own. */
const MOVED_MAX = 16384

/** What the configuration of every kind of upstream that is cached has. */
interface PassingConf {
  readonly fieldActions: FieldActions
  readonly rewriting?: Rewriting
}

export const upstreamSlot = new Slot<Exchange>()

export class Exchange extends ExchangeState implements PeerUser, Source, Producer, Asked, Fetcher {
  readonly needsClient = true
  /** In the group's queue; null where there is none. */
  private readonly stay: QueueStay | null
  private cacheAsked = false
  /** From which address of ours, once that is known; null for any. */
  private local: LocalAddress | null = null
  private isBound = false

  constructor(r: HttpRequest, protocol: UpstreamProtocol, settings: UpstreamSettings, conf: unknown, group: Group) {
    super(r, protocol, settings, conf, group, upstreamSlot.get(r)?.attempts ?? [])
    if (group.sticky !== null) this.choice.hint = group.sticky.hint(r)
    this.stay = group.queue === null ? null : new QueueStay(this, group.queue)
    upstreamSlot.set(r, this)
    r.source = this
    r.asked = this
  }

  // ── choosing and connecting ──────────────────────────────────────────────────────────────────────────────────────

  /** Asks the next peer. */
  connect(): void {
    if (this.r.done) return
    if (this.lookUp()) return
    const { settings, stay } = this
    if (!this.isBound && settings.bind !== null) this.local = settings.bind.addressFor(this.r)
    this.isBound = true
    this.r.action = 'connecting to upstream'
    if (stay !== null && !stay.admit()) return
    if (this.choose()) return
    if (stay !== null && this.attempt === null && stay.hold()) return
    this.begin(this.group.name)
    this.log(ERR, 'no live upstreams while connecting to upstream')
    this.failed(NO_LIVE)
  }

  /** Asks the cache, once. @returns true: it answers the request, or will have it gone on with */
  protected lookUp(): boolean {
    const { cache } = this.settings
    if (cache === null || this.cacheAsked) return false
    this.cacheAsked = true
    return askCache(this, cache)
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
        : this.group.keepalive.take(peer, this.conf, this.tls, this.local, this.protocol)
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
    this.hintsLength = 0
    this.status = 0
  }

  private open(peer: Peer): void {
    this.state = CONNECTING
    const refusal = connectionRefusal()
    if (refusal !== '') {
      this.unconnected(ALERT, refusal)
      return
    }
    this.link = new PeerConnection(peer, this, this.tls, this.local, this.settings.socketBuffers)
    this.link.spoken = this.protocol
    if (this.settings.socketKeepalive) this.link.connection.socket.setKeepAlive(true)
    this.link.watch(this.settings.connectTimeout)
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
      this.log(ERR, `${this.leftText} while ${this.action()}`)
      this.failed(ERROR)
    }
  }

  private get leftText(): string {
    if (this.link?.handshaking === true) return 'peer closed connection in SSL handshake'
    return 'upstream prematurely closed connection'
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    if (this.state === OVER) return
    if (error === null) this.onEnd()
    else connectionLost(this, error)
  }

  onTimeout(): void {
    if (this.state === RELAYING) {
      if (this.mayRest()) {
        this.link?.watch(this.settings.readTimeout)
        return
      }
      this.log(ERR, `upstream timed out ${TIMED_OUT} while ${this.action()}`)
      this.cut(true)
    } else this.failed(TIMEOUT)
  }

  /** Nothing has come for the read timeout of what had begun: may it go on for all that? */
  mayRest(): boolean {
    return false
  }

  /** Does the client get the head though nothing of the body has come yet? */
  headAtOnce(): boolean {
    return !this.buffering
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

  /** This attempt has failed before anything went to the client: the next one, or an error page. */
  failed(why: number): void {
    // An idle connection that the peer was about to close: says nothing about the peer.
    const stale = why === ERROR && this.cached
    const action = this.action()
    this.closeLink()
    this.attempt!.responseMs = this.attempt!.elapsed
    if (!stale) {
      const disabled = this.choice.release(why === HTTP_403 || why === HTTP_404 ? PASSED_ON : FAILED, this.attempt)
      if (disabled) this.log(WARN, `upstream server temporarily disabled while ${action}`)
    }
    if (why === TIMEOUT) this.log(ERR, `upstream timed out ${TIMED_OUT} while ${action}`)
    // For nobody there is no other attempt.
    if (this.r.done || this.r.stream.unheard === true) {
      this.finalize(499)
      return
    }
    this.attempt!.status = statusOf(why)
    if (!mayRetry(this, why, stale)) {
      if (this.cache !== null && this.cache.failed(why)) return
      this.finalize(statusOf(why))
    } else if (stale) this.reconnect()
    else this.connect()
  }

  /** It is not the peer's fault that there is no connection to it, so as with nginx it is not named either. */
  unconnected(level: number, problem: string): void {
    this.log(level, `${problem} while ${this.action()}`)
    this.attempt!.addr = ''
    this.finalize(500)
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
    // In place of a 101 that nobody asked for there is no page of ours: nginx passes it on, and so without a body.
    if (!r.done) respondSpecial(r, status, this.status === 101)
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

  /** The response cannot be completed any more: its client must see that. `ends`: all that can come of it has come, and so
   *  it counts as complete ($request_completion). */
  cut(ends: boolean): void {
    const { r } = this
    // What there is of it goes on, be it only the head.
    const { buffer } = this
    if (this.state === RELAYING && !r.done && (buffer === null || buffer.isIdle)) r.out.write(r, EMPTY, FLUSH)
    this.over(false)
    if (r.done) return
    r.complete = ends
    if (buffer !== null && !buffer.ended) buffer.breakOff(r)
    else r.stream.writer.breakOff(r)
  }

  private over(keep: boolean): void {
    if (this.state === OVER) return
    this.state = OVER
    const { attempt } = this
    if (attempt !== null && attempt.responseMs < 0) attempt.responseMs = attempt.elapsed
    this.settleCounts()
    const { peer } = this.choice
    if (peer !== null && this.group.sticky !== null) this.group.sticky.completed(this.r, peer)
    this.choice.release(SUCCEEDED, attempt)
    if (this.stay !== null) this.stay.end()
    if (this.readRate !== null) this.readRate.stop()
    if (this.stored !== null) this.stored.discard()
    if (this.cache !== null) this.cache.free()
    if (keep) this.giveBack()
    this.closeLink()
  }

  /** The connection is through with the request, even if the exchange is not. */
  giveBack(): void {
    const { link, group } = this
    if (link === null || group.keepalive === null) return
    this.settleCounts()
    this.link = null
    group.keepalive.put(link, this.conf)
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

  /** The protocol has found content in the chunk at hand. Small parts of what one read brings are moved together, over the
   *  upstream's own framing, and go on in one piece. */
  deliver(start: number, end: number): void {
    if (this.pieceEnd > this.pieceStart) {
      if (end - start <= MOVED_MAX) {
        this.chunk!.copyWithin(this.pieceEnd, start, end)
        this.pieceEnd += end - start
        return
      }
      continueBody(this, false)
    }
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

  /** proxy_ignore_client_abort; what is stored is wanted, too. A tunnel has nobody to be for. */
  get outlivesClient(): boolean {
    const { settings, r } = this
    return (
      (settings.ignoreClientAbort || settings.store !== null) && r.method !== 'CONNECT' && r.header('upgrade') === null
    )
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
      // The upstream is heard out all the same; relay.ts drops what it says. What is kept, and as what, is for the request to say.
      mainOf(this.r).headShared = true
      this.resumeProducing()
      return
    }
    // Who was reading its body has told already, and so has a stream of HTTP/2.
    const told = (this.streamed !== null && !this.bodySent) || this.r.version === 20
    if (this.state !== PREPARING && !this.r.complete && !told) {
      const isUnheard = this.state === ASKING && this.attempt!.bytesReceived === 0
      const action = isUnheard ? 'sending request to upstream' : this.action()
      const closed = 'client prematurely closed connection, so upstream connection is closed too'
      const problem = closed + (this.r.stream.parting ?? '')
      this.log(INFO, `epoll_wait() reported that ${problem} while ${action}`)
    }
    this.over(false)
  }

  // ── for the cache ────────────────────────────────────────────────────────────────────────────────────────────────

  get isStreaming(): boolean {
    return this.streamed !== null
  }

  get ownKey(): string {
    return `${this.protocol.scheme}${this.group.name}${this.uri}`
  }

  get headMax(): number {
    return this.settings.headLimits.headMax
  }

  get ignored(): number {
    return this.settings.ignoreHeaders
  }

  get tempPath(): string {
    return this.settings.bufferLimits.tempPath
  }

  get forcesRanges(): boolean {
    return this.settings.forceRanges
  }

  spelling(i: number): string {
    const { head } = this.reader as { head?: ResponseFields }
    return head?.originalName(i) ?? this.names[i]!
  }

  proceed(): void {
    this.connect()
  }

  passOver(more: boolean): void {
    this.protocol.beginBody(this)
    this.complete(!this.bodyDone || more)
  }

  takeKept(fields: EntryFields): void {
    this.status = fields.status
    this.statusText = fields.statusText
    this.names = fields.names
    this.values = fields.values
    this.contentLength = fields.contentLength
    this.chunked = false
    this.passKept(fields)
  }

  /** What was kept goes on the request as what was read would. */
  protected passKept({ names, values, originalName }: EntryFields): void {
    const { fieldActions, rewriting } = this.conf as PassingConf
    passFields(this, { names, values, originalName }, fieldActions, rewriting)
  }

  get logged(): string {
    const { attempt, protocol, uri } = this
    if (attempt === null) return ''
    return `${protocol.scheme}${attempt.addr}${attempt.addr.startsWith('unix:') ? ':' : ''}${uri}`
  }

  log(level: number, message: string, hasLines = false): void {
    this.r.report(level, message, hasLines)
  }
}
