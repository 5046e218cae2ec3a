// A file's compressed twin beside it (`page.html.gz`), sent as it is to clients that take its coding
// (ngx_http_gzip_static_module; brotli_static and zstd_static are the same with another suffix).

import type { Conf } from '../../config/directive.ts'
import { CRIT, ERR } from '../../log/error-log.ts'
import { filePath } from '../files/document-root.ts'
import { fileFinder } from '../files/files-conf.ts'
import { gzipConditions, setCoding, varyByEncoding, type GzipConditions } from './gzip-conditions.ts'
import { NEXT, type LocationBuilder } from '../module.ts'
import { DIRECTORY, FAILED, REGULAR, type OpenFile } from '../files/open-file.ts'
import type { FileFinder } from '../files/open-file-cache.ts'
import type { HttpRequest } from '../request.ts'
import { fileSending, leaveFile, sendFile, type FileSending } from '../files/send-file.ts'
import type { HttpSetup } from '../setup.ts'

export interface Twin {
  readonly coding: string
  /** `.gz` */
  readonly suffix: string
  /** How much the client wants the coding; 0: not at all. */
  quality(r: HttpRequest, conf: GzipConditions): number
}

interface TwinConf extends FileSending {
  readonly twin: Twin
  /** Whatever the client takes: there may be no other form of the file. */
  readonly always: boolean
  readonly files: FileFinder
  readonly conditions: Conf<typeof gzipConditions>
}

export function serveTwins(at: LocationBuilder, http: HttpSetup, twin: Twin, always: boolean): void {
  const conf: TwinConf = {
    ...fileSending(at),
    twin,
    always,
    files: fileFinder(at, http),
    conditions: at.scope.conf(gzipConditions),
  }
  at.step('content', serveTwin, conf, { runs: true, describe: tellTwin })
}

/** Which file it would be (`portico explain`). */
function tellTwin(r: HttpRequest, { twin, files }: TwinConf): string[] {
  const path = filePath(r) + twin.suffix
  return r.uri.endsWith('/') ? [] : [`file "${path}": ${files.look(path, r).kind === FAILED ? 'not there' : 'there'}`]
}

const SLASH = 47

function serveTwin(r: HttpRequest, conf: TwinConf): number {
  const { twin, always, conditions } = conf
  if ((r.method !== 'GET' && r.method !== 'HEAD') || r.uri.charCodeAt(r.uri.length - 1) === SLASH) return NEXT
  const isWanted = always || twin.quality(r, conditions) > 0
  if (!isWanted && !conditions.gzip_vary) return NEXT
  const file = conf.files.open(filePath(r) + twin.suffix, r)
  if (file.kind === FAILED) return passOver(r, file)
  // That there is another form is for caches to know, whichever this client gets.
  if (!always && conditions.gzip_vary) varyByEncoding(r)
  if (!isWanted) return leaveFile(file, NEXT)
  if (file.kind === DIRECTORY) return NEXT
  if (file.kind !== REGULAR) {
    r.log(CRIT, `"${file.path}" is not a regular file`)
    return 404
  }
  setCoding(r, twin.coding)
  return sendFile(r, conf, file)
}

/** Without the twin the file itself is sent. */
function passOver(r: HttpRequest, { code, failure }: OpenFile): number {
  if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'ENAMETOOLONG') return NEXT
  r.log(code === 'EACCES' || code === 'EMLINK' || code === 'ELOOP' ? ERR : CRIT, failure)
  return NEXT
}
