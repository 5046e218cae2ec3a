// The variables every request has, and the table of all names (nginx's ngx_http_variables.c).
// A variable is a getter; what does not exist is null: empty in text, `-` in a log.

import { hostname } from 'node:os'
import { captures } from './locations.ts'
import type { Variable } from './module.ts'
import { filePath } from './document-root.ts'
import type { HttpRequest } from './request.ts'

const get = (getter: (r: HttpRequest) => string | null): Variable => ({ get: getter })

export const coreVariables: Readonly<Record<string, Variable>> = {
  args: { get: r => r.args, set: (r, value) => void (r.args = value) },
  query_string: get(r => r.args),
  is_args: get(r => (r.args === '' ? '' : '?')),
  uri: get(r => r.uri),
  document_uri: get(r => r.uri),
  request_uri: get(r => r.unparsedUri),
  request: get(r => r.head.requestLine),
  request_method: get(r => r.method),
  scheme: get(() => 'http'),
  https: get(() => ''),
  server_protocol: get(r => (r.version === 11 ? 'HTTP/1.1' : r.version === 10 ? 'HTTP/1.0' : '')),
  host: get(r => (r.host === '' ? r.server.name : r.host)),
  hostname: get(() => hostname()),
  server_name: get(r => r.server.name),
  server_addr: get(r => r.stream.localAddress),
  server_port: get(r => `${r.stream.localPort}`),
  remote_addr: get(r => r.clientAddress),
  remote_port: get(r => `${r.clientPort}`),
  binary_remote_addr: get(r => binaryAddress(r.clientAddress)),
  remote_user: get(basicUser),
  content_type: get(r => r.header('content-type')),
  content_length: get(r => contentLength(r)),
  document_root: get(r => r.location.root.get(r)),
  request_filename: get(filePath),
  nginx_version: get(() => '1.31.5'),
  pid: get(() => `${process.pid}`),
  request_completion: get(r => (r.done && r.headSent ? 'OK' : '')),
  request_body: get(r => (r.body === null || r.body.path !== '' ? null : r.body.bytes().toString('latin1'))),
  request_body_file: get(r => (r.body === null || r.body.path === '' ? null : r.body.path)),
  limit_rate: get(() => '0'),
  sent_http_content_type: get(r => (r.contentType === '' ? null : r.contentType)),
  sent_http_content_length: get(r => (r.contentLength < 0 ? null : `${r.contentLength}`)),
  sent_http_location: get(r => (r.redirect === '' ? null : r.redirect)),
  sent_http_last_modified: get(r => (r.lastModified === '' ? null : r.lastModified)),
  sent_http_connection: get(r => (r.keepAlive ? 'keep-alive' : 'close')),
  sent_http_transfer_encoding: get(r => (r.headSent && r.contentLength < 0 && r.version === 11 ? 'chunked' : null)),
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
    return get(r => r.responseHeader(name))
  },
  arg_: rest => get(r => argument(r.args, rest)),
  cookie_: rest => get(r => cookie(r, rest)),
}

/** `$1` … `$9`: groups of the last match. */
export function captureVariable(n: number): Variable {
  return get(r => captures.get(r)?.[n] ?? null)
}

function joined(r: HttpRequest, name: string, separator: string): string | null {
  const { names, values, count } = r.head
  let value: string | null = null
  for (let i = 0; i < count; i++) {
    if (names[i] === name) value = value === null ? values[i]! : value + separator + values[i]!
  }
  return value
}

/** First argument of that name, as sent; names compare without case. */
export function argument(args: string, name: string): string | null {
  let start = 0
  while (start <= args.length - name.length) {
    let end = args.indexOf('&', start)
    if (end === -1) end = args.length
    const value = start + name.length
    if (args.charCodeAt(value) === 61 && value < end && args.slice(start, value).toLowerCase() === name) return args.slice(value + 1, end)
    start = end + 1
  }
  return null
}

function cookie(r: HttpRequest, name: string): string | null {
  const { names, values, count } = r.head
  for (let i = 0; i < count; i++) {
    if (names[i] !== 'cookie') continue
    for (const pair of values[i]!.split(/[;,]/)) {
      const equals = pair.indexOf('=')
      if (equals !== -1 && pair.slice(0, equals).trim().toLowerCase() === name) return pair.slice(equals + 1).trim()
    }
  }
  return null
}

function basicUser(r: HttpRequest): string | null {
  const value = r.header('authorization')
  if (value === null || value.slice(0, 6).toLowerCase() !== 'basic ') return null
  const text = Buffer.from(value.slice(6).trim(), 'base64').toString('latin1')
  const colon = text.indexOf(':')
  return colon <= 0 ? null : text.slice(0, colon)
}

function contentLength(r: HttpRequest): string | null {
  if (r.head.contentLength >= 0) return `${r.head.contentLength}`
  return r.body !== null && r.body.complete ? `${r.body.length}` : null
}

/** Four or sixteen characters, one a byte. */
function binaryAddress(address: string): string {
  if (!address.includes(':')) return String.fromCharCode(...address.split('.').map(Number))
  const [head = '', tail] = address.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => '0')
  return [...left, ...zeros, ...right].map(group => String.fromCharCode(parseInt(group, 16) >> 8, parseInt(group, 16) & 255)).join('')
}
