// What a location with `proxy_pass`, `grpc_pass`, `fastcgi_pass` and their like has told of itself: for health checks, which ask the same servers in the same way.

import type { Scope } from '../../config/directive.ts'
import type { Group } from '../../upstream/group.ts'
import type { GatewayQuestion } from './gateway-check.ts'
import type { PeerTls } from '../../upstream/peer-tls.ts'

export interface Passed {
  readonly group: Group
  /** Null: in plain text. */
  readonly tls: PeerTls | null
  /** Its name is that of the server itself, as the group has it ($upstream_last_server_name). */
  readonly tlsNamesServer: boolean
  /** The Host field, unless it is made from the request. */
  readonly host: string
  /** Fields that are set and not made from the request, in lower case and without those of a connection. */
  readonly fields: readonly (readonly [name: string, value: string])[]
  readonly http2: boolean
  /** How it is asked in another protocol than HTTP; absent: in HTTP. */
  readonly gateway?: GatewayQuestion
  readonly connectTimeout: number
  readonly readTimeout: number
}

/** Is the name that TLS goes by, as it is written, that of the server which is asked? */
export function namesServer(text: string): boolean {
  return /^\$(?:upstream_last_server_name|\{upstream_last_server_name\})$/i.test(text)
}

const known = new WeakMap<Scope, Passed>()

export function tellPassed(scope: Scope, passed: Passed): void {
  known.set(scope, passed)
}

/** Null: the location passes nothing on, or to a place that each request says anew. */
export function passedIn(scope: Scope): Passed | null {
  return known.get(scope) ?? null
}
