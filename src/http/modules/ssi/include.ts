// `include`: what another location answers becomes part of the page, or the value of a variable (ngx_http_ssi_include).

import { ERR } from '../../../log/error-log.ts'
import type { HttpRequest } from '../../request.ts'
import { parseUnsafeUri, type TrustedUri } from '../../unsafe-uri.ts'
import type { Parameters } from './commands.ts'
import { evaluate, type FindVariable } from './expression.ts'
import { pageOf } from './page.ts'

export interface Include extends TrustedUri {
  /** Nothing of the page is looked at before this is here. */
  readonly waits: boolean
  /** The variable that takes it, '' when it goes into the page. */
  readonly set: string
  /** Stands in for an answer that is empty or an error; null: nothing does. */
  readonly stub: Buffer | null
}

/** null: it cannot be done, which has been logged. */
export function readInclude(r: HttpRequest, given: Parameters, find: FindVariable): Include | null {
  const refuse = (problem: string): null => {
    r.log(ERR, problem)
    return null
  }
  const virtual = given.get('virtual')
  const file = given.get('file')
  const set = given.get('set')
  const stub = given.get('stub')
  const wait = given.get('wait')?.toLowerCase()
  const written = virtual ?? file
  if (virtual !== undefined && file !== undefined)
    return refuse(`inclusion may be either virtual="${virtual}" or file="${file}"`)
  if (written === undefined) return refuse('no parameter in "include" SSI command')
  if (set !== undefined && stub !== undefined)
    return refuse('"set" and "stub" cannot be used together in "include" SSI command')
  if (wait !== undefined && virtual === undefined) return refuse(`"wait" cannot be used with file="${file}"`)
  if (wait !== undefined && wait !== 'no' && wait !== 'yes')
    return refuse(`invalid value "${given.get('wait')}" in the "wait" parameter`)
  const text = evaluate(r, written, find)
  if (text === null) return null
  if (text === '' && written !== '') return refuse('unsafe URI "" was detected')
  const target = parseUnsafeUri(r, inFolderOf(r, text))
  if (target === null) return null
  const block = stub === undefined ? null : pageOf(r).block(stub)
  if (stub !== undefined && block === null) return refuse(`"stub"="${stub}" for "include" not found`)
  return {
    ...target,
    waits: wait === 'yes' || file !== undefined || set !== undefined,
    set: set ?? '',
    stub: block === null ? null : Buffer.from(block, 'latin1'),
  }
}

/** What does not begin with a slash is looked for where the page itself is. */
function inFolderOf(r: HttpRequest, target: string): string {
  return target.startsWith('/') ? target : r.uri.slice(0, r.uri.lastIndexOf('/') + 1) + target
}
