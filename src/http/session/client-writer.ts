// The last stage of an HTTP/1 response: builds the head, frames the body (length, chunked, until close) and hands both
// to the connection in as few writes as there can be: the head waits for the first piece of body, and a short body
// joins it in one string.

import { chunkLine, httpDate, LAST_CHUNK, statusLine, TRAILERS_FOLLOW } from '../../codec/h1/write.ts'
import { unixSeconds } from '../../lib/clock.ts'
import { ERR } from '../../log/error-log.ts'
import type { Connection } from '../../net/connection.ts'
import { mistrustsKeepAlive } from '../core/keepalive-disable.ts'
import { BodyStage, EMPTY, FLUSH, LAST, locationOf } from '../output.ts'
import { NO_SERVER } from '../request.ts'
import type { HttpRequest } from '../request.ts'

/** Up to here a piece of body is copied into the head's string; beyond, two buffers in one writev are cheaper. */
const JOIN_MAX = 4096

/** What the writer tells the session. */
export interface WriterOwner {
  readonly connection: Connection
  readonly requests: number
  /** Date.now() when the connection was accepted. */
  readonly connectedMs: number
  readonly draining: boolean
  /** The response has been handed over; `complete` false: it is not whole, the connection must go. */
  responseWritten(r: HttpRequest, complete: boolean): void
  /** The client does not take what was written: send_timeout runs. */
  clientSlow(r: HttpRequest): void
}

export class ClientWriter extends BodyStage {
  private readonly owner: WriterOwner
  private head = ''
  private chunked = false
  /** Body bytes that may still be sent, -1 without limit. */
  private left = -1

  constructor(owner: WriterOwner) {
    super()
    this.owner = owner
  }

  /** For the next request of the connection. */
  reset(): void {
    this.previous = null
    this.head = ''
  }

  /** Builds the head; it leaves with the first write. */
  begin(r: HttpRequest): void {
    this.head = this.headText(r)
  }

  /** A whole response whose body is text. */
  writeText(r: HttpRequest, body: string): void {
    const head = this.headText(r)
    if (r.bodiless) this.owner.connection.writeText(head)
    else {
      r.bodyBytesSent = body.length
      this.owner.connection.writeText(head + body)
    }
    this.owner.responseWritten(r, true)
  }

  /** Sends a head that waits for its body, for streams whose first piece is late. */
  flushHead(): void {
    if (this.head === '') return
    const head = this.head
    this.head = ''
    this.owner.connection.writeText(head)
  }

  /** Without what would end the body; the connection ends when all has gone. */
  override breakOff(r: HttpRequest): void {
    if (r.done) return
    r.keepAlive = false
    this.flushHead()
    this.owner.responseWritten(r, false)
  }

  write(r: HttpRequest, bytes: Buffer, flags: number): boolean {
    return this.put(r, bytes, flags, false)
  }

  override writeVolatile(r: HttpRequest, chunk: Buffer, flags: number): boolean {
    return this.put(r, chunk, flags, true)
  }

  private put(r: HttpRequest, given: Buffer, flags: number, volatile: boolean): boolean {
    if (r.done) return false
    const last = (flags & LAST) !== 0
    const bytes = r.bodiless ? EMPTY : this.within(r, given)
    r.bodyBytesSent += bytes.length
    if (bytes.length === 0 && !last && (flags & FLUSH) !== 0) this.flushHead()
    const ready = this.chunked
      ? this.putChunk(r, bytes, last ? endOf(r) : '', volatile)
      : this.putPlain(bytes, last, volatile)
    if (last) this.owner.responseWritten(r, r.bodiless || this.left <= 0)
    else if (!ready) this.owner.clientSlow(r)
    return ready
  }

  /** May this response's body go past our own memory? Only as it is, and only through a plain socket. */
  takesFiles(r: HttpRequest): boolean {
    return !this.chunked && !r.bodiless && r.stream.tls === null
  }

  /** Sends a part of a file past our own memory, where nothing is in its way: bytes that have gone; 0 or less: write them. */
  sendFile(r: HttpRequest, descriptor: number, position: number, length: number): number {
    const { connection } = this.owner
    if (r.done || this.left < length) return 0
    this.flushHead()
    if (connection.pending > 0) return 0
    const count = connection.sendFile(descriptor, position, length)
    if (count <= 0) return count
    r.bodyBytesSent += count
    this.left -= count
    return count
  }

  private putPlain(bytes: Buffer, last: boolean, volatile: boolean): boolean {
    const { connection } = this.owner
    const { head } = this
    this.head = ''
    if (bytes.length === 0)
      return head === '' || (!last && this.holdHead(head)) ? connection.pending === 0 : connection.writeText(head)
    if (head === '') return volatile ? connection.writeVolatile(bytes) : connection.write(bytes)
    if (bytes.length <= JOIN_MAX) return connection.writeText(head + bytes.toString('latin1'))
    return connection.writeAll(head, bytes, '', volatile)
  }

