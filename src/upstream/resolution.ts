// What has come of asking DNS for a name.

import { FORMAT_ERROR, type Service } from '../codec/dns.ts'

/** What a name has turned out to be. */
export interface Resolution {
  /** 0, a RCODE of DNS, or TIMED_OUT. */
  readonly code: number
  readonly addresses: readonly string[]
  readonly services: readonly Service[]
  /** Of an address (resolveAddress). */
  readonly names: readonly string[]
  /** Date.now() until which it is true. */
  readonly expiresMs: number
}

/** As nginx has it: ETIMEDOUT. */
export const TIMED_OUT = 110
/** NXDOMAIN (RFC 1035, 4.1.1). */
export const NOT_FOUND = 3

const MEANINGS: Readonly<Record<number, string>> = {
  [FORMAT_ERROR]: 'Format error',
  2: 'Server failure',
  [NOT_FOUND]: 'Host not found',
  4: 'Unimplemented',
  5: 'Operation refused',
  [TIMED_OUT]: 'Operation timed out',
}

/** `3: Host not found`. */
export function codeText(code: number): string {
  return `${code}: ${MEANINGS[code] ?? 'Unknown error'}`
}

/** @param code not 0 */
export function failure(code: number): Resolution {
  return { code, addresses: [], services: [], names: [], expiresMs: 0 }
}
