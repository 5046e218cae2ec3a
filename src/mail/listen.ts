// `listen` in mail servers (ngx_mail_core_listen): an address belongs to one server.

import type { Site } from '../config/directive.ts'
import { parseListen, type ListenDeclaration } from '../http/core/listen.ts'
import { AddressServers } from '../http/server/address-servers.ts'
import type { MailServer } from './module.ts'

export class MailListen extends AddressServers<MailServer> {}

const ELSEWHERE =
  /^(?:default_server|default|uwsgi|http2|quic|udp|reuseport|deferred|setfib=.*|fastopen=.*|accept_filter=.*|proxy_protocol=.*)$/

export function parseMailListen(args: readonly string[], at: Site): readonly ListenDeclaration[] {
  const [address, ...parameters] = args
  for (const parameter of parameters) if (ELSEWHERE.test(parameter)) at.fail(`invalid parameter "${parameter}"`)
  if (!/^\d+$|:[^\]]*$/.test(address!)) {
    at.fail(`no port in "${address}" of the "listen" directive`)
  }
  return parseListen(args, at)
}
