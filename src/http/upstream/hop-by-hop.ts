// What a client means for us alone, the next hop, and not for whoever is behind us (RFC 9110, 7.6.1 and 7.8).

import type { RequestHead } from '../../codec/h1/request-head.ts'

/** Tokens of Connection that name no field, or one that is dropped in any case. */
const USUAL = /^(?:close|keep-alive|upgrade|te|,|[ \t])*$/i

/** Lower-case names of the fields that Connection declares to end here; null for none but the usual ones. */
export function connectionListed(head: RequestHead): ReadonlySet<string> | null {
  let listed: Set<string> | null = null
  for (let i = head.connectionIndex; i < head.count; i++) {
    const value = head.values[i]!
    if (head.names[i] !== 'connection' || USUAL.test(value)) continue
    listed ??= new Set()
    for (const token of value.split(',')) listed.add(token.trim().toLowerCase())
  }
  return listed
}

/** HTTP/2 behind an upgrade would carry requests past us, and past all rules for them; it is obsolete (RFC 9113, 3.1). */
export function leadsPastUs(upgrade: string): boolean {
  return upgrade.includes('2') && /(?:^|[, \t])h2c?(?=$|[/, \t])/i.test(upgrade)
}
