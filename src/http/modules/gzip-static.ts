// gzip_static: sends `FILE.gz` for FILE to clients that take it (precompressed.ts, ngx_http_gzip_static_module).

import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import { oneOf } from '../../config/values.ts'
import { gzipQuality } from '../filters/gzip-conditions.ts'
import { httpModule } from '../module.ts'
import { serveTwins, type Twin } from '../filters/precompressed.ts'

const twin: Twin = { coding: 'gzip', suffix: '.gz', quality: gzipQuality }

export const gzipStatic = httpModule({
  name: 'gzip-static',
  directives: { gzip_static: oneOf(HTTP | SERVER | LOCATION, ['off', 'on', 'always'], 'off') },
  compile(conf, at, http) {
    if (conf.gzip_static !== 'off') serveTwins(at, http, twin, conf.gzip_static === 'always')
  },
})
