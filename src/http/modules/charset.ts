// charset: names the charset of responses in their Content-Type, and recodes bodies where a charset_map says how
// (ngx_http_charset_filter_module).

import { HTTP, IF_IN_LOCATION, LOCATION, SERVER } from '../../config/directive.ts'
import type { Conf, Directive, Scope, Site, Statement } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { block, flag } from '../../config/values.ts'
import { ERR } from '../../log/error-log.ts'
import { isEncoded } from '../altered-body.ts'
import { parseCharsetMap, type CharsetMap, type Recoder, type Recoding } from '../filters/charset-map.ts'
import { forcedCharset } from '../filters/forced-charset.ts'
import { httpModule, type LocationBuilder, type Value } from '../module.ts'
import { BodyStage, LAST } from '../output.ts'
import type { HttpRequest } from '../request.ts'
import { Registry, RegistryKey, type HttpSetup } from '../setup.ts'
import { mainOf } from '../subrequest.ts'
import { isListed, typeList, type TypeList } from '../filters/type-list.ts'
import { fieldValue } from '../field-value.ts'

const everywhere = HTTP | SERVER | LOCATION | IF_IN_LOCATION

interface CharsetName {
  readonly template: Template
  readonly site: Site
}

/** One name or one variable; null: off. */
function charsetName(off: string | null): Directive<CharsetName | null> {
  return {
    in: everywhere,
    args: [1, 1],
    default: null,
    parse([word], at) {
      return word === off ? null : { template: Template.parse(word!, at), site: at }
    },
  }
}

const directives = {
  charset: charsetName('off'),
  source_charset: charsetName(null),
  override_charset: flag(everywhere, false),
  charset_types: typeList(HTTP | SERVER | LOCATION, [
    'text/html',
    'text/xml',
    'text/plain',
    'text/vnd.wap.wml',
    'application/javascript',
    'application/rss+xml',
  ]),
  charset_map: block(HTTP, [2, 2], 'data', (args, at) => ({ map: parseCharsetMap(args, at), site: at })),
}

const charsetMaps = new RegistryKey<CharsetMap>('charset_map')
/** All that the configuration names anywhere, in lower case: an upstream may ask for no other. */
const charsetNames = new RegistryKey<string>('charset')

interface CharsetConf {
  readonly charset: Value | null
  readonly source: Value | null
  readonly overrides: boolean
  readonly types: TypeList
  readonly maps: Registry<CharsetMap>
  readonly names: Registry<string>
}

export const charset = httpModule({
  name: 'charset',
  directives,
  setup(conf, http) {
    const maps = http.registry(charsetMaps)
    const names = http.registry(charsetNames)
    for (const { map, site } of conf.charset_map) {
      for (const name of [map.from, map.to]) names.set(name.toLowerCase(), name)
      if (maps.get(`${map.to} ${map.from}`) !== null || maps.get(`${map.from} ${map.to}`) !== null) {
        site.fail(`duplicate "charset_map" between "${map.from}" and "${map.to}"`)
      }
      maps.set(`${map.from} ${map.to}`, map)
    }
  },
  compile(conf, at, http) {
    if (conf.charset === null && conf.source_charset === null && !heedsUpstream(at)) return
    at.filter(setCharset, compileCharset(conf, at, http), willRecode)
  },
})

/** An upstream may ask for one of the charsets that are named anywhere, and what it has asked for holds wherever the request comes
 *  to: behind X-Accel-Redirect, and on error pages. Where none is named there is only to say so, to whoever asks first. */
function heedsUpstream(at: LocationBuilder): boolean {
  if (namesCharset(at.scope)) return true
  const statements = at.kind === 'location' ? (at.scope.statement?.block ?? []) : []
  return statements.some(({ name }) => name === 'internal' || name.endsWith('_pass'))
}

/** By http blocks: is there an upstream, and a charset for it to ask for? */
const naming = new WeakMap<Statement, boolean>()

function namesCharset(scope: Scope): boolean {
  let block: Scope | null = scope
  while (block !== null && block.statement?.name !== 'http') block = block.parent
  const http = block?.statement ?? null
  if (http === null) return false
  let names = naming.get(http)
  if (names === undefined) {
    names = mentions(http, name => name.endsWith('_pass')) && mentions(http, name => CHARSET_NAMES.has(name))
    naming.set(http, names)
  }
  return names
}

const CHARSET_NAMES = new Set(['charset', 'source_charset', 'charset_map'])

function mentions({ name, block }: Statement, asked: (name: string) => boolean): boolean {
  return asked(name) || (block ?? []).some(inner => mentions(inner, asked))
}

