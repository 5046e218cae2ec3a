// A session's dealings with its upstream (ngx_stream_proxy_module): one is chosen and connected to, then bytes go both ways,
// each side read only as fast as the other takes them.

import { introduction } from '../../http/session/introduction.ts'
import { errorText, ownCall } from '../../lib/errno.ts'
import { CRIT, ERR, INFO } from '../../log/error-log.ts'
import type { Connection, ConnectionHandler } from '../../net/connection.ts'
import { opensslText } from '../../net/tls-errors.ts'
import { SUCCEEDED, type Group } from '../../upstream/group.ts'
import { PeerConnection, type PeerUser } from '../../upstream/peer-connection.ts'
import type { PeerTls } from '../../upstream/peer-tls.ts'
import { peerName } from '../../upstream/server.ts'
import { asRequest } from '../module.ts'
import type { StreamSession } from '../session.ts'
import { Attempts } from './attempts.ts'
import type { ProxySettings } from './conf.ts'
import { Throttle } from './throttle.ts'

export class StreamExchange extends Attempts<StreamSession> implements PeerUser {
  private readonly tls: PeerTls | null
  private link: PeerConnection | null = null
  /** Bytes that were sent before TLS, which does not count them. */
  private beforeTls = 0
  private relaying = false
  /** Neither connection is to be used any more. */
  private over = false
  private clientEnded = false
  private timedOut = false
  private upstreamEnded = false
  /** Who has ended, the last of both. */
  private leaver: 'client' | 'upstream' = 'client'
  private upload: Throttle | null = null
  private download: Throttle | null = null

  constructor(session: StreamSession, group: Group, settings: ProxySettings, tls: PeerTls | null) {
    super(session, group, settings)
    this.tls = tls
  }

  connect(): void {
    const peer = this.nextPeer()
    if (peer === null) return
    this.beforeTls = 0
    const local = this.settings.bind === null ? null : this.settings.bind.addressFor(asRequest(this.session))
    this.link = new PeerConnection(peer, this, this.tls, local, this.settings.socketBuffers)
    if (this.settings.socketKeepalive) this.link.connection.socket.setKeepAlive(true)
    this.link.watch(this.settings.connectTimeout)
  }

  // ── the upstream's side ──────────────────────────────────────────────────────────────────────────────────────────

  onConnect(): void {
    const { session, settings } = this
    const { connection } = this.link!
    this.connected()
    this.relaying = true
    if (session.server.errorLog.level >= INFO) this.tellConnected()
    // A session may last: that the server is there is known now.
    this.choice.peer?.succeeded()
    const [up, down] = [this.rate(settings.uploadRate), this.rate(settings.downloadRate)]
    if (up > 0) this.upload = this.throttle(up, session.connection, 'toUpstream', () => this.resumeClient())
    if (down > 0) this.download = this.throttle(down, connection, 'toClient', () => this.resumeUpstream())
    if (this.tls === null && settings.proxyProtocol !== 'off') connection.writeText(this.preface())
    const received = session.take(new ClientSide(this))
    this.touch()
    if (received.length > 0) this.fromClient(received, false)
    this.resumeClient()
  }

  private throttle(rate: number, connection: Connection, to: 'toUpstream' | 'toClient', resume: () => void): Throttle {
    const pass = (piece: Buffer, volatile: boolean): void => {
      if (!this.over) this[to](piece, volatile)
    }
    const goOn = (): void => {
      resume()
      if (!this.over) this.touch()
    }
    return new Throttle(rate, this.settings.bufferSize, { connection, pass, resume: goOn })
  }

  private tellConnected(): void {
    const { localAddress, localPort } = this.link!.connection
    const local = peerName(localAddress === '' ? 'unix:' : localAddress, localPort)
    this.session.tell(`proxy ${local} connected to ${this.attempt.addr}`)
  }

  /** The PROXY protocol tells of the connection itself: it stands before TLS. */
  preface(): string {
    const { proxyProtocol } = this.settings
    const text = proxyProtocol === 'off' ? '' : introduction(this.session, proxyProtocol)
    if (this.tls !== null) this.beforeTls = text.length
    return text
  }

  onData(chunk: Buffer): void {
    this.answered()
    if (this.download === null) this.toClient(chunk, true)
    else this.download.read(chunk, true)
    this.touch()
  }

  private toClient(chunk: Buffer, volatile: boolean): void {
    const { connection } = this.session
    if (!(volatile ? connection.writeVolatile(chunk) : connection.write(chunk))) this.link!.connection.pause()
  }

  onDrain(): void {
    if (this.clientEnded && (!this.settings.halfClose || this.upstreamEnded)) this.finish()
    else this.resumeClient()
  }

  onEnd(): void {
    if (!this.relaying) {
      const what = this.handshaking
        ? 'peer closed connection in SSL handshake'
        : 'upstream prematurely closed connection'
      this.log(ERR, `${what} while ${this.attempting}`)
      this.failed(true, this.attempting)
      return
    }
    // An end is an answer, too.
    this.answered()
    this.upstreamEnded = true
    this.leaver = 'upstream'
    if (this.settings.halfClose && !this.clientEnded) this.session.connection.shutdown()
    else if (this.session.connection.pending === 0) this.finish()
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    if (this.over) return
    if (this.relaying) {
      if (error !== null) this.log(ERR, brokenText(error, 'upstream'))
      if (error?.syscall !== 'write') this.answered()
      this.upstreamEnded = true
      this.leaver = 'upstream'
      this.finish()
      return
    }
    const own = error === null ? '' : ownCall(error)
    if (own !== '') return this.unopened(own, this.link!.local, errorText(error!))
    const why = error === null ? 'upstream closed the connection' : this.failureText(error)
    this.log(this.failureLevel(error), `${why} while ${this.attempting}`)
    this.failed(true, this.attempting)
  }

