// A session's dealings with its upstream (ngx_stream_proxy_module): one is chosen and connected to, then bytes go both ways,
// each side read only as fast as the other takes them.

import { proxyHeader, proxyLine, ProxyProtocol, tlsTlv, tlv } from '../../codec/proxy-protocol.ts'
import { errorText } from '../../lib/errno.ts'
import { ALERT, ERR, INFO, WARN } from '../../log/error-log.ts'
import type { ConnectionHandler } from '../../net/connection.ts'
import { opensslText } from '../../net/tls-errors.ts'
import { connectionRefusal } from '../../upstream/connection-limit.ts'
import { Choice, FAILED, SUCCEEDED, type Group } from '../../upstream/group.ts'
import { PeerConnection, type PeerUser } from '../../upstream/peer-connection.ts'
import type { PeerTls } from '../../upstream/peer-tls.ts'
import { peerName } from '../../upstream/server.ts'
import { asRequest } from '../module.ts'
import type { StreamSession } from '../session.ts'
import type { UdpSession } from '../udp/session.ts'
import type { ProxySettings } from './conf.ts'
import { Throttle } from './throttle.ts'

/** What became of a session at one upstream; times in ms, -1 while unknown. */
export interface StreamAttempt {
  readonly addr: string
  readonly startedAt: number
  connectMs: number
  firstByteMs: number
  sessionMs: number
  bytesSent: number
  bytesReceived: number
}

/** What was tried for a session, of either kind. */
export function attemptsOf(session: StreamSession | UdpSession): readonly StreamAttempt[] {
  return (session.exchange as { readonly attempts: readonly StreamAttempt[] } | null)?.attempts ?? []
}

export class StreamExchange implements PeerUser {
  readonly attempts: StreamAttempt[] = []
  private readonly session: StreamSession
  private readonly settings: ProxySettings
  private readonly choice: Choice
  private readonly tls: PeerTls | null
  private readonly startedAt = performance.now()
  private link: PeerConnection | null = null
  private relaying = false
  /** Neither connection is to be used any more. */
  private over = false
  private clientEnded = false
  private timedOut = false
  private upstreamEnded = false
  private upload: Throttle | null = null
  private download: Throttle | null = null

  constructor(session: StreamSession, group: Group, settings: ProxySettings, tls: PeerTls | null) {
    this.session = session
    this.settings = settings
    this.tls = tls
    const key = group.key === null ? '' : group.key.get(asRequest(session))
    this.choice = new Choice(group, session.clientAddress, settings.nextUpstreamTries, key)
    session.exchange = this
    session.onEnd(() => this.end())
  }

  connect(): void {
    const peer = this.choice.next()
    if (peer === null) {
      this.begin(this.choice.group.name)
      this.log(ERR, 'no live upstreams while connecting to upstream')
      this.session.finalize(502)
      return
    }
    this.begin(peer.name)
    const refusal = connectionRefusal()
    if (refusal !== '') {
      this.log(ALERT, `${refusal} while connecting to upstream`)
      this.session.finalize(500)
      return
    }
    const local = this.settings.bind === null ? null : this.settings.bind.addressFor(asRequest(this.session))
    this.link = new PeerConnection(peer, this, this.tls, local)
    if (this.settings.socketKeepalive) this.link.connection.socket.setKeepAlive(true)
    this.link.watch(this.settings.connectTimeout)
  }

  private begin(addr: string): void {
    const startedAt = performance.now()
    this.attempts.push({
      addr,
      startedAt,
      connectMs: -1,
      firstByteMs: -1,
      sessionMs: -1,
      bytesSent: 0,
      bytesReceived: 0,
    })
  }

  private get attempt(): StreamAttempt {
    return this.attempts.at(-1)!
  }

  // ── the upstream's side ──────────────────────────────────────────────────────────────────────────────────────────

  onConnect(): void {
    const { session, settings } = this
    const { connection } = this.link!
    this.attempt.connectMs = Math.round(performance.now() - this.attempt.startedAt)
    this.relaying = true
    if (session.server.errorLog.level >= INFO) this.tellConnected()
    // A session may last: that the server is there is known now.
    this.choice.peer?.succeeded()
    const r = asRequest(session)
    const [up, down] = [Number(settings.uploadRate?.get(r) ?? 0), Number(settings.downloadRate?.get(r) ?? 0)]
    if (up > 0) this.upload = new Throttle(up, session.connection)
    if (down > 0) this.download = new Throttle(down, connection)
    if (this.tls === null && settings.proxyProtocol !== 'off') connection.writeText(this.preface())
    const received = session.take(new ClientSide(this))
    this.touch()
    if (received.length > 0) this.fromClient(received, false)
    this.resumeClient()
  }

  private tellConnected(): void {
    const { localAddress, localPort } = this.link!.connection
    const local = localAddress === '' ? 'unix:' : peerName(localAddress, localPort)
    this.session.tell(`proxy ${local} connected to ${this.attempt.addr}`)
  }

  /** The PROXY protocol tells of the connection itself: it stands before TLS. */
  preface(): string {
    const { proxyProtocol } = this.settings
    return proxyProtocol === 'off' ? '' : introduction(this.session, proxyProtocol)
  }

  onData(chunk: Buffer): void {
    const { attempt } = this
    if (attempt.firstByteMs < 0) attempt.firstByteMs = Math.round(performance.now() - attempt.startedAt)
    this.touch()
    if (!this.session.connection.writeVolatile(chunk)) this.link!.connection.pause()
    this.download?.read(chunk.length, () => this.resumeUpstream())
  }

