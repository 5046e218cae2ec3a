// Responses of programs behind uwsgi and SCGI: a CGI head, or HTTP's own with its status line, then a body as long as
// Content-Length says or until the connection closes. FastCGI packs the same head into records (modules/fastcgi.ts).

import { parseCgiHead } from '../../codec/cgi-head.ts'
import { NOT_HTTP, parseResponseHead, ResponseHead } from '../../codec/h1/response-head.ts'
import type { Exchange } from './exchange.ts'
import type { GatewayConf } from './gateway.ts'
import { bare } from './protocol.ts'
import type { UpstreamProtocol } from './protocol.ts'
import { passFields } from './response-fields.ts'

/** A connection's parser. */
class CgiReader {
  readonly head = new ResponseHead()
  /** There is no status line. */
  plain = false
}

/** Puts a head that was read on the exchange; false with `x.problem` set where it cannot be a final one. Within records
 *  there is nothing that could be switched to another protocol. */
export function takeCgiHead(x: Exchange, head: ResponseHead, mayUpgrade: boolean): boolean {
  x.status = head.code
  x.statusText = head.statusText
  x.contentLength = head.contentLength
  x.names = head.names
  x.values = head.values
  x.chunked = false
  x.reusable = false
  x.upgrade = mayUpgrade && head.code === 101 && x.r.parent === null && x.r.head.upgrade
  if (head.code >= 200 || x.upgrade) return true
  x.problem = `upstream sent invalid status "${head.statusText || head.code}"`
  return false
}

export const cgi: Omit<UpstreamProtocol, 'scheme' | 'requestHead'> = {
  ...bare,

  beginResponse(x: Exchange): void {
    x.reader = new CgiReader()
  },

  readHead(x: Exchange, bytes: Buffer, start: number, end: number): number {
    const reader = x.reader as CgiReader
    const taken = parse(reader, x, bytes, start, end)
    if (taken < 0) {
      x.problem = reader.head.error
      return taken
    }
    return taken === 0 || takeCgiHead(x, reader.head, true) ? taken : -1
  },

  beginBody(x: Exchange): void {
    const { status } = x
    x.bodyLeft = x.contentLength
    x.bodyDone = x.contentLength === 0 || x.method === 'HEAD' || status === 204 || status === 304
  },

  readBody(x: Exchange, _bytes: Buffer, start: number, end: number): number {
    if (x.bodyLeft < 0) {
      x.deliver(start, end)
      return end
    }
    const stop = Math.min(end, start + x.bodyLeft)
    x.bodyLeft -= stop - start
    x.bodyDone = x.bodyLeft === 0
    x.deliver(start, stop)
    return stop
  },

  endsAtClose(x: Exchange): boolean {
    return x.contentLength < 0
  },

  passHead(x: Exchange): void {
    passFields(x, (x.reader as CgiReader).head, (x.conf as GatewayConf).fieldActions)
  },
}

function parse(reader: CgiReader, x: Exchange, bytes: Buffer, start: number, end: number): number {
  const { head } = reader
  const { headLimits } = x.settings
  if (!reader.plain) {
    const taken = parseResponseHead(bytes, start, end, headLimits, head)
    if (taken !== NOT_HTTP) return taken
    reader.plain = true
    head.restart()
  }
  return parseCgiHead(bytes, start, end, headLimits, head)
}