  /** @param tail what ends the body, '' if more of it follows */
  private putChunk(r: HttpRequest, bytes: Buffer, tail: string, volatile: boolean): boolean {
    const { connection } = this.owner
    const { head } = this
    // As nginx counts: all that is not head, the framing with it.
    r.bodyBytesSent += tail.length
    if (bytes.length === 0) {
      if (tail === '') return connection.pending === 0
      this.head = ''
      return connection.writeText(head + tail)
    }
    this.head = ''
    const line = chunkLine(bytes.length)
    r.bodyBytesSent += line.length + 2
    const before = head + line
    if (bytes.length <= JOIN_MAX) return connection.writeText(`${before}${bytes.toString('latin1')}\r\n${tail}`)
    return connection.writeAll(before, bytes, `\r\n${tail}`, volatile)
  }

  private holdHead(head: string): boolean {
    this.head = head
    return true
  }

  /** Never more than Content-Length promised. */
  private within(r: HttpRequest, bytes: Buffer): Buffer {
    if (this.left < 0) return bytes
    if (bytes.length <= this.left) {
      this.left -= bytes.length
      return bytes
    }
    r.log(ERR, `response body is longer than its Content-Length ${r.contentLength}: the rest is dropped`)
    const fitting = bytes.subarray(0, this.left)
    this.left = 0
    return fitting
  }

  private headText(r: HttpRequest): string {
    const limit = r.location
    // Trailers have a place behind chunks only; ranges have been cut from the length by now.
    if (r.trailers !== null && limit.chunkedTransferEncoding && r.version === 11 && !r.bodiless) r.contentLength = -1
    this.left = r.contentLength
    this.chunked = false
    if (this.owner.draining || this.owner.requests >= limit.keepaliveRequests || limit.keepaliveTimeout === 0)
      r.keepAlive = false
    else if (r.startMs - this.owner.connectedMs > limit.keepaliveTime) r.keepAlive = false
    else if (mistrustsKeepAlive(r, limit.keepaliveDisable)) r.keepAlive = false
    // HTTP/0.9 has no heads.
    if (r.version === 9) return ''
    let framing = ''
    if (r.contentLength >= 0) {
      if (r.status !== 204 && r.status >= 200) framing = `Content-Length: ${r.contentLength}\r\n`
    } else if (!r.bodiless && r.status >= 200) {
      if (r.version === 11 && limit.chunkedTransferEncoding) this.chunked = true
      else r.keepAlive = false
    }
    let text = this.firstLines(r)
    if (r.status === 204) {
      // An upstream may have one all the same, as with nginx.
      if (r.statusLine === '') r.contentType = ''
      r.contentLength = -1
    }
    if (r.contentType !== '') text += `Content-Type: ${r.contentType}\r\n`
    text += framing
    if (r.lastModified !== '') text += `Last-Modified: ${r.lastModified}\r\n`
    if (r.redirect !== '') text += `Location: ${locationOf(r)}\r\n`
    if (this.chunked) text += 'Transfer-Encoding: chunked\r\n'
    if (r.status === 101) text += 'Connection: upgrade\r\n'
    else text += r.keepAlive ? limit.keepaliveHeader : 'Connection: close\r\n'
    if (r.etag !== '') text += `ETag: ${r.etag}\r\n`
    const { outNames, outValues } = r
    for (let i = 0; i < outNames.length; i++) text += `${outNames[i]}: ${outValues[i]}\r\n`
    return `${text}\r\n`
  }

  /** Status line, Server, Date: the same text for every response of a kind within a second. */
  private firstLines(r: HttpRequest): string {
    const second = unixSeconds()
    if (r.statusLine === '' && r.serverHeader === '' && r.dateHeader === '')
      return commonLines(r.status, r.location.serverTokens, second)
    const status = r.statusLine === '' ? statusLine(r.status) : `HTTP/1.1 ${r.statusLine}\r\n`
    let server = r.location.serverTokens
    if (r.serverHeader !== '') server = r.serverHeader === NO_SERVER ? '' : `Server: ${r.serverHeader}\r\n`
    return `${status}${server}Date: ${r.dateHeader === '' ? httpDate(second) : r.dateHeader}\r\n`
  }
}

/** The end of a chunked body. */
function endOf(r: HttpRequest): string {
  if (r.trailers === null) return LAST_CHUNK
  const fields = r.trailers.fields(r)
  let text = TRAILERS_FOLLOW
  for (let i = 0; i < fields.length; i += 2) text += `${fields[i]}: ${fields[i + 1]}\r\n`
  return `${text}\r\n`
}

let linesSecond = 0
const lines = new Map<number, string>()
let linesTokens = ''

function commonLines(status: number, tokens: string, second: number): string {
  if (second !== linesSecond || tokens !== linesTokens) {
    linesSecond = second
    linesTokens = tokens
    lines.clear()
  }
  let text = lines.get(status)
  if (text === undefined) {
    text = `${statusLine(status)}${tokens}Date: ${httpDate(second)}\r\n`
    lines.set(status, text)
  }
  return text
}
