// Files: the last word of every location that no other content handler took (ngx_http_static_module, with what the core,
// the not-modified and the range filter do for it). Opening is open-file.ts's, which part is sent is range.ts's business.

import { HTTP, LOCATION, SERVER, type Directive } from '../../config/directive.ts'
import { parseOffset } from '../../config/units.ts'
import { accepted, buffers, flag, number, offset, oneOf, one, size } from '../../config/values.ts'
import { CRIT, ERR } from '../../log/error-log.ts'
import { escapeUri } from '../../codec/h1/uri.ts'
import { filePath } from '../document-root.ts'
import { FileParts } from '../file-parts.ts'
import { fileDirectives, fileFinder } from '../files-conf.ts'
import { contentType } from '../mime.ts'
import { DONE, httpModule } from '../module.ts'
import { checkPreconditions, type DateRule } from '../not-modified.ts'
import { DIRECTORY, REGULAR, SPECIAL, type OpenFile } from '../open-file.ts'
import type { FileFinder } from '../open-file-cache.ts'
import { EMPTY, LAST, respond, sendHead } from '../output.ts'
import { prepareRangeHead, requestedRanges, UNLIMITED, UNSATISFIABLE, WHOLE, type ByteRange } from '../range.ts'
import type { HttpRequest } from '../request.ts'

const everywhere = HTTP | SERVER | LOCATION

const aio: Directive<string> = one(everywhere, 'off', (word, at) => {
  if (/^(?:on|off|threads(?:=.+)?)$/s.test(word)) return word
  return at.fail('"aio" directive invalid value')
})

const directio: Directive<number | null> = one(everywhere, null, (word, at) => {
  if (word === 'off') return null
  return parseOffset(word) ?? at.fail('"directio" directive invalid value')
})

const directives = {
  ...fileDirectives,
  etag: flag(everywhere, true),
  if_modified_since: oneOf(everywhere, ['off', 'exact', 'before'], 'exact'),
  max_ranges: number(everywhere, UNLIMITED),
  // How nginx moves bytes from files to sockets; here there is one way.
  aio: accepted(aio),
  aio_write: accepted(flag(everywhere, false)),
  directio: accepted(directio),
  directio_alignment: accepted(offset(everywhere, 512)),
  output_buffers: accepted(buffers(everywhere, { number: 2, size: 32768 })),
  read_ahead: accepted(size(everywhere, 0)),
  sendfile_max_chunk: accepted(size(everywhere, 2097152)),
}

interface StaticConf {
  readonly files: FileFinder
  readonly etag: boolean
  readonly dateRule: DateRule
  readonly maxRanges: number
  readonly logNotFound: boolean
}

export const staticFiles = httpModule({
  name: 'static',
  directives,
  compile(conf, at, http) {
    const own: StaticConf = {
      files: fileFinder(at, http),
      etag: conf.etag,
      dateRule: conf.if_modified_since,
      maxRanges: conf.max_ranges,
      logNotFound: conf.log_not_found,
    }
    at.step('content', serveFile, own)
  },
})

const SLASH = 47

function serveFile(r: HttpRequest, conf: StaticConf): number {
  const { method, uri } = r
  if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') return 405
  if (uri.charCodeAt(uri.length - 1) === SLASH) return refuseFolder(r)
  const file = conf.files.open(filePath(r), r.startMs)
  if (file.kind !== REGULAR) return answerOther(r, conf, file)
  if (method === 'POST') return leave(file, 405)

  r.status = 200
  r.contentLength = file.size
  r.lastModified = file.lastModified
  if (conf.etag) r.etag = file.etag
  return !isErrorPage(r) && hasConditions(r) ? serveConditionally(r, conf, file) : serveWhole(r, conf, file)
}

/** No index, no listing: nobody may look into the folder. */
function refuseFolder(r: HttpRequest): number {
  r.log(ERR, `directory index of "${filePath(r)}" is forbidden`)
  return 403
}

