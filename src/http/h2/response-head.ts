// A response's head as a header block. Nothing is remembered between blocks (the table is not used), so parts that many
// responses have in common are encoded once for the thread.

import { httpDate } from '../../codec/h1/write.ts'
import { ByteWriter } from '../../codec/h2/byte-writer.ts'
import { HpackEncoder, PLAIN } from '../../codec/h2/hpack-encoder.ts'
import { locationOf } from '../output.ts'
import { NO_SERVER } from '../request.ts'
import type { HttpRequest } from '../request.ts'

/** Fields that are about a connection, which HTTP/2 knows otherwise (RFC 9113, 8.2.2). */
const DROPPED = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade'])

/** Encodes a block into the writer; the encoder is the connection's, which may have a word about its table to say first. */
export function encodeHead(r: HttpRequest, encoder: HpackEncoder, out: ByteWriter): void {
  encoder.begin(out)
  if (r.status === 204) {
    r.contentType = r.lastModified = ''
    r.contentLength = -1
  }
  const second = Math.floor(Date.now() / 1000)
  if (r.serverHeader === '' && r.dateHeader === '') copy(out, commonFields(r.status, r.location.serverTokens, second))
  else {
    encoder.field(out, ':status', statusText(r.status), PLAIN)
    const server = r.serverHeader === '' ? nameIn(r.location.serverTokens) : r.serverHeader
    if (server !== '' && server !== NO_SERVER) encoder.field(out, 'server', server, PLAIN)
    encoder.field(out, 'date', r.dateHeader === '' ? httpDate(second) : r.dateHeader, PLAIN)
  }
  if (r.contentType !== '') copy(out, commonField('content-type', r.contentType))
  if (r.contentLength >= 0 && r.status >= 200) copy(out, commonField('content-length', `${r.contentLength}`))
  if (r.lastModified !== '') copy(out, commonField('last-modified', r.lastModified))
  if (r.redirect !== '') encoder.field(out, 'location', locationOf(r), PLAIN)
  if (r.etag !== '') copy(out, commonField('etag', r.etag))
  const { outNames, outValues } = r
  for (let i = 0; i < outNames.length; i++) {
    const name = outNames[i]!.toLowerCase()
    if (DROPPED.has(name)) continue
    const value = outValues[i]!
    if (value.length <= COMMON_LENGTH_MAX) copy(out, commonField(name, value))
    else encoder.field(out, name, value, PLAIN)
  }
}

/** `HTTP/1.1 103 …` and field lines, as an interim response is given: names and values in turn, `:status` first. */
export function interimPairs(text: string): readonly string[] {
  const lines = text.split('\r\n')
  const pairs = [':status', lines[0]!.split(' ')[1]!]
  for (const line of lines.slice(1)) {
    const colon = line.indexOf(':')
    if (colon <= 0) continue
    const name = line.slice(0, colon).toLowerCase()
    if (!DROPPED.has(name)) pairs.push(name, line.slice(colon + 1).trim())
  }
  return pairs
}

/** Trailers as they go out: lower-case names, and none that belong to a connection. */
export function trailerPairs(fields: readonly string[]): readonly string[] {
  const pairs: string[] = []
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i]!.toLowerCase()
    if (!DROPPED.has(name)) pairs.push(name, fields[i + 1]!)
  }
  return pairs
}

function statusText(status: number): string {
  return String(status).padStart(3, '0')
}

/** `Server: name\r\n`, as the location keeps it, without its frame. */
function nameIn(line: string): string {
  return line.slice(line.indexOf(':') + 2, -2)
}

// ── what responses have in common ──────────────────────────────────────────────────────────────────────────────────

const stateless = new HpackEncoder(0)

let commonSecond = 0
let commonTokens = ''
const common = new Map<number, Buffer>()

/** Status, Server and Date: the same for every response of a kind within a second. */
function commonFields(status: number, tokens: string, second: number): Buffer {
  if (second !== commonSecond || tokens !== commonTokens) {
    commonSecond = second
    commonTokens = tokens
    common.clear()
  }
  let block = common.get(status)
  if (block === undefined) {
    block = encoded([
      ':status',
      statusText(status),
      ...(tokens === '' ? [] : ['server', nameIn(tokens)]),
      'date',
      httpDate(second),
    ])
    common.set(status, block)
  }
  return block
}

/** Longer values are rarely sent twice. */
const COMMON_LENGTH_MAX = 64
const COMMON_MAX = 512
const fields = new Map<string, Map<string, Buffer>>()
let fieldCount = 0

/** A field that has been sent before, most likely. */
function commonField(name: string, value: string): Buffer {
  let values = fields.get(name)
  if (values === undefined) fields.set(name, (values = new Map()))
  let block = values.get(value)
  if (block === undefined) {
    block = encoded([name, value])
    // All of it is let go at once: what is in use comes back within a few responses.
    if (++fieldCount > COMMON_MAX) {
      fields.clear()
      fieldCount = 0
    } else values.set(value, block)
  }
  return block
}

const scratch = new ByteWriter(256)

function encoded(pairs: readonly string[]): Buffer {
  scratch.length = 0
  for (let i = 0; i < pairs.length; i += 2) stateless.field(scratch, pairs[i]!, pairs[i + 1]!, PLAIN)
  return Buffer.from(scratch.bytes.subarray(0, scratch.length))
}

function copy(out: ByteWriter, block: Buffer): void {
  out.append(block, 0, block.length)
}
