// HTTP/2 (ngx_http_v2_module): its directives and `$http2`. The protocol itself is in http/h2 and codec/h2.

import { HTTP, SERVER, type Directive } from '../../config/directive.ts'
import { accepted, number, size } from '../../config/values.ts'
import { chunkSizes, CHUNK_SIZE, http2Directives } from '../h2/directives.ts'
import { httpModule } from '../module.ts'

export const http2 = httpModule({
  name: 'http2',
  directives: {
    ...http2Directives,
    // Buffers and tables that nginx has and we have not: nothing to be set.
    http2_recv_buffer_size: accepted(checked(size(HTTP, 262144), bufferProblem)),
    http2_pool_size: accepted(checked(size(HTTP | SERVER, 4096), poolProblem)),
    http2_streams_index_size: accepted(checked(number(HTTP | SERVER, 32), indexProblem)),
  },
  variables: {
    http2: { get: r => (r.version !== 20 ? '' : r.stream.tls === null ? 'h2c' : 'h2') },
  },
  compile(conf, at) {
    if (conf.http2_chunk_size !== CHUNK_SIZE) at.keep(chunkSizes, conf.http2_chunk_size)
  },
})

/** Values are held to what nginx takes for all that. @param problem what is wrong with one, '' nothing */
function checked(form: Directive<number>, problem: (value: number, name: string) => string): Directive<number> {
  return {
    ...form,
    parse(args, at, soFar) {
      const value = form.parse(args, at, soFar)
      const found = problem(value, at.name)
      return found === '' ? value : at.fail(found)
    },
  }
}

function bufferProblem(value: number, name: string): string {
  return value <= 16 ? `"${name}" directive value is too small` : ''
}

function poolProblem(value: number): string {
  if (value < 112) return 'the pool size must be no less than 112'
  return value % 16 === 0 ? '' : 'the pool size must be a multiple of 16'
}

function indexProblem(value: number, name: string): string {
  return value > 0 && (value & (value - 1)) === 0 ? '' : `"${name}" directive must be a power of two`
}
