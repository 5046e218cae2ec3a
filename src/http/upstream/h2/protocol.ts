// HTTP/2 as it is spoken to an upstream, but for what a request says: frames around heads and bodies, and flow control.

import { DEFAULT_FRAME_SIZE } from '../../../codec/h2/constants.ts'
import { ByteWriter } from '../../../codec/h2/byte-writer.ts'
import { HpackEncoder, PLAIN } from '../../../codec/h2/hpack-encoder.ts'
import { passEarlyHints } from '../early-hints.ts'
import type { Exchange } from '../exchange.ts'
import { bare } from '../protocol.ts'
import type { UpstreamProtocol } from '../protocol.ts'
import { dataHeader, frameHead } from './frames.ts'
import { H2Reader } from './reader.ts'

export function readerOf(x: Exchange): H2Reader {
  return x.reader as H2Reader
}

export const http2: Omit<UpstreamProtocol, 'requestHead' | 'passHead'> = {
  ...bare,
  scheme: 'http://',

  beginResponse(x: Exchange): void {
    if (x.reader === null) x.reader = new H2Reader()
    readerOf(x).begin(x)
  },

  writeBody(x: Exchange, head: string, bytes: Buffer, ended: boolean): number {
    const { connection } = x.link!
    const reader = readerOf(x)
    const { streamId } = reader
    let before = head === '' ? '' : frameHead(head, streamId, ended && bytes.length === 0)
    if (bytes.length === 0) {
      const empty = head === '' && ended ? dataHeader(0, streamId, true) : ''
      if (before + empty !== '') connection.writeText(before + empty)
      return 0
    }
    let at = 0
    while (at < bytes.length) {
      const window = Math.min(reader.streamWindow, reader.connectionWindow)
      if (window <= 0) break
      const size = Math.min(DEFAULT_FRAME_SIZE, window, bytes.length - at)
      reader.streamWindow -= size
      reader.connectionWindow -= size
      before += dataHeader(size, streamId, ended && at + size === bytes.length)
      connection.writeAll(before, bytes.subarray(at, at + size), '', false)
      before = ''
      at += size
    }
    if (before !== '') connection.writeText(before)
    return at
  },

  readHead(x: Exchange, bytes: Buffer, start: number, end: number): number {
    const reader = readerOf(x)
    let stop = reader.feed(x, bytes, start, end)
    if (stop < 0) return -1
    const { response } = reader
    // The stream's RST_STREAM with NO_ERROR, SETTINGS and their like may follow a head that is all of the response.
    if (response.ends && stop < end) {
      const last = reader.feed(x, bytes, stop, end)
      if (last >= 0) stop = last
      // What is left makes an end of the connection, and is nothing against the response.
      else x.problem = ''
    }
    if (response.status === 0) return end - start
    if (response.ends && response.contentLength > 0 && hasBody(x, response.status)) {
      x.problem = 'upstream prematurely closed stream'
      return -1
    }
    if (response.status === 103) passEarlyHints(x, response, response.size)
    x.status = response.status
    x.statusText = ''
    x.contentLength = response.contentLength
    x.chunked = response.contentLength < 0
    x.reusable = reader.reusable
    x.names = response.names
    x.values = response.values
    return stop - start
  },

  beginBody(x: Exchange): void {
    const { response } = readerOf(x)
    x.bodyLeft = hasBody(x, x.status) ? response.contentLength : 0
    x.bodyDone = response.ends
  },

  readBody(x: Exchange, bytes: Buffer, start: number, end: number): number {
    const reader = readerOf(x)
    const stop = reader.feed(x, bytes, start, end)
    if (stop < 0) {
      // What came together with a fault is not passed on: it would look like all there was.
      x.pieceStart = x.pieceEnd = 0
      return -1
    }
    x.bodyDone = reader.ended
    x.reusable = reader.reusable
    return end
  },

  endsAtClose: () => false,
}

function hasBody(x: Exchange, status: number): boolean {
  return x.method !== 'HEAD' && status !== 204 && status !== 304
}

const encoder = new HpackEncoder(0)
const out = new ByteWriter(16384)

/** A header block, which depends on no connection: without a dynamic table. */
export class HeaderBlock {
  /** Begins one; there is only one at a time. */
  begin(): void {
    out.length = 0
    encoder.begin(out)
  }

  /** @param name in lower case */
  add(name: string, value: string): void {
    encoder.field(out, name, value, PLAIN)
  }

  /** As latin1 text. */
  end(): string {
    return out.bytes.toString('latin1', 0, out.length)
  }
}

/** Fields that belong to HTTP/1 connections and have no place in HTTP/2 (RFC 9113, 8.2.2). */
export const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'host',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])
