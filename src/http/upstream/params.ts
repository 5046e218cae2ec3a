// fastcgi_param, uwsgi_param, scgi_param: the names and values a gateway protocol sends for a request, and the client's own
// fields as HTTP_* behind them (ngx_http_fastcgi_init_params). How one pair is written is the protocol's.

import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import type { Directive } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { list } from '../../config/values.ts'
import type { LocationBuilder, Value } from '../module.ts'
import type { HttpRequest } from '../request.ts'
import { upstreamSlot } from './exchange.ts'
import { connectionListed } from './hop-by-hop.ts'

export interface ParamText {
  readonly name: string
  readonly template: Template
  readonly ifNotEmpty: boolean
}

/** `NAME VALUE [if_not_empty]` */
export function paramDirective(): Directive<readonly ParamText[]> {
  return list(HTTP | SERVER | LOCATION, [2, 3], ([name, value, condition], at) => {
    if (condition !== undefined && condition !== 'if_not_empty') at.fail(`invalid parameter "${condition}"`)
    return { name: name!, template: Template.parse(value!, at), ifNotEmpty: condition !== undefined }
  })
}

export type EncodePair = (name: string, value: string) => string

interface Param {
  /** The constant pairs in front of it, encoded. */
  readonly before: string
  readonly name: string
  readonly value: Value
  readonly ifNotEmpty: boolean
}

/** Unless the configuration has its own: the host as the client named it, which a proxied target may have replaced. */
const HOST: ParamText = {
  name: 'HTTP_HOST',
  template: Template.builtIn('$host$is_request_port$request_port'),
  ifNotEmpty: true,
}

export class Params {
  private readonly params: readonly Param[]
  private readonly after: string
  /** What is set here of the client's fields, as lower-case names with `_` for `-`. */
  private readonly own = new Set<string>()
  private readonly encode: EncodePair
  /** The same for requests whose responses are going to be kept. */
  caching: Params | null = null

  /** @param conditions behind everything else that is set here */
  constructor(texts: readonly ParamText[], conditions: readonly ParamText[], at: LocationBuilder, encode: EncodePair) {
    this.encode = encode
    const params: Param[] = []
    let constants = ''
    const host = texts.some(({ name }) => name.toUpperCase() === HOST.name)
    for (const { name, template, ifNotEmpty } of [...texts, ...(host ? [] : [HOST]), ...conditions]) {
      const value = at.value(template)
      if (name.startsWith('HTTP_') && name.length > 5) {
        this.own.add(name.slice(5).toLowerCase())
        // Set to nothing: the client's field does not go on, nor does anything in its place.
        if (value.constant === '') continue
      }
      if (value.constant === null) {
        params.push({ before: constants, name, value, ifNotEmpty })
        constants = ''
      } else if (value.constant !== '' || !ifNotEmpty) constants += encode(name, value.constant)
    }
    this.params = params
    this.after = constants
  }

  /** All pairs of a request, encoded. */
  text(r: HttpRequest, withFields: boolean): string {
    if (this.caching !== null && upstreamSlot.get(r)?.cache?.cacheable === true) return this.caching.text(r, withFields)
    let text = ''
    for (let i = 0; i < this.params.length; i++) {
      const { before, name, value, ifNotEmpty } = this.params[i]!
      const own = value.get(r)
      text += own === '' && ifNotEmpty ? before : before + this.encode(name, own)
    }
    text += this.after
    return withFields ? text + this.fields(r) : text
  }

  /** The client's fields; one that came several times is one pair, its values in their order. `Proxy` would become HTTP_PROXY,
   *  which many programs take for their own proxy's address. */
  private fields(r: HttpRequest): string {
    const { head } = r
    const listed = head.connectionIndex === -1 ? null : connectionListed(head)
    let text = ''
    for (let i = 0; i < head.count; i++) {
      const name = head.names[i]!
      const plain = name.includes('-') ? name.replaceAll('-', '_') : name
      if (this.own.has(plain) || name === 'proxy' || head.find(name) !== i) continue
      if (listed !== null && listed.has(name)) continue
      let value = head.values[i]!
      for (let k = i + 1; k < head.count; k++) {
        if (head.names[k] === name) value += (name === 'cookie' ? '; ' : ', ') + head.values[k]
      }
      text += this.encode(`HTTP_${plain.toUpperCase()}`, value)
    }
    return text
  }
}
