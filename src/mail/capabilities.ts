// What servers can do, as clients are told (ngx_mail_capabilities): words of the configuration's, and what TLS adds to them.

import type { Directive } from '../config/directive.ts'
import type { StartTls } from './module.ts'

/** The text for a client, by what it may or must do before it logs in. */
export type Capabilities = Readonly<Record<StartTls, string>>

export function capabilities(where: number, fallback: readonly string[]): Directive<readonly string[]> {
  return {
    in: where,
    args: [1, Infinity],
    default: fallback,
    repeatable: true,
    parse: (words, _at, soFar = []) => [...soFar, ...words],
  }
}
