// The fields of a stream's first HEADERS frame as a request's head, the same that HTTP/1 fills in: what follows need not know
// which protocol it came by. What is refused, and how that is worded, is nginx's (ngx_http_v2_state_process_header and
// ngx_http_v2_run_request); RFC 9113, 8.2 and 8.3.

import { isToken, looksLikeFraming, parseRequestLength, SPAN } from '../../codec/h1/fields.ts'
import type { RequestLimits, NamedServers } from '../../codec/h1/head.ts'
import { HostName, parseHost } from '../../codec/h1/host.ts'
import {
  CONNECTION,
  CONTENT_LENGTH,
  COOKIE,
  HOST,
  KEEP_ALIVE,
  MAX_FORWARDS,
  NAMES,
  PROXY_CONNECTION,
  TE,
  TRANSFER_ENCODING,
  UPGRADE,
} from '../../codec/h1/names.ts'
import { forget, note, UNIQUE } from '../../codec/h1/request-fields.ts'
import type { RequestHead } from '../../codec/h1/request-head.ts'
import {
  NAME_INVALID,
  NAME_ODD,
  NAME_UNDERSCORE,
  PSEUDO,
  VALUE_INVALID,
  type FieldList,
} from '../../codec/h2/hpack-decoder.ts'

// What a pseudo-header says, until the head is whole.
let method = ''
let scheme = ''
let path = ''
let authority: string | null = null
let cookies = ''
/** Well-known names that were there, as bits. */
let seen = 0
let teInvalid = false
const hostName = new HostName()
/** Whose limits hold: the connection's server's, until the request has named another. */
let limits: RequestLimits
let servers: NamedServers | null = null

/**
 * Fills in the head.
 * @param ended is there no body?
 * @param named where the limits of the server come from that the request names
 * @returns 0, or the status it is refused with, `head.error` saying why
 */
export function takeHead(
  head: RequestHead,
  fields: FieldList,
  limitsBefore: RequestLimits,
  ended: boolean,
  named: NamedServers | null = null,
): number {
  limits = limitsBefore
  servers = named
  head.restart()
  forget(head)
  method = scheme = path = cookies = ''
  authority = null
  seen = 0
  teInvalid = false
  head.text = head.method = head.target = head.path = ''
  head.lineStart = head.lineEnd = 0
  head.version = 20
  head.protocol = 'HTTP/2.0'
  head.keepAlive = true
  head.count = 0
  const status = takeFields(head, fields) || takeRest(head, ended)
  head.names.length = head.values.length = head.count
  // There is no request line before the first field that is none of the pseudo-headers.
  head.method = method
  head.target = head.path = path
  return status
}

function takeFields(head: RequestHead, fields: FieldList): number {
  let pseudo = true
  for (let i = 0; i < fields.count; i++) {
    const faults = fields.faults[i]!
    if (faults !== 0) {
      if ((faults & (NAME_INVALID | VALUE_INVALID)) !== 0) return refuseBytes(head, fields, i)
      if ((faults & PSEUDO) !== 0) {
        const status = pseudo
          ? takePseudo(head, fields.names[i]!, fields.values[i]!)
          : head.refuse(400, 'client sent out of order pseudo-headers')
        if (status !== 0) return status
        continue
      }
      if (looksLikeFraming(fields.names[i]!)) return refuseName(head, fields.names[i]!)
      const odd = (faults & NAME_ODD) !== 0 || ((faults & NAME_UNDERSCORE) !== 0 && !limits.underscores)
      if (odd && limits.ignoreInvalid) {
        head.dropped = fields.names[i]!
        continue
      }
      if (odd && !isToken(fields.names[i]!)) return refuseName(head, fields.names[i]!)
    }
    if (pseudo) {
      pseudo = false
      const status = takeLine(head)
      if (status !== 0) return status
    }
    const status = takeField(head, fields.names[i]!, fields.values[i]!, fields.ids[i]!)
    if (status !== 0) return status
  }
  return pseudo ? takeLine(head) : 0
}

function refuseBytes(head: RequestHead, fields: FieldList, i: number): number {
  const name = fields.names[i]!
  return (fields.faults[i]! & NAME_INVALID) !== 0
    ? refuseName(head, name)
    : head.refuse(400, `client sent header "${name}" with invalid value: "${fields.values[i]}"`)
}

function refuseName(head: RequestHead, name: string): number {
  return head.refuse(400, `client sent invalid header name: "${name}"`)
}

function takePseudo(head: RequestHead, name: string, value: string): number {
  switch (name) {
    case ':path':
      if (path !== '') return head.refuse(400, 'client sent duplicate :path header')
      if (value === '') return head.refuse(400, 'client sent empty :path header')
      if (!isPath(value)) return head.refuse(400, `client sent invalid :path header: "${value}"`)
      path = value
      return 0
    case ':method':
      if (method !== '') return head.refuse(400, 'client sent duplicate :method header')
      if (value === '') return head.refuse(400, 'client sent empty :method header')
      if (value !== 'GET' && !/^[A-Z_-]+$/.test(value))
        return head.refuse(400, `client sent invalid method: "${value}"`)
      method = value
      return 0
    case ':scheme':
      if (scheme !== '') return head.refuse(400, 'client sent duplicate :scheme header')
      if (value === '') return head.refuse(400, 'client sent empty :scheme header')
      if (value !== 'http' && value !== 'https' && !/^[a-z][a-z0-9+.-]*$/i.test(value))
        return head.refuse(400, `client sent invalid :scheme header: "${value}"`)
      scheme = value
      return 0
    case ':authority':
      if (authority !== null) return head.refuse(400, 'client sent duplicate ":authority" header')
      if (!parseHost(value, 0, value.length, hostName))
        return head.refuse(400, 'client sent invalid ":authority" header')
      authority = value
      takeHost(head)
      return 0
  }
  return head.refuse(400, `client sent unknown pseudo-header "${name}"`)
}

