// What requests a client's bytes contain (RFC 9112), read by somebody who shares nothing with src/codec. Of what the RFC leaves
// to the recipient it takes what nginx takes: a lone LF ends a line of a head, spaces may be repeated in a request line, empty
// lines may stand before it, HTTP/0.9 is understood. Whatever else two readers could understand in two ways ends the reading.

export interface ReadRequest {
  readonly method: string
  /** Path and query, whatever the form of the target. */
  readonly target: string
  readonly body: string
}

/** Why there are no more: the connection ends by agreement, the rest is refused, or more bytes would have to come. */
export type End = 'closed' | 'refused' | 'incomplete'

export interface Reading {
  readonly requests: readonly ReadRequest[]
  readonly end: End
  /** Of the request that is refused or incomplete, as far as it is known. */
  readonly broken: string
}

const LINE = /^([A-Z_-]+) +([^\0- \x7f]+)(?: +(HTTP\/1\.\d{1,3}))? *$/
const FIELD = /^([^\0- :\x7f]+):([\t -~\x80-\xff]*)$/

export function readRequests(bytes: string): Reading {
  const requests: ReadRequest[] = []
  let at = 0
  for (;;) {
    const one = readRequest(bytes, at)
    if (typeof one === 'string') return { requests, end: one, broken: bytes.slice(at) }
    requests.push(one.request)
    if (one.closes) return { requests, end: 'closed', broken: '' }
    at = one.stop
  }
}

interface One {
  readonly request: ReadRequest
  readonly stop: number
  readonly closes: boolean
}

function readRequest(bytes: string, start: number): One | End {
  let at = start
  for (let blank; (blank = /^\r?\n/.exec(bytes.slice(at, at + 2))) !== null;) at += blank[0].length
  const head: string[] = []
  for (;;) {
    const lf = bytes.indexOf('\n', at)
    if (lf === -1) return 'incomplete'
    const line = bytes.slice(at, bytes[lf - 1] === '\r' && lf > at ? lf - 1 : lf)
    at = lf + 1
    if (line === '') break
    head.push(line)
    const simple = LINE.exec(line)
    if (head.length === 1 && simple !== null && simple[3] === undefined) {
      if (simple[1] !== 'GET') return 'refused'
      return { request: { method: 'GET', target: pathOf(simple[2]!), body: '' }, stop: at, closes: true }
    }
  }
  const line = LINE.exec(head[0]!)
  if (line === null || line[1] === 'TRACE' || line[1] === 'CONNECT') return 'refused'
  const old = /^HTTP\/1\.0+$/.test(line[3]!)
  const fields = fieldsOf(head.slice(1))
  if (fields === null) return 'refused'
  const framing = framingOf(fields, old)
  if (framing === null) return 'refused'
  const body = framing === -1 ? chunked(bytes, at) : plain(bytes, at, framing)
  if (typeof body === 'string') return body
  const connection = fields.filter(([name]) => name === 'connection').map(([, value]) => value.toLowerCase())
  const tokens = connection.join(',').split(/[ \t]*,[ \t]*/)
  const closes = tokens.includes('close') || (old && !tokens.includes('keep-alive'))
  return { request: { method: line[1]!, target: pathOf(line[2]!), body: body.body }, stop: body.stop, closes }
}

function pathOf(target: string): string {
  const path = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?]*/i, '')
  return path === '' ? '/' : path.startsWith('?') ? `/${path}` : path
}

type Fields = (readonly [name: string, value: string])[]

function fieldsOf(lines: readonly string[]): Fields | null {
  const fields: Fields = []
  for (const line of lines) {
    const match = FIELD.exec(line)
    if (match === null) return null
    const name = match[1]!.toLowerCase()
    if (/[^a-z0-9-]/.test(name) && /^(?:contentlength|transferencoding)$/.test(name.replace(/[^a-z0-9]/g, '')))
      return null
    fields.push([name, match[2]!.replace(/^[ \t]+|[ \t]+$/g, '')])
  }
  return fields
}

/** The body's length, -1 for chunks, null for what nobody may guess at. */
function framingOf(fields: Fields, old: boolean): number | null {
  const of = (wanted: string): string[] => fields.filter(([name]) => name === wanted).map(([, value]) => value)
  const [hosts, lengths, codings] = [of('host'), of('content-length'), of('transfer-encoding')]
  if (hosts.length > 1 || (hosts.length === 0 && !old)) return null
  if (lengths.length > 1 || codings.length > 1 || lengths.length + codings.length > 1) return null
  if (codings.length === 1) return !old && codings[0]!.toLowerCase() === 'chunked' ? -1 : null
  if (lengths.length === 0) return 0
  // Zeros before it are read over, however many.
  return /^0*\d{1,16}$/.test(lengths[0]!) && Number.isSafeInteger(Number(lengths[0])) ? Number(lengths[0]) : null
}

interface Body {
  readonly body: string
  readonly stop: number
}

function plain(bytes: string, at: number, length: number): Body | End {
  return at + length > bytes.length ? 'incomplete' : { body: bytes.slice(at, at + length), stop: at + length }
}

function chunked(bytes: string, start: number): Body | End {
  let body = ''
  let at = start
  for (;;) {
    const size = /^(0*[0-9a-fA-F]{1,16})((?:[ \t]*;[\t -~\x80-\xff]*)?)\r\n/.exec(bytes.slice(at, at + 9000))
    if (size === null) return /\n/.test(bytes.slice(at, at + 9000)) ? 'refused' : endOf(bytes.slice(at))
    at += size[0].length
    const length = parseInt(size[1]!, 16)
    if (length === 0) break
    if (at + length + 2 > bytes.length) return /^(?:|\r)$/.test(bytes.slice(at + length)) ? 'incomplete' : 'refused'
    body += bytes.slice(at, at + length)
    if (bytes.slice(at + length, at + length + 2) !== '\r\n') return 'refused'
    at += length + 2
  }
  for (;;) {
    const lf = bytes.indexOf('\n', at)
    if (lf === -1) return 'incomplete'
    if (bytes[lf - 1] !== '\r') return 'refused'
    const line = bytes.slice(at, lf - 1)
    at = lf + 1
    if (line === '') return { body, stop: at }
    if (fieldsOf([line]) === null) return 'refused'
  }
}

/** Of a size line that is not whole. */
function endOf(rest: string): End {
  return /^0*[0-9a-fA-F]{0,16}(?:[ \t]*;[\t -~\x80-\xff]*)?\r?$/.test(rest) || rest === '' ? 'incomplete' : 'refused'
}