  onDrain(): void {
    if (this.clientEnded && !this.settings.halfClose) this.finish()
    else this.resumeClient()
  }

  onEnd(): void {
    if (!this.relaying) {
      const what = this.handshaking
        ? 'peer closed connection in SSL handshake'
        : 'upstream prematurely closed connection'
      this.log(ERR, `${what} while ${this.attempting}`)
      this.failed()
      return
    }
    this.upstreamEnded = true
    if (this.settings.halfClose && !this.clientEnded) this.session.connection.shutdown()
    else if (this.session.connection.pending === 0) this.finish()
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    if (this.over) return
    if (this.relaying) {
      if (error !== null) this.log(ERR, brokenText(error, 'upstream'))
      this.finish()
      return
    }
    const why = error === null ? 'upstream closed the connection' : this.failureText(error)
    this.log(ERR, `${why} while ${this.attempting}`)
    this.failed()
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
    const what = this.handshaking ? 'peer closed connection in SSL handshake' : 'connect() failed'
    return `${what} (${errorText(error)})`
  }

  onTimeout(): void {
    if (this.relaying) {
      this.log(INFO, 'connection timed out (110: Connection timed out) while proxying connection')
      this.timedOut = true
      this.finish()
      return
    }
    this.log(ERR, `upstream timed out (110: Connection timed out) while ${this.attempting}`)
    this.failed()
  }

  /** No connection came about: the next one is asked, if that is wanted and there is one. */
  private failed(): void {
    this.settle()
    this.link?.close()
    this.link = null
    if (this.choice.release(FAILED)) this.log(WARN, 'upstream server temporarily disabled')
    const { nextUpstream, nextUpstreamTimeout } = this.settings
    const late = nextUpstreamTimeout > 0 && performance.now() - this.startedAt >= nextUpstreamTimeout
    if (nextUpstream && this.choice.triesLeft > 0 && !late) this.connect()
    else this.session.finalize(502)
  }

  // ── the client's side ────────────────────────────────────────────────────────────────────────────────────────────

  fromClient(chunk: Buffer, volatile: boolean): void {
    const { connection } = this.link!
    this.touch()
    if (!(volatile ? connection.writeVolatile(chunk) : connection.write(chunk))) this.session.connection.pause()
    this.upload?.read(chunk.length, () => this.resumeClient())
  }

  clientDrained(): void {
    if (this.upstreamEnded && (!this.settings.halfClose || this.clientEnded)) this.finish()
    else this.resumeUpstream()
  }

  clientGone(): void {
    this.clientEnded = true
    const { connection } = this.link!
    if (this.settings.halfClose && !this.upstreamEnded) connection.shutdown()
    else if (connection.pending === 0) this.finish()
  }

  clientBroken(error: NodeJS.ErrnoException): void {
    this.log(INFO, brokenText(error, 'client'))
  }

  private resumeClient(): void {
    if (this.over || this.upload?.waits === true || this.link!.connection.pending > 0) return
    this.session.connection.resume()
  }

  private resumeUpstream(): void {
    if (this.over || this.download?.waits === true || this.session.connection.pending > 0) return
    this.link!.connection.resume()
  }

  // ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  private touch(): void {
    this.link!.watch(this.settings.timeout)
  }

  private finish(): void {
    this.session.finalize(200)
  }

  /** The session is over. Before its line is logged the numbers have to be right. */
  private end(): void {
    if (this.over) return
    this.over = true
    this.upload?.stop()
    this.download?.stop()
    this.settle()
    if (this.relaying && !this.timedOut) {
      const who = this.upstreamEnded && !this.clientEnded ? 'upstream' : 'client'
      this.session.tell(`${who} disconnected, ${this.counts}`)
    }
    this.choice.release(SUCCEEDED)
    this.link?.close()
    this.link = null
  }

  /** Fixes the attempt's numbers. */
  settle(): void {
    const { link } = this
    const { attempt } = this
    if (attempt === undefined || attempt.sessionMs >= 0) return
    attempt.sessionMs = Math.round(performance.now() - attempt.startedAt)
    if (link === null) return
    attempt.bytesSent = link.connection.bytesOut
    attempt.bytesReceived = link.connection.bytesIn
  }

  private get counts(): string {
    const { bytesIn, bytesOut } = this.session.connection
    const sent = this.link?.connection.bytesOut ?? 0
    const received = this.link?.connection.bytesIn ?? 0
    return `bytes from/to client:${bytesIn}/${bytesOut}, bytes from/to upstream:${received}/${sent}`
  }

  private log(level: number, message: string): void {
    this.session.log(level, message, `, upstream: "${this.attempt.addr}", ${this.counts}`)
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

/** What the client said of itself, in the PROXY protocol. */
export function introduction(session: StreamSession | UdpSession, version: 'v1' | 'v2'): string {
  const { clientAddress, clientPort, localAddress, localPort, tls } = session
  const told = (tlvs: string): ProxyProtocol =>
    new ProxyProtocol(clientAddress, clientPort, localAddress, localPort, tlvs)
  if (version === 'v1') return proxyLine(told(''))
  const connection = tls?.connection ?? null
  if (tls === null || connection === null) return proxyHeader(told(''), session.protocol === 'UDP')
  const { protocol, cipher, alpnProtocol } = connection
  const ssl = tlsTlv(protocol, cipher, tls.fault === null, tls.certificate !== null)
  return proxyHeader(told(tlv('alpn', alpnProtocol) + tlv('authority', tls.hello.serverName) + ssl))
}
