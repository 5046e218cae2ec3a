// A request as CGI variables (RFC 3875, 4.1; PEP 3333): names and values in turn, as the bridge sends them. Only what differs
// by request; the worker adds the rest. Text that grows costs less than half of a list that is joined, so the list is only made
// for what needs to be looked at again: fields that come more than once, or under names that only some peers may use.

import type { ProxyProtocol } from '../../codec/proxy-protocol.ts'
import { UwsgiPeer } from '../../codec/uwsgi.ts'
import { bodyLength } from './body.ts'
import { pathBelow, schemeOf, type Told, toldOf } from './trust.ts'
import { codingsBefore, rawTarget } from './raw-uri.ts'
import { type SetHeader, setVariables } from './set-header.ts'
import type { HttpRequest } from '../request.ts'

/** Names outside the table of well-known ones are a client's to invent: so many are remembered, no more. */
const NAMES_MAX = 2000
/** Never becomes a variable: HTTP_PROXY steers many HTTP clients ("httpoxy"); the other two have names of their own. */
const SKIPPED = ''
const variables = new Map<string, string>([
  ['proxy', SKIPPED],
  ['content-type', SKIPPED],
  ['content-length', SKIPPED],
  // The body is whole when the worker gets it: how it was framed is nobody's business any more.
  ['transfer-encoding', SKIPPED],
])

/** Of a stream of HTTP/2 (RFC 7540, 5.3), as Gunicorn calls them. */
const PRIORITY_WEIGHT = 'gunicorn.http2.priority_weight'
const PRIORITY_DEPENDS_ON = 'gunicorn.http2.priority_depends_on'

/** 'user-agent' → 'HTTP_USER_AGENT'; '' for what is not passed on. */
function variableOf(name: string): string {
  let variable = variables.get(name)
  if (variable === undefined) {
    // `a_b` and `a-b` would be one variable: the spelling that a proxy before us does not check is refused.
    variable = name.includes('_') ? SKIPPED : `HTTP_${name.toUpperCase().replaceAll('-', '_')}`
    if (variables.size < NAMES_MAX) variables.set(name, variable)
  }
  return variable
}

/** The same with what stands around it in the text. */
const prefixes = new Map<string, string>()

function prefixOf(name: string): string {
  let prefix = prefixes.get(name)
  if (prefix === undefined) {
    const variable = variableOf(name)
    prefix = variable === SKIPPED ? SKIPPED : `\0${variable}\0`
    if (prefixes.size < NAMES_MAX) prefixes.set(name, prefix)
  }
  return prefix
}

/** Names and values with NULs between, and how many pairs that is. The next call's answer is the same object. */
export interface Environ {
  text: string
  pairs: number
}

const environ: Environ = { text: '', pairs: 0 }

/**
 * PATH_INFO comes last: it may hold a NUL.
 * @param mount where the application is, unless a proxy says otherwise
 * @param method where it is not the client's
 */
export function environOf(r: HttpRequest, headers: readonly SetHeader[], mount: string, method = r.method): Environ {
  const { head, body } = r
  const { names, values, count } = head
  const told = toldOf.get(r)
  if (headers.length > 0 || (told !== null && r.stream.proxyProtocol !== null)) return listed(r, headers, mount, method)
  const scriptName = told === null ? mount : told.mount(mount)
  let text =
    `REQUEST_METHOD\0${method}\0SCRIPT_NAME\0${scriptName}\0QUERY_STRING\0${r.args}\0RAW_URI\0${rawTarget(r)}` +
    `\0SERVER_PROTOCOL\0${protocolOf(r)}\0SERVER_NAME\0${serverName(r)}` +
    `\0SERVER_PORT\0${portText(r, told)}\0REMOTE_ADDR\0${remoteAddress(r, told)}` +
    `\0wsgi.url_scheme\0${schemeOf(r, told)}`
  let pairs = 10
  if (hasPort(r, told)) {
    text += `\0REMOTE_PORT\0${r.clientPort}`
    pairs++
  }
  const priority = r.version === 20 ? r.stream.priority : null
  if (priority) {
    text += `\0${PRIORITY_WEIGHT}\0${priority.weight}\0${PRIORITY_DEPENDS_ON}\0${priority.dependsOn}`
    pairs += 2
  }
  const length = body === null ? head.contentLength : bodyLength(body)
  if (length === 0 || (length > 0 && body !== null)) {
    text += `\0CONTENT_LENGTH\0${length}`
    pairs++
  }
  if (head.contentTypeIndex >= 0) {
    text += `\0CONTENT_TYPE\0${values[head.contentTypeIndex]!}`
    pairs++
  }
  for (let i = 0; i < count; i++) {
    const name = names[i]!
    const prefix = prefixOf(name)
    if (prefix === SKIPPED) {
      if (i === head.transferEncodingIndex && codingsBefore(values[i]!) !== '') return listed(r, headers, mount, method)
      if (told !== null && name.includes('_') && told.passes(name)) return listed(r, headers, mount, method)
      continue
    }
    if (repeats(names, i)) return listed(r, headers, mount, method)
    text += prefix + values[i]!
    pairs++
  }
  environ.text = `${text}\0PATH_INFO\0${scriptName === '' ? r.uri : (pathBelow(r.uri, scriptName) ?? r.uri)}`
  environ.pairs = pairs
  return environ
}

