// empty_gif: one transparent pixel (ngx_http_empty_gif_module).

import { LOCATION, type Directive } from '../../config/directive.ts'
import { httpModule } from '../module.ts'
import { RUNS } from '../notes.ts'
import { respond } from '../output.ts'
import type { HttpRequest } from '../request.ts'

const directives = {
  empty_gif: {
    in: LOCATION,
    args: [0, 0],
    default: false,
    inheritedBy: 0,
    repeatable: true,
    parse: () => true,
  } satisfies Directive<boolean>,
}

export const emptyGif = httpModule({
  name: 'empty-gif',
  directives,
  compile(conf, at) {
    if (conf.empty_gif) at.content(show, null, RUNS)
  },
})

const word = (n: number): string => String.fromCharCode(n & 255, n >> 8)

// GIF89a, 1×1: a palette of two colours, the second of them transparent, and that pixel.
const PIXEL =
  `GIF89a${word(1)}${word(1)}\x80\x01\0` +
  '\0\0\0\xff\xff\xff' +
  `!\xf9\x04\x01${word(0)}\x01\0` +
  `,${word(0)}${word(0)}${word(1)}${word(1)}\0` +
  '\x02\x02L\x01\0;'

/** As old as the module: caches keep it. */
const LAST_MODIFIED = 'Mon, 28 Sep 1970 06:00:00 GMT'

function show(r: HttpRequest): number {
  if (r.method !== 'GET' && r.method !== 'HEAD') return 405
  r.lastModified = LAST_MODIFIED
  return respond(r, 200, 'image/gif', PIXEL)
}
