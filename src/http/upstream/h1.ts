// HTTP/1 as it is spoken to an upstream, but for what a request says and what becomes of a response's fields, which differ
// between proxy_pass and app_pass: framing, both ways. It is read strictly (codec/h1/response-head.ts), for what we and
// the client behind us read must be the same.

import { ChunkedDecoder } from '../../codec/h1/chunked.ts'
import type { BodySink } from '../../codec/h1/chunked.ts'
import { parseResponseHead, ResponseHead } from '../../codec/h1/response-head.ts'
import { chunkLine, LAST_CHUNK } from '../../codec/h1/write.ts'
import { passEarlyHints } from './early-hints.ts'
import type { Exchange } from './exchange.ts'
import { leadsPastUs } from './hop-by-hop.ts'
import type { UpstreamProtocol } from './protocol.ts'

/** What the exchange's `conf` must tell us: does the request ask for another protocol, if its client does? */
export interface UpgradeConf {
  readonly sendsUpgrade: boolean
}

/** A connection's parsers. */
export class H1Reader implements BodySink {
  readonly head = new ResponseHead()
  chunks: ChunkedDecoder | null = null
  /** Who hears of the body: set while feed() runs. */
  private x: Exchange | null = null

  feed(x: Exchange, bytes: Buffer, start: number, end: number): number {
    this.x = x
    const stop = this.chunks!.feed(bytes, start, end, this)
    this.x = null
    return stop
  }

  onBody(_bytes: Buffer, start: number, end: number): void {
    this.x!.deliver(start, end)
  }
}

export const http1: Omit<UpstreamProtocol, 'requestHead' | 'passHead'> = {
  scheme: 'http://',
  pieceMax: Infinity,

  beforePiece(x: Exchange, length: number): string {
    return sendsChunked(x) ? chunkLine(length) : ''
  },
  afterPiece(x: Exchange): string {
    return sendsChunked(x) ? '\r\n' : ''
  },
  bodyEnd(x: Exchange): string {
    return sendsChunked(x) ? LAST_CHUNK : ''
  },

  beginResponse(x: Exchange): void {
    if (x.reader !== null) (x.reader as H1Reader).head.restart()
  },

  readHead(x: Exchange, bytes: Buffer, start: number, end: number): number {
    // Made with the first byte: there may be thousands that wait for one.
    if (x.reader === null) x.reader = new H1Reader()
    const { head } = x.reader as H1Reader
    const taken = parseResponseHead(bytes, start, end, x.settings.headLimits, head)
    if (taken <= 0) {
      x.problem = head.error
      return taken
    }
    x.status = head.code
    x.statusText = head.statusText
    x.contentLength = head.contentLength
    x.chunked = head.chunked
    x.reusable = head.keepAlive
    if (head.code < 200 && head.code !== 101) {
      if (head.code !== 103) return taken
      if (head.version < 11) {
        x.problem = 'upstream sent HTTP/1.0 response with early hints'
        return -1
      }
      passEarlyHints(x, head, head.text.length)
      return taken
    }
    x.names = head.names
    x.values = head.values
    // Only who asked for it can be switched to another protocol.
    x.upgrade = head.upgrade && (x.conf as UpgradeConf).sendsUpgrade && asksUpgrade(x)
    if (head.code === 101 && !x.upgrade) {
      x.problem = 'upstream switched protocols without being asked'
      return -1
    }
    return taken
  },

  beginBody(x: Exchange): void {
    const { status } = x
    if (x.method === 'HEAD' || status === 204 || status === 304) x.bodyDone = true
    else if (x.chunked) {
      const reader = x.reader as H1Reader
      if (reader.chunks === null) reader.chunks = new ChunkedDecoder('response')
      else reader.chunks.restart()
    } else {
      x.bodyLeft = x.contentLength
      x.bodyDone = x.contentLength === 0
      if (x.contentLength < 0) x.reusable = false
    }
  },

  readBody(x: Exchange, bytes: Buffer, start: number, end: number): number {
    if (x.chunked) return readChunks(x, bytes, start, end)
    if (x.bodyLeft < 0) {
      x.deliver(start, end)
      return end
    }
    const stop = Math.min(end, start + x.bodyLeft)
    x.bodyLeft -= stop - start
    if (x.bodyLeft === 0) x.bodyDone = true
    x.deliver(start, stop)
    return stop
  },

  endsAtClose(x: Exchange): boolean {
    return !x.chunked && x.contentLength < 0
  },
}

/** Has the client asked for another protocol? HTTP/1.0 knows none (RFC 9110, 7.8). */
export function asksUpgrade({ r }: Exchange): boolean {
  const { head } = r
  return r.parent === null && head.upgrade && head.version >= 11 && !leadsPastUs(head.values[head.upgradeIndex]!)
}

function readChunks(x: Exchange, bytes: Buffer, start: number, end: number): number {
  const reader = x.reader as H1Reader
  const stop = reader.feed(x, bytes, start, end)
  const chunks = reader.chunks!
  if (stop < 0) x.problem = chunks.error
  else if (chunks.done) {
    x.bodyDone = true
    // Whom they are not passed on to, is not told of them either (ngx_http_proxy_chunked_filter).
    if (x.settings.passTrailers) x.trailers = chunks.trailers
  }
  return stop
}

/** A streamed body whose length nobody knows. */
function sendsChunked(x: Exchange): boolean {
  return x.streamed !== null && x.streamed.declared < 0
}
