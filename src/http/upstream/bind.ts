// proxy_bind and its relatives: from which of our own addresses an upstream is connected to
// (ngx_http_upstream_bind_set_slot).

import { isIP } from 'node:net'
import type { Directive } from '../../config/directive.ts'
import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { ERR } from '../../log/error-log.ts'
import type { LocalAddress } from '../../net/connection.ts'
import type { Value } from '../module.ts'
import type { HttpRequest } from '../request.ts'

const TRANSPARENT =
  'transparent proxying is not supported: a socket here can be given an address of this machine only ' +
  '(with the kernel\'s "net.ipv4.ip_nonlocal_bind" any, without this parameter)'

/** `ADDRESS`, `ADDRESS:PORT` or `off`; may have variables. */
export const bindDirective: Directive<Template | null> = {
  in: HTTP | SERVER | LOCATION,
  args: [1, 2],
  default: null,
  parse([address, second], at) {
    if (second === undefined && address === 'off') return null
    const template = Template.parse(address!, at)
    if (template.constant !== null && parseLocal(template.constant) === null) at.fail(`invalid address "${address}"`)
    if (second !== undefined) at.fail(second === 'transparent' ? TRANSPARENT : `invalid parameter "${second}"`)
    return template
  },
}

export class Bind {
  private readonly value: Value
  private readonly fixed: LocalAddress | null

  constructor(value: Value) {
    this.value = value
    this.fixed = value.constant === null ? null : parseLocal(value.constant)
  }

  /** Null: whichever the kernel takes. */
  addressFor(r: HttpRequest): LocalAddress | null {
    if (this.fixed !== null) return this.fixed
    const text = this.value.get(r)
    if (text === '') return null
    const address = parseLocal(text)
    if (address === null) r.log(ERR, `invalid local address "${text}"`)
    return address
  }
}

/** `192.0.2.1`, `192.0.2.1:80`, `::1`, `[::1]`, `[::1]:80`; the port of the answer is 0 where none is named. */
function parseLocal(text: string): LocalAddress | null {
  if (isIP(text) !== 0) return { text, host: text, port: 0 }
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = bracketed ?? plain ?? ''
  const rightKind = bracketed === undefined ? isIP(host) === 4 : isIP(host) === 6
  if (!rightKind) return null
  if (port === undefined) return { text, host, port: 0 }
  return Number(port) > 0 && Number(port) < 65536 ? { text, host, port: Number(port) } : null
}
