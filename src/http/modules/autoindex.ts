// autoindex: lists a folder that has no index file (ngx_http_autoindex_module). The text is listing.ts's.

import { HTTP, LOCATION, SERVER, type Conf } from '../../config/directive.ts'
import { flag, oneOf } from '../../config/values.ts'
import { INFO } from '../../log/error-log.ts'
import { filePath } from '../files/document-root.ts'
import { fileFinder } from '../files/files-conf.ts'
import { folderPath, readFolder } from '../files/folder.ts'
import { htmlListing, jsonListing, sortEntries, xmlListing } from '../files/listing.ts'
import { DONE, httpModule, NEXT } from '../module.ts'
import { dateRule } from '../not-modified.ts'
import { RUNS } from '../notes.ts'
import { LAST, sendHead } from '../output.ts'
import type { HttpRequest } from '../request.ts'
import type { LinkGuard } from '../files/symlinks.ts'

const everywhere = HTTP | SERVER | LOCATION

const directives = {
  autoindex: flag(everywhere, false),
  autoindex_format: oneOf(everywhere, ['html', 'json', 'jsonp', 'xml'], 'html'),
  autoindex_localtime: flag(everywhere, false),
  autoindex_exact_size: flag(everywhere, true),
}

export const autoindex = httpModule({
  name: 'autoindex',
  directives,
  compile(conf, at, http) {
    if (conf.autoindex) at.step('content', list, { ...conf, guard: fileFinder(at, http).guard }, RUNS)
  },
})

const SLASH = 47
const TYPES = {
  html: 'text/html',
  json: 'application/json',
  jsonp: 'application/javascript',
  xml: 'text/xml; charset=utf-8',
}

interface AutoindexConf extends Conf<typeof directives> {
  readonly guard: LinkGuard
}

function list(r: HttpRequest, conf: AutoindexConf): number {
  if (r.uri.charCodeAt(r.uri.length - 1) !== SLASH || (r.method !== 'GET' && r.method !== 'HEAD')) return NEXT
  let format = conf.autoindex_format
  const callback = format === 'jsonp' ? callbackName(r) : ''
  if (callback === null) return 400
  if (format === 'jsonp' && callback === '') format = 'json'
  const found = readFolder(r, folderPath(filePath(r)), conf.guard)
  if (typeof found === 'number') return found
  r.status = 200
  r.contentType = TYPES[format]
  r.conditional = dateRule.get(r)
  // Only the head filters know whether it is going to be UTF-8.
  if (!sendHead(r)) return DONE
  r.out.write(r, Buffer.from(textOf(r, conf, format, callback, sortEntries(found)), 'latin1'), LAST)
  return DONE
}

function textOf(
  r: HttpRequest,
  conf: Conf<typeof directives>,
  format: keyof typeof TYPES,
  callback: string,
  entries: Parameters<typeof sortEntries>[0],
): string {
  if (format === 'json') return jsonListing(entries)
  if (format === 'jsonp') return `/* callback */\r\n${callback}(${jsonListing(entries)});`
  if (format === 'xml') return xmlListing(entries)
  return htmlListing(r.uri, entries, {
    exactSize: conf.autoindex_exact_size,
    localTime: conf.autoindex_localtime,
    utf8: /; *charset=utf-8$/i.test(r.contentType),
  })
}

/** The `callback` argument; '' without one, null for what is not the name of a function. */
function callbackName(r: HttpRequest): string | null {
  const name = /(?:^|&)callback=([^&]*)/i.exec(r.args)?.[1] ?? ''
  if (name.length <= 128 && /^[a-z0-9_.]*$/i.test(name)) return name
  r.log(INFO, `client sent ${name.length > 128 ? 'too long' : 'invalid'} callback name: "${name}"`)
  return null
}