function addCodings(environ: string[], coding: string): void {
  const before = codingsBefore(coding)
  if (before !== '') environ.push('HTTP_TRANSFER_ENCODING', before)
}

/** As the client wrote it; HTTP/0.9's do not. */
function protocolOf({ head }: HttpRequest): string {
  return head.protocol || 'HTTP/0.9'
}

/** Never empty (PEP 3333); a Unix socket has no name of its own. */
function serverName(r: HttpRequest): string {
  if (r.host !== '') return r.host
  return r.server.name || r.stream.localAddress || 'localhost'
}

/** For Gunicorn's users a client on a Unix socket has none. */
function remoteAddress(r: HttpRequest, told: Told | null): string {
  return told !== null && r.clientAddress === 'unix:' ? '' : r.clientAddress
}

/** Nor a port. */
function hasPort(r: HttpRequest, told: Told | null): boolean {
  return told === null || r.clientAddress !== 'unix:'
}

function listed(r: HttpRequest, headers: readonly SetHeader[], mount: string, method: string): Environ {
  const list = environList(r, mount, method)
  setVariables(list, headers, r)
  environ.text = list.join('\0')
  environ.pairs = list.length >>> 1
  return environ
}

function environList(r: HttpRequest, mount: string, method: string): string[] {
  const { head } = r
  const { names, values, count } = head
  const told = toldOf.get(r)
  const scriptName = told === null ? mount : told.mount(mount)
  const { proxyProtocol } = r.stream
  const environ = [
    'REQUEST_METHOD',
    method,
    'SCRIPT_NAME',
    scriptName,
    'QUERY_STRING',
    r.args,
    'RAW_URI',
    rawTarget(r),
    'SERVER_PROTOCOL',
    proxyProtocol instanceof UwsgiPeer ? proxyProtocol.protocol : protocolOf(r),
    'SERVER_NAME',
    serverName(r),
    'SERVER_PORT',
    portText(r, told),
    'REMOTE_ADDR',
    remoteAddress(r, told),
    'wsgi.url_scheme',
    schemeOf(r, told),
  ]
  if (hasPort(r, told)) environ.push('REMOTE_PORT', `${r.clientPort}`)
  if (told !== null && proxyProtocol !== null && !(proxyProtocol instanceof UwsgiPeer))
    addProxyProtocol(environ, proxyProtocol)
  const priority = r.version === 20 ? r.stream.priority : null
  if (priority) environ.push(PRIORITY_WEIGHT, `${priority.weight}`, PRIORITY_DEPENDS_ON, `${priority.dependsOn}`)
  const { body } = r
  if (body !== null && bodyLength(body) >= 0) environ.push('CONTENT_LENGTH', `${bodyLength(body)}`)
  else if (head.contentLength === 0) environ.push('CONTENT_LENGTH', '0')
  if (head.contentTypeIndex >= 0) environ.push('CONTENT_TYPE', values[head.contentTypeIndex]!)
  let merged = false
  for (let i = 0; i < count; i++) {
    let variable = variableOf(names[i]!)
    if (variable === SKIPPED) {
      if (i === head.transferEncodingIndex) addCodings(environ, values[i]!)
      if (told === null || !names[i]!.includes('_') || !told.passes(names[i]!)) continue
      variable = `HTTP_${names[i]!.toUpperCase().replaceAll('-', '_')}`
      merged = true // two names may be one variable from here on
    }
    const earlier = merged || repeats(names, i) ? placeOf(variable, environ) : -1
    if (earlier < 0) environ.push(variable, values[i]!)
    else environ[earlier + 1] += (variable === 'HTTP_COOKIE' ? '; ' : ',') + values[i]!
  }
  environ.push('PATH_INFO', scriptName === '' ? r.uri : (pathBelow(r.uri, scriptName) ?? r.uri))
  return environ
}

/** Among the names: a client's values may read like one. */
function placeOf(variable: string, environ: readonly string[]): number {
  let i = environ.length - 2
  while (i >= 0 && environ[i] !== variable) i -= 2
  return i
}

function addProxyProtocol(environ: string[], header: ProxyProtocol): void {
  environ.push('PROXY_PROTOCOL', header.source.includes(':') ? 'TCP6' : 'TCP4')
  environ.push('PROXY_ADDR', header.destination, 'PROXY_PORT', `${header.destinationPort}`)
}

/** Has the i-th name stood before? Well-known names are the same string object, so this mostly compares pointers. */
function repeats(names: readonly string[], i: number): boolean {
  const name = names[i]!
  for (let k = 0; k < i; k++) if (names[k] === name) return true
  return false
}

/** The port the client asked for, if its Host field names one, else the one it came to; a Unix socket has none, but its scheme. */
function portText(r: HttpRequest, told: Told | null): string {
  const port = r.head.port > 0 ? r.head.port : r.stream.localPort
  return port > 0 ? `${port}` : schemeOf(r, told) === 'https' ? '443' : '80'
}
