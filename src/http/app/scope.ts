// A request as the pairs an ASGI scope is made of (docs/bridge.md): ten that every request has, then the client's fields as
// they came, then the path. The worker decodes and puts them where ASGI has them.

import { UwsgiPeer } from '../../codec/uwsgi.ts'
import { bodyLength } from './body.ts'
import { codingsBefore, rawUri } from './raw-uri.ts'
import { setFields, type SetHeader } from './set-header.ts'
import { schemeOf, toldOf } from './trust.ts'
import type { HttpRequest } from '../request.ts'

const VERSIONS: Readonly<Record<number, string>> = { 9: '1.0', 10: '1.0', 11: '1.1', 20: '2' }

/**
 * The path comes last: it may hold a NUL.
 * @param mount where the application is
 * @param method where it is not the client's
 */
export function scopeOf(r: HttpRequest, headers: readonly SetHeader[], mount: string, method = r.method): string[] {
  const { head } = r
  const { names, values, count } = head
  const told = toldOf.get(r)
  const target = rawUri(r)
  const query = target.indexOf('?')
  const scope = [
    'method',
    method,
    'raw_path',
    query < 0 ? target : target.slice(0, query),
    'query_string',
    r.args,
    'http_version',
    versionOf(r) + priorityOf(r),
    'scheme',
    schemeOf(r, told),
    'server',
    r.stream.localAddress,
    'port',
    r.stream.localAddress === '' ? '' : `${r.stream.localPort}`,
    'client',
    r.clientAddress,
    'client_port',
    r.clientAddress === 'unix:' ? '' : `${r.clientPort}`,
    'root_path',
    mount,
  ]
  // In HTTP/2 it is what `:authority` says, which ASGI wants first.
  const host = r.version === 20 ? r.header('host') : null
  if (host !== null) scope.push('host', host)
  for (let i = 0; i < count; i++) {
    const name = names[i]!
    if (host !== null && name === 'host') continue
    if (i === head.transferEncodingIndex) addCodings(scope, name, values[i]!)
    else if (!isOurs(name) || (told !== null && name.includes('_') && told.passes(name))) scope.push(name, values[i]!)
  }
  // However the body is framed, the application gets it bare.
  if (r.body !== null && bodyLength(r.body) >= 0) scope.push('content-length', `${bodyLength(r.body)}`)
  else if (head.contentLength === 0) scope.push('content-length', '0')
  scope.push('path', r.uri)
  setFields(scope, headers, r)
  return scope
}

/** Of a stream of HTTP/2: weight and dependency stand behind the version, where a client has spoken of them. */
function priorityOf({ version, stream }: HttpRequest): string {
  const priority = version === 20 ? stream.priority : null
  return priority ? ` ${priority.weight} ${priority.dependsOn}` : ''
}

function addCodings(scope: string[], name: string, coding: string): void {
  const before = codingsBefore(coding)
  if (before !== '') scope.push(name, before)
}

function versionOf(r: HttpRequest): string {
  const { proxyProtocol: peer } = r.stream
  // A front that speaks uwsgi says which version the client spoke.
  return peer instanceof UwsgiPeer
    ? peer.protocol.slice(5).replace(/^([2-9])\.0$/, '$1')
    : (VERSIONS[r.version] ?? '1.1')
}

/** As for WSGI: "httpoxy", framing, and names that frameworks would take for another field's. */
function isOurs(name: string): boolean {
  return name === 'proxy' || name === 'transfer-encoding' || name === 'content-length' || name.includes('_')
}
