// grpc_pass: requests are asked of a gRPC server, over HTTP/2 and in both directions at once (ngx_http_grpc_module). Nothing
// is collected on the way: a call may stream for hours, and its status comes in the trailers.

import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { list } from '../../config/values.ts'
import type { Group } from '../../upstream/group.ts'
import { httpModule } from '../module.ts'
import type { LocationBuilder, Value, Variable } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import type { Exchange } from '../upstream/exchange.ts'
import { fieldValue, targetText } from '../field-value.ts'
import { ACCEL_FIELDS, askGateway, compileGateway, gatewayExplained, passDirective } from '../upstream/gateway.ts'
import type { Gateway, GatewayConf } from '../upstream/gateway.ts'
import { CONNECTION_FIELDS, HeaderBlock, http2, readerOf } from '../upstream/h2/protocol.ts'
import type { UpstreamProtocol } from '../upstream/protocol.ts'
import { requestUri } from '../upstream/request-uri.ts'
import { namesServer, tellPassed } from '../upstream/passed.ts'
import type { Passed } from '../upstream/passed.ts'
import { passFields } from '../upstream/response-fields.ts'
import { upstreamDirectives } from '../upstream/settings.ts'
import { tlsDirectives } from '../upstream/tls.ts'

const anywhere = HTTP | SERVER | LOCATION

interface FieldText {
  readonly name: string
  readonly template: Template
}

const common = upstreamDirectives('grpc')

const directives = {
  ...tlsDirectives('grpc'),
  grpc_pass: passDirective(),
  grpc_set_header: list(anywhere, [2, 2], ([name, value], at): FieldText => {
    return { name: name!, template: Template.parse(value!, at) }
  }),
  grpc_bind: common.grpc_bind,
  grpc_socket_keepalive: common.grpc_socket_keepalive,
  grpc_socket_rcvbuf: common.grpc_socket_rcvbuf,
  grpc_socket_sndbuf: common.grpc_socket_sndbuf,
  grpc_connect_timeout: common.grpc_connect_timeout,
  grpc_send_timeout: common.grpc_send_timeout,
  grpc_read_timeout: common.grpc_read_timeout,
  grpc_intercept_errors: common.grpc_intercept_errors,
  grpc_buffer_size: common.grpc_buffer_size,
  grpc_next_upstream: common.grpc_next_upstream,
  grpc_next_upstream_tries: common.grpc_next_upstream_tries,
  grpc_next_upstream_timeout: common.grpc_next_upstream_timeout,
  grpc_pass_header: common.grpc_pass_header,
  grpc_hide_header: common.grpc_hide_header,
  grpc_ignore_headers: common.grpc_ignore_headers,
}

const gateway: Gateway = {
  prefix: 'grpc',
  scheme: 'grpc://',
  tlsScheme: 'grpcs://',
  encode: () => '',
  hidden: ['date', 'server', ...ACCEL_FIELDS],
  anyLength: true,
  protocols: ['h2'],
}

/** What no directive can change. */
function fixed(bufferSize: number): Readonly<Record<string, unknown>> {
  return {
    grpc_buffering: false,
    grpc_buffers: { number: 8, size: bufferSize },
    grpc_request_buffering: false,
    grpc_max_temp_file_size: 0,
    grpc_pass_trailers: true,
  }
}

interface GrpcConf extends GatewayConf {
  /** What is sent unless its value is empty; names in lower case. */
  readonly fields: readonly { readonly name: string; readonly value: Value }[]
  /** Null: the upstream's own name. */
  readonly host: Value | null
  /** Is the length the client's, no directive's? */
  readonly lengthIsClients: boolean
  /** The client's fields that do not go on. */
  readonly own: ReadonlySet<string>
}

/** Does the client take trailers? Then so do we: a gRPC server wants to hear it. */
const internalTrailers: Variable = {
  get: r => (/trailers/i.test(r.header('te') ?? '') ? 'trailers' : null),
}

