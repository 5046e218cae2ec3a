// What a health check asks of servers behind fastcgi_pass, uwsgi_pass, scgi_pass and memcached_pass. There is no client, and no
// request: of the variables in parameters those have a value that say what is asked for and where, all others are empty.

import { SERVER } from '../../config/directive.ts'
import type { Scope } from '../../config/directive.ts'
import type { Template } from '../../config/template.ts'
import { escapeKey, getRequest } from '../../codec/memcached.ts'
import { coreDirectives } from '../core/core.ts'
import { documentRoot } from '../files/document-root.ts'
import type { LocationBuilder } from '../module.ts'
import type { GatewayConf, GatewayPass } from './gateway.ts'
import type { ParamText } from './params.ts'
import { namesServer, tellPassed } from './passed.ts'

/** How servers of a gateway's kind are asked how they are. */
export interface GatewayQuestion {
  /** How the answer is packed. */
  readonly answers: 'cgi' | 'fastcgi' | 'memcached'
  /** All that is sent. @param uri '' where the check names none */
  request(uri: string): string
}

export interface Asking {
  readonly pass: GatewayPass
  readonly params: readonly ParamText[]
  readonly answers: 'cgi' | 'fastcgi'
  /** fastcgi_index; absent: none. */
  readonly index?: string
  /** As it is written, of uwsgi_ssl_name; absent: there is none. */
  readonly tlsName?: string
  /** Makes a request without a body of encoded parameters. */
  readonly wrap: (pairs: string) => string
}

/** For health checks. Nothing is told of an address that has variables. */
export function tellGateway(at: LocationBuilder, conf: GatewayConf, asking: Asking): void {
  const { pass, params, answers, index = '', tlsName = '', wrap } = asking
  const { scope } = at
  const { encode } = conf.gateway
  const root = documentRoot(scope, pass.site.prefixPath(''))
  const texts = params.some(({ name }) => name.toUpperCase() === 'HTTP_HOST') ? params : [...params, HOST]
  const request = (uri: string): string => {
    const known = variablesFor(uri === '' ? '/' : uri, index, serverNameOf(scope))
    known.set('document_root', valueOf(root.template, known)).set('realpath_root', known.get('document_root')!)
    known.set('request_filename', `${known.get('document_root')}${known.get('uri')}`)
    let pairs = ''
    for (const { name, template, ifNotEmpty } of texts) {
      const value = valueOf(template, known)
      if (value !== '' || !ifNotEmpty) pairs += encode(name, value)
    }
    return wrap(pairs)
  }
  tell(scope, conf, tlsName, { answers, request })
}

/** The name a server without one is asked for has to do. */
const HOST: ParamText = {
  name: 'HTTP_HOST',
  template: { parts: [{ variable: 'host' }] } as unknown as Template,
  ifNotEmpty: true,
}

/** memcached has no requests but for keys: where the check names none, it is asked what it is. */
export function tellMemcached(at: LocationBuilder, conf: GatewayConf): void {
  const request = (uri: string): string => (uri === '' ? 'version\r\n' : getRequest(escapeKey(uri)))
  tell(at.scope, conf, '', { answers: 'memcached', request })
}

function tell(scope: Scope, conf: GatewayConf, tlsNameText: string, question: GatewayQuestion): void {
  const { group, settings, tls, tlsHost, tlsName } = conf
  if (group === null) return
  tellPassed(scope, {
    group,
    tls: tlsHost === '' || tls === null ? null : { settings: tls, name: tlsName?.constant ?? tlsHost },
    tlsNamesServer: namesServer(tlsNameText),
    host: '',
    fields: [],
    http2: false,
    gateway: question,
    connectTimeout: settings.connectTimeout,
    readTimeout: settings.readTimeout,
  })
}

function variablesFor(target: string, index: string, serverName: string): Map<string, string> {
  const [path, args = ''] = target.split(/\?(.*)/s) as [string, string?]
  const script = path.endsWith('/') ? path + index : path
  return new Map([
    ['request_method', 'GET'],
    ['request_uri', target],
    ['uri', path],
    ['document_uri', path],
    ['fastcgi_script_name', script],
    ['args', args],
    ['query_string', args],
    ['is_args', args === '' ? '' : '?'],
    ['server_protocol', 'HTTP/1.1'],
    ['scheme', 'http'],
    ['request_scheme', 'http'],
    ['host', serverName],
    ['server_name', serverName],
    ['remote_addr', '127.0.0.1'],
    ['server_addr', '127.0.0.1'],
    ['remote_port', '0'],
    ['server_port', '80'],
    ['nginx_version', ''],
  ])
}

function valueOf({ parts }: Template, known: ReadonlyMap<string, string>): string {
  return parts.map(part => (typeof part === 'string' ? part : (known.get(part.variable) ?? ''))).join('')
}

function serverNameOf(scope: Scope): string {
  let at: Scope | null = scope
  while (at !== null && at.context !== SERVER) at = at.parent
  return at?.conf(coreDirectives).server_name[0] ?? ''
}
