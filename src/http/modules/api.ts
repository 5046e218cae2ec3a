// `api`: what there is to know of connections and groups of servers, as JSON, and with `write=on` groups changed while
// running (ngx_http_api_module of NGINX Plus, as documented; of its tree, what concerns upstreams).

import { LOCATION, type Directive } from '../../config/directive.ts'
import { NGINX_VERSION, PRODUCT } from '../../lib/product.ts'
import {
  acceptedConnections,
  activeConnections,
  COUNTS_BYTES,
  COUNTS_KEY,
  inState,
  requestsBegun,
  useConnectionCounts,
  WAITING,
  READING,
  WRITING,
} from '../../zone/connection-counts.ts'
import { httpModule } from '../module.ts'
import { respond } from '../output.ts'
import type { HttpRequest } from '../request.ts'
import { readRequestBody } from '../request-body.ts'
import { RegistryKey } from '../setup.ts'
import type { Registry } from '../setup.ts'
import { addServer, alterServer, ApiError, removeServer } from '../upstream/api-changes.ts'
import { groupView, resetStatistics, serverViewById, serverViews } from '../upstream/api-views.ts'
import { GROUPS } from '../upstream/groups.ts'
import { ZONE_GROUPS } from '../upstream/zone-group.ts'
import type { ZoneGroup } from '../upstream/zone-group.ts'
import type { Group } from '../../upstream/group.ts'

interface ApiDeclaration {
  readonly write: boolean
}

const directives = {
  api: {
    in: LOCATION,
    args: [0, 1],
    default: null,
    inheritedBy: 0,
    parse([word], at) {
      if (word === undefined || word === 'write=off') return { write: false }
      return word === 'write=on' ? { write: true } : at.fail(`invalid parameter "${word}"`)
    },
  } satisfies Directive<ApiDeclaration | null>,
}

interface Api {
  readonly write: boolean
  /** The location's own part of paths. */
  readonly prefix: string
  readonly zones: Registry<ZoneGroup>
  readonly groups: Registry<Group>
}

/** So that memory is asked for once. */
const COUNTED = new RegistryKey<true>('api')

export const api = httpModule({
  name: 'api',
  directives,
  compile(conf, at, http) {
    if (conf.api === null) return
    if (http.registry(COUNTED).get('') === null) {
      http.registry(COUNTED).set('', true)
      http.sharedMemory(COUNTS_KEY, COUNTS_BYTES)
      http.onStart(services => useConnectionCounts(services.shared(COUNTS_KEY)))
    }
    const prefix = at.modifier.startsWith('~') ? '/' : at.name
    at.content(answer, {
      write: conf.api.write,
      prefix,
      zones: http.registry(ZONE_GROUPS),
      groups: http.registry(GROUPS),
    } satisfies Api)
  },
})

const VERSIONS = [1, 2, 3, 4, 5, 6, 7, 8, 9]
const started = new Date().toISOString()

function answer(r: HttpRequest, conf: Api): number {
  const { method } = r
  if (method === 'GET' || method === 'HEAD') return run(r, conf, '')
  return readRequestBody(r, () => {
    if (r.body !== null && r.body.path !== '')
      refuse(r, new ApiError(413, 'request body is too large', 'EntityTooLarge'))
    else run(r, conf, r.body === null ? '' : r.body.bytes().toString('latin1'))
  })
}

function run(r: HttpRequest, conf: Api, body: string): number {
  try {
    const parts = r.uri
      .slice(conf.prefix.length)
      .split('/')
      .filter(part => part !== '')
    const { status, view } = route(r, conf, parts, body)
    return respond(r, status, 'application/json', view === undefined ? '' : json(view))
  } catch (error) {
    if (error instanceof ApiError) return refuse(r, error)
    throw error
  }
}

function json(view: unknown): Buffer {
  return Buffer.from(JSON.stringify(view), 'latin1')
}

function refuse(r: HttpRequest, { status, message, code }: ApiError): number {
  const view = {
    error: { status, text: message, code },
    request_id: requestId(r),
    href: 'https://nginx.org/en/docs/http/ngx_http_api_module.html',
  }
  return respond(r, status, 'application/json', json(view))
}

function requestId(r: HttpRequest): string {
  return `${process.pid.toString(16)}-${r.stream.connectionNumber.toString(16)}-${Date.now().toString(16)}`
}

interface Reply {
  readonly status: number
  readonly view?: unknown
}

const ok = (view: unknown): Reply => ({ status: 200, view })

