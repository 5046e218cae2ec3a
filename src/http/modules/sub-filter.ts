// sub_filter: replaces text in bodies (ngx_http_sub_filter_module). Finding it is replacer.ts's.

import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { flag, list } from '../../config/values.ts'
import { weakenTag } from '../altered-body.ts'
import { httpModule, type Value } from '../module.ts'
import { BodyStage, EMPTY, FLUSH, LAST } from '../output.ts'
import { Pattern, Replacer } from '../filters/replacer.ts'
import type { HttpRequest } from '../request.ts'
import { isListed, typeList, type TypeList } from '../filters/type-list.ts'

const everywhere = HTTP | SERVER | LOCATION
const PATTERNS_MAX = 255

const directives = {
  sub_filter: list(everywhere, [2, 2], ([pattern, replacement], at) => {
    if (pattern === '') at.fail('empty search pattern')
    return { pattern: Template.parse(pattern!, at), replacement: Template.parse(replacement!, at), site: at }
  }),
  sub_filter_types: typeList(everywhere, ['text/html']),
  sub_filter_once: flag(everywhere, true),
  sub_filter_last_modified: flag(everywhere, false),
}

interface SubConf {
  readonly pairs: readonly { readonly pattern: Value; readonly replacement: Value }[]
  /** Made once when no pattern has variables. */
  readonly pattern: Pattern | null
  readonly types: TypeList
  readonly once: boolean
  readonly keepsDate: boolean
}

export const subFilter = httpModule({
  name: 'sub-filter',
  directives,
  compile(conf, at) {
    const { sub_filter } = conf
    if (sub_filter.length === 0) return
    if (sub_filter.length > PATTERNS_MAX) sub_filter[PATTERNS_MAX]!.site.fail('number of search patterns exceeds 255')
    const pairs = sub_filter.map(({ pattern, replacement }) => ({
      pattern: at.value(pattern),
      replacement: at.value(replacement),
    }))
    const isFixed = pairs.every(({ pattern }) => pattern.constant !== null)
    const own: SubConf = {
      pairs,
      pattern: isFixed ? new Pattern(pairs.map(({ pattern }) => pattern.constant!)) : null,
      types: conf.sub_filter_types,
      once: conf.sub_filter_once,
      keepsDate: conf.sub_filter_last_modified,
    }
    at.filter(substitute, own, isMeant)
  },
})

function isMeant(r: HttpRequest, { types }: SubConf): boolean {
  return r.contentLength !== 0 && (types === null || (r.contentType !== '' && isListed(types, r.contentType)))
}

function substitute(r: HttpRequest, conf: SubConf): BodyStage | null {
  if (!isMeant(r, conf)) return null
  const pattern = conf.pattern ?? new Pattern(conf.pairs.map(pair => pair.pattern.get(r)))
  if (pattern.isEmpty) return null
  if (r.parent === null) {
    r.contentLength = -1
    if (conf.keepsDate) weakenTag(r)
    else {
      r.lastModified = ''
      r.etag = ''
    }
  }
  if (r.bodiless) return null
  return new SubstitutingStage(new Replacer(pattern, i => conf.pairs[i]!.replacement.get(r), conf.once))
}

class SubstitutingStage extends BodyStage {
  private readonly replacer: Replacer

  constructor(replacer: Replacer) {
    super()
    this.replacer = replacer
  }

  write(r: HttpRequest, bytes: Buffer, flags: number): boolean {
    const isLast = (flags & LAST) !== 0
    if (!isLast && this.replacer.isIdle) return this.next!.write(r, bytes, flags)
    const text = this.replacer.replace(bytes.toString('latin1'), isLast)
    if (text === '' && (flags & (LAST | FLUSH)) === 0) return true
    return this.next!.write(r, text === '' ? EMPTY : Buffer.from(text, 'latin1'), flags)
  }

  override writeVolatile(r: HttpRequest, chunk: Buffer, flags: number): boolean {
    if (this.replacer.isIdle) return this.next!.writeVolatile(r, chunk, flags)
    return this.write(r, chunk, flags)
  }
}
