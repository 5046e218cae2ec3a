// zstd: compresses responses for clients that take it (RFC 8878; the directives of nginx's zstd module). How it gets along
// with gzip and brotli is compression.ts's business.

import { HTTP, IF_IN_LOCATION, LOCATION, SERVER } from '../../config/directive.ts'
import { accepted, buffers, flag, number, size } from '../../config/values.ts'
import { codingQuality } from '../filters/accept-encoding.ts'
import { zstdCoder } from '../filters/coder.ts'
import { offerCoding } from '../filters/compression.ts'
import { gzipConditions } from '../filters/gzip-conditions.ts'
import { httpModule } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import { typeList } from '../filters/type-list.ts'

const everywhere = HTTP | SERVER | LOCATION | IF_IN_LOCATION

const directives = {
  zstd: flag(everywhere, false),
  zstd_types: typeList(everywhere, ['text/html']),
  zstd_comp_level: number(everywhere, 1, 1, 22),
  zstd_min_length: size(everywhere, 20),
  zstd_buffers: accepted(buffers(everywhere, { number: 32, size: 4096 })),
}

export const zstd = httpModule({
  name: 'zstd',
  directives,
  compile(conf, at) {
    if (!conf.zstd) return
    const { zstd_comp_level: level } = conf
    const offer = {
      coding: 'zstd',
      types: conf.zstd_types,
      minLength: conf.zstd_min_length,
      quality: zstdQuality,
      open: () => zstdCoder(level),
      form: `zstd ${level}`,
    }
    offerCoding(at, offer, at.scope.conf(gzipConditions).gzip_vary)
  },
})

function zstdQuality(r: HttpRequest): number {
  return r.parent === null ? codingQuality(r.header('accept-encoding'), 'zstd') : 0
}
