// The core directives of the stream block (ngx_stream_core_module), and those small enough to need no file of their own: what
// is looked at beforehand (ssl_preread), `set` and `return`.

import { STREAM, STREAM_SERVER, type Site } from '../config/directive.ts'
import { Template } from '../config/template.ts'
import { accepted, block, flag, list, number, size, template, time } from '../config/values.ts'
import { variableName } from '../http/cached-variable.ts'
import { listen, parseListen, type ListenDeclaration } from '../http/core/listen.ts'
import { serverName } from '../http/core/server-names.ts'

const anywhere = STREAM | STREAM_SERVER

function parseTcpListen(args: readonly string[], at: Site): readonly ListenDeclaration[] {
  if (args.includes('udp')) at.fail('"udp" is not supported by this version, which passes on TCP only')
  for (const parameter of ['uwsgi', 'http2', 'quic'])
    if (args.includes(parameter)) at.fail(`invalid parameter "${parameter}"`)
  return parseListen(args, at)
}

export const streamDirectives = {
  server: block(STREAM, [0, 0], STREAM_SERVER, (_args, at) => at.inner!),
  listen: listen(STREAM_SERVER, parseTcpListen),
  server_name: serverName(STREAM_SERVER),
  preread_buffer_size: size(anywhere, 16384),
  preread_timeout: time(anywhere, 30_000),
  proxy_protocol_timeout: time(anywhere, 30_000),
  ssl_handshake_timeout: time(anywhere, 60_000),
  ssl_preread: flag(anywhere, false),
  tcp_nodelay: flag(anywhere, true),
  return: { ...template(STREAM_SERVER, null), inheritedBy: 0 },
  set: list(STREAM_SERVER, [2, 2], ([name, value], at) => ({
    name: variableName(name!, at),
    template: Template.parse(value!, at),
    site: at,
  })),
  variables_hash_max_size: accepted(number(STREAM, 1024)),
  variables_hash_bucket_size: accepted(number(STREAM, 64)),
  server_names_hash_max_size: accepted(number(STREAM, 512)),
  server_names_hash_bucket_size: accepted(number(STREAM, 64)),
}
