// A location's proxy_* directives compiled: constants joined, templates bound, rules in lists.

import { IF_IN_LOCATION, LIMIT_EXCEPT, type Conf, type Scope, type Site } from '../../../config/directive.ts'
import { Template } from '../../../config/template.ts'
import type { Group } from '../../../upstream/group.ts'
import type { LocationBuilder, Value } from '../../module.ts'
import { groupOf, GROUPS } from '../../upstream/groups.ts'
import { CONNECTION_FIELDS } from '../../upstream/h2/protocol.ts'
import { conditionFields } from '../../cache/conditions.ts'
import { withCache } from '../../cache/settings.ts'
import { fieldActions } from '../../upstream/response-fields.ts'
import type { FieldActions } from '../../upstream/response-fields.ts'
import { upstreamSettings } from '../../upstream/settings.ts'
import { namesServer, tellPassed } from '../../upstream/passed.ts'
import type { Passed } from '../../upstream/passed.ts'
import { upstreamTls } from '../../upstream/tls.ts'
import type { UpstreamTls } from '../../upstream/tls.ts'
import type { PeerTlsSettings } from '../../../upstream/peer-tls.ts'
import type { UpstreamSettings } from '../../upstream/settings.ts'
import { resolverDirectives, resolverOf } from '../../resolver.ts'
import type { LocationResolver } from '../../resolver.ts'
import type { HttpSetup, Registry } from '../../setup.ts'
import type { Pass, proxyDirectives, Redirects } from './directives.ts'
import { bindFlags } from './cookies.ts'
import { ProxyRewriting } from './response.ts'
import { bindDomainRule, bindRule } from './rewrites.ts'
import type { Rule } from './rewrites.ts'
import { makeTarget, parsePass, schemeOf } from './target.ts'
import type { Target } from './target.ts'

/** A field that is sent unless its value is empty, and the constant fields in front of it. */
export interface SetField {
  readonly before: string
  readonly name: string
  readonly value: Value
  /** It asks for another protocol in the client's name. */
  readonly asksUpgrade: boolean
}

export interface ProxyConf {
  readonly settings: UpstreamSettings
  /** Null where proxy_pass has variables: then `url` is it. */
  readonly target: Target | null
  readonly url: Value | null
  readonly targets: Map<string, Target>
  readonly groups: Registry<Group>
  /** How upstreams are spoken to over TLS, and the name they must have; null where none can be. */
  readonly tls: PeerTlsSettings | null
  readonly tlsName: Value | null
  /** For names that variables make. */
  readonly resolver: LocationResolver | null
  /** What of the path proxy_pass's URI stands for. */
  readonly location: string
  readonly http11: boolean
  readonly http2: boolean
  /** What is said to an HTTP/1 upstream contains its own name, which a next one must not be told. */
  readonly namesPeer: boolean
  /** ` HTTP/1.1` and the line's end. */
  readonly versionLine: string
  readonly method: Value | null
  readonly setBody: Value | null
  /** Null: $proxy_host. */
  readonly host: Value | null
  readonly fields: readonly SetField[]
  readonly fieldsAfter: string
  /** All that is set, one by one, for HTTP/2: names in lower case. */
  readonly fieldList: readonly { readonly name: string; readonly value: Value }[]
  /** The same for a request whose response is going to be kept; null: none is. */
  readonly caching: Fields | null
  /** Lower-case names of the client's fields that do not go on. */
  readonly ownNames: ReadonlySet<string>
  /** What proxy_set_header says of Content-Length: '' for none, anything else for the true one. Null: nothing is said. */
  readonly length: Value | null
  readonly sendsUpgrade: boolean
  readonly rewriting: ProxyRewriting
  readonly fieldActions: FieldActions
}

type Directives = Conf<typeof proxyDirectives>

/** What never goes on as the client sent it: it is ours to say, or it ends at this hop. */
const OWN = 'host connection proxy-connection content-length transfer-encoding te keep-alive expect upgrade'.split(' ')

/** Of what may be set, what is not among the fields: the host has a place of its own, and how the body is framed is ours. */
const SAID_ELSEWHERE = new Set(['host', 'content-length', 'transfer-encoding'])