function compileCharset(conf: Conf<typeof directives>, at: LocationBuilder, http: HttpSetup): CharsetConf {
  const { charset, source_charset } = conf
  const own: CharsetConf = {
    charset: charset === null ? null : at.value(charset.template),
    source: source_charset === null ? null : at.value(source_charset.template),
    overrides: conf.override_charset,
    types: conf.charset_types,
    maps: http.registry(charsetMaps),
    names: http.registry(charsetNames),
  }
  const [to, from] = [own.charset?.constant ?? null, own.source?.constant ?? null]
  for (const name of [to, from]) if (name !== null) own.names.set(name.toLowerCase(), name)
  if (to !== null && from !== null && !isSame(from, to) && recodingOf(own, from, to) === null) {
    charset!.site.fail(`no "charset_map" between the charsets "${from}" and "${to}"`)
  }
  return own
}

function isSame(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}

function recodingOf({ maps }: CharsetConf, from: string, to: string): Recoding | null {
  const [a, b] = [from.toLowerCase(), to.toLowerCase()]
  return maps.get(`${a} ${b}`)?.there ?? maps.get(`${b} ${a}`)?.back ?? null
}

function setCharset(r: HttpRequest, conf: CharsetConf): BodyStage | null {
  const unknown = unknownForced(r, conf)
  if (unknown !== null) r.log(ERR, `unknown charset "${unknown}" to override`)
  const to = destination(r, conf)
  if (to === '') return null
  const own = charsetOf(r.contentType)
  const from = own === '' ? (conf.source?.get(r) ?? '') : own
  if (from === '' || isSame(from, to)) {
    name(r, to)
    return null
  }
  if (isEncoded(r)) return null
  const recoding = recodingOf(conf, from, to)
  if (recoding === null) {
    r.log(ERR, `no "charset_map" between the charsets "${from}" and "${to}"`)
    return null
  }
  name(r, to)
  if (!recoding.keepsLength) r.contentLength = -1
  return r.bodiless ? null : new RecodingStage(recoding.open())
}

function willRecode(r: HttpRequest, conf: CharsetConf): boolean {
  const to = destination(r, conf)
  if (to === '' || isEncoded(r)) return false
  const own = charsetOf(r.contentType)
  const from = own === '' ? (conf.source?.get(r) ?? '') : own
  return from !== '' && !isSame(from, to) && recodingOf(conf, from, to) !== null
}

/** The charset the client is to get; '': as it comes. A part of a response has that of the whole. */
function destination(r: HttpRequest, conf: CharsetConf): string {
  if (r.contentType === '') return ''
  const forced = forcedCharset.get(r)
  if (forced !== null) return unknownForced(r, conf) === null ? forced : ''
  if (r.parent !== null) return charsetOf(mainOf(r).contentType)
  if (conf.charset === null) return ''
  if (charsetOf(r.contentType) === '' ? !isListed(conf.types, r.contentType) : !conf.overrides) return ''
  return conf.charset.get(r)
}

/** What X-Accel-Charset asks for though nothing here has that name (ngx_http_get_charset). */
function unknownForced(r: HttpRequest, { names }: CharsetConf): string | null {
  const forced = forcedCharset.get(r)
  return forced === null || r.contentType === '' || names.get(forced.toLowerCase()) !== null ? null : forced
}

const CHARSET = /; *charset="?([^";]+)/i

function charsetOf(contentType: string): string {
  return contentType.includes(';') ? (CHARSET.exec(contentType)?.[1] ?? '') : ''
}

/** Not for redirects: old browsers took it for that of the page they were sent to. */
function name(r: HttpRequest, charset: string): void {
  if (r.parent !== null) return
  const end = r.contentType.indexOf(';')
  const type = end === -1 ? r.contentType : r.contentType.slice(0, end)
  r.contentType = r.status === 301 || r.status === 302 ? type : `${type}; charset=${fieldValue(charset)}`
}

class RecodingStage extends BodyStage {
  private readonly recoder: Recoder

  constructor(recoder: Recoder) {
    super()
    this.recoder = recoder
  }

  write(r: HttpRequest, bytes: Buffer, flags: number): boolean {
    const recoded = this.recoder.recode(bytes)
    if ((flags & LAST) === 0) return this.next!.write(r, recoded, flags)
    const rest = this.recoder.end()
    return this.next!.write(r, rest.length === 0 ? recoded : Buffer.concat([recoded, rest]), flags)
  }

  override writeVolatile(r: HttpRequest, chunk: Buffer, flags: number): boolean {
    return this.write(r, chunk, flags)
  }
}
