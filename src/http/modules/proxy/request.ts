// The request as the upstream gets it (ngx_http_proxy_create_request): request line, Host, what proxy_set_header says, then
// the client's own fields in their order and spelling, without those that were set or that end at this hop.

import type { Exchange } from '../../upstream/exchange.ts'
import { fieldValue } from '../../field-value.ts'
import { connectionListed, leadsPastUs } from '../../upstream/hop-by-hop.ts'
import type { HttpRequest } from '../../request.ts'
import type { Fields, ProxyConf } from './conf.ts'
import { targetOf } from './target.ts'

export function requestHead(x: Exchange): string {
  const { r } = x
  const conf = x.conf as ProxyConf
  let text = `${x.method} ${x.uri}${conf.versionLine}`
  const host = conf.host === null ? '' : fieldValue(conf.host.get(r))
  if (host !== '') text += `Host: ${host}\r\n`
  else if (conf.host === null || conf.http11) text += `Host: ${targetOf(r)!.hostHeader}\r\n`
  const { fields, fieldsAfter, ownNames } = fieldsFor(x, conf)
  for (let i = 0; i < fields.length; i++) {
    const field = fields[i]!
    let value = fieldValue(field.value.get(r))
    if (field.asksUpgrade && leadsPastUs(value)) value = ''
    text += value === '' ? field.before : `${field.before}${field.name}: ${value}\r\n`
  }
  text += fieldsAfter
  const untold = isUntold(x, conf)
  if (untold) x.sendsBody = false
  const setBody = conf.setBody === null || untold ? '' : conf.setBody.get(r)
  text += framing(x, conf, setBody)
  if (conf.settings.passRequestHeaders) text += clientFields(r, ownNames)
  return `${text}\r\n${setBody}`
}

/** The cache asks for what is good for others, too: not with the client's conditions and ranges. */
export function fieldsFor({ cache }: Exchange, conf: ProxyConf): Fields {
  return cache !== null && cache.cacheable && conf.caching !== null ? conf.caching : conf
}

/** How the body is framed: Content-Length, as long as it is, or chunks; never both. */
function framing(x: Exchange, conf: ProxyConf, setBody: string): string {
  if (x.streamed !== null && x.streamed.declared < 0) return 'Transfer-Encoding: chunked\r\n'
  const length = lengthTold(x, conf, setBody)
  return length < 0 ? '' : `Content-Length: ${length}\r\n`
}

/** Is the length not to be told? Then nothing follows either: the upstream would read a body as its next request. */
function isUntold(x: Exchange, conf: ProxyConf): boolean {
  return conf.length !== null && x.streamed === null && conf.length.get(x.r) === ''
}

/** The Content-Length we send, -1 for none. */
export function lengthTold(x: Exchange, conf: ProxyConf, setBody: string): number {
  if (isUntold(x, conf)) return -1
  if (conf.setBody !== null) return setBody.length
  const { body, head } = x.r
  if (x.streamed !== null) return x.streamed.declared
  if (!conf.settings.passRequestBody) return head.contentLength >= 0 ? 0 : -1
  if (body !== null) return body.length
  return head.contentLength === 0 ? 0 : -1
}

function clientFields(r: HttpRequest, own: ReadonlySet<string>): string {
  const { head } = r
  const listed = head.connectionIndex === -1 ? null : connectionListed(head)
  let text = ''
  for (let i = 0; i < head.count; i++) {
    const name = head.names[i]!
    if (!own.has(name) && (listed === null || !listed.has(name)))
      text += `${head.originalName(i)}: ${head.values[i]}\r\n`
  }
  return text
}
