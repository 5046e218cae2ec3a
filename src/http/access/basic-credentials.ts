// Name and password as a request brings them along (RFC 7617; ngx_http_auth_basic_user). CONNECT asks a proxy, and brings
// what is meant for it in a field of its own (RFC 9110 section 11.7).

import type { HttpRequest } from '../request.ts'

export function isProxyRequest(r: HttpRequest): boolean {
  return r.method === 'CONNECT'
}

/** `user:password`, null if the request has none. */
export function basicCredentials(r: HttpRequest): string | null {
  const value = r.header(isProxyRequest(r) ? 'proxy-authorization' : 'authorization')
  if (value === null || value.slice(0, 6).toLowerCase() !== 'basic ') return null
  const encoded = /^ *([A-Za-z0-9+/]+)(?:=.*)?$/.exec(value.slice(6))?.[1]
  if (encoded === undefined || encoded.length % 4 === 1) return null
  const text = Buffer.from(encoded, 'base64').toString('latin1')
  return text.indexOf(':') < 1 ? null : text
}

/** null for none ($remote_user). */
export function basicUser(r: HttpRequest): string | null {
  const credentials = basicCredentials(r)
  return credentials === null ? null : credentials.slice(0, credentials.indexOf(':'))
}
