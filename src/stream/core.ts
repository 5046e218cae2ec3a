// The core directives of the stream block (ngx_stream_core_module), and those small enough to need no file of their own: what
// is looked at beforehand (ssl_preread) and `return`.

import { STREAM, STREAM_SERVER, type Site } from '../config/directive.ts'
import { accepted, block, flag, number, size, template, time } from '../config/values.ts'
import { listen, parseListen, type ListenDeclaration } from '../http/core/listen.ts'
import { serverName } from '../http/core/server-names.ts'
import { pass } from './pass.ts'
import { parseUdpListen } from './udp/declare.ts'
import { set } from './set.ts'

const anywhere = STREAM | STREAM_SERVER

function parseStreamListen(args: readonly string[], at: Site): readonly ListenDeclaration[] {
  for (const parameter of ['uwsgi', 'http2', 'quic', 'default'])
    if (args.includes(parameter)) at.fail(`invalid parameter "${parameter}"`)
  return args.includes('udp', 1) ? parseUdpListen(args, at) : parseListen(args, at)
}

export const streamDirectives = {
  server: block(STREAM, [0, 0], STREAM_SERVER, (_args, at) => at.inner!),
  listen: listen(STREAM_SERVER, parseStreamListen),
  server_name: serverName(STREAM_SERVER),
  preread_buffer_size: size(anywhere, 16384),
  preread_timeout: time(anywhere, 30_000),
  proxy_protocol_timeout: time(anywhere, 30_000),
  ssl_handshake_timeout: time(anywhere, 60_000),
  ssl_preread: flag(anywhere, false),
  tcp_nodelay: flag(anywhere, true),
  pass,
  return: { ...template(STREAM_SERVER, null), inheritedBy: 0 },
  set,
  variables_hash_max_size: accepted(number(STREAM, 1024)),
  variables_hash_bucket_size: accepted(number(STREAM, 64)),
  server_names_hash_max_size: accepted(number(STREAM, 512)),
  server_names_hash_bucket_size: accepted(number(STREAM, 64)),
}
