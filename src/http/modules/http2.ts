// HTTP/2 (ngx_http_v2_module): its directives and `$http2`. The protocol itself is in http/h2 and codec/h2.

import { HTTP, SERVER } from '../../config/directive.ts'
import { accepted, number, size } from '../../config/values.ts'
import { chunkSizes, CHUNK_SIZE, http2Directives } from '../h2/directives.ts'
import { httpModule } from '../module.ts'

export const http2 = httpModule({
  name: 'http2',
  directives: {
    ...http2Directives,
    // Buffers and tables that nginx has and we have not: nothing to be set.
    http2_recv_buffer_size: accepted(size(HTTP, 262144)),
    http2_pool_size: accepted(size(HTTP | SERVER, 4096)),
    http2_streams_index_size: accepted(number(HTTP | SERVER, 32)),
  },
  variables: {
    http2: { get: r => (r.version !== 20 ? '' : r.stream.tls === null ? 'h2c' : 'h2') },
  },
  compile(conf, at) {
    if (conf.http2_chunk_size !== CHUNK_SIZE) at.keep(chunkSizes, conf.http2_chunk_size)
  },
})
