// proxy_bind and its relatives: from which of our own addresses an upstream is connected to
// (ngx_http_upstream_bind_set_slot).

import { isIP } from 'node:net'
import type { Directive, Statement } from '../../config/directive.ts'
import { HTTP, LOCATION, SERVER } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import { ERR } from '../../log/error-log.ts'
import type { LocalAddress } from '../../net/connection.ts'
import type { Value } from '../module.ts'
import type { HttpRequest } from '../request.ts'

/** What a configuration says; the address may have variables. */
export interface BindDeclaration {
  readonly address: Template
  readonly transparent: boolean
}

/** `ADDRESS [transparent]`, `ADDRESS:PORT [transparent]` or `off`. */
export const bindDirective: Directive<BindDeclaration | null> = {
  in: HTTP | SERVER | LOCATION,
  args: [1, 2],
  default: null,
  parse([address, second], at) {
    if (second === undefined && address === 'off') return null
    const template = Template.parse(address!, at)
    if (template.constant !== null && parseLocal(template.constant, false) === null) {
      at.fail(`invalid address "${address}"`)
    }
    if (second !== undefined && second !== 'transparent') at.fail(`invalid parameter "${second}"`)
    return { address: template, transparent: second !== undefined }
  },
}

/** Are there connections that may come from anybody's address? It takes a right that is lost with root's. */
export function bindsTransparently(statements: readonly Statement[]): boolean {
  return statements.some(({ name, words, block }) => {
    if (block !== null) return bindsTransparently(block)
    return name.endsWith('_bind') && words[1]?.text === 'transparent'
  })
}

export class Bind {
  private readonly value: Value
  private readonly transparent: boolean
  private readonly fixed: LocalAddress | null

  constructor(value: Value, { transparent }: BindDeclaration) {
    this.value = value
    this.transparent = transparent
    this.fixed = value.constant === null ? null : parseLocal(value.constant, transparent)
  }

  /** Null: whichever the kernel takes. */
  addressFor(r: HttpRequest): LocalAddress | null {
    if (this.fixed !== null) return this.fixed
    const text = this.value.get(r)
    if (text === '') return null
    const address = parseLocal(text, this.transparent)
    if (address === null) r.log(ERR, `invalid local address "${text}"`)
    return address
  }
}

/** `192.0.2.1`, `192.0.2.1:80`, `::1`, `[::1]`, `[::1]:80`; the port of the answer is 0 where none is named. */
function parseLocal(text: string, transparent: boolean): LocalAddress | null {
  if (isIP(text) !== 0) return { text, host: text, port: 0, transparent }
  const [, bracketed, plain, port] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(\d{1,5}))?$/.exec(text) ?? []
  const host = bracketed ?? plain ?? ''
  const rightKind = bracketed === undefined ? isIP(host) === 4 : isIP(host) === 6
  if (!rightKind) return null
  if (port === undefined) return { text, host, port: 0, transparent }
  return Number(port) > 0 && Number(port) < 65536 ? { text, host, port: Number(port), transparent } : null
}
