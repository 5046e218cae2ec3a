// A cached response goes to the client as a file would: with conditions and ranges, from memory when it is small
// (ngx_http_upstream_cache_send).

import { dropField } from '../altered-body.ts'
import { FileParts, type FileMoving } from '../file-parts.ts'
import { EMPTY, LAST, respond, sendHead } from '../output.ts'
import type { HttpRequest } from '../request.ts'
import type { Exchange } from '../upstream/exchange.ts'
import { passFields, type FieldActions, type ResponseFields, type Rewriting } from '../upstream/response-fields.ts'
import { closeEntry, type Entry } from './entry-file.ts'
import type { CacheSettings } from './settings.ts'

/** What every kind of upstream's own configuration has. */
interface PassingConf {
  readonly fieldActions: FieldActions
  readonly rewriting?: Rewriting
}

export function serveEntry(x: Exchange, { sending }: CacheSettings, entry: Entry): void {
  const { r } = x
  const { fieldActions, rewriting } = x.conf as PassingConf
  x.letGo()
  if (r.done) {
    closeEntry(entry)
    return
  }
  passFields(x, readHead(x, entry), fieldActions, rewriting)
  if (r.method !== 'HEAD' || entry.bodyLength > 0 || r.contentLength < 0) r.contentLength = entry.bodyLength
  r.conditional = sending.dateRule
  if (x.settings.forceRanges || x.names.includes('accept-ranges')) {
    dropField(r, 'accept-ranges')
    r.rangesMax = sending.maxRanges
  }
  send(r, entry, sending)
}

function readHead(x: Exchange, entry: Entry): ResponseFields {
  const lines = entry.head.split('\r\n')
  const names: string[] = []
  const values: string[] = []
  const spelled: string[] = []
  x.status = Number(lines[0]!.slice(0, 3))
  x.statusText = lines[0] === `${x.status}` ? '' : lines[0]!
  x.contentLength = -1
  x.chunked = false
  for (let i = 1; i < lines.length; i++) {
    const line = lines[i]!
    const colon = line.indexOf(':')
    if (colon < 0) continue
    const name = line.slice(0, colon)
    const value = line.slice(colon + 2)
    names.push(name.toLowerCase())
    values.push(value)
    spelled.push(name)
    if (names.at(-1) === 'content-length') x.contentLength = Number(value)
  }
  x.names = names
  x.values = values
  return { names, values, originalName: i => spelled[i]! }
}

function send(r: HttpRequest, entry: Entry, how: FileMoving): void {
  const { body, bodyStart, bodyLength } = entry
  if (body !== null && r.method !== 'HEAD') {
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
