// What a location with `proxy_pass` has told of itself: for health checks, which ask the same servers in the same way.

import type { Scope } from '../../config/directive.ts'
import type { Group } from '../../upstream/group.ts'
import type { PeerTls } from '../../upstream/peer-tls.ts'

export interface Passed {
  readonly group: Group
  /** Null: in plain text. */
  readonly tls: PeerTls | null
  /** The Host field, unless it is made from the request. */
  readonly host: string
  /** Fields that are set and not made from the request: a line each. */
  readonly fields: string
  readonly http2: boolean
  readonly connectTimeout: number
  readonly readTimeout: number
}

const known = new WeakMap<Scope, Passed>()

export function tellPassed(scope: Scope, passed: Passed): void {
  known.set(scope, passed)
}

/** Null: the location passes nothing on, or to a place that each request says anew. */
export function passedIn(scope: Scope): Passed | null {
  return known.get(scope) ?? null
}
