// brotli: compresses responses for clients that take `br` (the directives of ngx_brotli's filter). How it gets along with
// gzip is compression.ts's business.

import { HTTP, IF_IN_LOCATION, LOCATION, SERVER } from '../../config/directive.ts'
import { accepted, buffers, choice, flag, number, size } from '../../config/values.ts'
import { codingQuality } from '../filters/accept-encoding.ts'
import { brotliCoder } from '../filters/coder.ts'
import { offerCoding } from '../filters/compression.ts'
import { gzipConditions } from '../filters/gzip-conditions.ts'
import { httpModule } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import { typeList } from '../filters/type-list.ts'

const everywhere = HTTP | SERVER | LOCATION | IF_IN_LOCATION

/** `1k` to `16m`; the value is the power of two. */
const windows: Record<string, number> = {}
for (let bits = 10; bits < 20; bits++) windows[`${1 << (bits - 10)}k`] = bits
for (let bits = 20; bits <= 24; bits++) windows[`${1 << (bits - 20)}m`] = bits

const directives = {
  brotli: flag(everywhere, false),
  brotli_types: typeList(everywhere, ['text/html']),
  brotli_comp_level: number(everywhere, 6, 0, 11),
  brotli_window: choice(everywhere, windows, 19),
  brotli_min_length: size(everywhere, 20),
  brotli_buffers: accepted(buffers(everywhere, { number: 32, size: 4096 })),
}

export const brotli = httpModule({
  name: 'brotli',
  directives,
  compile(conf, at) {
    if (!conf.brotli) return
    const { brotli_comp_level: quality, brotli_window: windowBits } = conf
    const offer = {
      coding: 'br',
      types: conf.brotli_types,
      minLength: conf.brotli_min_length,
      quality: brotliQuality,
      open: () => brotliCoder(quality, windowBits),
      form: `br ${quality} ${windowBits}`,
    }
    offerCoding(at, offer, at.scope.conf(gzipConditions).gzip_vary)
  },
})

function brotliQuality(r: HttpRequest): number {
  return r.parent === null ? codingQuality(r.header('accept-encoding'), 'br') : 0
}