const HIDDEN = [
  'date',
  'server',
  'x-pad',
  'x-accel-expires',
  'x-accel-redirect',
  'x-accel-limit-rate',
  'x-accel-buffering',
  'x-accel-charset',
]

const TEMP_PATH = 'proxy_temp'

export function compileProxy(conf: Directives, at: LocationBuilder, http: HttpSetup): ProxyConf {
  const pass = conf.proxy_pass!
  const groups = http.registry(GROUPS)
  const target = pass.template === null ? fixedTarget(pass, groups) : null
  const location = replacedPath(pass, target, at)
  const settings = compileSettings(conf, at, http)
  const http11 = conf.proxy_http_version === '1.1'
  const http2 = conf.proxy_http_version === '2'
  const tls = target === null || target.tls ? upstreamTls('proxy', conf, http, http2 ? ['h2'] : []) : null
  const optional = (template: Template | null): Value | null => (template === null ? null : at.value(template))
  const fields = compileFields(conf.proxy_set_header, at)
  if (target !== null) tellPassed(at.scope, passedTo(target, tls, fields, http2, settings))
  return {
    settings,
    target,
    url: optional(pass.template),
    targets: new Map(),
    groups,
    tls: tls?.settings ?? null,
    tlsName: optional(tls?.name ?? null),
    resolver: target !== null ? null : resolverOf(at.scope.conf(resolverDirectives), http),
    location,
    http11,
    http2,
    namesPeer: !http2 && conf.proxy_set_header.some(({ template }) => mentionsPeer(template)),
    versionLine: http11 ? ' HTTP/1.1\r\n' : ' HTTP/1.0\r\n',
    method: optional(conf.proxy_method),
    setBody: optional(conf.proxy_set_body),
    ...fields,
    caching: settings.cache === null ? null : compileCachingFields(conf.proxy_set_header, at),
    rewriting: compileRewriting(conf, at, http),
    fieldActions: fieldActions(settings.hidden),
  }
}

function fixedTarget(pass: Pass, groups: Registry<Group>): Target {
  const { site } = pass
  const { rest, tls } = schemeOf(pass.text)!
  const url = parsePass(rest, tls)
  if (typeof url === 'string') return site.fail(`${url} in upstream "${rest}"`)
  return makeTarget(url, groupOf(url, groups, site), url.uri, tls)
}

/** The path of the location whose proxy_pass this is: what the URI part replaces, if there is one. */
function replacedPath({ site }: Pass, target: Target | null, at: LocationBuilder): string {
  const isPrefix = at.modifier === '' || at.modifier === '=' || at.modifier === '^~'
  // A block within a location has its path only together with its proxy_pass.
  const isNameless = (at.scope.context & (IF_IN_LOCATION | LIMIT_EXCEPT)) !== 0 && at.scope.has('proxy_pass')
  const path = isPrefix && !isNameless ? at.name : ''
  if (target !== null && target.uri !== '' && !path.startsWith('/')) {
    site.fail(
      '"proxy_pass" cannot have URI part in location given by regular expression, or inside named location, ' +
        'or inside "if" statement, or inside "limit_except" block',
    )
  }
  return path
}

function compileSettings(conf: Directives, at: LocationBuilder, http: HttpSetup): UpstreamSettings {
  const tempPath = conf.proxy_pass!.site.prefixPath(TEMP_PATH)
  const settings = withCache('proxy', upstreamSettings('proxy', conf, at, HIDDEN, tempPath), at, http)
  http.needsFolder(settings.bufferLimits.tempPath)
  return settings
}

/** For requests that are made on nobody's behalf: of what is said, what no request has a part in. */
function passedTo(
  target: Target,
  tls: UpstreamTls | null,
  fields: Fields,
  http2: boolean,
  settings: UpstreamSettings,
): Passed {
  const constants = fields.fieldList.flatMap(({ name, value }) =>
    value.constant ? [[name, value.constant] as const] : [],
  )
  return {
    group: target.group,
    tls: tls === null ? null : { settings: tls.settings, name: tls.name?.constant ?? target.hostHeader },
    tlsNamesServer: namesServer(tls?.name?.text ?? ''),
    host: fields.host?.constant ?? target.hostHeader,
    fields: constants,
    http2,
    connectTimeout: settings.connectTimeout,
    readTimeout: settings.readTimeout,
  }
}

