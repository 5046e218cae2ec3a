// A cached response goes to the client as a file would: with conditions and ranges, from memory when it is small
// (ngx_http_upstream_cache_send).

import { dropField } from '../altered-body.ts'
import { FileParts, type FileMoving } from '../files/file-parts.ts'
import { EMPTY, LAST, respond, sendHead } from '../output.ts'
import type { HttpRequest } from '../request.ts'
import { closeEntry, type Entry, type EntryFields } from './entry-file.ts'
import type { Fetcher } from './fetcher.ts'
import type { CacheSettings } from './settings.ts'

export function serveEntry(x: Fetcher, { sending }: CacheSettings, entry: Entry): void {
  const { r } = x
  x.letGo()
  if (r.done) {
    closeEntry(entry)
    return
  }
  const fields = fieldsOf(entry)
  x.takeKept(fields)
  // A 304 has no body and speaks of another one.
  const isMeasured = fields.status !== 304 && (r.method !== 'HEAD' || r.contentLength < 0)
  if (isMeasured || entry.bodyLength > 0) r.contentLength = entry.bodyLength
  r.conditional = sending.dateRule
  if (x.forcesRanges || fields.hasRanges) {
    dropField(r, 'accept-ranges')
    r.rangesMax = sending.maxRanges
  }
  send(r, entry, sending)
}

function fieldsOf(entry: Entry): EntryFields {
  if (entry.fields !== null) return entry.fields
  const lines = entry.head.split('\r\n')
  const names: string[] = []
  const values: string[] = []
  const spelled: string[] = []
  const status = Number(lines[0]!.slice(0, 3))
  let contentLength = -1
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i]!
    const colon = line.indexOf(':')
    if (colon < 0) continue
    spelled.push(line.slice(0, colon))
    names.push(line.slice(0, colon).toLowerCase())
    values.push(line.slice(colon + 2))
    if (names.at(-1) === 'content-length') contentLength = Number(values.at(-1))
  }
  entry.fields = {
    status,
    statusText: lines[0] === `${status}` ? '' : lines[0]!,
    names,
    values,
    originalName: i => spelled[i]!,
    contentLength,
    hasRanges: names.includes('accept-ranges'),
  }
  return entry.fields
}

function send(r: HttpRequest, entry: Entry, how: FileMoving): void {
  const { body, bodyStart, bodyLength } = entry
  if (body !== null && r.method !== 'HEAD' && r.status !== 304) {
    respond(r, r.status, r.contentType, body)
    return
  }
  if (!sendHead(r) || r.bodiless || body !== null) {
    closeEntry(entry)
    if (!r.done && r.bodiless) r.out.write(r, EMPTY, LAST)
    return
  }
  const { range } = r
  const around = range?.around ?? null
  const parts = (range?.ranges ?? [{ start: 0, end: bodyLength }]).map(({ start, end }) => ({
    start: start + bodyStart,
    end: end + bodyStart,
  }))
  new FileParts(r, entry.file!, parts, around === null ? null : [...around.heads, around.tail], how).start()
}
