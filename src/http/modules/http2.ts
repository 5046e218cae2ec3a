// HTTP/2 (ngx_http_v2_module): its directives and `$http2`. The protocol itself is in http/h2 and codec/h2.

import { HTTP, SERVER } from '../../config/directive.ts'
import { accepted, checked, number, size } from '../../config/values.ts'
import { poolSize } from '../core/pool-size.ts'
import { chunkSizes, CHUNK_SIZE, http2Directives } from '../h2/directives.ts'
import { httpModule } from '../module.ts'

export const http2 = httpModule({
  name: 'http2',
  directives: {
    ...http2Directives,
    // Buffers and tables that nginx has and we have not: nothing to be set.
    http2_recv_buffer_size: accepted(checked(size(HTTP, 262144), bufferProblem)),
    http2_pool_size: poolSize(HTTP | SERVER, 4096),
    http2_streams_index_size: accepted(checked(number(HTTP | SERVER, 32), indexProblem)),
  },
  variables: {
    http2: { get: r => (r.version !== 20 ? '' : r.stream.tls === null ? 'h2c' : 'h2') },
  },
  compile(conf, at) {
    if (conf.http2_chunk_size !== CHUNK_SIZE) at.keep(chunkSizes, conf.http2_chunk_size)
  },
})

function bufferProblem(value: number, name: string): string {
  return value <= 16 ? `"${name}" directive value is too small` : ''
}

function indexProblem(value: number, name: string): string {
  return value > 0 && (value & (value - 1)) === 0 ? '' : `"${name}" directive must be a power of two`
}