export type Fields = Pick<
  ProxyConf,
  'host' | 'fields' | 'fieldsAfter' | 'fieldList' | 'ownNames' | 'length' | 'sendsUpgrade'
>

function compileFields(own: Directives['proxy_set_header'], at: LocationBuilder): Fields {
  const ownNames = new Set(OWN)
  const fields: SetField[] = []
  const fieldList: { name: string; value: Value }[] = []
  let host: Value | null = null
  let constants = ''
  let sendsUpgrade = false
  let length: Value | null = null
  for (const { name, template } of own) {
    const lower = name.toLowerCase()
    const value = at.value(template)
    ownNames.add(lower)
    if (lower === 'host') host = value
    // How the body is framed is not the configuration's to say, only whether its length is told.
    if (lower === 'content-length') length = value
    if (lower === 'upgrade') sendsUpgrade = value.constant !== ''
    if (SAID_ELSEWHERE.has(lower) || value.constant === '') continue
    if (!CONNECTION_FIELDS.has(lower)) fieldList.push({ name: lower, value })
    if (value.constant !== null) constants += `${name}: ${value.constant}\r\n`
    else {
      fields.push({ before: constants, name, value, asksUpgrade: lower === 'upgrade' })
      constants = ''
    }
  }
  return { host, fields, fieldsAfter: constants, fieldList, ownNames, length, sendsUpgrade }
}

/** The cache asks for what is good for others, too: not with the client's conditions and ranges. */
function compileCachingFields(own: Directives['proxy_set_header'], at: LocationBuilder): Fields {
  return compileFields([...own, ...conditionFields(own)], at)
}

function compileRewriting(conf: Directives, at: LocationBuilder, http: HttpSetup): ProxyRewriting {
  return new ProxyRewriting(compileRedirects(conf.proxy_redirect, at, http), {
    domains: (conf.proxy_cookie_domain ?? []).map(rule => bindDomainRule(rule, at, http)),
    paths: (conf.proxy_cookie_path ?? []).map(rule => bindRule(rule, at, http)),
    flags: (conf.proxy_cookie_flags ?? []).map(rule => bindFlags(rule, at)),
  })
}

/** Where nothing is said, `default` of the outermost proxy_pass applies: a location within inherits the rule of its own. */
function compileRedirects(redirects: Redirects | null, at: LocationBuilder, http: HttpSetup): readonly Rule[] {
  if (redirects === 'off') return []
  if (redirects !== null)
    return redirects.map(rule => ('passedBy' in rule ? new DefaultRule(rule.passedBy) : bindRule(rule, at, http)))
  let outermost: Scope | null = null
  for (let scope: Scope | null = at.scope; scope !== null; scope = scope.parent) {
    if (scope.has('proxy_pass') && isFixed(scope.site('proxy_pass')!)) outermost = scope
  }
  return outermost === null ? [] : [new DefaultRule(outermost)]
}

function mentionsPeer({ parts }: Template): boolean {
  return parts.some(part => typeof part !== 'string' && part.variable.toLowerCase() === 'upstream_last_server_name')
}

function isFixed(site: Site): boolean {
  return Template.parse(site.words[0]!.text, site).constant !== null
}

/** Undoes what proxy_pass does to the path. */
class DefaultRule implements Rule {
  private readonly from: string
  private readonly to: string
  constructor(passedBy: Scope) {
    const { text } = passedBy.site('proxy_pass')!.words[0]!
    const { rest, tls } = schemeOf(text)!
    const url = parsePass(rest, tls)
    const hasUri = typeof url !== 'string' && url.uri !== ''
    this.from = hasUri ? text : `${text}/`
    // Only a location that is a prefix can have a URI there.
    this.to = hasUri ? passedBy.args.at(-1)!.replace(/^(?:=|\^~)/, '') : '/'
  }
  apply(_r: unknown, text: string): string | null {
    return text.startsWith(this.from) ? this.to + text.slice(this.from.length) : null
  }
}
