// After 101 Switching Protocols two connections are one pipe (WebSocket and the like): bytes pass both ways unread, each
// side is held while the other takes no more, and the end of one direction is passed on without ending the other.
//
//   client ──onData──▶ write ──▶ upstream          client ◀── write ◀──onData── upstream
//          ◀──pause/resume── onDrain                      onDrain ──pause/resume──▶

import { errorText } from '../../lib/errno.ts'
import { ERR, INFO } from '../../log/error-log.ts'
import type { Connection, ConnectionHandler } from '../../net/connection.ts'
import type { PeerConnection, PeerUser } from '../../upstream/peer-connection.ts'
import { EMPTY, sendHead } from '../output.ts'
import { TUNNELLING } from './exchange-state.ts'
import type { Exchange } from './exchange.ts'

/** Takes both connections over; `first` are bytes the upstream has sent behind its head. */
export function tunnel(x: Exchange, first: Buffer): void {
  // No framing: what follows is not HTTP.
  x.r.contentLength = 0
  join(x, first)
}

/** The connection that CONNECT has asked for stands. */
export function openTunnel(x: Exchange): void {
  const { r } = x
  const attempt = x.attempt!
  // There is no answer, and so no status of one.
  attempt.headerMs = attempt.elapsed
  r.status = 200
  r.keepAlive = false
  join(x, EMPTY)
}

function join(x: Exchange, first: Buffer): void {
  const { r } = x
  x.state = TUNNELLING
  x.reusable = false
  sendHead(r)
  const ends = new Tunnel(x)
  const { connection, received } = r.stream.upgrade(r, ends)
  ends.begin(connection, received, first)
}

class Tunnel implements ConnectionHandler {
  private readonly x: Exchange
  private readonly link: PeerConnection
  private client: Connection | null = null
  private clientEnded = false
  private upstreamEnded = false
  private over = false

  constructor(x: Exchange) {
    this.x = x
    this.link = x.link!
    this.link.user = new UpstreamEnd(this)
  }

  begin(client: Connection, fromClient: Buffer, fromUpstream: Buffer): void {
    this.client = client
    client.resume()
    this.alive()
    if (fromUpstream.length > 0) this.toClient(fromUpstream)
    if (fromClient.length > 0 && !this.over) this.onData(fromClient)
  }

  // From the client.

  onData(chunk: Buffer): void {
    if (this.over) return
    this.alive()
    if (!this.link.connection.writeVolatile(chunk)) this.client!.pause()
  }

  onEnd(): void {
    if (this.over) return
    this.clientEnded = true
    if (this.upstreamEnded) this.finish()
    else this.link.connection.shutdown()
  }

  /** The client has taken everything. */
  onDrain(): void {
    if (this.over) return
    this.alive()
    if (this.upstreamEnded && this.clientEnded) this.finish()
    else this.link.connection.resume()
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    this.lost(error, INFO)
  }

  // From the upstream.

  toClient(chunk: Buffer): void {
    if (this.over) return
    this.alive()
    this.x.r.bodyBytesSent += chunk.length
    if (!this.client!.writeVolatile(chunk)) this.link.connection.pause()
  }

  upstreamEnd(): void {
    if (this.over) return
    this.upstreamEnded = true
    if (this.clientEnded && this.client!.pending === 0) this.finish()
    else this.client!.shutdown()
  }

  upstreamReady(): void {
    if (this.over) return
    this.alive()
    this.client!.resume()
  }

  timedOut(): void {
    if (!this.clientEnded && !this.upstreamEnded && this.x.mayRest()) {
      this.alive()
      return
    }
    this.x.log(INFO, `upstream timed out (110: Connection timed out) while ${this.x.action()}`)
    this.finish()
  }

  /** One of the connections is no more. */
  lost(error: NodeJS.ErrnoException | null, level: number): void {
    if (this.over) return
    if (error !== null) this.x.log(level, `recv() failed (${errorText(error)}) while ${this.x.action()}`)
    this.finish()
  }

  finish(): void {
    if (this.over) return
    this.over = true
    this.x.complete(true)
    const { r } = this.x
    if (!r.done) r.stream.finish(r)
  }

  received(size: number): void {
    this.x.attempt!.bytesReceived += size
  }

  /** Something moves, in whichever direction: proxy_read_timeout begins anew. */
  private alive(): void {
    this.link.watch(this.x.settings.readTimeout)
  }
}

/** The upstream's events, under their own names. */
class UpstreamEnd implements PeerUser {
  private readonly tunnel: Tunnel
  constructor(tunnel: Tunnel) {
    this.tunnel = tunnel
  }
  onConnect(): void {}
  onData(chunk: Buffer): void {
    this.tunnel.received(chunk.length)
    this.tunnel.toClient(chunk)
  }
  onEnd(): void {
    this.tunnel.upstreamEnd()
  }
  onDrain(): void {
    this.tunnel.upstreamReady()
  }
  onClose(error: NodeJS.ErrnoException | null): void {
    if (error === null) this.tunnel.upstreamEnd()
    else this.tunnel.lost(error, ERR)
  }
  onTimeout(): void {
    this.tunnel.timedOut()
  }
}
