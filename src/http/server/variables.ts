// The variables every request has, and the table of all names (nginx's ngx_http_variables.c).
// A variable is a getter; what does not exist is null: empty in text, `-` in a log.

import { randomFillSync } from 'node:crypto'
import { realpathSync } from 'node:fs'
import { hostname } from 'node:os'
import { addressBytes } from '../../lib/networks.ts'
import { RCV_SPACE, RTT, RTTVAR, SND_CWND, tcpInfo } from '../../net/tcp-info.ts'
import { basicUser } from '../access/basic-credentials.ts'
import { rateOf, setRateText } from '../access/limit-rate.ts'
import { toldOf } from '../app/trust.ts'
import { captures } from '../regex.ts'
import { ours, Slot, type Variable } from '../module.ts'
import { filePath } from '../files/document-root.ts'
import { locationOf } from '../output.ts'
import { NO_SERVER } from '../request.ts'
import type { HttpRequest } from '../request.ts'
import { mainOf } from '../subrequest.ts'

const get = (getter: (r: HttpRequest) => string | null): Variable => ({ get: getter })

export const coreVariables: Readonly<Record<string, Variable>> = {
  args: { get: args, set: setArgs },
  query_string: get(args),
  is_args: get(r => (r.args === '' ? '' : '?')),
  uri: get(uri),
  document_uri: get(uri),
  request_uri: get(r => known(r.unparsedUri)),
  request: get(r => known(r.head.requestLine)),
  // What is asked about it on its behalf, by auth_request for instance, is asked about the client's own.
  request_method: get(r => (lineFailed(r) ? null : known(mainOf(r).method))),
  scheme: get(r => (r.stream.tls === null ? 'http' : 'https')),
  https: get(r => (r.stream.tls === null ? '' : 'on')),
  server_protocol: get(r => (r.version === 20 ? 'HTTP/2.0' : known(r.head.protocol))),
  host: get(r => (r.host === '' ? r.server.name : r.host)),
  hostname: get(() => hostname()),
  server_name: get(r => r.server.name),
  server_addr: get(r => r.stream.serverAddress),
  server_port: get(r => portText(r.stream.localPort)),
  remote_addr: get(r => r.clientAddress),
  remote_port: get(r => portText(r.clientPort)),
  // Of a Unix socket it is the text: clients there are counted, too.
  binary_remote_addr: get(r => addressBytes(r.clientAddress) || r.clientAddress),
  remote_user: get(basicUser),
  content_type: get(r => joined(r, 'content-type', ', ')),
  content_length: get(r => contentLength(r)),
  document_root: get(r => r.location.root.get(r)),
  request_filename: get(filePath),
  nginx_version: get(() => '1.31.5'),
  pid: get(() => `${process.pid}`),
  // For a post_action, that of the request it is about.
  request_completion: get(r => ((r.parent ?? r).complete ? 'OK' : '')),
  request_body: get(r => (r.body === null || r.body.path !== '' ? null : known(r.body.bytes().toString('latin1')))),
  request_body_file: get(r => (r.body === null || r.body.path === '' ? null : r.body.path)),
  limit_rate: { get: r => `${rateOf(r) ?? 0}`, set: setRateText },
  request_id: get(requestId),
  request_port: get(r => portText(r.head.port)),
  is_request_port: get(r => (r.head.port === 0 ? '' : ':')),
  realpath_root: get(realRoot),
  connection_time: get(r => seconds(Math.max(0, Date.now() - r.stream.connectedMs))),
  tcpinfo_rtt: get(r => tcpNumber(r, RTT)),
  tcpinfo_rttvar: get(r => tcpNumber(r, RTTVAR)),
  tcpinfo_snd_cwnd: get(r => tcpNumber(r, SND_CWND)),
  tcpinfo_rcv_space: get(r => tcpNumber(r, RCV_SPACE)),
  sent_http_content_type: get(r => known(r.contentType)),
  sent_http_content_length: get(r => (r.contentLength < 0 ? null : `${r.contentLength}`)),
  sent_http_location: get(r => known(redirectOf(r)) ?? sentHeader(r, 'location')),
  sent_http_last_modified: get(r => known(r.lastModified) ?? sentHeader(r, 'last-modified')),
  ...ours({
    sent_http_etag: get(r => known(r.etag) ?? sentHeader(r, 'etag')),
    sent_http_server: get(r => known(r.serverHeader.replace(NO_SERVER, '')) ?? sentHeader(r, 'server')),
    sent_http_date: get(r => known(r.dateHeader) ?? sentHeader(r, 'date')),
  }),
  sent_http_connection: get(r => (r.status === 101 ? 'upgrade' : r.keepAlive ? 'keep-alive' : 'close')),
  sent_http_keep_alive: get(keepAliveField),
  sent_http_transfer_encoding: get(r => (isChunked(r) ? 'chunked' : null)),
}

/** As it was given, and in the log as the client got it. */
function redirectOf(r: HttpRequest): string {
  return r.done && r.redirect !== '' ? locationOf(r) : r.redirect
}

function isChunked(r: HttpRequest): boolean {
  if (!r.headSent || r.bodiless || r.contentLength >= 0) return false
  return r.version === 11 && r.location.chunkedTransferEncoding
}

