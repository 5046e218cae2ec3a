// uwsgi_pass: requests are asked of a uWSGI server in its own protocol (ngx_http_uwsgi_module).

import { encodeVariable, PACKET_MAX, packetHead } from '../../codec/uwsgi.ts'
import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import { number, str } from '../../config/values.ts'
import { ALERT } from '../../log/error-log.ts'
import { warnOfMissingKey } from '../cache/settings.ts'
import { httpModule } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import { cgi } from '../upstream/cgi.ts'
import type { Exchange } from '../upstream/exchange.ts'
import { tellGateway } from '../upstream/gateway-check.ts'
import { ACCEL_FIELDS, askGateway, compileGateway, gatewayExplained, passDirective } from '../upstream/gateway.ts'
import type { Gateway, GatewayConf } from '../upstream/gateway.ts'
import { paramDirective } from '../upstream/params.ts'
import type { UpstreamProtocol } from '../upstream/protocol.ts'
import { upstreamDirectives } from '../upstream/settings.ts'
import { tlsDirectives } from '../upstream/tls.ts'

const anywhere = HTTP | SERVER | LOCATION

const directives = {
  ...upstreamDirectives('uwsgi'),
  ...tlsDirectives('uwsgi'),
  uwsgi_pass: passDirective(),
  uwsgi_param: paramDirective(),
  uwsgi_string: str(anywhere, ''),
  uwsgi_modifier1: number(anywhere, 0, 0, 255),
  uwsgi_modifier2: number(anywhere, 0, 0, 255),
}

const gateway: Gateway = {
  prefix: 'uwsgi',
  scheme: 'uwsgi://',
  encode: encodeVariable,
  hidden: ACCEL_FIELDS,
  anyLength: false,
  tlsScheme: 'suwsgi://',
}

interface UwsgiConf extends GatewayConf {
  readonly modifier1: number
  readonly modifier2: number
  /** The packet's end, as it is. */
  readonly string: string
}

export const uwsgi = httpModule({
  name: 'uwsgi',
  directives,
  compile(conf, at, http) {
    warnOfMissingKey('uwsgi', at, http)
    if (at.kind !== 'location' || conf.uwsgi_pass === null) return
    const { uwsgi_pass: pass, uwsgi_param: params, uwsgi_modifier1: modifier1, uwsgi_modifier2: modifier2 } = conf
    const string = conf.uwsgi_string
    const location = compileGateway(gateway, pass, params, conf, at, http)
    const wrap = (pairs: string): string => packetHead(modifier1, (pairs + string).length, modifier2) + pairs + string
    tellGateway(at, location, { pass, params, answers: 'cgi', tlsName: conf.uwsgi_ssl_name?.text ?? '', wrap })
    at.content(uwsgiPass, { ...location, modifier1, modifier2, string }, gatewayExplained)
  },
})

const secure: UpstreamProtocol = { ...cgi, scheme: 'suwsgi://', requestHead }
const protocol: UpstreamProtocol = { ...secure, scheme: 'uwsgi://', overTls: secure }

function uwsgiPass(r: HttpRequest, conf: UwsgiConf): number {
  return askGateway(r, protocol, conf)
}

function requestHead(x: Exchange): string {
  const conf = x.conf as UwsgiConf
  const variables = conf.params.text(x.r, conf.settings.passRequestHeaders) + conf.string
  const size = variables.length
  if (size > PACKET_MAX) {
    x.log(ALERT, `uwsgi request is too big: ${size}`)
    return ''
  }
  return packetHead(conf.modifier1, size, conf.modifier2) + variables
}
