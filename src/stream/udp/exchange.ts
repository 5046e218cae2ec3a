// A UDP session's dealings with its upstream (ngx_stream_proxy_module): one is chosen, and a socket of the session's own is
// connected to it; datagrams go both ways until as many have come back as are expected, or none for a while.

import { introduction } from '../../http/session/introduction.ts'
import type { DatagramAddress } from '../../log/datagram.ts'
import { ERR, INFO } from '../../log/error-log.ts'
import {
  addressOf as addressAt,
  connectUdp,
  failure,
  failureText,
  isLoss,
  isNothing,
  nameOf,
  receive,
  send,
  UdpWatch,
} from '../../net/udp-socket.ts'
import { sizeSocket } from '../../net/socket-options.ts'
import { peers } from '../../upstream/connection-limit.ts'
import { FAILED, SUCCEEDED } from '../../upstream/group.ts'
import type { Peer } from '../../upstream/peer.ts'
import { peerName } from '../../upstream/server.ts'
import { Attempts } from '../proxy/attempts.ts'
import { asRequest } from '../module.ts'
import { DatagramRate } from './rate.ts'
import type { DatagramTaker, UdpSession } from './session.ts'

/** proxy_responses where it is not given. */
export const UNLIMITED = 0x7fffffff

/** Datagrams read before others have their turn. */
const BATCH = 32

/** A retired thread's session that may be answered any number of times waits so long for the next, in ms. */
const LAST_RESPONSES = 1000

export class UdpExchange extends Attempts<UdpSession> implements DatagramTaker {
  private fd = -1
  private watch: UdpWatch | null = null
  /** The first datagram, for the next upstream, until one has answered. */
  private first: Buffer | null = null
  private responses = 0
  protected bytesSent = 0
  protected bytesReceived = 0
  private faulty = false
  private over = false
  private upload: DatagramRate | null = null
  private download: DatagramRate | null = null

  begin(): void {
    const { session, settings } = this
    const [first, ...others] = session.take(this)
    this.first = settings.proxyProtocol === 'off' ? first! : introduced(session, settings.proxyProtocol, first!)
    this.connect()
    if (this.over) return
    const [up, down] = [this.rate(settings.uploadRate), this.rate(settings.downloadRate)]
    if (up > 0) this.upload = new DatagramRate(up, () => this.touch())
    if (down > 0) this.download = new DatagramRate(down, () => this.resumeUpstream())
    for (const bytes of others) if (!this.over) this.send(bytes)
    if (this.over) return
    if (this.choice.triesLeft <= 1 || !settings.nextUpstream) this.first = null
    this.touch()
    if (this.session.retiring) this.onRetire()
    this.endIfDone()
  }

  // ── the upstream's side ──────────────────────────────────────────────────────────────────────────────────────────

  protected connect(): void {
    const peer = this.nextPeer()
    if (peer === null) return
    this.bytesSent = 0
    this.bytesReceived = 0
    const local = this.settings.bind?.addressFor(asRequest(this.session)) ?? null
    const fd = connectUdp(addressOf(peer), local === null ? null : { ...local, ip: local.host })
    if (fd < 0) {
      const reason = failureText(fd)
      if (failure.call !== 'connect') return this.unopened(failure.call, local, reason)
      this.log(ERR, `connect() failed (${reason}) while connecting to upstream`)
      this.failed(this.first !== null, 'connecting to upstream')
      return
    }
    this.fd = fd
    if (this.settings.socketBuffers !== null) sizeSocket(fd, this.settings.socketBuffers)
    this.watch = new UdpWatch(fd, () => this.read())
    peers.size++
    this.watch.resume()
    this.tellConnected()
    this.connected()
    this.send(this.first!)
  }

  private tellConnected(): void {
    const { session } = this
    if (session.server.errorLog.level < INFO) return
    const { address, port } = addressAt(nameOf(this.fd))
    session.tell(`udp proxy ${peerName(address, port)} connected to ${this.attempt.addr}`)
  }

  private send(bytes: Buffer): void {
    const error = send(this.fd, bytes)
    if (error === 0) this.bytesSent += bytes.length
    else if (!isLoss(error)) {
      // What an earlier datagram met with; this one has not been sent.
      this.broken(error, 'send', 'sending to upstream')
      if (!this.over && bytes !== this.first) this.send(bytes)
    }
  }

