// proxy_pass: a request is asked of another HTTP server and its answer passed on (ngx_http_proxy_module). The exchange
// itself is http/upstream's; here is what makes it HTTP: where to, what is said (request.ts), what is heard (response.ts).

import { ERR } from '../../../log/error-log.ts'
import { DONE, httpModule } from '../../module.ts'
import type { HttpRequest } from '../../request.ts'
import { readRequestBody } from '../../request-body.ts'
import { Exchange, upstreamSlot } from '../../upstream/exchange.ts'
import { targetText } from '../../upstream/field-value.ts'
import { groupAtRunTime } from '../../upstream/groups.ts'
import { http1 } from '../../upstream/h1.ts'
import type { UpstreamProtocol } from '../../upstream/protocol.ts'
import { requestUri } from '../../upstream/request-uri.ts'
import { StreamedBody } from '../../upstream/streamed-body.ts'
import { compileProxy } from './conf.ts'
import type { ProxyConf } from './conf.ts'
import { proxyDirectives } from './directives.ts'
import { requestHead } from './request.ts'
import { passHead } from './response.ts'
import { makeTarget, parsePass, setTarget } from './target.ts'
import type { Target } from './target.ts'
import { proxyVariables } from './variables.ts'

export const proxy = httpModule({
  name: 'proxy',
  directives: proxyDirectives,
  variables: proxyVariables,
  compile(conf, at, http) {
    if (at.kind === 'location' && conf.proxy_pass !== null) at.content(proxyPass, compileProxy(conf, at, http))
  },
})

const proxyHttp: UpstreamProtocol = { ...http1, requestHead, passHead }

function proxyPass(r: HttpRequest, conf: ProxyConf): number {
  const target = conf.target ?? findTarget(r, conf)
  if (typeof target === 'number') return target
  setTarget(r, target)
  const x = new Exchange(r, proxyHttp, conf.settings, conf, target.group)
  if (conf.method !== null) x.method = targetText(conf.method.get(r))
  x.uri = requestUri(r, target.uri, conf.target === null, conf.location)
  if (x.uri === '') {
    r.log(ERR, 'zero length URI to proxy')
    return 500
  }
  const { body } = r
  const passes = conf.setBody === null && conf.settings.passRequestBody
  x.sendsBody = passes && body !== null
  if (x.sendsBody && !conf.settings.requestBuffering && !body!.complete && (body!.declared >= 0 || conf.http11)) {
    x.streamed = new StreamedBody(r, body!.declared)
    r.body = x.streamed
    x.connect()
    return DONE
  }
  return readRequestBody(r, bodyReady)
}

function bodyReady(r: HttpRequest): void {
  upstreamSlot.get(r)!.connect()
}

/** Targets remembered of a location whose proxy_pass has variables. */
const TARGETS_MAX = 512

/** The target that variables make, or the status if they make none. */
function findTarget(r: HttpRequest, conf: ProxyConf): Target | number {
  const text = conf.url!.get(r)
  const known = conf.targets.get(text)
  if (known !== undefined) return known
  if (text.length <= 7 || text.slice(0, 7).toLowerCase() !== 'http://') {
    r.log(ERR, `invalid URL prefix in "${text}"`)
    return 500
  }
  const url = parsePass(text.slice(7))
  if (typeof url === 'string') {
    r.log(ERR, `${url} in upstream "${text.slice(7)}"`)
    return 500
  }
  const group = groupAtRunTime(url, conf.groups)
  if (group === null) {
    r.log(ERR, `no resolver defined to resolve ${url.host}`)
    return 502
  }
  const uri = targetText(url.uri)
  const target = makeTarget(url, group, uri.startsWith('?') ? `/${uri}` : uri)
  if (conf.targets.size >= TARGETS_MAX) conf.targets.clear()
  conf.targets.set(text, target)
  return target
}
