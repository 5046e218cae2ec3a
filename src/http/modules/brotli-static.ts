// brotli_static: sends `FILE.br` for FILE to clients that take it (precompressed.ts).

import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import { oneOf } from '../../config/values.ts'
import { codingQuality } from '../filters/accept-encoding.ts'
import { httpModule } from '../module.ts'
import { serveTwins, type Twin } from '../filters/precompressed.ts'

const twin: Twin = { coding: 'br', suffix: '.br', quality: r => codingQuality(r.header('accept-encoding'), 'br') }

export const brotliStatic = httpModule({
  name: 'brotli-static',
  directives: { brotli_static: oneOf(HTTP | SERVER | LOCATION, ['off', 'on', 'always'], 'off') },
  compile(conf, at, http) {
    if (conf.brotli_static !== 'off') serveTwins(at, http, twin, conf.brotli_static === 'always')
  },
})
