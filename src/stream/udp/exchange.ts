// A UDP session's dealings with its upstream (ngx_stream_proxy_module): one is chosen, and a socket of the session's own is
// connected to it; datagrams go both ways until as many have come back as are expected, or none for a while.

import { ALERT, ERR, INFO, WARN } from '../../log/error-log.ts'
import { connectUdp, EAGAIN, EMSGSIZE, failureText, receive, send, UdpWatch } from '../../net/udp-socket.ts'
import { connectionRefusal, peers } from '../../upstream/connection-limit.ts'
import { Choice, FAILED, SUCCEEDED, type Group } from '../../upstream/group.ts'
import type { Peer } from '../../upstream/peer.ts'
import type { ProxySettings } from '../proxy/conf.ts'
import { asRequest } from '../module.ts'
import { introduction, type StreamAttempt } from '../proxy/exchange.ts'
import { DatagramRate } from './rate.ts'
import type { DatagramTaker, UdpSession } from './session.ts'

/** proxy_responses where it is not given. */
export const UNLIMITED = 0x7fffffff

/** Datagrams read before others have their turn. */
const BATCH = 32

/** A retired thread's session that may be answered any number of times waits so long for the next, in ms. */
const LAST_RESPONSES = 1000

export class UdpExchange implements DatagramTaker {
  readonly attempts: StreamAttempt[] = []
  private readonly session: UdpSession
  private readonly settings: ProxySettings
  private readonly choice: Choice
  private readonly startedAt = performance.now()
  private fd = -1
  private watch: UdpWatch | null = null
  /** The first datagram, for the next upstream, until one has answered. */
  private first: Buffer | null = null
  private responses = 0
  private sent = 0
  private received = 0
  private faulty = false
  private over = false
  private upload: DatagramRate | null = null
  private download: DatagramRate | null = null

  constructor(session: UdpSession, group: Group, settings: ProxySettings) {
    this.session = session
    this.settings = settings
    const key = group.key === null ? '' : group.key.get(asRequest(session))
    this.choice = new Choice(group, session.clientAddress, settings.nextUpstreamTries, key)
    session.exchange = this
    session.onEnd(() => this.end())
  }

  begin(): void {
    const { session, settings } = this
    const r = asRequest(session)
    const [first, ...others] = session.take(this)
    this.first = settings.proxyProtocol === 'off' ? first! : introduced(session, settings.proxyProtocol, first!)
    const [up, down] = [Number(settings.uploadRate?.get(r) ?? 0), Number(settings.downloadRate?.get(r) ?? 0)]
    if (up > 0) this.upload = new DatagramRate(up, () => this.touch())
    if (down > 0) this.download = new DatagramRate(down, () => this.resumeUpstream())
    this.connect()
    for (const bytes of others) if (!this.over) this.send(bytes)
    if (this.over) return
    if (this.choice.triesLeft <= 1 || !settings.nextUpstream) this.first = null
    this.touch()
    if (this.session.retiring) this.onRetire()
    this.endIfDone()
  }

  // ── the upstream's side ──────────────────────────────────────────────────────────────────────────────────────────

  private connect(): void {
    const peer = this.choice.next()
    this.attempts.push(newAttempt(peer?.name ?? this.choice.group.name))
    if (peer === null) {
      this.log(ERR, 'no live upstreams while connecting to upstream')
      this.session.finalize(502)
      return
    }
    const refusal = connectionRefusal()
    if (refusal !== '') {
      this.log(ALERT, `${refusal} while connecting to upstream`)
      this.session.finalize(500)
      return
    }
    this.sent = 0
    this.received = 0
    const fd = this.open(peer)
    if (fd < 0) {
      this.log(ERR, `connect() failed (${failureText(fd)}) while connecting to upstream`)
      this.failed()
      return
    }
    this.fd = fd
    this.watch = new UdpWatch(fd, () => this.read())
    peers.size++
    this.watch.resume()
    this.attempt.connectMs = Math.round(performance.now() - this.attempt.startedAt)
    this.send(this.first!)
  }

  private open({ address }: Peer): number {
    const local = this.settings.bind?.addressFor(asRequest(this.session)) ?? null
    const from = local === null ? null : { ip: local.host, port: local.port }
    return connectUdp('path' in address ? address : { ip: address.host, port: address.port }, from)
  }

  private get attempt(): StreamAttempt {
    return this.attempts.at(-1)!
  }

  private send(bytes: Buffer): void {
    const error = send(this.fd, bytes)
    if (error === 0) this.sent += bytes.length
    else if (error !== -EAGAIN && error !== -EMSGSIZE) {
      // What an earlier datagram met with; this one has not been sent.
      this.broken(error, 'send', 'sending to upstream')
      if (!this.over && bytes !== this.first) this.send(bytes)
    }
  }

