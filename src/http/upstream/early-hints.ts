// What becomes of an upstream's 103: the fields that its final answer could have, too, go to the client at once
// (ngx_http_upstream_process_early_hints).

import { INFO } from '../../log/error-log.ts'
import { takesEarlyHints } from '../early-hints.ts'
import type { Exchange } from './exchange.ts'
import type { ResponseFields } from './response-fields.ts'

/** Of one connection only, or ours to say. */
const DROPPED = new Set('connection content-length keep-alive te trailer transfer-encoding upgrade'.split(' '))

/** @param size bytes of the head */
export function passEarlyHints(x: Exchange, head: ResponseFields, size: number): void {
  const { r, settings } = x
  // nginx has the first status that came.
  x.attempt!.status = 103
  if (r.done || !takesEarlyHints(r)) return
  x.hintsLength += size
  if (x.hintsLength > settings.headLimits.headMax) {
    x.log(INFO, 'upstream sent too big early hints while reading response header from upstream')
    return
  }
  let text = ''
  for (let i = 0; i < head.names.length; i++) {
    const name = head.names[i]!
    if (!settings.hidden.has(name) && !DROPPED.has(name)) text += `${head.originalName(i)}: ${head.values[i]}\r\n`
  }
  if (text !== '') r.stream.sendInterim(`HTTP/1.1 103 Early Hints\r\n${text}\r\n`)
}
