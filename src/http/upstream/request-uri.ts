// What a proxied request asks for: the URI in its request line (ngx_http_proxy_create_request).

import { escapeUri, parseUri, Uri } from '../../codec/h1/uri.ts'
import type { HttpRequest } from '../request.ts'
import { targetText } from '../field-value.ts'
import { restWithin } from '../unsafe-uri.ts'

/** The location's part of the path replaced where proxy_pass has a URI (`passUri`), else the client's own spelling. */
export function requestUri(r: HttpRequest, passUri: string, fromVariables: boolean, location: string): string {
  if (fromVariables && passUri !== '') return passUri
  if (passUri === '' && spellingHolds(r)) return clientTarget(r)
  const replaced = r.locationMatches && passUri !== '' ? Math.min(location.length, r.uri.length) : 0
  const rest = replaced === 0 ? r.uri : restWithin(passUri, r.uri.slice(replaced))
  const path = (r.locationMatches ? passUri : '') + (r.uriIsRaw ? rest : escapeUri(rest, 'uri'))
  return r.args === '' ? path : `${path}?${targetText(r.args)}`
}

function clientTarget(r: HttpRequest): string {
  const target = r.head.hostInTarget ? r.head.path : r.unparsedUri
  // `http://host?args` (RFC 9112, 3.2.1).
  return target.startsWith('?') ? `/${target}` : target
}

/** `set $args` makes them anew. */
function argsHold(target: string, args: string): boolean {
  const at = target.indexOf('?')
  if (at === -1) return args === ''
  return target.length - at - 1 === args.length ? target.endsWith(args) : target.includes('#')
}

const parsed = new Uri()

/** Does what the client has sent still mean the request's path? An internal redirect or rewrite may have changed it. */
function spellingHolds(r: HttpRequest): boolean {
  if (!r.internal) return argsHold(r.unparsedUri, r.args)
  return parseUri(r.head.path, r.head.mergeSlashes, parsed) && parsed.uri === r.uri && parsed.args === r.args
}
