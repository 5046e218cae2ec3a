// zstd_static: sends `FILE.zst` for FILE to clients that take it (precompressed.ts).

import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import { oneOf } from '../../config/values.ts'
import { codingQuality } from '../filters/accept-encoding.ts'
import { httpModule } from '../module.ts'
import { serveTwins, type Twin } from '../filters/precompressed.ts'

const twin: Twin = { coding: 'zstd', suffix: '.zst', quality: r => codingQuality(r.header('accept-encoding'), 'zstd') }

export const zstdStatic = httpModule({
  name: 'zstd-static',
  directives: { zstd_static: oneOf(HTTP | SERVER | LOCATION, ['off', 'on', 'always'], 'off') },
  compile(conf, at, http) {
    if (conf.zstd_static !== 'off') serveTwins(at, http, twin, conf.zstd_static === 'always')
  },
})