  private read(): void {
    const { attempt } = this
    for (let i = 0; i < BATCH && !this.over && this.attempt === attempt; i++) {
      if (this.download?.admits(this.received) === false) {
        this.watch!.pause()
        this.touch()
        return
      }
      const bytes = receive(this.fd)
      if (typeof bytes !== 'number') this.fromUpstream(bytes)
      else {
        if (bytes !== -EAGAIN) this.broken(bytes, 'recv', 'reading from upstream')
        return
      }
    }
  }

  private fromUpstream(bytes: Buffer): void {
    const { attempt } = this
    if (attempt.firstByteMs < 0) {
      attempt.firstByteMs = Math.round(performance.now() - attempt.startedAt)
      this.choice.peer?.succeeded()
      this.first = null
    }
    this.responses++
    this.received += bytes.length
    this.session.reply(bytes)
    this.download?.passed(bytes.length)
    this.touch()
    this.endIfDone()
  }

  /** Nobody is there (ICMP has told), or the network is not. */
  private broken(error: number, call: string, doing: string): void {
    this.log(ERR, `${call}() failed (${failureText(error)}) while proxying and ${doing}`)
    this.failed()
  }

  /** The next one is asked, if that is wanted, there is one, and nobody has answered yet. */
  private failed(): void {
    const { settings, session, choice, first } = this
    this.settle()
    this.close()
    if (choice.release(FAILED)) this.log(WARN, 'upstream server temporarily disabled')
    const { nextUpstream, nextUpstreamTimeout } = settings
    const late = nextUpstreamTimeout > 0 && performance.now() - this.startedAt >= nextUpstreamTimeout
    if (first !== null && nextUpstream && choice.triesLeft > 0 && !late) this.connect()
    else session.finalize(502)
  }

  private resumeUpstream(): void {
    if (this.over) return
    this.watch?.resume()
    this.touch()
  }

  // ── the client's side ────────────────────────────────────────────────────────────────────────────────────────────

  admits(): boolean {
    if (this.upload === null || this.upload.admits(this.session.bytesIn)) return true
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
  private get answered(): boolean {
    const { responses } = this.settings
    return responses !== UNLIMITED && this.responses >= responses * this.session.requests
  }

  private endIfDone(): void {
    const { requests } = this.settings
    if (this.over || !this.answered || this.session.requests < requests) return
    this.finish('udp done')
  }

  private finish(message: string): void {
    const { session } = this
    const { bytesIn, bytesOut, requests, server } = session
    const packets = `packets from/to client:${requests}/${this.responses}`
    const bytes = `bytes from/to client:${bytesIn}/${bytesOut}, bytes from/to upstream:${this.received}/${this.sent}`
    if (server.errorLog.level >= INFO) {
      server.errorLog.log(INFO, `${message}, ${packets}, ${bytes}`, session.connectionNumber)
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
    else if (this.settings.responses === UNLIMITED || this.answered) this.finish('udp timed out')
    else {
      this.log(ERR, 'upstream timed out (110: Connection timed out) while proxying connection')
      this.faulty = true
      this.session.finalize(502)
    }
  }

  /** Responses that are on their way are passed on: as many as are expected, or while they follow each other. */
  onRetire(): void {
    if (this.answered) this.finish('disconnected on shutdown')
    else this.touch()
  }

  /** The session is over. Before its line is logged the numbers have to be right. */
  private end(): void {
    if (this.over) return
    this.over = true
    this.upload?.stop()
    this.download?.stop()
    this.settle()
    if (this.choice.release(this.faulty ? FAILED : SUCCEEDED)) this.log(WARN, 'upstream server temporarily disabled')
    this.close()
  }

  /** Fixes the attempt's numbers. */
  private settle(): void {
    const attempt = this.attempts.at(-1)
    if (attempt === undefined || attempt.sessionMs >= 0) return
    attempt.sessionMs = Math.round(performance.now() - attempt.startedAt)
    attempt.bytesSent = this.sent
    attempt.bytesReceived = this.received
  }

  private close(): void {
    if (this.watch === null) return
    peers.size--
    this.watch.close()
    this.watch = null
    this.fd = -1
  }

  private log(level: number, message: string): void {
    const { bytesIn, bytesOut } = this.session
    const counts = `bytes from/to client:${bytesIn}/${bytesOut}, bytes from/to upstream:${this.received}/${this.sent}`
    this.session.log(level, message, `, upstream: "${this.attempt.addr}", ${counts}`)
  }
}

function newAttempt(addr: string): StreamAttempt {
  const startedAt = performance.now()
  return { addr, startedAt, connectMs: -1, firstByteMs: -1, sessionMs: -1, bytesSent: 0, bytesReceived: 0 }
}

function introduced(session: UdpSession, version: 'v1' | 'v2', first: Buffer): Buffer {
  return Buffer.concat([Buffer.from(introduction(session, version), 'latin1'), first])
}
