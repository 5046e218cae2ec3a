// `listen … udp` of a stream server: the same as for connections, without what only they can have (ngx_stream_core_listen).

import type { Site } from '../../config/directive.ts'
import { parseListen, UDP, type ListenDeclaration } from '../../http/core/listen.ts'

/** In nginx's order. */
const FOR_CONNECTIONS = ['fastopen', 'backlog', 'deferred', 'multipath', 'ssl', 'so_keepalive', 'proxy_protocol']

export function parseUdpListen(args: readonly string[], at: Site): readonly ListenDeclaration[] {
  const parameters = args.filter(word => word !== 'udp')
  const declared = parseListen(parameters, at)
  const names = new Set(parameters.slice(1).map(word => word.split('=')[0]))
  const wrong = FOR_CONNECTIONS.find(name => names.has(name))
  if (wrong !== undefined) at.fail(`"listen" directive "${wrong}" parameter is incompatible with "udp"`)
  // libuv passes them on to no other process, so the master could not give one to the front.
  if (declared.some(({ path }) => path !== '')) at.fail('"udp" is not supported for unix domain sockets')
  const reuseport = names.has('reuseport')
  return declared.map(address => ({ ...address, key: address.key + UDP, udp: true, reuseport }))
}
