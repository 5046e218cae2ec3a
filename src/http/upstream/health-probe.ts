// A health check's request to one server: GET over HTTP/1.1, on a connection of its own that may be kept for the next one
// (`keepalive_time`).

import { ChunkedDecoder } from '../../codec/h1/chunked.ts'
import type { BodySink } from '../../codec/h1/chunked.ts'
import type { HeadLimits } from '../../codec/h1/head.ts'
import { errorText } from '../../lib/errno.ts'
import { INVALID, NOT_HTTP, parseResponseHead, ResponseHead } from '../../codec/h1/response-head.ts'
import type { Probe } from '../../upstream/health-checks.ts'
import { Peer } from '../../upstream/peer.ts'
import { PeerConnection } from '../../upstream/peer-connection.ts'
import type { PeerUser } from '../../upstream/peer-connection.ts'
import { peerName } from '../../upstream/server.ts'
import { BODY_MAX } from './health-match.ts'
import type { Match } from './health-match.ts'
import type { Passed } from './passed.ts'

export interface ProbeSettings {
  readonly uri: string
  readonly match: Match
  /** Instead of the server's; 0: the server's. */
  readonly port: number
  /** ms a connection may serve checks; 0: one check. */
  readonly keepaliveMs: number
}

export const LIMITS: HeadLimits = {
  lineMax: 8192,
  fieldMax: 32768,
  headMax: 32768,
  fieldsMax: 1000,
  underscores: true,
  ignoreInvalid: true,
}

const EMPTY = Buffer.alloc(0)

/** Begins a connection to the server, or another port of its host. */
export function connectionTo(
  peer: Peer,
  port: number,
  { tls, tlsNamesServer }: Passed,
  user: PeerUser,
): PeerConnection {
  const { address } = peer
  const elsewhere = port !== 0 && 'host' in address
  const place = elsewhere ? new Peer(peerName(address.host, port), { host: address.host, port }) : peer
  const named = tls !== null && tlsNamesServer ? { settings: tls.settings, name: peer.host } : tls
  return new PeerConnection(place, user, named)
}

export class HealthProbe implements Probe, PeerUser, BodySink {
  private readonly settings: ProbeSettings
  private readonly passed: Passed
  private readonly request: string
  private link: PeerConnection | null = null
  private done: ((problem: string) => void) | null = null
  private head = new ResponseHead()
  private chunks: ChunkedDecoder | null = null
  private input: Buffer = EMPTY
  private inBody = false
  private body = ''
  /** Bytes of body still to come; -1: until the end. */
  private left = 0
  private timesOut = 'connecting'
  /** Who is asked on a kept connection that has not answered yet: it may be about to close. */
  private asked: Peer | null = null

  constructor(settings: ProbeSettings, passed: Passed) {
    this.settings = settings
    this.passed = passed
    const fields = passed.fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
    const connection = settings.keepaliveMs > 0 ? 'keep-alive' : 'close'
    this.request = `GET ${settings.uri} HTTP/1.1\r\nHost: ${passed.host}\r\nConnection: ${connection}\r\n${fields}\r\n`
  }

  ask(peer: Peer, done: (problem: string) => void): void {
    this.done = done
    this.begin()
    const { link } = this
    if (link !== null && performance.now() - link.startedAt < this.settings.keepaliveMs) {
      this.asked = peer
      this.send()
      return
    }
    if (link !== null) this.drop()
    this.connect(peer)
  }

  private connect(peer: Peer): void {
    this.asked = null
    this.timesOut = 'connecting'
    this.link = connectionTo(peer, this.settings.port, this.passed, this)
    this.link.watch(this.passed.connectTimeout)
  }

  stop(): void {
    this.done = null
    this.drop()
  }

  private begin(): void {
    this.head = new ResponseHead()
    this.input = EMPTY
    this.inBody = false
    this.body = ''
    this.chunks = null
  }

  private send(): void {
    this.timesOut = 'reading response'
    this.link!.connection.writeText(this.request)
    this.link!.watch(this.passed.readTimeout)
  }

  onConnect(): void {
    this.send()
  }

  onData(chunk: Buffer): void {
    if (this.done === null) {
      // Nobody has asked.
      this.drop()
      return
    }
    this.asked = null
    if (this.inBody) {
      this.takeBody(chunk, 0)
      return
    }
    this.input = Buffer.concat([this.input, chunk])
    for (;;) {
      const taken = parseResponseHead(this.input, 0, this.input.length, LIMITS, this.head)
      if (taken === INVALID || taken === NOT_HTTP) {
        this.answer(this.head.error, false)
        return
      }
      if (taken === 0) return
      this.input = this.input.subarray(taken)
      if (this.head.code >= 200) break
    }
    this.inBody = true
    this.beginBody()
  }

  private beginBody(): void {
    const { head, input } = this
    if (head.chunked) this.chunks = new ChunkedDecoder('response')
    else this.left = head.code === 204 || head.code === 304 ? 0 : head.contentLength
    if (this.left === 0 && this.chunks === null) this.complete(true)
    else if (!this.settings.match.readsBody && this.settings.keepaliveMs === 0) this.complete(false)
    else this.takeBody(input, 0)
  }

  private takeBody(chunk: Buffer, start: number): void {
    if (this.chunks !== null) {
      const stop = this.chunks.feed(chunk, start, chunk.length, this)
      if (stop < 0) this.answer(this.chunks.error, false)
      else if (this.chunks.done) this.complete(stop === chunk.length)
      else this.enough()
      return
    }
    const end = this.left < 0 ? chunk.length : Math.min(chunk.length, start + this.left)
    this.onBody(chunk, start, end)
    if (this.left >= 0) this.left -= end - start
    if (this.left === 0) this.complete(end === chunk.length)
    else this.enough()
  }

  onBody(bytes: Buffer, start: number, end: number): void {
    const room = BODY_MAX - this.body.length
    if (room > 0) this.body += bytes.toString('latin1', start, Math.min(end, start + room))
  }

  private enough(): void {
    if (this.body.length >= BODY_MAX) this.complete(false)
  }

  private complete(whole: boolean): void {
    const { code, names, values, keepAlive } = this.head
    const problem = this.settings.match.problemOf({ status: code, names, values, body: this.body })
    this.answer(problem, whole && keepAlive && this.settings.keepaliveMs > 0)
  }

  private answer(problem: string, keep: boolean): void {
    const { done } = this
    this.done = null
    if (keep) this.link?.unwatch()
    else this.drop()
    done?.(problem)
  }

  private drop(): void {
    const { link } = this
    this.link = null
    link?.close()
  }

  onDrain(): void {}

  onEnd(): void {
    if (this.done === null) this.drop()
    else if (this.asked !== null) this.askAnew(this.asked)
    else if (this.inBody && this.chunks === null && this.left < 0) this.complete(false)
    else this.answer('connection closed prematurely', false)
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    this.link = null
    if (error === null || this.asked !== null) this.onEnd()
    else this.answer(`${this.timesOut === 'connecting' ? 'connect' : 'recv'}() failed (${errorText(error)})`, false)
  }

  private askAnew(peer: Peer): void {
    this.drop()
    this.connect(peer)
  }

  onTimeout(): void {
    this.answer(`timed out while ${this.timesOut}`, false)
  }
}