  private get handshaking(): boolean {
    return this.link?.handshaking === true
  }

  private get attempting(): string {
    return `${this.handshaking ? 'SSL handshaking' : 'connecting'} to upstream`
  }

  private failureText(error: NodeJS.ErrnoException): string {
    const text = opensslText(error)
    if (text !== null) return `SSL_do_handshake() failed (SSL: ${text})`
    if (error.code === undefined) return error.message
    const { addr } = this.attempt
    const call = addr.startsWith('unix:') ? `connect() to ${addr} failed` : 'connect() failed'
    return `${this.handshaking ? 'peer closed connection in SSL handshake' : call} (${errorText(error)})`
  }

  /** That a Unix socket is not there, or not ours to use, is a mistake on this machine. */
  private failureLevel(error: NodeJS.ErrnoException | null): number {
    const isOwn = !this.handshaking && this.attempt.addr.startsWith('unix:')
    return isOwn && error?.code !== 'ECONNREFUSED' && error?.code !== 'EAGAIN' ? CRIT : ERR
  }

  onTimeout(): void {
    if (this.relaying) {
      this.log(INFO, 'connection timed out (110: Connection timed out) while proxying connection')
      this.timedOut = true
      this.finish()
      return
    }
    this.log(ERR, `upstream timed out (110: Connection timed out) while ${this.attempting}`)
    this.failed(true, this.attempting)
  }

  // ── the client's side ────────────────────────────────────────────────────────────────────────────────────────────

  fromClient(chunk: Buffer, volatile: boolean): void {
    this.session.bytesReceived += chunk.length
    if (this.upload === null) this.toUpstream(chunk, volatile)
    else this.upload.read(chunk, volatile)
    this.touch()
  }

  private toUpstream(chunk: Buffer, volatile: boolean): void {
    const { connection } = this.link!
    if (!(volatile ? connection.writeVolatile(chunk) : connection.write(chunk))) this.session.connection.pause()
  }

  clientDrained(): void {
    if (this.upstreamEnded && (!this.settings.halfClose || this.clientEnded)) this.finish()
    else this.resumeUpstream()
  }

  clientGone(): void {
    this.clientEnded = true
    this.leaver = 'client'
    const { connection } = this.link!
    if (this.settings.halfClose && !this.upstreamEnded) connection.shutdown()
    else if (connection.pending === 0) this.finish()
  }

  clientBroken(error: NodeJS.ErrnoException): void {
    this.leaver = 'client'
    this.log(INFO, brokenText(error, 'client'))
  }

  private resumeClient(): void {
    if (this.over || this.upload?.waits === true || this.link!.connection.pending > 0) return
    if (this.upload !== null && this.upload.heldBytes > 0) this.upload.goOn()
    else this.session.connection.resume()
  }

  private resumeUpstream(): void {
    if (this.over || this.download?.waits === true || this.session.connection.pending > 0) return
    if (this.download !== null && this.download.heldBytes > 0) this.download.goOn()
    else this.link!.connection.resume()
  }

  // ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Who is held back cannot be late. */
  private touch(): void {
    if (this.upload?.waits === true || this.download?.waits === true) this.link!.unwatch()
    else this.link!.watch(this.settings.timeout)
  }

  private finish(): void {
    this.session.finalize(200)
  }

  protected end(): void {
    if (this.over) return
    this.over = true
    // What no upstream was there for has been received all the same.
    if (!this.relaying) this.session.bytesReceived = this.session.heldBytes
    if (this.upload !== null) this.session.bytesReceived -= this.upload.heldBytes
    this.settle()
    if (this.relaying && !this.timedOut) this.session.tell(`${this.leaver} disconnected, ${this.counts}`)
    this.upload?.stop()
    this.download?.stop()
    this.release(SUCCEEDED)
    this.close()
  }

  protected close(): void {
    this.link?.close()
    this.link = null
  }

  protected get bytesSent(): number {
    return this.beforeTls + (this.link?.connection.bytesOut ?? 0)
  }

  protected get bytesReceived(): number {
    return (this.link?.connection.bytesIn ?? 0) - (this.download?.heldBytes ?? 0)
  }
}

/** What the session tells of the client's connection. */
class ClientSide implements ConnectionHandler {
  private readonly exchange: StreamExchange
  constructor(exchange: StreamExchange) {
    this.exchange = exchange
  }
  onData(chunk: Buffer): void {
    this.exchange.fromClient(chunk, true)
  }
  onDrain(): void {
    this.exchange.clientDrained()
  }
  onEnd(): void {
    this.exchange.clientGone()
  }
  onClose(error: NodeJS.ErrnoException | null): void {
    if (error !== null && opensslText(error) === null) this.exchange.clientBroken(error)
  }
}

function brokenText(error: NodeJS.ErrnoException, who: 'client' | 'upstream'): string {
  const text = opensslText(error)
  if (text !== null) return `SSL_read() failed (SSL: ${text}) while proxying and reading from ${who}`
  const [call, doing] = error.syscall === 'write' ? ['send', 'sending to'] : ['recv', 'reading from']
  return `${call}() failed (${errorText(error)}) while proxying and ${doing} ${who}`
}