  private read(): void {
    const { attempt } = this
    for (let i = 0; i < BATCH && !this.over && this.attempt === attempt; i++) {
      if (this.download?.admits(this.bytesReceived) === false) {
        this.watch!.pause()
        this.touch()
        return
      }
      const bytes = receive(this.fd)
      if (typeof bytes !== 'number') this.fromUpstream(bytes)
      else if (isNothing(bytes)) return
      // A loss that the network tells of is one of those sent before.
      else if (!isLoss(bytes)) return this.broken(bytes, 'recv', 'reading from upstream')
    }
  }

  private fromUpstream(bytes: Buffer): void {
    if (this.answered()) {
      this.choice.peer?.succeeded()
      this.first = null
    }
    this.responses++
    this.bytesReceived += bytes.length
    if (!this.session.reply(bytes, 'proxying and sending to client')) return this.session.finalize(200)
    this.download?.passed(bytes.length)
    this.touch()
    this.endIfDone()
  }

  /** Nobody is there (ICMP has told), or the network is not. */
  private broken(error: number, call: string, doing: string): void {
    this.log(ERR, `${call}() failed (${failureText(error)}) while proxying and ${doing}`)
    // Whoever has answered has taken something: it is not said again to another.
    this.failed(this.first !== null, `proxying and ${doing}`)
  }

  private resumeUpstream(): void {
    if (this.over) return
    this.watch?.resume()
    this.touch()
  }

  // ── the client's side ────────────────────────────────────────────────────────────────────────────────────────────

  admits(): boolean {
    if (this.upload === null || this.upload.admits(this.session.bytesReceived)) return true
    this.touch()
    return false
  }

  fromClient(bytes: Buffer): void {
    this.upload?.passed(bytes.length)
    this.send(bytes)
    if (this.over) return
    this.touch()
    this.endIfDone()
  }

  // ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Have all responses come that are expected? */
  private get complete(): boolean {
    const { responses } = this.settings
    return responses !== UNLIMITED && this.responses >= responses * this.session.requests
  }

  private endIfDone(): void {
    const { requests } = this.settings
    if (this.over || !this.complete || this.session.requests < requests) return
    this.finish('udp done')
  }

  private finish(message: string): void {
    const { session } = this
    const { requests, server } = session
    if (server.errorLog.level >= INFO) {
      const packets = `packets from/to client:${requests}/${this.responses}`
      session.tell(`${message}, ${packets}, ${this.counts}`)
    }
    session.finalize(200)
  }

  private touch(): void {
    const { session, settings } = this
    const held = this.upload?.delayed === true && !session.retiring
    if (held || this.download?.delayed === true) session.unwatch()
    else session.watch(this.endsSoon ? Math.min(settings.timeout, LAST_RESPONSES) : settings.timeout)
  }

  private get endsSoon(): boolean {
    return this.session.retiring && this.settings.responses === UNLIMITED
  }

  onTimeout(): void {
    if (this.session.retiring && this.settings.responses === UNLIMITED) this.finish('disconnected on shutdown')
    else if (this.settings.responses === UNLIMITED || this.complete) this.finish('udp timed out')
    else {
      this.log(ERR, 'upstream timed out (110: Connection timed out) while proxying connection')
      this.faulty = true
      this.session.finalize(502)
    }
  }

  /** Responses that are on their way are passed on: as many as are expected, or while they follow each other. */
  onRetire(): void {
    if (this.complete) this.finish('disconnected on shutdown')
    else this.touch()
  }

  protected end(): void {
    if (this.over) return
    this.over = true
    this.upload?.stop()
    this.download?.stop()
    this.settle()
    this.release(this.faulty ? FAILED : SUCCEEDED)
    this.close()
  }

  protected close(): void {
    if (this.watch === null) return
    peers.size--
    this.watch.close()
    this.watch = null
    this.fd = -1
  }
}

function addressOf({ address }: Peer): DatagramAddress {
  return 'path' in address ? address : { ip: address.host, port: address.port }
}

function introduced(session: UdpSession, version: 'v1' | 'v2', first: Buffer): Buffer {
  return Buffer.concat([Buffer.from(introduction(session, version, true), 'latin1'), first])
}
