// URIs that are not what a client asked for, but what somebody else would have us look for: an upstream by X-Accel-Redirect, a page
// by an include, a WebDAV client as a destination. None of them may lead out of the folders we serve (ngx_http_parse_unsafe_uri).

import { ERR } from '../log/error-log.ts'
import type { HttpRequest } from './request.ts'

export interface TrustedUri {
  /** Decoded. */
  readonly uri: string
  readonly args: string
}

/** null: it is not safe, which has been logged. */
export function parseUnsafeUri(r: HttpRequest, text: string): TrustedUri | null {
  const cut = text.indexOf('?')
  const path = cut === -1 ? text : text.slice(0, cut)
  if (isUnsafe(path)) return refuse(r, text)
  const uri = path.includes('%') ? unescaped(path) : path
  if (isUnsafe(uri)) return refuse(r, uri)
  return { uri, args: cut === -1 ? '' : text.slice(cut + 1) }
}

function isUnsafe(uri: string): boolean {
  return uri === '' || uri.includes('\0') || /(?:^|\/)\.\.(?:\/|$)/.test(uri)
}

function refuse(r: HttpRequest, uri: string): null {
  r.log(ERR, `unsafe URI "${uri}" was detected`)
  return null
}

/** What is left of a URI behind its location's name, as it may be put behind a path that stands for that name. `location /name`
 *  has `/name../x`, too, which would lead out of a path that ends with a slash (nginx lets it). Other steps up a URI has not. */
export function restWithin(path: string, rest: string): string {
  if (!rest.startsWith('..') || !path.endsWith('/')) return rest
  return rest.length === 2 || rest[2] === '/' ? rest.slice(3) : rest
}

/** As ngx_unescape_uri: a sign that is no encoding goes, and with it a digit and what stands behind that. */
function unescaped(text: string): string {
  return text.replace(/%(?:([0-9a-f])(?:([0-9a-f])|[^]|$)|([^])|$)/gi, (_sign, first, second, other) => {
    if (second !== undefined) return String.fromCharCode(parseInt(`${first}${second}`, 16))
    return first === undefined ? (other ?? '') : ''
  })
}