// As the request line of HTTP/1: no spaces, no controls (ngx_http_parse_uri).
function isPath(value: string): boolean {
  if (value.charCodeAt(0) !== 47) return value === '*' && method === 'OPTIONS'
  for (let i = 1; i < value.length; i++) {
    const c = value.charCodeAt(i)
    if (c <= 32 || c === 127) return false
  }
  return true
}

function takeHost(head: RequestHead): void {
  head.host = hostName.name
  head.port = hostName.port
  if (servers !== null) limits = servers.serverFor(hostName.name).limits
}

/** The pseudo-headers are through: the request line, as the logs have it. */
function takeLine(head: RequestHead): number {
  // Of CONNECT too, which has but an authority (RFC 9113, 8.5): there are no tunnels over HTTP/2.
  if (method === '' || scheme === '' || path === '') {
    const missing = method === '' ? ':method' : scheme === '' ? ':scheme' : ':path'
    return head.refuse(400, `client sent no ${missing} header`)
  }
  head.text = `${method} ${path} HTTP/2.0`
  head.lineEnd = head.text.length
  return 0
}

function takeField(head: RequestHead, name: string, value: string, id: number): number {
  if (id === COOKIE) {
    cookies = cookies === '' ? value : `${cookies}; ${value}`
    return 0
  }
  if (head.count >= limits.fieldsMax) return head.refuse(494, 'client sent too many header lines')
  if (id !== 0 && id <= MAX_FORWARDS) {
    const status = takeKnown(head, name, value, id)
    if (status !== 0) return status
  }
  add(head, name, value, id)
  return 0
}

function takeKnown(head: RequestHead, name: string, value: string, id: number): number {
  const bit = 1 << id
  if ((seen & bit) === 0) {
    seen |= bit
    note(head, id, head.count)
  } else if (id === TE) {
    teInvalid = true
  } else if ((UNIQUE & bit) !== 0) {
    const before = head.values[head.find(name)]
    return head.refuse(
      400,
      `client sent duplicate header line: "${name}: ${value}", previous value: "${name}: ${before}"`,
    )
  }
  switch (id) {
    case HOST:
      if (!parseHost(value, 0, value.length, hostName)) return head.refuse(400, 'client sent invalid host header')
      if (authority === null) takeHost(head)
      return 0
    case CONTENT_LENGTH:
      head.contentLength = parseRequestLength(value)
      break
    case TE:
      if (value.toLowerCase() !== 'trailers') teInvalid = true
      break
  }
  return 0
}

/** Fields that are about a connection, in the order they are looked for (RFC 9113, 8.2.2). */
const CONNECTION_FIELDS: readonly (readonly [id: number, spelled: string])[] = [
  [CONNECTION, 'Connection'],
  [KEEP_ALIVE, 'Keep-Alive'],
  [TRANSFER_ENCODING, 'Transfer-Encoding'],
  [UPGRADE, 'Upgrade'],
  [PROXY_CONNECTION, 'Proxy-Connection'],
]
const ANY_CONNECTION_FIELD = CONNECTION_FIELDS.reduce((bits, [id]) => bits | (1 << id), 0)

function refuseConnectionField(head: RequestHead): number {
  const found = CONNECTION_FIELDS.find(([id]) => (seen & (1 << id)) !== 0)!
  return head.refuse(400, `client sent "${found[1]}" header`)
}

function add(head: RequestHead, name: string, value: string, id: number): void {
  const i = head.count++
  head.names[i] = name
  head.values[i] = value
  const { spans } = head
  const at = i * SPAN
  spans[at] = id
  // The text has no fields: a name is spelled one way only.
  for (let k = 1; k < SPAN; k++) spans[at + k] = 0
}

/** What several fields say together. */
function takeRest(head: RequestHead, ended: boolean): number {
  if (cookies !== '') {
    note(head, COOKIE, head.count)
    add(head, NAMES[COOKIE]!, cookies, COOKIE)
  }
  if ((seen & ANY_CONNECTION_FIELD) !== 0) return refuseConnectionField(head)
  if (teInvalid) return head.refuse(400, 'client sent invalid "TE" header')
  if (head.host === null) return head.refuse(400, 'client sent neither ":authority" nor "Host" header')
  if (authority !== null) {
    if (head.hostIndex === -1) {
      note(head, HOST, head.count)
      add(head, NAMES[HOST]!, authority, HOST)
    } else if (head.values[head.hostIndex] !== authority)
      return head.refuse(400, 'client sent ":authority" and "Host" headers with different values')
  }
  if (head.contentLengthIndex !== -1 && head.contentLength === -1)
    return head.refuse(400, 'client sent invalid "Content-Length" header')
  if (head.contentLength > 0 && ended) return head.refuse(400, 'client prematurely closed stream')
  head.chunked = head.contentLengthIndex === -1 && !ended
  if (head.expectIndex !== -1) head.expectContinue = head.values[head.expectIndex]!.toLowerCase() === '100-continue'
  return (method === 'TRACE' && !limits.raw) || method === 'CONNECT'
    ? head.refuse(405, `client sent ${method} method`)
    : 0
}
