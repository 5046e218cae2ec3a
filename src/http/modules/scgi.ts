// scgi_pass: requests are asked of an SCGI server (ngx_http_scgi_module).

import { encodeHeader, requestNetstring } from '../../codec/scgi.ts'
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

const directives = {
  ...upstreamDirectives('scgi'),
  scgi_pass: passDirective(),
  scgi_param: paramDirective(),
}

const gateway: Gateway = {
  prefix: 'scgi',
  scheme: '',
  encode: encodeHeader,
  hidden: ['status', ...ACCEL_FIELDS],
  anyLength: false,
}

export const scgi = httpModule({
  name: 'scgi',
  directives,
  compile(conf, at, http) {
    warnOfMissingKey('scgi', at, http)
    if (at.kind !== 'location' || conf.scgi_pass === null) return
    const { scgi_pass: pass, scgi_param: params } = conf
    const location = compileGateway(gateway, pass, params, conf, at, http)
    tellGateway(at, location, { pass, params, answers: 'cgi', wrap: pairs => requestNetstring(0, pairs) })
    at.content(scgiPass, location, gatewayExplained)
  },
})

const protocol: UpstreamProtocol = { ...cgi, scheme: 'scgi://', requestHead }

function scgiPass(r: HttpRequest, conf: GatewayConf): number {
  return askGateway(r, protocol, conf)
}

function requestHead(x: Exchange): string {
  const conf = x.conf as GatewayConf
  return requestNetstring(bodyLength(x), conf.params.text(x.r, conf.settings.passRequestHeaders))
}

/** What follows the head: an application that was told of more would wait for it. */
function bodyLength(x: Exchange): number {
  if (x.streamed !== null) return x.streamed.declared
  return x.sendsBody ? x.r.body!.length : 0
}
