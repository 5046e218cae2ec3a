// A file as a response: conditions, ranges, all of it (what nginx's core, not-modified and range filters do for its static
// handlers). Which file is the handler's business, which part range.ts's.

import { HTTP, LOCATION, SERVER } from '../config/directive.ts'
import { flag, number, oneOf } from '../config/values.ts'
import { FileParts } from './file-parts.ts'
import { contentType } from './mime.ts'
import { DONE, type LocationBuilder } from './module.ts'
import { checkPreconditions, type DateRule } from './not-modified.ts'
import type { OpenFile } from './open-file.ts'
import { EMPTY, LAST, respond, sendHead } from './output.ts'
import { prepareRangeHead, requestedRanges, UNLIMITED, UNSATISFIABLE, WHOLE, type ByteRange } from './range.ts'
import type { HttpRequest } from './request.ts'

const everywhere = HTTP | SERVER | LOCATION

export const sendingDirectives = {
  etag: flag(everywhere, true),
  if_modified_since: oneOf(everywhere, ['off', 'exact', 'before'], 'exact'),
  max_ranges: number(everywhere, UNLIMITED),
}

export interface FileSending {
  readonly etag: boolean
  readonly dateRule: DateRule
  readonly maxRanges: number
}

export function fileSending(at: LocationBuilder): FileSending {
  const conf = at.scope.conf(sendingDirectives)
  return { etag: conf.etag, dateRule: conf.if_modified_since, maxRanges: conf.max_ranges }
}

/** Answers with the file, which is open; a handler's answer. */
export function sendFile(r: HttpRequest, conf: FileSending, file: OpenFile): number {
  r.status = 200
  r.contentLength = file.size
  r.lastModified = file.lastModified
  if (conf.etag) r.etag = file.etag
  return !isOther(r) && hasConditions(r) ? serveConditionally(r, conf, file) : serveWhole(r, conf, file)
}

/** A big file's descriptor is let go of with the answer. */
export function leaveFile(file: OpenFile, answer: number): number {
  file.hold()
  file.release()
  return answer
}

/** Conditions and ranges are about the page that was asked for, not about one that tells why it cannot be had, or one that
 *  becomes a part of it. */
function isOther(r: HttpRequest): boolean {
  return (r.errorStatus !== 0 && r.errorStatus !== 200) || r.parent !== null
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

function serveConditionally(r: HttpRequest, conf: FileSending, file: OpenFile): number {
  const status = checkPreconditions(r, conf.dateRule)
  if (status === 412) return leaveFile(file, 412)
  if (status === 304) return answerNotModified(r, file)
  r.contentType = contentType(r)
  const ranges = requestedRanges(r, conf.maxRanges)
  if (ranges === WHOLE) return serveWhole(r, conf, file)
  if (ranges !== UNSATISFIABLE) return serveRanges(r, file, ranges)
  r.addHeader('Content-Range', `bytes */${file.size}`)
  return leaveFile(file, 416)
}

function answerNotModified(r: HttpRequest, file: OpenFile): number {
  leaveFile(file, DONE)
  r.status = 304
  r.contentLength = -1
  sendHead(r)
  r.out.write(r, EMPTY, LAST)
  return DONE
}

function serveWhole(r: HttpRequest, conf: FileSending, file: OpenFile): number {
  // max_ranges 0 is how ranges are switched off.
  if (conf.maxRanges > 0 && r.version >= 10 && !isOther(r)) r.addHeader('Accept-Ranges', 'bytes')
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
    leaveFile(file, DONE)
    sendHead(r)
    r.out.write(r, EMPTY, LAST)
    return DONE
  }
  const source = new FileParts(r, file, parts, texts)
  sendHead(r)
  source.start()
  return DONE
}
