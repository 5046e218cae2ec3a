// ssi: pages that include others, show variables and decide what is shown (ngx_http_ssi_filter_module). `if` may stand
// within `if`, which nginx's may not.

import { HTTP, IF_IN_LOCATION, LOCATION, SERVER } from '../../../config/directive.ts'
import { accepted, flag, size } from '../../../config/values.ts'
import { dropField, reshape } from '../../altered-body.ts'
import { httpModule } from '../../module.ts'
import type { BodyStage } from '../../output.ts'
import type { HttpRequest } from '../../request.ts'
import { isListed, typeList, type TypeList } from '../../filters/type-list.ts'
import { formatDate } from './date.ts'
import { BUFFER_SIZE, bufferSizes, dateFormat } from './page.ts'
import { SsiStage, type SsiConf } from './stage.ts'

const everywhere = HTTP | SERVER | LOCATION

const directives = {
  ssi: flag(everywhere | IF_IN_LOCATION, false),
  ssi_types: typeList(everywhere, ['text/html']),
  ssi_silent_errors: flag(everywhere, false),
  ssi_value_length: size(everywhere, 255),
  ssi_last_modified: flag(everywhere, false),
  subrequest_output_buffer_size: size(everywhere, BUFFER_SIZE),
  // How nginx moves what it does not look at.
  ssi_min_file_chunk: accepted(size(everywhere, 1024)),
  ssi_ignore_recycled_buffers: accepted(flag(everywhere, false)),
}

interface OwnConf extends SsiConf {
  readonly types: TypeList
  readonly keepsDate: boolean
}

const seconds = (): number => Math.floor(Date.now() / 1000)

export const ssi = httpModule({
  name: 'ssi',
  directives,
  variables: {
    date_local: { get: r => formatDate(dateFormat(r), seconds(), false) },
    date_gmt: { get: r => formatDate(dateFormat(r), seconds(), true) },
  },
  compile(conf, at, http) {
    const { subrequest_output_buffer_size } = conf
    if (subrequest_output_buffer_size !== BUFFER_SIZE) at.keep(bufferSizes, subrequest_output_buffer_size)
    if (!conf.ssi) return
    const own: OwnConf = {
      types: conf.ssi_types,
      keepsDate: conf.ssi_last_modified,
      silent: conf.ssi_silent_errors,
      valueMax: conf.ssi_value_length,
      find: name => http.find(name),
    }
    at.filter(include, own, isMeant)
  },
})

function isMeant(r: HttpRequest, { types }: OwnConf): boolean {
  return r.contentLength !== 0 && (types === null || (r.contentType !== '' && isListed(types, r.contentType)))
}

function include(r: HttpRequest, conf: OwnConf): BodyStage | null {
  if (!isMeant(r, conf)) return null
  if (r.parent === null) {
    r.contentLength = -1
    dropField(r, 'accept-ranges')
    if (conf.keepsDate) reshape(r)
    else {
      r.lastModified = ''
      r.etag = ''
    }
  }
  return r.bodiless ? null : new SsiStage(r, conf)
}
