// `app_pass NAME`: the location's requests go to an application of ours (app.ts). How the response is buffered on its way to
// the client is said as for a proxy.

import type { Conf } from '../../config/directive.ts'
import { HTTP, IF_IN_LOCATION, LIMIT_EXCEPT, LOCATION, SERVER } from '../../config/directive.ts'
import { bitmask, buffers, flag, list, path, size, str } from '../../config/values.ts'
import type { Buffers } from '../../config/values.ts'
import { AppBody } from '../app/body.ts'
import { CachedAppExchange } from '../app/cached-exchange.ts'
import { AppExchange } from '../app/exchange.ts'
import type { AppPass } from '../app/pass.ts'
import { parseSetHeader, setHeader, type SetHeader } from '../app/set-header.ts'
import { appVariables } from '../app/times.ts'
import { asksForWebSocket, refuseHandshake, WebSocketExchange } from '../app/websocket.ts'
import { conditionFields } from '../cache/conditions.ts'
import { cacheKey } from '../app/cache-key.ts'
import { describeCache } from '../cache/described.ts'
import { cacheSettings, type CacheSettings } from '../cache/settings.ts'
import { APPLICATIONS, type Application } from '../app/application.ts'
import { isMounted, mountOf } from '../app/trust.ts'
import { WARN } from '../../log/error-log.ts'
import { DONE, httpModule, Slot, type LocationBuilder } from '../module.ts'
import type { Explained } from '../notes.ts'
import { readRequestBody } from '../request-body.ts'
import type { HttpRequest } from '../request.ts'
import type { BufferLimits } from '../response-buffer.ts'
import type { HttpSetup } from '../setup.ts'
import { type NodePass, nodePass, passToNode } from '../app/node.ts'
import { fieldNames, IGNORABLE } from '../upstream/settings.ts'

const anywhere = HTTP | SERVER | LOCATION
const MISCONFIGURED = 500
const TEMP_FILE_MAX = 1024 * 1024 * 1024

const directives = {
  app_pass: { ...str(LOCATION | IF_IN_LOCATION | LIMIT_EXCEPT, null), inheritedBy: IF_IN_LOCATION | LIMIT_EXCEPT },
  app_accel: flag(anywhere, true),
  app_buffering: flag(anywhere, true),
  app_hide_header: fieldNames,
  app_ignore_headers: bitmask(anywhere, IGNORABLE, 0),
  app_server_timing: flag(anywhere, false),
  app_set_header: list(anywhere, [2, 2], parseSetHeader),
  app_websocket_compression: flag(anywhere, true),
  app_intercept_errors: flag(anywhere, false),
  app_request_buffering: flag(anywhere, true),
  app_script_name: str(anywhere, ''),
  app_buffers: buffers<Buffers>(anywhere, { number: 16, size: 8192 }),
  app_max_temp_file_size: size(anywhere, TEMP_FILE_MAX),
  app_temp_path: path(anywhere, null),
}

export const appPass = httpModule({
  name: 'app-pass',
  directives,
  variables: appVariables,
  compile(conf, at, http) {
    if (at.kind !== 'location' || conf.app_pass === null) return
    const app = http.registry(APPLICATIONS).get(conf.app_pass)
    if (app === null) {
      at.site('app_pass')?.fail(`app "${conf.app_pass}" is not defined`)
      throw new Error(`app "${conf.app_pass}" is not defined`)
    }
    const headers = conf.app_set_header.map(({ template, ...named }) => ({ ...named, value: at.value(template) }))
    const cache = cacheSettings('app', at, http)
    const common: AppPass = {
      app,
      accel: conf.app_accel,
      buffering: conf.app_buffering,
      cache,
      cachingHeaders: cache === null ? headers : [...headers, ...conditionsOf(headers, at)],
      headers,
      hidden: conf.app_hide_header.length === 0 ? null : new Set(conf.app_hide_header),
      ignored: conf.app_ignore_headers,
      interceptErrors: conf.app_intercept_errors,
      limits: limitsOf(conf, app, http),
      requestBuffering: conf.app_request_buffering,
      scriptName: conf.app_script_name,
      serverTiming: conf.app_server_timing,
      webSocketCompression: conf.app_websocket_compression,
    }
    if (app.group !== null) at.content(passToNode, nodePass(common), nodeExplained)
    else at.content(pass, common, explained)
  },
})

/** The cache's own in place of the client's. */
function conditionsOf(headers: readonly SetHeader[], at: LocationBuilder): SetHeader[] {
  return conditionFields(headers).map(({ name, template }) => setHeader(name, at.value(template)))
}

/** Who would be asked (`portico explain`). */
const explained: Explained<AppPass> = {
  describe(r, { app, cache, scriptName }) {
    return describeApp(r, app, cache, scriptName)
  },
}

const nodeExplained: Explained<NodePass> = {
  describe(r, { app, settings }) {
    return describeApp(r, app, settings.cache, '')
  },
}

function describeApp(r: HttpRequest, app: Application, cache: CacheSettings | null, mount: string): string[] {
  const { kind, module, directory, workers, workersMax, place } = app.settings
  const number = workersMax > workers ? `${workers} to ${workersMax}` : `${workers}`
  return [
    `app "${app.name}" (${place})`,
    `${kind}: ${module} in ${directory}, ${number} ${number === '1' ? 'worker' : 'workers'}`,
    ...describeCache(r, cache, cache === null ? '' : cacheKey(r, mount)),
  ]
}

function limitsOf(conf: Conf<typeof directives>, app: Application, http: HttpSetup): BufferLimits {
  const { number, size: each } = conf.app_buffers
  const tempPath = conf.app_temp_path ?? app.tempPath
  http.needsFolder(tempPath)
  return { memoryMax: number * each, fileMax: conf.app_max_temp_file_size, tempPath }
}

/** Where the request is to go once its body is here. */
const slot = new Slot<AppPass>()

function pass(r: HttpRequest, conf: AppPass): number {
  if (conf.app.settings.kind === 'asgi') {
    if (asksForWebSocket(r)) return openWebSocket(r, conf)
  } else if (!isMounted(r, conf.scriptName)) return refuseElsewhere(r, conf)
  slot.set(r, conf)
  const { body } = r
  if (!conf.requestBuffering && body !== null && !body.complete) {
    r.body = new AppBody(r, body.declared)
    dispatch(r)
    return DONE
  }
  return readRequestBody(r, dispatch)
}

/** As Gunicorn: SCRIPT_NAME and PATH_INFO together are the path, so there is none for this request. */
function refuseElsewhere(r: HttpRequest, { scriptName }: AppPass): number {
  r.log(WARN, `the path "${r.uri}" is not below SCRIPT_NAME "${mountOf(r, scriptName)}"`)
  return MISCONFIGURED
}

function dispatch(r: HttpRequest): void {
  const conf = slot.get(r)!
  if (conf.cache !== null) new CachedAppExchange(r, conf, conf.cache).start()
  else conf.app.dispatcher!.dispatch(new AppExchange(r, conf))
}

function openWebSocket(r: HttpRequest, conf: AppPass): number {
  const refused = refuseHandshake(r)
  if (refused !== null) return refused
  conf.app.dispatcher!.dispatch(new WebSocketExchange(r, conf))
  return DONE
}