/** What is empty was not there (ngx_http_variable_request). */
function known(text: string): string | null {
  return text === '' ? null : text
}

function args(r: HttpRequest): string | null {
  return r.args === '' && !r.hadArgs ? null : r.args
}

function setArgs(r: HttpRequest, value: string): void {
  r.args = value
  r.hadArgs = true
}

/** A line that could not be read names none; of a target that could not, nothing is left. */
function uri(r: HttpRequest): string | null {
  return r.uri === '' && lineFailed(r) ? null : r.uri
}

function lineFailed(r: HttpRequest): boolean {
  return r.head.lineStop === 0 && r.version !== 20
}

/** Families: the getter for `$http_user_agent` is made from 'user_agent'. */
export const corePrefixVariables: Readonly<Record<string, (rest: string) => Variable>> = {
  http_: rest => {
    const name = rest.replaceAll('_', '-')
    const separator = name === 'cookie' ? '; ' : ', '
    return get(r => joined(r, name, separator))
  },
  sent_http_: rest => {
    const name = rest.replaceAll('_', '-')
    return get(r => sentHeader(r, name))
  },
  arg_: rest => get(r => (rest === '' ? null : argument(r.args, rest))),
  cookie_: rest => get(r => (rest === '' ? null : cookie(r, rest))),
}

/** `$1` … `$9`: groups of the last match. */
export function captureVariable(n: number): Variable {
  return get(r => captures.get(r)?.[n] ?? null)
}

function joined(r: HttpRequest, name: string, separator: string): string | null {
  const { names, values, count } = r.head
  let value: string | null = null
  for (let i = 0; i < count; i++) {
    const field = names[i]!
    if (field === name || (isLike(field, name) && !isKept(r, field)))
      value = value === null ? values[i]! : value + separator + values[i]!
  }
  return value
}

/** In a variable's name, `_` stands for `-` and for itself. */
function isNamed(field: string, name: string): boolean {
  return field === name || isLike(field, name)
}

function isLike(field: string, name: string): boolean {
  return field.length === name.length && field.includes('_') && field.replaceAll('_', '-') === name
}

/** What is kept from an application because of a `_` in its name, is kept from logs: it would pass for the field with a `-`. */
function isKept(r: HttpRequest, field: string): boolean {
  return toldOf.get(r)?.passes(field) === false
}

/** First argument of that name, as sent; names compare without case. */
export function argument(args: string, name: string): string | null {
  let start = 0
  while (start <= args.length - name.length) {
    let end = args.indexOf('&', start)
    if (end === -1) end = args.length
    const value = start + name.length
    if (args.charCodeAt(value) === 61 && value < end && args.slice(start, value).toLowerCase() === name)
      return args.slice(value + 1, end)
    start = end + 1
  }
  return null
}

function cookie(r: HttpRequest, name: string): string | null {
  const { names, values, count } = r.head
  for (let i = 0; i < count; i++) {
    if (names[i] !== 'cookie') continue
    for (const pair of values[i]!.split(';')) {
      const equals = pair.indexOf('=')
      if (equals !== -1 && pair.slice(0, equals).trim().toLowerCase() === name) return pair.slice(equals + 1).trim()
    }
  }
  return null
}

function contentLength(r: HttpRequest): string | null {
  if (r.head.contentLength >= 0) return `${r.head.contentLength}`
  return r.body !== null && r.body.complete ? `${r.body.length}` : null
}

/** Unix sockets have none. */
function portText(port: number): string {
  return port === 0 ? '' : `${port}`
}

/** All fields of that name, as one list. */
function sentHeader(r: HttpRequest, name: string): string | null {
  let value: string | null = null
  for (let i = 0; i < r.outNames.length; i++) {
    if (r.outNames[i]!.length !== name.length || !isNamed(r.outNames[i]!.toLowerCase(), name)) continue
    value = value === null ? r.outValues[i]! : `${value}, ${r.outValues[i]!}`
  }
  return value
}

function keepAliveField(r: HttpRequest): string | null {
  return r.keepAlive ? (/^Keep-Alive: (.*)\r$/m.exec(r.location.keepaliveHeader)?.[1] ?? null) : null
}

// Random bytes are drawn for many identifiers at once.
const random = Buffer.alloc(4096)
let randomAt = random.length
const requestIds = new Slot<string>('subrequests')

/** 32 hexadecimal digits, the same ones for all of a request. */
function requestId(r: HttpRequest): string {
  const known = requestIds.get(r)
  if (known !== null) return known
  if (randomAt === random.length) {
    randomFillSync(random)
    randomAt = 0
  }
  const id = random.toString('hex', randomAt, randomAt + 16)
  randomAt += 16
  requestIds.set(r, id)
  return id
}

/** The document root with symbolic links resolved; null if there is no such folder. */
function realRoot(r: HttpRequest): string | null {
  try {
    return realpathSync(Buffer.from(r.location.root.get(r), 'latin1'), 'latin1')
  } catch {
    return null
  }
}

function tcpNumber(r: HttpRequest, place: number): string | null {
  const number = tcpInfo(r.stream.descriptor, place)
  return number === null ? null : `${number}`
}

/** Milliseconds as seconds with three digits behind the point. */
function seconds(ms: number): string {
  return `${Math.floor(ms / 1000)}.${String(ms % 1000).padStart(3, '0')}`
}
