// gunzip: unpacks responses that are stored or come compressed, for clients that do not take gzip
// (ngx_http_gunzip_filter_module).

import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import { accepted, buffers, flag } from '../../config/values.ts'
import { reshape } from '../altered-body.ts'
import { gunzipCoder } from '../filters/coder.ts'
import { CodingStage } from '../filters/coding-stage.ts'
import {
  gzipConditions,
  gzipQuality,
  setCoding,
  varyByEncoding,
  type GzipConditions,
} from '../filters/gzip-conditions.ts'
import { httpModule } from '../module.ts'
import type { BodyStage } from '../output.ts'
import type { HttpRequest } from '../request.ts'

const everywhere = HTTP | SERVER | LOCATION

const directives = {
  gunzip: flag(everywhere, false),
  gunzip_buffers: accepted(buffers(everywhere, { number: 32, size: 4096 })),
}

export const gunzip = httpModule({
  name: 'gunzip',
  directives,
  compile(conf, at) {
    if (conf.gunzip) at.filter(unpack, at.scope.conf(gzipConditions), willUnpack)
  },
})

function willUnpack(r: HttpRequest, conf: GzipConditions): boolean {
  return r.responseHeader('content-encoding')?.toLowerCase() === 'gzip' && gzipQuality(r, conf) === 0
}

function unpack(r: HttpRequest, conf: GzipConditions): BodyStage | null {
  if (r.responseHeader('content-encoding')?.toLowerCase() !== 'gzip') return null
  if (conf.gzip_vary) varyByEncoding(r)
  if (gzipQuality(r, conf) > 0) return null
  setCoding(r, '')
  reshape(r)
  return r.bodiless ? null : new CodingStage('inflate()', gunzipCoder)
}
