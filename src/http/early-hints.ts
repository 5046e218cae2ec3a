// 103 Early Hints on their way to a client (RFC 8297): what an upstream sends ahead of its answer goes on where `early_hints`
// says so; clients of HTTP/1.0 would take it for the answer.

import { LocationSlot } from './module.ts'
import type { Value } from './module.ts'
import type { HttpRequest } from './request.ts'

/** A location's conditions; none kept: no hints. */
export const earlyHintsConditions = new LocationSlot<readonly Value[]>()

/** Does the client get them? One condition that is neither empty nor "0" will do. */
export function takesEarlyHints(r: HttpRequest): boolean {
  const conditions = earlyHintsConditions.get(r)
  if (conditions === null || r.version < 11 || r.parent !== null || r.headSent) return false
  for (let i = 0; i < conditions.length; i++) {
    const value = conditions[i]!.get(r)
    if (value !== '' && value !== '0') return true
  }
  return false
}