function route(r: HttpRequest, conf: Api, parts: readonly string[], body: string): Reply {
  if (parts.length === 0) return reading(r, () => ok(VERSIONS))
  if (!VERSIONS.includes(Number(parts[0]))) throw new ApiError(404, 'unknown version', 'UnknownVersion')
  const [, first, second, third, ...rest] = parts
  if (first === undefined) return reading(r, () => ok(['nginx', 'connections', 'http']))
  if (first === 'nginx' && parts.length === 2) return reading(r, () => ok(programView(r)))
  if (first === 'connections' && parts.length === 2) return reading(r, () => ok(connectionsView()))
  if (first !== 'http') throw new ApiError(404, 'path not found', 'PathNotFound')
  if (second === undefined) return reading(r, () => ok(['requests', 'upstreams']))
  if (second === 'requests' && third === undefined) return reading(r, () => ok(requestsView()))
  if (second !== 'upstreams') throw new ApiError(404, 'path not found', 'PathNotFound')
  if (third === undefined) return reading(r, () => ok(allGroups(conf)))
  return routeGroup(r, conf, groupNamed(conf, third), rest, body)
}

function reading(r: HttpRequest, view: () => Reply): Reply {
  if (r.method === 'GET' || r.method === 'HEAD') return view()
  throw new ApiError(405, `method ${r.method} is not allowed`, 'MethodNotAllowed')
}

function groupNamed(conf: Api, name: string): ZoneGroup {
  const zone = conf.zones.get(name)
  if (zone !== null) return zone
  if (conf.groups.get(name.toLowerCase()) !== null) throw new ApiError(400, 'upstream is static', 'UpstreamStatic')
  throw new ApiError(404, 'upstream not found', 'UpstreamNotFound')
}

function routeGroup(r: HttpRequest, conf: Api, zone: ZoneGroup, rest: readonly string[], body: string): Reply {
  const [servers, idText] = rest
  if (servers === undefined) {
    if (r.method !== 'DELETE') return reading(r, () => ok(groupView(zone)))
    mayWrite(r, conf)
    resetStatistics(zone)
    return { status: 204 }
  }
  if (servers !== 'servers' || rest.length > 2) throw new ApiError(404, 'path not found', 'PathNotFound')
  if (idText === undefined) {
    if (r.method !== 'POST') return reading(r, () => ok(serverViews(zone)))
    mayWrite(r, conf)
    const view = addServer(zone, body, r)
    r.addHeader('Location', `${r.uri.replace(/\/+$/, '')}/${String(view['id'])}`)
    return { status: 201, view }
  }
  if (!/^\d{1,9}$/.test(idText)) throw new ApiError(400, 'invalid server ID', 'UpstreamBadServerId')
  const id = Number(idText)
  if (r.method === 'PATCH' || r.method === 'DELETE') {
    mayWrite(r, conf)
    return ok(r.method === 'PATCH' ? alterServer(zone, id, body, r) : removeServer(zone, id, r))
  }
  return reading(r, () => {
    const view = serverViewById(id, zone)
    if (view === null) throw new ApiError(404, `server with ID "${id}" does not exist`, 'UpstreamServerNotFound')
    return ok(view)
  })
}

function mayWrite(r: HttpRequest, conf: Api): void {
  if (!conf.write) throw new ApiError(405, `method ${r.method} is disabled`, 'MethodDisabled')
  if (isForeign(r)) throw new ApiError(403, 'a page of another site may not write', 'ForeignOrigin')
}

/** Any page can make its reader's browser POST to where the reader's address may write. Browsers tell; programs have no origin. */
function isForeign(r: HttpRequest): boolean {
  const site = r.header('sec-fetch-site')
  if (site !== null) return site !== 'same-origin' && site !== 'none'
  const origin = r.header('origin')
  return origin !== null && origin.replace(/^https?:\/\//, '').toLowerCase() !== r.header('host')?.toLowerCase()
}

function allGroups({ zones }: Api): Record<string, unknown> {
  const view: Record<string, unknown> = {}
  for (const zone of zones.values()) view[zone.group.name] = groupView(zone)
  return view
}

function programView(r: HttpRequest): unknown {
  return {
    version: NGINX_VERSION,
    build: PRODUCT,
    address: r.stream.localAddress,
    load_timestamp: started,
    timestamp: new Date().toISOString(),
    pid: process.pid,
    ppid: process.ppid,
  }
}

function connectionsView(): unknown {
  return { accepted: acceptedConnections(), dropped: 0, active: activeConnections(), idle: inState(WAITING) }
}

function requestsView(): unknown {
  return { total: requestsBegun(), current: inState(READING) + inState(WRITING) }
}
