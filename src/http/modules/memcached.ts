// memcached_pass: what memcached has under $memcached_key is the answer, 404 where it has nothing
// (ngx_http_memcached_module).

import { latin1 } from '../../codec/h1/fields.ts'
import { escapeKey, getRequest, parseLine, TRAILER } from '../../codec/memcached.ts'
import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { bitmask, number } from '../../config/values.ts'
import { ERR, INFO } from '../../log/error-log.ts'
import { contentType } from '../files/mime.ts'
import { httpModule } from '../module.ts'
import type { Value } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import type { Exchange } from '../upstream/exchange.ts'
import { tellMemcached } from '../upstream/gateway-check.ts'
import { askGateway, compileGateway, passDirective } from '../upstream/gateway.ts'
import type { Gateway, GatewayConf } from '../upstream/gateway.ts'
import { bare } from '../upstream/protocol.ts'
import type { UpstreamProtocol } from '../upstream/protocol.ts'
import { ERROR, HTTP_404, INVALID_HEADER, OFF, TIMEOUT, upstreamDirectives } from '../upstream/settings.ts'

const anywhere = HTTP | SERVER | LOCATION
const common = upstreamDirectives('memcached')

const directives = {
  memcached_pass: passDirective(),
  memcached_gzip_flag: number(anywhere, 0),
  memcached_bind: common.memcached_bind,
  memcached_socket_keepalive: common.memcached_socket_keepalive,
  memcached_connect_timeout: common.memcached_connect_timeout,
  memcached_send_timeout: common.memcached_send_timeout,
  memcached_read_timeout: common.memcached_read_timeout,
  memcached_buffer_size: common.memcached_buffer_size,
  memcached_next_upstream: bitmask(
    anywhere,
    { error: ERROR, timeout: TIMEOUT, invalid_response: INVALID_HEADER, not_found: HTTP_404, off: OFF },
    ERROR | TIMEOUT,
  ),
  memcached_next_upstream_tries: common.memcached_next_upstream_tries,
  memcached_next_upstream_timeout: common.memcached_next_upstream_timeout,
}

/** A request is its key alone, and a value goes on as it comes, or a part of it. */
const FIXED = {
  memcached_buffering: false,
  memcached_force_ranges: true,
  memcached_pass_request_headers: false,
  memcached_pass_request_body: false,
}
const defaults = Object.fromEntries(Object.entries(common).map(([name, directive]) => [name, directive.default]))

const gateway: Gateway = { prefix: 'memcached', scheme: '', encode: () => '', hidden: [], anyLength: false }

interface MemcachedConf extends GatewayConf {
  readonly key: Value
  /** The bit of a value's flags that says it is gzipped; 0: none does. */
  readonly gzipFlag: number
}

export const memcached = httpModule({
  name: 'memcached',
  directives,
  compile(conf, at, http) {
    const pass = conf.memcached_pass
    if (at.kind !== 'location' || pass === null) return
    if (pass.template !== null)
      pass.site.fail(`${/:\d+$/.test(pass.text) ? 'host not found' : 'no port'} in upstream "${pass.text}"`)
    const { memcached_buffer_size: bufferSize } = conf
    // Of one buffer's size, whatever that is: nothing is buffered.
    const sizes = { memcached_buffers: { number: 8, size: bufferSize }, memcached_max_temp_file_size: 0 }
    const settings = { ...defaults, ...sizes, ...conf, ...FIXED }
    const location = compileGateway(gateway, pass, [], settings, at, http)
    tellMemcached(at, location)
    at.content(memcachedPass, {
      ...location,
      key: at.value(Template.parse('$memcached_key', pass.site)),
      gzipFlag: conf.memcached_gzip_flag,
    })
  },
})

function memcachedPass(r: HttpRequest, conf: MemcachedConf): number {
  return r.method === 'GET' || r.method === 'HEAD' ? askGateway(r, protocol, conf) : 405
}

/** A connection's state. */
class MemcachedReader {
  gzipped = false
  /** Of what stands behind the value, so much has come. */
  trailer = 0
}

const protocol: UpstreamProtocol = {
  ...bare,
  scheme: 'memcached://',
  pageless: true,

  requestHead(x: Exchange): string {
    const key = (x.conf as MemcachedConf).key.get(x.r)
    if (key !== '') return getRequest(escapeKey(key))
    x.r.log(ERR, 'the "$memcached_key" variable is not set')
    return ''
  },

  beginResponse(x: Exchange): void {
    x.reader = new MemcachedReader()
  },

  readHead(x: Exchange, bytes: Buffer, start: number, end: number): number {
    const { headMax } = x.settings.headLimits
    const lf = bytes.indexOf(10, start)
    if (lf === -1 || lf >= Math.min(end, start + headMax)) {
      if (end - start < headMax) return 0
      x.problem = 'upstream sent too big header'
      return -1
    }
    return takeLine(x, latin1(bytes, start, lf + 1)) ? lf + 1 - start : -1
  },

  beginBody(x: Exchange): void {
    x.bodyLeft = x.contentLength
  },

  readBody(x: Exchange, bytes: Buffer, start: number, end: number): number {
    const stop = Math.min(end, start + x.bodyLeft)
    if (stop > start) x.deliver(start, stop)
    x.bodyLeft -= stop - start
    if (stop < end) takeTrailer(x, latin1(bytes, stop, end))
    return end
  },

  endsAtClose: () => false,

  passHead(x: Exchange): void {
    const { r } = x
    r.status = 200
    r.contentLength = x.contentLength
    r.contentType = contentType(r)
    if ((x.reader as MemcachedReader).gzipped) r.addHeader('Content-Encoding', 'gzip')
  },
}

function takeLine(x: Exchange, line: string): boolean {
  // Behind `get ` and in front of CRLF, as it was sent.
  const key = x.head!.slice(4, -2)
  if (!line.endsWith('\r\n')) {
    x.problem = `memcached sent invalid response: "${line.trimEnd()}"`
    return false
  }
  const { gzipFlag } = x.conf as MemcachedConf
  const found = parseLine(line.slice(0, -2), key, gzipFlag !== 0)
  if (typeof found === 'string') {
    x.problem = found
    return false
  }
  x.names = []
  x.values = []
  x.chunked = false
  x.upgrade = false
  x.status = found === null ? 404 : 200
  x.contentLength = found === null ? 0 : found.length
  x.reusable = found === null
  if (found === null) x.log(INFO, `key: "${key}" was not found by memcached while ${x.action()}`)
  else (x.reader as MemcachedReader).gzipped = (found.flags & gzipFlag) !== 0
  return true
}

function takeTrailer(x: Exchange, text: string): void {
  const reader = x.reader as MemcachedReader
  const expected = TRAILER.slice(reader.trailer)
  reader.trailer += text.length
  const right = expected.startsWith(text)
  if (!right) x.log(ERR, `memcached sent invalid trailer while ${x.action()}`)
  x.reusable = right && reader.trailer === TRAILER.length
  x.bodyDone = !right || x.reusable
}
