// Directives for whose word an application gets for how a client came (http/app/trust.ts). Without app_trusted_proxies nobody's
// is taken.

import { HTTP, SERVER } from '../../config/directive.ts'
import { list, oneOf } from '../../config/values.ts'
import { Believer, takeWord, type Trust } from '../app/trust.ts'
import { among, peerAddresses } from '../access/peers.ts'
import { httpModule } from '../module.ts'

const anywhere = HTTP | SERVER

const directives = {
  app_trusted_proxies: peerAddresses(anywhere),
  app_proxy_protocol_from: peerAddresses(anywhere),
  app_scheme_header: list(anywhere, [2, 2], ([name, value]) => [name!.toLowerCase(), value!] as const),
  app_forwarder_headers: list(anywhere, [1, Infinity], names => names.map(name => name.toLowerCase())),
  app_header_map: oneOf(anywhere, ['drop', 'refuse', 'dangerous'], 'drop'),
  app_forwarded: oneOf(anywhere, ['off', 'x-forwarded', 'forwarded'], 'off'),
}

export const appTrust = httpModule({
  name: 'app-trust',
  directives,
  compile(conf, at) {
    if (at.kind !== 'server' || conf.app_trusted_proxies === null) return
    const trust: Trust = {
      ...among(conf.app_trusted_proxies),
      proxyHeaders: conf.app_proxy_protocol_from === null ? null : among(conf.app_proxy_protocol_from),
      schemeHeaders: new Map(conf.app_scheme_header),
      forwarderHeaders: new Set(conf.app_forwarder_headers.flat()),
      headerMap: conf.app_header_map,
      forwarded: conf.app_forwarded,
    }
    at.step('post-read', takeWord, new Believer(trust))
  },
})
