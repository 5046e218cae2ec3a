// Directives of features that do not exist yet and whose absence harms nobody: clients of HTTP/3 fall back to what is there.
// They are read as nginx reads them, so that a mistake is still told, and warned about. What protects or serves (access,
// limits, protocols) has no place here: that works or is refused.

import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import type { Directive } from '../../config/directive.ts'
import { flag, later, number, one, size, str } from '../../config/values.ts'
import { httpModule, ours } from '../module.ts'
import type { Variable } from '../module.ts'
import { lowat } from '../upstream/settings.ts'

const everywhere = HTTP | SERVER | LOCATION

const none: Variable = { get: () => null }

export const laterModule = httpModule({
  name: 'later',
  directives: {
    send_lowat: lowat,
    http3: later(flag(HTTP | SERVER, true)),
    http3_hq: later(flag(HTTP | SERVER, false)),
    http3_max_concurrent_streams: later(number(HTTP | SERVER, 128)),
    http3_stream_buffer_size: later(size(HTTP | SERVER, 65536)),
    quic_retry: later(flag(HTTP | SERVER, false)),
    quic_gso: later(flag(HTTP | SERVER, false)),
    quic_host_key: later(str(HTTP | SERVER, null)),
    quic_active_connection_id_limit: later(number(HTTP | SERVER, 2)),
    http2_recv_timeout: obsolete(HTTP | SERVER, 'client_header_timeout'),
    http2_idle_timeout: obsolete(HTTP | SERVER, 'keepalive_timeout'),
    http2_max_requests: obsolete(HTTP | SERVER, 'keepalive_requests'),
    http2_max_field_size: obsolete(HTTP | SERVER, 'large_client_header_buffers'),
    http2_max_header_size: obsolete(HTTP | SERVER, 'large_client_header_buffers'),
    http2_max_concurrent_pushes: obsolete(HTTP | SERVER, null),
    http2_push: obsolete(everywhere, null),
    http2_push_preload: obsolete(everywhere, null),
  },
  variables: {
    http3: none,
    ...ours({ quic: none }),
  },
})

/** nginx accepts these too, and ignores them: something else has taken their place, or nothing has. */
function obsolete(contexts: number, instead: string | null): Directive<string> {
  const advice = instead === null ? 'ignored' : `use the "${instead}" directive instead`
  const form = one(contexts, '', (word, at) => {
    at.warn(`the "${at.name}" directive is obsolete, ${advice}`)
    return word
  })
  return { ...form, idle: true, repeatable: true }
}
