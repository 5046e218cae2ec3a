// The request as the upstream gets it (ngx_http_proxy_create_request): request line, Host, what proxy_set_header says, then
// the client's own fields in their order and spelling, without those that were set or that end at this hop.

import type { Exchange } from '../../upstream/exchange.ts'
import { fieldValue } from '../../upstream/field-value.ts'
import type { HttpRequest } from '../../request.ts'
import type { ProxyConf } from './conf.ts'
import { targetOf } from './target.ts'

export function requestHead(x: Exchange): string {
  const { r } = x
  const conf = x.conf as ProxyConf
  let text = `${x.method} ${x.uri}${conf.versionLine}`
  const host = conf.host === null ? '' : fieldValue(conf.host.get(r))
  if (host !== '') text += `Host: ${host}\r\n`
  else if (conf.host === null || conf.http11) text += `Host: ${targetOf(r)!.hostHeader}\r\n`
  for (let i = 0; i < conf.fields.length; i++) {
    const field = conf.fields[i]!
    const value = fieldValue(field.value.get(r))
    text += value === '' ? field.before : `${field.before}${field.name}: ${value}\r\n`
  }
  text += conf.fieldsAfter
  const setBody = conf.setBody === null ? '' : conf.setBody.get(r)
  text += framing(x, conf, setBody)
  if (conf.settings.passRequestHeaders) text += clientFields(r, conf.ownNames)
  return `${text}\r\n${setBody}`
}

/** How the body is framed: Content-Length, unless the configuration has its own, or chunks; never both. */
function framing(x: Exchange, conf: ProxyConf, setBody: string): string {
  if (x.streamed !== null && x.streamed.declared < 0) return 'Transfer-Encoding: chunked\r\n'
  if (conf.lengthSet) return ''
  if (conf.setBody !== null) return `Content-Length: ${setBody.length}\r\n`
  const { body, head } = x.r
  if (x.streamed !== null) return `Content-Length: ${x.streamed.declared}\r\n`
  if (!conf.settings.passRequestBody) return head.contentLength >= 0 ? 'Content-Length: 0\r\n' : ''
  if (body !== null) return `Content-Length: ${body.length}\r\n`
  return head.contentLength === 0 ? 'Content-Length: 0\r\n' : ''
}

function clientFields(r: HttpRequest, own: ReadonlySet<string>): string {
  const { head } = r
  let text = ''
  for (let i = 0; i < head.count; i++) {
    if (!own.has(head.names[i]!)) text += `${head.originalName(i)}: ${head.values[i]}\r\n`
  }
  return text
}
