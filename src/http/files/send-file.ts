// A file as a response: all of it, or the parts that output.ts and range.ts have found to be asked for. Which file is the
// handler's business.

import { HTTP, LOCATION, SERVER, type Directive } from '../../config/directive.ts'
import { flag, number, one, oneOf, size } from '../../config/values.ts'
import { coreDirectives } from '../core/core.ts'
import { FileParts, type FileMoving } from './file-parts.ts'
import { contentType } from './mime.ts'
import { DONE, type LocationBuilder } from '../module.ts'
import type { DateRule } from '../not-modified.ts'
import { sentFile, type OpenFile } from './open-file.ts'
import { EMPTY, LAST, respond, sendHead } from '../output.ts'
import { UNLIMITED } from '../range.ts'
import type { HttpRequest } from '../request.ts'

const everywhere = HTTP | SERVER | LOCATION

const aio: Directive<string> = one(everywhere, 'off', (word, at) => {
  if (/^(?:on|off|threads(?:=.+)?)$/s.test(word)) return word
  return at.fail('"aio" directive invalid value')
})

export const sendingDirectives = {
  aio,
  etag: flag(everywhere, true),
  if_modified_since: oneOf(everywhere, ['off', 'exact', 'before'], 'exact'),
  max_ranges: number(everywhere, UNLIMITED),
  sendfile_max_chunk: size(everywhere, 2097152),
}

/** sendfile_max_chunk 0: what the call takes at most, less a page. */
const NO_CHUNK = 0x7fff0000

export interface FileSending extends FileMoving {
  readonly etag: boolean
  readonly dateRule: DateRule
  readonly maxRanges: number
}

export function fileSending(at: LocationBuilder): FileSending {
  const conf = at.scope.conf(sendingDirectives)
  const { sendfile } = at.scope.conf(coreDirectives)
  return {
    etag: conf.etag,
    dateRule: conf.if_modified_since,
    maxRanges: conf.max_ranges,
    sendfileChunk: sendfile ? conf.sendfile_max_chunk || NO_CHUNK : 0,
    threads: conf.aio !== 'off',
  }
}

/** Answers with the file, which is open; a handler's answer. */
export function sendFile(r: HttpRequest, conf: FileSending, file: OpenFile): number {
  r.status = 200
  r.contentLength = file.size
  r.lastModified = file.lastModified
  if (conf.etag) r.etag = file.etag
  r.contentType = contentType(r)
  r.conditional = conf.dateRule
  r.rangesMax = conf.maxRanges
  sentFile.set(r, file)
  r.action = 'sending response to client'
  if (file.text !== null) return respond(r, 200, r.contentType, file.text)
  return sendBig(r, file, conf)
}

/** A big file's descriptor is let go of with the answer. */
export function leaveFile(file: OpenFile, answer: number): number {
  file.closeIfUnused()
  return answer
}

function sendBig(r: HttpRequest, file: OpenFile, how: FileMoving): number {
  if (!sendHead(r)) return leaveFile(file, DONE)
  if (r.bodiless) {
    leaveFile(file, DONE)
    r.out.write(r, EMPTY, LAST)
    return DONE
  }
  const { range } = r
  const around = range?.around ?? null
  const parts = range === null ? [{ start: 0, end: file.size }] : range.ranges
  new FileParts(r, file, parts, around === null ? null : [...around.heads, around.tail], how).start()
  return DONE
}