export const grpc = httpModule({
  name: 'grpc',
  directives,
  variables: { grpc_internal_trailers: internalTrailers },
  compile(conf, at, http) {
    if (at.kind !== 'location' || conf.grpc_pass === null) return
    const location = compileGateway(gateway, conf.grpc_pass, [], { ...conf, ...fixed(conf.grpc_buffer_size) }, at, http)
    const compiled: GrpcConf = { ...location, ...compileFields(conf.grpc_set_header, at) }
    if (compiled.group !== null) tellPassed(at.scope, passedBy(compiled, conf.grpc_ssl_name?.text ?? ''))
    at.content(grpcPass, compiled, gatewayExplained)
  },
})

/** For health checks. */
function passedBy(conf: GrpcConf, tlsNameText: string): Passed {
  const { settings, tls, tlsHost, tlsName } = conf
  const group = conf.group!
  return {
    group,
    tls: tlsHost === '' || tls === null ? null : { settings: tls, name: tlsName?.constant ?? tlsHost },
    tlsNamesServer: namesServer(tlsNameText),
    host: conf.host?.constant || authorityOf(group),
    fields: conf.fields.flatMap(({ name, value }) => (value.constant ? [[name, value.constant] as const] : [])),
    http2: true,
    connectTimeout: settings.connectTimeout,
    readTimeout: settings.readTimeout,
  }
}

/** Sent unless grpc_set_header says otherwise, here or further out. */
const DEFAULTS: readonly FieldText[] = [
  { name: 'content-length', template: Template.builtIn('$content_length') },
  { name: 'te', template: Template.builtIn('$grpc_internal_trailers') },
]

const OWN = ['content-length', 'te', 'expect', ...CONNECTION_FIELDS]

function compileFields(
  set: readonly FieldText[],
  at: LocationBuilder,
): Pick<GrpcConf, 'fields' | 'host' | 'lengthIsClients' | 'own'> {
  const own = new Set(OWN)
  const fields: { name: string; value: Value }[] = []
  let host: Value | null = null
  const missing = DEFAULTS.filter(({ name }) => !set.some(field => field.name.toLowerCase() === name))
  for (const { name, template } of [...set, ...missing]) {
    const lower = name.toLowerCase()
    const value = at.value(template)
    own.add(lower)
    if (lower === 'host') host = value
    else if (!CONNECTION_FIELDS.has(lower) && value.constant !== '') fields.push({ name: lower, value })
  }
  return { fields, host, lengthIsClients: missing.some(({ name }) => name === 'content-length'), own }
}

const secure: UpstreamProtocol = { ...http2, scheme: 'grpcs://', requestHead, passHead }
const protocol: UpstreamProtocol = { ...secure, scheme: 'grpc://', overTls: secure }

function grpcPass(r: HttpRequest, conf: GrpcConf): number {
  return askGateway(r, protocol, conf)
}

const block = new HeaderBlock()

function requestHead(x: Exchange): string {
  const { r } = x
  const conf = x.conf as GrpcConf
  block.begin()
  block.add(':method', x.method)
  block.add(':scheme', x.tls === null ? 'http' : 'https')
  block.add(':path', targetText(requestUri(r, '', false, '')))
  const host = conf.host === null ? '' : fieldValue(conf.host.get(r))
  block.add(':authority', host === '' ? authorityOf(x.group) : host)
  // What an HTTP/2 client has not told is not made up: that all of its stream has come by now is chance.
  const untold = conf.lengthIsClients && r.version >= 20 && r.header('content-length') === null
  for (let i = 0; i < conf.fields.length; i++) {
    const { name, value } = conf.fields[i]!
    if (untold && name === 'content-length') continue
    const text = fieldValue(value.get(r))
    if (text !== '') block.add(name, text)
  }
  const { head } = r
  for (let i = 0; i < head.count; i++) {
    if (!conf.own.has(head.names[i]!)) block.add(head.names[i]!, head.values[i]!)
  }
  return block.end()
}

function authorityOf({ name }: Group): string {
  return name.startsWith('unix:') ? 'localhost' : name
}

function passHead(x: Exchange): void {
  const { response } = readerOf(x)
  if (response.ends && x.contentLength < 0) {
    x.contentLength = 0
    x.chunked = false
  }
  passFields(x, response, (x.conf as GrpcConf).fieldActions)
}
