// tunnel_pass: CONNECT opens a way through to another host (ngx_http_tunnel_module): once the connection to it stands the
// client is told so, and from then on both sides' bytes are passed on unread.

import { HTTP, IF_IN_LOCATION, LIMIT_EXCEPT, LOCATION, SERVER } from '../../config/directive.ts'
import type { Directive } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { accepted, bitmask, size } from '../../config/values.ts'
import { httpModule } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import type { Exchange } from '../upstream/exchange.ts'
import { askGateway, compileGateway, gatewayExplained } from '../upstream/gateway.ts'
import type { Gateway, GatewayConf, GatewayPass } from '../upstream/gateway.ts'
import { bare } from '../upstream/protocol.ts'
import type { UpstreamProtocol } from '../upstream/protocol.ts'
import { ERROR, lowat, OFF, TIMEOUT, upstreamDirectives } from '../upstream/settings.ts'

const anywhere = HTTP | SERVER | LOCATION
const common = upstreamDirectives('tunnel')

/** Where the client asks to go. */
const ANYWHERE = '$host:$request_port'

const pass: Directive<GatewayPass | null> = {
  in: SERVER | LOCATION | IF_IN_LOCATION | LIMIT_EXCEPT,
  args: [0, 1],
  default: null,
  inheritedBy: IF_IN_LOCATION | LIMIT_EXCEPT,
  parse([text = ANYWHERE], at) {
    const address = Template.parse(text, at)
    return { text, template: address.constant === null ? address : null, site: at }
  },
}

const directives = {
  tunnel_pass: pass,
  tunnel_bind: common.tunnel_bind,
  tunnel_socket_keepalive: common.tunnel_socket_keepalive,
  tunnel_socket_rcvbuf: common.tunnel_socket_rcvbuf,
  tunnel_socket_sndbuf: common.tunnel_socket_sndbuf,
  tunnel_connect_timeout: common.tunnel_connect_timeout,
  tunnel_send_timeout: common.tunnel_send_timeout,
  tunnel_read_timeout: common.tunnel_read_timeout,
  // Tunnels have no buffers of their own: a thread reads all connections into one.
  tunnel_buffer_size: accepted(size(anywhere, 4096)),
  tunnel_next_upstream: bitmask(anywhere, { error: ERROR, timeout: TIMEOUT, off: OFF }, ERROR | TIMEOUT),
  tunnel_next_upstream_tries: common.tunnel_next_upstream_tries,
  tunnel_next_upstream_timeout: common.tunnel_next_upstream_timeout,
  tunnel_send_lowat: lowat,
}

/** There is no request, and no response to be buffered. */
const FIXED = { tunnel_buffering: false, tunnel_pass_request_headers: false, tunnel_pass_request_body: false }
const defaults = Object.fromEntries(Object.entries(common).map(([name, directive]) => [name, directive.default]))

const gateway: Gateway = {
  prefix: 'tunnel',
  scheme: '',
  encode: () => '',
  hidden: [],
  anyLength: false,
  asksAnything: true,
}

export const tunnel = httpModule({
  name: 'tunnel',
  directives,
  compile(conf, at, http) {
    if (conf.tunnel_pass === null) return
    const { tunnel_buffer_size: bufferSize } = conf
    const sizes = { tunnel_buffers: { number: 8, size: bufferSize }, tunnel_max_temp_file_size: 0 }
    const settings = { ...defaults, ...sizes, ...conf, ...FIXED }
    at.content(tunnelPass, compileGateway(gateway, conf.tunnel_pass, [], settings, at, http), gatewayExplained)
  },
})

function tunnelPass(r: HttpRequest, conf: GatewayConf): number {
  return r.method === 'CONNECT' ? askGateway(r, protocol, conf) : 405
}

/** It ends where it begins: what would be a request or a response is nobody's business. */
const protocol: UpstreamProtocol = {
  ...bare,
  scheme: '',
  opensTunnel: true,
  requestHead: () => ' ',
  beginResponse(): void {},
  readHead: (_x: Exchange, _bytes: Buffer, start: number, end: number) => end - start,
  beginBody(): void {},
  readBody: (_x: Exchange, _bytes: Buffer, _start: number, end: number) => end,
  endsAtClose: () => true,
  passHead(): void {},
}
