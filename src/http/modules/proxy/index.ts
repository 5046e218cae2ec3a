// proxy_pass: a request is asked of another HTTP server and its answer passed on (ngx_http_proxy_module). The exchange
// itself is http/upstream's; here is what makes it HTTP: where to, what is said (request.ts), what is heard (response.ts).

import { ERR } from '../../../log/error-log.ts'
import type { UpstreamUrl } from '../../../upstream/address.ts'
import type { Group } from '../../../upstream/group.ts'
import { DONE, httpModule } from '../../module.ts'
import type { HttpRequest } from '../../request.ts'
import { readRequestBody } from '../../request-body.ts'
import { Exchange, upstreamSlot } from '../../upstream/exchange.ts'
import { describeCache } from '../../cache/described.ts'
import { describeGroup } from '../../upstream/described.ts'
import { targetText } from '../../field-value.ts'
import { groupAtRunTime, withResolved } from '../../upstream/groups.ts'
import { http1 } from '../../upstream/h1.ts'
import type { UpstreamProtocol } from '../../upstream/protocol.ts'
import { requestUri } from '../../upstream/request-uri.ts'
import { peerTlsFor } from '../../upstream/tls.ts'
import { streamBody } from '../../upstream/streamed-body.ts'
import { requestTrailers } from '../../upstream/trailers.ts'
import { compileProxy } from './conf.ts'
import type { ProxyConf } from './conf.ts'
import { proxyDirectives } from './directives.ts'
import { requestHead } from './request.ts'
import { passHead } from './response.ts'
import { proxyHttp2, proxyHttps2 } from './http2.ts'
import { makeTarget, parsePass, schemeOf, setTarget } from './target.ts'
import type { Target } from './target.ts'
import { proxyVariables } from './variables.ts'

export const proxy = httpModule({
  name: 'proxy',
  directives: proxyDirectives,
  variables: proxyVariables,
  compile(conf, at, http) {
    if (at.kind === 'location' && conf.proxy_pass !== null) {
      at.content(proxyPass, compileProxy(conf, at, http), { describe: describePass })
    }
  },
})

const proxyHttp: UpstreamProtocol = { ...http1, requestHead, passHead, bodyEnd }
const proxyHttps: UpstreamProtocol = { ...proxyHttp, scheme: 'https://' }
const toNamed: UpstreamProtocol = { ...proxyHttp, namesPeer: true }
const toNamedTls: UpstreamProtocol = { ...proxyHttps, namesPeer: true }

function protocolOf(conf: ProxyConf, tls: boolean): UpstreamProtocol {
  if (conf.namesPeer) return tls ? toNamedTls : toNamed
  if (conf.http2) return tls ? proxyHttps2 : proxyHttp2
  return tls ? proxyHttps : proxyHttp
}

function bodyEnd(x: Exchange): string {
  const { streamed } = x
  const end = http1.bodyEnd(x)
  if (end === '' || streamed === null || streamed.trailers.length === 0 || !x.settings.passTrailers) return end
  return requestTrailers(streamed.trailers, (x.conf as ProxyConf).ownNames)
}

function proxyPass(r: HttpRequest, conf: ProxyConf): number {
  const target = conf.target ?? findTarget(r, conf)
  return typeof target === 'number' ? target : exchange(r, conf, target)
}

function exchange(r: HttpRequest, conf: ProxyConf, target: Target): number {
  setTarget(r, target)
  const x = new Exchange(r, protocolOf(conf, target.tls), conf.settings, conf, target.group)
  if (target.tls) {
    const settings = peerTlsFor(r, conf.tls!)
    if (settings === null) return 500
    x.tls = { settings, name: conf.tlsName?.constant ?? target.hostHeader }
    if (conf.tlsName?.constant === null) x.tlsName = conf.tlsName
  }
  x.method = methodFor(r, conf)
  x.uri = requestUri(r, target.uri, conf.target === null, conf.location)
  if (x.uri === '') {
    r.log(ERR, 'zero length URI to proxy')
    return 500
  }
  const { body } = r
  const passes = conf.setBody === null && conf.settings.passRequestBody
  x.sendsBody = passes && body !== null
  if (
    x.sendsBody &&
    !conf.settings.requestBuffering &&
    !body!.complete &&
    (body!.declared >= 0 || conf.http11 || conf.http2)
  ) {
    streamBody(x, bodyReady)
    return DONE
  }
  return readRequestBody(r, bodyReady)
}

/** A method that variables leave empty would make no request line: then it is the client's. */
function methodFor(r: HttpRequest, conf: ProxyConf): string {
  return (conf.method === null ? '' : targetText(conf.method.get(r))) || r.method
}

/** What would be asked of whom (`portico explain`). */
function describePass(r: HttpRequest, conf: ProxyConf): string[] {
  const sends = (uri: string): string =>
    `sends ${methodFor(r, conf)} ${requestUri(r, uri, conf.target === null, conf.location)}`
  if (conf.target !== null) return [...describeFixed(r, conf, conf.target), sends(conf.target.uri)]
  const text = conf.url!.get(r)
  const scheme = schemeOf(text)
  const url = scheme === null ? '' : parsePass(scheme.rest, scheme.tls)
  if (typeof url === 'string') return [`the address "${text}" cannot be used: 500`]
  const group = groupAtRunTime(url, conf.groups)
  const unknown = conf.resolver === null ? 'cannot be resolved without a resolver: 502' : 'is resolved for each request'
  return [...(group === null ? [`"${url.host}" ${unknown}`] : describeGroup(group)), sends(targetText(url.uri))]
}

function describeFixed(r: HttpRequest, conf: ProxyConf, target: Target): string[] {
  const { group, tls, uri } = target
  setTarget(r, target) // keys may name it
  const ownKey = `${tls ? 'https' : 'http'}://${group.name}${requestUri(r, uri, false, conf.location)}`
  return [...describeGroup(group), ...describeCache(r, conf.settings.cache, ownKey)]
}

function bodyReady(r: HttpRequest): void {
  upstreamSlot.get(r)!.connect()
}

/** Targets remembered of a location whose proxy_pass has variables. */
const TARGETS_MAX = 512

/** The target that variables make, WAIT for one that is yet to be resolved, or the status if they make none. */
function findTarget(r: HttpRequest, conf: ProxyConf): Target | number {
  const text = conf.url!.get(r)
  const known = conf.targets.get(text)
  if (known !== undefined) return known
  const scheme = schemeOf(text)
  if (scheme === null || scheme.rest === '') {
    r.log(ERR, `invalid URL prefix in "${text}"`)
    return 500
  }
  const url = parsePass(scheme.rest, scheme.tls)
  if (typeof url === 'string') {
    r.log(ERR, `${url} in upstream "${scheme.rest}"`)
    return 500
  }
  const group = groupAtRunTime(url, conf.groups)
  if (group === null) return resolveTarget(r, conf, url, scheme.tls)
  const target = targetFor(url, group, scheme.tls)
  if (conf.targets.size >= TARGETS_MAX) conf.targets.clear()
  conf.targets.set(text, target)
  return target
}

function targetFor(url: UpstreamUrl, group: Group, tls: boolean): Target {
  const uri = targetText(url.uri)
  return makeTarget(url, group, uri.startsWith('?') ? `/${uri}` : uri, tls)
}

/** Apart from findTarget(), which most requests leave without a closure. */
function resolveTarget(r: HttpRequest, conf: ProxyConf, url: UpstreamUrl, tls: boolean): number {
  return withResolved(r, url, conf.resolver, group => exchange(r, conf, targetFor(url, group, tls)))
}
