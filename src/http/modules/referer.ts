// valid_referers: $invalid_referer is "1" for requests that no page of ours led to (ngx_http_referer_module).

import { LOCATION, SERVER, type Directive, type Scope, type Site } from '../../config/directive.ts'
import { accepted, number } from '../../config/values.ts'
import { HostTable } from '../../lib/host-table.ts'
import { coreDirectives } from '../core/core.ts'
import { httpModule, LocationSlot } from '../module.ts'
import { regex, type Pattern } from '../regex.ts'
import type { HttpRequest } from '../request.ts'

interface Declared {
  readonly none: boolean
  readonly blocked: boolean
  readonly serverNames: boolean
  /** Host, with or without wildcard, and the beginning of the URI, '' for any. */
  readonly hosts: readonly { readonly host: string; readonly uri: string }[]
  readonly patterns: readonly Pattern[]
  readonly site: Site
}

const validReferers: Directive<Declared | null> = {
  in: SERVER | LOCATION,
  args: [1, Infinity],
  default: null,
  repeatable: true,
  parse(words, at, soFar) {
    let { none, blocked, serverNames, hosts, patterns } = soFar ?? NOTHING
    for (const word of words) {
      if (word === '') at.fail(`invalid referer "${word}"`)
      else if (word === 'none') none = true
      else if (word === 'blocked') blocked = true
      else if (word === 'server_names') serverNames = true
      else if (word.startsWith('~')) patterns = [...patterns, parsePattern(word, at)]
      else hosts = [...hosts, parseHost(word)]
    }
    return { none, blocked, serverNames, hosts, patterns, site: at }
  },
}

const NOTHING = { none: false, blocked: false, serverNames: false, hosts: [], patterns: [] } as Omit<Declared, 'site'>

function parsePattern(word: string, at: Site): Pattern {
  if (word === '~') at.fail(`empty regex in "${word}"`)
  return regex(word.slice(1), true, at)
}

function parseHost(word: string): { host: string; uri: string } {
  const slash = word.indexOf('/')
  return slash < 0 ? { host: word, uri: '' } : { host: word.slice(0, slash), uri: word.slice(slash) }
}

const directives = {
  valid_referers: validReferers,
  referer_hash_max_size: accepted(number(SERVER | LOCATION, 2048)),
  referer_hash_bucket_size: accepted(number(SERVER | LOCATION, 64)),
}

interface Referers {
  readonly none: boolean
  readonly blocked: boolean
  /** By host: how the URI must begin. */
  readonly hosts: HostTable<string>
  readonly serverPatterns: readonly Pattern[]
  readonly patterns: readonly Pattern[]
}

const referers = new LocationSlot<Referers>()

export const referer = httpModule({
  name: 'referer',
  directives,
  variables: { invalid_referer: { get: r => (isValid(r, referers.get(r)) ? '' : '1') } },
  compile(conf, at) {
    if (conf.valid_referers !== null) at.keep(referers, compileReferers(conf.valid_referers, at.scope))
  },
})

function compileReferers(declared: Declared, scope: Scope): Referers {
  const { none, blocked, patterns, site } = declared
  const hosts = new HostTable<string>()
  const serverPatterns: Pattern[] = []
  for (const { host, uri } of declared.hosts) addHost(hosts, host, uri, site)
  for (const name of declared.serverNames ? serverNames(scope) : []) {
    if (name.startsWith('~')) serverPatterns.push(regex(name.slice(1), true, site))
    else addHost(hosts, name, '', site)
  }
  if ((none || blocked) && hosts.size === 0) {
    site.fail(
      'the "none" or "blocked" referers are specified in the "valid_referers" directive without any valid referer',
    )
  }
  return { none, blocked, hosts, serverPatterns, patterns }
}

/** All of them, also those written below the valid_referers; a server without any is called "". */
function serverNames(scope: Scope): readonly string[] {
  let server = scope
  while (server.context !== SERVER && server.parent !== null) server = server.parent
  const names = server.conf(coreDirectives).server_name
  return names.length === 0 ? [''] : names
}

function addHost(hosts: HostTable<string>, host: string, uri: string, site: Site): void {
  const wrong = hosts.add(host, uri)
  if (wrong !== null) site.fail(wrong)
}

/** nginx looks at no shorter ones: `http://i.ru`. */
const LENGTH_MIN = 11
const HOST_MAX = 256

function isValid(r: HttpRequest, conf: Referers | null): boolean {
  if (conf === null) return true
  const { hosts, serverPatterns, patterns } = conf
  if (hosts.size === 0 && serverPatterns.length === 0 && patterns.length === 0) return true
  const value = r.header('referer')
  if (value === null) return conf.none
  const scheme = value.length < LENGTH_MIN ? null : /^https?:\/\//i.exec(value)
  if (scheme === null) return conf.blocked
  const rest = value.slice(scheme[0].length)
  const end = rest.search(/[/:]/)
  const host = (end < 0 ? rest : rest.slice(0, end)).toLowerCase()
  if (host.length > HOST_MAX) return false
  const uri = hosts.find(host)
  if (uri !== undefined) return uri === '' || rest.startsWith(uri, Math.max(rest.indexOf('/'), 0))
  return serverPatterns.some(pattern => pattern.test(host)) || patterns.some(pattern => pattern.test(rest))
}