function answerOther(r: HttpRequest, conf: StaticConf, file: OpenFile): number {
  if (file.kind === DIRECTORY) return redirectToFolder(r)
  if (file.kind === SPECIAL) {
    r.log(CRIT, `"${file.path}" is not a regular file`)
    return 404
  }
  const status = statusOf(file.code)
  if (status !== 404 || conf.logNotFound) r.log(status === 500 ? CRIT : ERR, file.failure)
  return status
}

function statusOf(code: string): number {
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return 404
  return code === 'EACCES' || code === 'EMLINK' || code === 'ELOOP' ? 403 : 500
}

/** Relative links in a folder's index only work with the slash behind its name. */
function redirectToFolder(r: HttpRequest): number {
  const path = `${escapeUri(r.uri, 'uri')}/`
  r.redirect = r.args === '' ? path : `${path}?${r.args}`
  return 301
}

/** A big file's descriptor is let go of with the answer. */
function leave(file: OpenFile, answer: number): number {
  file.hold()
  file.release()
  return answer
}

/** Conditions and ranges are about the page that was asked for, not about one that tells why it cannot be had. */
function isErrorPage(r: HttpRequest): boolean {
  return r.errorStatus !== 0 && r.errorStatus !== 200
}

/** Any of If-Match, If-None-Match, If-(Un)Modified-Since, Range. */
function hasConditions(r: HttpRequest): boolean {
  const { names, count } = r.head
  for (let i = 0; i < count; i++) {
    const name = names[i]!
    if (name === 'range' || (name.charCodeAt(0) === 105 && name.charCodeAt(1) === 102)) return true
  }
  return false
}

function serveConditionally(r: HttpRequest, conf: StaticConf, file: OpenFile): number {
  const status = checkPreconditions(r, conf.dateRule)
  if (status === 412) return leave(file, 412)
  if (status === 304) return answerNotModified(r, file)
  const ranges = requestedRanges(r, conf.maxRanges)
  if (ranges === WHOLE) return serveWhole(r, conf, file)
  if (ranges !== UNSATISFIABLE) return serveRanges(r, file, ranges)
  r.addHeader('Content-Range', `bytes */${file.size}`)
  return leave(file, 416)
}

function answerNotModified(r: HttpRequest, file: OpenFile): number {
  leave(file, DONE)
  r.status = 304
  r.contentLength = -1
  sendHead(r)
  r.out.write(r, EMPTY, LAST)
  return DONE
}

function serveWhole(r: HttpRequest, conf: StaticConf, file: OpenFile): number {
  // max_ranges 0 is how ranges are switched off.
  if (conf.maxRanges > 0 && r.version >= 10 && !isErrorPage(r)) r.addHeader('Accept-Ranges', 'bytes')
  if (file.text !== null) return respond(r, 200, contentType(r), file.text)
  r.contentType = contentType(r)
  return sendParts(r, file, [{ start: 0, end: file.size }], null)
}

function serveRanges(r: HttpRequest, file: OpenFile, ranges: readonly ByteRange[]): number {
  r.contentType = contentType(r)
  const around = prepareRangeHead(r, ranges)
  const texts = around === null ? null : [...around.heads, around.tail]
  const { text } = file
  if (text === null) return sendParts(r, file, ranges, texts)
  let body = ''
  for (let i = 0; i < ranges.length; i++) body += (texts?.[i] ?? '') + text.slice(ranges[i]!.start, ranges[i]!.end)
  return respond(r, 206, r.contentType, texts === null ? body : body + texts[ranges.length]!)
}

function sendParts(
  r: HttpRequest,
  file: OpenFile,
  parts: readonly ByteRange[],
  texts: readonly string[] | null,
): number {
  if (r.method === 'HEAD') {
    leave(file, DONE)
    sendHead(r)
    r.out.write(r, EMPTY, LAST)
    return DONE
  }
  const source = new FileParts(r, file, parts, texts)
  sendHead(r)
  source.start()
  return DONE
}
