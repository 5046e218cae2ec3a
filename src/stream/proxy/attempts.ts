// A session's way through the upstreams of its group (ngx_stream_upstream_t), whatever it sends them: who is asked next, what
// became of each, when to go on to another one and when to give up.

import { parseSize } from '../../config/units.ts'
import type { Value } from '../../http/module.ts'
import { ALERT, CRIT, ERR, WARN } from '../../log/error-log.ts'
import type { LocalAddress } from '../../net/connection.ts'
import { connectionRefusal } from '../../upstream/connection-limit.ts'
import { Choice, FAILED, type Group } from '../../upstream/group.ts'
import type { Peer } from '../../upstream/peer.ts'
import { asRequest } from '../module.ts'
import type { StreamSession } from '../session.ts'
import type { UdpSession } from '../udp/session.ts'
import type { ProxySettings } from './conf.ts'

/** What became of a session at one upstream; times in ms, -1 while unknown. */
export class Attempt {
  addr: string
  connectMs = -1
  firstByteMs = -1
  sessionMs = -1
  bytesSent = 0
  bytesReceived = 0
  private readonly startedAt = performance.now()

  constructor(addr: string) {
    this.addr = addr
  }

  /** Since it began. */
  private get ms(): number {
    return Math.round(performance.now() - this.startedAt)
  }

  connected(): void {
    this.connectMs = this.ms
  }

  /** @returns whether it is the first thing that has come */
  answered(): boolean {
    if (this.firstByteMs >= 0) return false
    this.firstByteMs = this.ms
    return true
  }

  /** Fixes its numbers, once. */
  end(bytesSent: number, bytesReceived: number): void {
    if (this.sessionMs >= 0) return
    this.sessionMs = this.ms
    this.bytesSent = bytesSent
    this.bytesReceived = bytesReceived
  }
}

/** What was tried for a session, of either kind. */
export function attemptsOf(session: StreamSession | UdpSession): readonly Attempt[] {
  return session.exchange instanceof Attempts ? session.exchange.attempts : []
}

export abstract class Attempts<S extends StreamSession | UdpSession = StreamSession | UdpSession> {
  readonly attempts: Attempt[] = []
  protected readonly session: S
  protected readonly settings: ProxySettings
  protected readonly choice: Choice
  private readonly startedAt = performance.now()

  constructor(session: S, group: Group, settings: ProxySettings) {
    this.session = session
    this.settings = settings
    const key = group.key === null ? '' : group.key.get(asRequest(session))
    this.choice = new Choice(group, session.clientAddress, settings.nextUpstreamTries, key)
    session.exchange = this
    session.onEnd(() => this.end())
  }

  /** Asks nextPeer(), and sends the session there. */
  protected abstract connect(): void
  /** Sent to the present upstream, and received from it. */
  protected abstract get bytesSent(): number
  protected abstract get bytesReceived(): number
  /** Lets go of the present upstream's connection. */
  protected abstract close(): void
  /** The session is over. Before its line is logged the numbers have to be right. */
  protected abstract end(): void

  protected get attempt(): Attempt {
    return this.attempts.at(-1)!
  }

  /** null: there is none, and the session has ended. */
  protected nextPeer(): Peer | null {
    const peer = this.choice.next()
    this.attempts.push(new Attempt(peer?.name ?? this.choice.group.name))
    if (peer === null) {
      this.log(ERR, 'no live upstreams while connecting to upstream')
      this.session.finalize(502)
      return null
    }
    const refusal = connectionRefusal()
    if (refusal === '') return peer
    this.unconnected(ALERT, refusal)
    return null
  }

  /** The upstream is there. */
  protected connected(): void {
    this.attempt.connected()
    this.reached('connect', this.attempt.connectMs)
  }

  /** It has sent something. @returns whether it is the first thing that has come */
  protected answered(): boolean {
    if (!this.attempt.answered()) return false
    this.reached('first_byte', this.attempt.firstByteMs)
    return true
  }

  private reached(moment: 'connect' | 'first_byte', ms: number): void {
    if (this.choice.group.balancer.moment === moment) this.choice.headCame(ms)
  }

  /**
   * The present upstream has failed.
   * @param next whether another one may be asked, as far as the session is concerned @param doing for the log
   */
  protected failed(next: boolean, doing: string): void {
    this.settle()
    this.close()
    this.release(FAILED, ` while ${doing}`)
    const { nextUpstream, nextUpstreamTimeout } = this.settings
    const late = nextUpstreamTimeout > 0 && performance.now() - this.startedAt >= nextUpstreamTimeout
    if (next && nextUpstream && this.choice.triesLeft > 0 && !late) this.connect()
    else this.session.finalize(502)
  }

  /** It is not the upstream's fault that there is no connection to it, so as with nginx variables do not name it either. */
  private unconnected(level: number, problem: string): void {
    this.log(level, `${problem} while connecting to upstream`)
    this.attempt.addr = ''
    this.session.finalize(500)
  }

  /** There is no socket, or none with the address of ours that it is to have. */
  protected unopened(call: 'bind' | 'socket', local: LocalAddress | null, reason: string): void {
    if (call === 'socket' || local === null) this.unconnected(ALERT, `socket() failed (${reason})`)
    else this.unconnected(CRIT, `bind(${local.text}) failed (${reason})`)
  }

  protected settle(): void {
    this.attempts.at(-1)?.end(this.bytesSent, this.bytesReceived)
  }

  protected release(outcome: number, doing = ''): void {
    const { connectMs, firstByteMs, sessionMs, bytesSent, bytesReceived } = this.attempt
    const headerMs = this.choice.group.balancer.moment === 'first_byte' ? firstByteMs : connectMs
    const what = { status: 0, headerMs, responseMs: sessionMs, bytesSent, bytesReceived }
    if (this.choice.release(outcome, what)) this.log(WARN, `upstream server temporarily disabled${doing}`)
  }

  protected get counts(): string {
    const { bytesReceived, bytesSent } = this.session
    const upstream = `${this.bytesReceived}/${this.bytesSent}`
    return `bytes from/to client:${bytesReceived}/${bytesSent}, bytes from/to upstream:${upstream}`
  }

  protected log(level: number, message: string): void {
    this.session.log(level, message, `, upstream: "${this.attempt.addr}", ${this.counts}`)
  }

  /** Bytes a second, as variables may tell them; 0: any number (ngx_stream_complex_value_size). */
  protected rate(declared: Value | null): number {
    const text = declared === null ? '0' : declared.get(asRequest(this.session))
    const bytes = parseSize(text)
    if (bytes === null) this.log(ERR, `invalid size "${text}" while connecting to upstream`)
    return bytes ?? 0
  }
}
