// Files: the last word of every location that no other content handler took (ngx_http_static_module). Opening is
// open-file.ts's business, sending send-file.ts's.

import { HTTP, LOCATION, SERVER, type Directive } from '../../config/directive.ts'
import { parseOffset } from '../../config/units.ts'
import { accepted, buffers, flag, offset, one, size } from '../../config/values.ts'
import { CRIT, ERR } from '../../log/error-log.ts'
import { escapeUri } from '../../codec/h1/uri.ts'
import { filePath } from '../files/document-root.ts'
import { fileDirectives, fileFinder } from '../files/files-conf.ts'
import { httpModule } from '../module.ts'
import { DIRECTORY, REGULAR, SPECIAL, type OpenFile } from '../files/open-file.ts'
import { dateRule } from '../not-modified.ts'
import { redirectTo } from '../output.ts'
import type { FileFinder } from '../files/open-file-cache.ts'
import type { HttpRequest } from '../request.ts'
import { fileSending, leaveFile, sendFile, sendingDirectives, type FileSending } from '../files/send-file.ts'

const everywhere = HTTP | SERVER | LOCATION

const directio: Directive<number | null> = one(everywhere, null, (word, at) => {
  if (word === 'off') return null
  return parseOffset(word) ?? at.fail('"directio" directive invalid value')
})

const directives = {
  ...fileDirectives,
  ...sendingDirectives,
  // What nginx can tune of the way from files to sockets, and is the kernel's business here.
  aio_write: accepted(flag(everywhere, false)),
  directio: accepted(directio),
  directio_alignment: accepted(offset(everywhere, 512)),
  output_buffers: accepted(buffers(everywhere, { number: 2, size: 32768 })),
  read_ahead: accepted(size(everywhere, 0)),
}

interface StaticConf extends FileSending {
  readonly files: FileFinder
  readonly logNotFound: boolean
}

export const staticFiles = httpModule({
  name: 'static',
  directives,
  compile(conf, at, http) {
    const own: StaticConf = { ...fileSending(at), files: fileFinder(at, http), logNotFound: conf.log_not_found }
    at.keep(dateRule, own.dateRule)
    at.step('content', serveFile, own, { runs: true, describe: tellFile })
  },
})

/** Which file it is (`portico explain`). */
function tellFile(r: HttpRequest, { files }: StaticConf): string[] {
  const path = filePath(r)
  const { kind, size } = files.look(path, r)
  if (kind === REGULAR) return [`file "${path}", ${size} bytes`]
  if (kind === DIRECTORY) return [`"${path}" is a folder`]
  return [kind === SPECIAL ? `"${path}" is no regular file` : `file "${path}" does not exist or cannot be read`]
}

const SLASH = 47

function serveFile(r: HttpRequest, conf: StaticConf): number {
  const { method, uri } = r
  if (method !== 'GET' && method !== 'HEAD' && method !== 'POST') return 405
  if (uri.charCodeAt(uri.length - 1) === SLASH) return refuseFolder(r)
  const file = conf.files.open(filePath(r), r)
  if (file.kind !== REGULAR) return answerOther(r, conf, file)
  if (method === 'POST') return leaveFile(file, 405)
  return sendFile(r, conf, file)
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
  redirectTo(r, r.args === '' ? path : `${path}?${r.args}`)
  return 301
}
