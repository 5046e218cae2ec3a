// Idle connections of a group (ngx_http_upstream_keepalive_module). The one used last is taken first, so that the rest can
// time out; when there are too many the one idle longest goes. A `local` pool keeps what different locations have opened
// apart, which is nginx's way with groups that do not say `keepalive`.

import { monotonic } from '../lib/clock.ts'
import type { LocalAddress } from '../net/connection.ts'
import { peers } from './connection-limit.ts'
import type { Peer } from './peer.ts'
import { sameTls } from './peer-tls.ts'
import type { PeerTls } from './peer-tls.ts'
import type { PeerConnection } from './peer-connection.ts'

export interface KeepaliveOptions {
  readonly max: number
  /** Requests after which a connection is closed. */
  readonly requests: number
  /** ms a connection may live in all, and may be idle. */
  readonly timeMs: number
  readonly timeoutMs: number
  readonly local: boolean
}

export class KeepalivePool {
  readonly options: KeepaliveOptions
  /** The last is the one used last. */
  private readonly idle: PeerConnection[] = []
  private closing = false
  /** Where idle ones are looked for when the thread has too many connections. */
  private listed = false

  constructor(options: KeepaliveOptions) {
    this.options = options
  }

  get size(): number {
    return this.idle.length
  }

  /** An idle connection to that peer, which is the caller's then; null if there is none. */
  take(
    peer: Peer,
    tag: unknown,
    tls: PeerTls | null = null,
    from: LocalAddress | null = null,
    spoken: unknown = null,
  ): PeerConnection | null {
    const { idle } = this
    const { local } = this.options
    for (let i = idle.length - 1; i >= 0; i--) {
      const one = idle[i]!
      if (one.peer !== peer || (local && one.tag !== tag) || !sameTls(one.tls, tls)) continue
      if (one.local?.text !== from?.text || one.spoken !== spoken) continue
      if (i === idle.length - 1) idle.pop()
      else idle.splice(i, 1)
      one.pool = null
      one.unwatch()
      return one
    }
    return null
  }

  /** Keeps a connection whose request is over, or closes it where it may not be kept. */
  put(one: PeerConnection, tag: unknown): void {
    const { max, requests, timeMs, timeoutMs } = this.options
    const spent = one.requests >= requests || timeoutMs === 0 || monotonic() - one.startedAt > timeMs
    if (spent || this.closing || one.ended || one.connection.closed) {
      one.close()
      return
    }
    if (!this.listed) {
      this.listed = true
      peers.pools.add(this)
    }
    if (this.idle.length >= max) this.closeOldest()
    one.user = null
    one.pool = this
    one.tag = tag
    one.connection.resume()
    one.watch(timeoutMs)
    this.idle.push(one)
  }

  /** The one idle longest, of at least one. */
  closeOldest(): void {
    const oldest = this.idle.shift()!
    oldest.pool = null
    oldest.close()
  }

  remove(one: PeerConnection): void {
    const i = this.idle.indexOf(one)
    if (i !== -1) this.idle.splice(i, 1)
    one.pool = null
  }

  /** Closes connections to peers that are there no more. */
  retain(isThere: (peer: Peer) => boolean): void {
    for (let i = this.idle.length - 1; i >= 0; i--) {
      const one = this.idle[i]!
      if (isThere(one.peer)) continue
      this.idle.splice(i, 1)
      one.pool = null
      one.close()
    }
  }

  /** Closes what is idle and keeps nothing from now on. */
  close(): void {
    this.closing = true
    peers.pools.delete(this)
    for (const one of this.idle.splice(0)) {
      one.pool = null
      one.close()
    }
  }
}
