// app_set_header: fields that an application gets from us, whatever the client has sent under their names, as an nginx before it
// did with proxy_set_header. What is empty is not there at all.

import type { Site } from '../../config/directive.ts'
import { Template } from '../../config/template.ts'
import type { Value } from '../module.ts'
import type { HttpRequest } from '../request.ts'

export interface SetHeader extends Named {
  readonly value: Value
}

interface Named {
  readonly name: string
  /** In lower case. */
  readonly key: string
  /** In WSGI. */
  readonly variable: string
}

/** How the request is framed and carried is not to be said in fields. */
const REFUSED = new Set(
  'connection content-length expect keep-alive proxy proxy-connection te trailer transfer-encoding upgrade'.split(' '),
)
/** Pairs that stand before the fields in an ASGI scope (scope.ts). */
const SCOPE_OWN = 20

export function parseSetHeader([name, value]: readonly string[], at: Site): Named & { readonly template: Template } {
  const key = name!.toLowerCase()
  if (!/^[a-z0-9_-]+$/.test(key)) at.fail(`invalid field name "${name}" in "${at.name}" directive`)
  if (REFUSED.has(key)) at.fail(`"${at.name}" cannot set "${name}", which is not for applications to see`)
  return { ...named(name!), template: Template.parse(value!, at) }
}

/** One that we make ourselves. */
export function setHeader(name: string, value: Value): SetHeader {
  return { ...named(name), value }
}

function named(name: string): Named {
  const key = name.toLowerCase()
  const variable = key === 'content-type' ? 'CONTENT_TYPE' : `HTTP_${key.toUpperCase().replaceAll('-', '_')}`
  return { name, key, variable }
}

/** A variable may hold what a client has made up: it must not end the field it is in. */
export function valueOf({ value }: SetHeader, r: HttpRequest): string {
  return value.get(r).replaceAll(/[\0\r\n]/g, ' ')
}

/** @param environ of WSGI: pairs, of which the last is the path's */
export function setVariables(environ: string[], headers: readonly SetHeader[], r: HttpRequest): void {
  for (const header of headers) replace(environ, 0, header.variable, valueOf(header, r))
}

/** @param scope of ASGI: pairs, of which the last is the path's */
export function setFields(scope: string[], headers: readonly SetHeader[], r: HttpRequest): void {
  for (const header of headers) replace(scope, SCOPE_OWN, header.key, valueOf(header, r))
}

function replace(pairs: string[], from: number, name: string, value: string): void {
  for (let i = pairs.length - 4; i >= from; i -= 2) if (pairs[i] === name) pairs.splice(i, 2)
  if (value !== '') pairs.splice(-2, 0, name, value)
}
