// A request as an upstream gets it over HTTP/2 (proxy_http_version 2, ngx_http_proxy_v2_module), and its answer.

import type { Exchange } from '../../upstream/exchange.ts'
import { fieldValue } from '../../field-value.ts'
import { CONNECTION_FIELDS, HeaderBlock, http2, readerOf } from '../../upstream/h2/protocol.ts'
import type { UpstreamProtocol } from '../../upstream/protocol.ts'
import { passFields } from '../../upstream/response-fields.ts'
import type { ProxyConf } from './conf.ts'
import { fieldsFor, lengthTold } from './request.ts'
import { targetOf } from './target.ts'

export const proxyHttp2: UpstreamProtocol = { ...http2, requestHead, passHead }
export const proxyHttps2: UpstreamProtocol = { ...proxyHttp2, scheme: 'https://' }

const block = new HeaderBlock()

function requestHead(x: Exchange): string {
  const { r } = x
  const conf = x.conf as ProxyConf
  const setBody = conf.setBody === null ? '' : conf.setBody.get(r)
  if (setBody !== '') x.ownBody = Buffer.from(setBody, 'latin1')
  const host = conf.host === null ? '' : fieldValue(conf.host.get(r))
  const length = lengthTold(x, conf, setBody)
  // The values first: variables may come from elsewhere that makes a block of its own.
  const { fieldList, ownNames } = fieldsFor(x, conf)
  const values = fieldList.map(({ value }) => fieldValue(value.get(r)))
  block.begin()
  block.add(':method', x.method)
  block.add(':scheme', x.tls === null ? 'http' : 'https')
  block.add(':path', x.uri)
  block.add(':authority', host === '' ? targetOf(r)!.hostHeader : host)
  for (let i = 0; i < values.length; i++) if (values[i] !== '') block.add(fieldList[i]!.name, values[i]!)
  if (length >= 0) block.add('content-length', String(length))
  if (conf.settings.passRequestHeaders) addClientFields(x, ownNames)
  return block.end()
}

function addClientFields(x: Exchange, own: ReadonlySet<string>): void {
  const { head } = x.r
  for (let i = 0; i < head.count; i++) {
    const name = head.names[i]!
    if (!own.has(name) && !CONNECTION_FIELDS.has(name)) block.add(name, head.values[i]!)
  }
}

function passHead(x: Exchange): void {
  const conf = x.conf as ProxyConf
  passFields(x, readerOf(x).response, conf.fieldActions, conf.rewriting)
}
