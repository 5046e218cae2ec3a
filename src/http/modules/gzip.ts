// gzip: compresses responses on their way out (ngx_http_gzip_filter_module).

import { HTTP, IF_IN_LOCATION, LOCATION, SERVER, type Directive } from '../../config/directive.ts'
import { parseSize } from '../../config/units.ts'
import { accepted, buffers, flag, number, one, size } from '../../config/values.ts'
import { gzipCoder, type Coder } from '../filters/coder.ts'
import { compressionOf, offerCoding } from '../filters/compression.ts'
import { gzipConditions, gzipQuality } from '../filters/gzip-conditions.ts'
import { httpModule } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import { typeList } from '../filters/type-list.ts'

const everywhere = HTTP | SERVER | LOCATION

/** A power of two from 512 bytes up to `max`; the value is that of the engine's parameter, `top` for the biggest. */
function powerOfTwo(max: number, top: number, usual: number, words: string): Directive<number> {
  return one(everywhere, usual, (word, at) => {
    const wanted = parseSize(word) ?? at.fail(`"${at.name}" directive invalid value`)
    for (let bytes = max, bits = top; bytes >= 512; bytes /= 2, bits--) if (bytes === wanted) return bits
    return at.fail(`"${at.name}" directive must be ${words}`)
  })
}

const directives = {
  ...gzipConditions,
  gzip: flag(everywhere | IF_IN_LOCATION, false),
  gzip_types: typeList(everywhere, ['text/html']),
  gzip_comp_level: number(everywhere, 1, 1, 9),
  gzip_window: powerOfTwo(32768, 15, 15, '512, 1k, 2k, 4k, 8k, 16k, or 32k'),
  gzip_hash: powerOfTwo(131072, 9, 8, '512, 1k, 2k, 4k, 8k, 16k, 32k, 64k, or 128k'),
  gzip_min_length: size(everywhere, 20),
  // What has come is compressed and sent at once: nothing is held back that these could tune.
  gzip_buffers: accepted(buffers(everywhere, { number: 32, size: 4096 })),
  gzip_no_buffer: accepted(flag(everywhere, false)),
  postpone_gzipping: accepted(size(everywhere, 0)),
}

export const gzip = httpModule({
  name: 'gzip',
  directives,
  variables: { gzip_ratio: { get: ratio } },
  compile(conf, at) {
    if (!conf.gzip) return
    const { gzip_comp_level: level, gzip_window: windowBits, gzip_hash: memLevel } = conf
    const offer = {
      coding: 'gzip',
      types: conf.gzip_types,
      minLength: conf.gzip_min_length,
      quality: (r: HttpRequest) => gzipQuality(r, conf),
      open: (length: number) => openGzip(level, windowBits, memLevel, length),
      form: `gzip ${level} ${windowBits} ${memLevel}`,
    }
    offerCoding(at, offer, conf.gzip_vary)
  },
})

/** A short body needs no more memory than it can fill (ngx_http_gzip_filter_memory). */
function openGzip(level: number, windowBits: number, memLevel: number, length: number): Coder {
  // The window that can be used is smaller by 262 bytes. Below 512 bytes the engine has none.
  const wanted = length > 0 ? length + 262 : Infinity
  let [bits, memory] = [windowBits, memLevel]
  while (bits > 9 && wanted < 1 << (bits - 1)) {
    bits--
    memory--
  }
  return gzipCoder(level, bits, Math.max(memory, 1))
}

/** How many times smaller the body has become, with two decimals. */
function ratio(r: HttpRequest): string | null {
  const done = compressionOf(r)
  if (done === null || done.outBytes === 0) return null
  return (Math.round((done.inBytes * 100) / done.outBytes) / 100).toFixed(2)
}
