// Field names that clients and servers send every day. A name found here is given out as one shared lower-case string,
// so that equal names are the same object, and carries a number the head parsers switch on.
// Numbers 1 to 31 are names the parsers look into (they fit in a bit set); the rest are here for their spelling alone.

export const HOST = 1
export const CONNECTION = 2
export const CONTENT_LENGTH = 3
export const TRANSFER_ENCODING = 4
export const EXPECT = 5
export const UPGRADE = 6
export const USER_AGENT = 7
export const REFERER = 8
export const COOKIE = 9
export const IF_MODIFIED_SINCE = 10
export const IF_NONE_MATCH = 11
export const RANGE = 12
export const ACCEPT_ENCODING = 13
export const X_FORWARDED_FOR = 14
export const AUTHORIZATION = 15
export const CONTENT_TYPE = 16
export const IF_UNMODIFIED_SINCE = 17
export const IF_MATCH = 18
export const IF_RANGE = 19
export const CONTENT_RANGE = 20
export const PROXY_AUTHORIZATION = 21
export const TRAILER = 22
export const TE = 23
export const COOKIE2 = 24
export const CACHE_CONTROL = 25
export const SET_COOKIE = 26
export const WWW_AUTHENTICATE = 27
export const CONTENT_ENCODING = 28
export const KEEP_ALIVE = 29
export const PROXY_CONNECTION = 30
export const MAX_FORWARDS = 31

/** Number to name; the order is that of the constants above. */
export const NAMES: readonly string[] = (
  ' host connection content-length transfer-encoding expect upgrade user-agent referer cookie if-modified-since ' +
  'if-none-match range accept-encoding x-forwarded-for authorization content-type if-unmodified-since if-match if-range ' +
  'content-range proxy-authorization trailer te cookie2 cache-control set-cookie www-authenticate content-encoding ' +
  'keep-alive proxy-connection max-forwards ' +
  'accept accept-language accept-charset accept-ranges date server etag last-modified expires location vary age via ' +
  'origin pragma dnt priority link allow forwarded from warning depth destination overwrite refresh status p3p ' +
  'content-language content-location content-disposition content-security-policy content-security-policy-report-only ' +
  'sec-fetch-site sec-fetch-mode sec-fetch-dest sec-fetch-user sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-gpc ' +
  'sec-websocket-key sec-websocket-version sec-websocket-protocol sec-websocket-extensions sec-websocket-accept ' +
  'upgrade-insecure-requests x-real-ip x-forwarded-proto x-forwarded-host x-forwarded-port x-forwarded-server ' +
  'x-requested-with x-request-id x-correlation-id x-csrftoken x-csrf-token x-api-key x-frame-options ' +
  'x-content-type-options x-xss-protection x-powered-by x-accel-redirect x-accel-buffering x-accel-expires ' +
  'x-accel-charset x-accel-limit-rate x-sendfile x-runtime x-cache x-served-by strict-transport-security ' +
  'referrer-policy permissions-policy cross-origin-opener-policy cross-origin-resource-policy ' +
  'cross-origin-embedder-policy access-control-allow-origin access-control-allow-methods access-control-allow-headers ' +
  'access-control-allow-credentials access-control-expose-headers access-control-max-age ' +
  'access-control-request-method access-control-request-headers alt-svc early-data report-to nel server-timing ' +
  'timing-allow-origin traceparent tracestate baggage cdn-loop cf-ray cf-connecting-ip true-client-ip ' +
  'if-schedule-tag-match proxy-authenticate retry-after save-data x-http-method-override grpc-status grpc-message'
).split(' ')

/** A byte of a name in lower case; all other bytes as they are. */
export const LOWER = new Uint8Array(256)
for (let i = 0; i < 256; i++) LOWER[i] = i >= 65 && i <= 90 ? i + 32 : i

// A hash of length, first, middle and last letter puts each name in a bucket; names that share one are chained.
const BUCKETS = 1024
const first = new Uint8Array(BUCKETS)
const next = new Uint8Array(NAMES.length)
const lengths = new Uint8Array(NAMES.length)
const offsets = new Uint16Array(NAMES.length)
const letters = new Uint8Array(NAMES.join('').length)

let used = 0
for (let id = 1; id < NAMES.length; id++) {
  const name = NAMES[id]!
  lengths[id] = name.length
  offsets[id] = used
  for (let i = 0; i < name.length; i++) letters[used++] = name.charCodeAt(i)
  const length = name.length
  const at = bucket(length, name.charCodeAt(0), name.charCodeAt(length >> 1), name.charCodeAt(length - 1))
  next[id] = first[at]!
  first[at] = id
}

/** The number of the name in bytes[start, end), whatever its case; 0 for a name that is not in the table. */
export function knownName(bytes: Uint8Array, start: number, end: number): number {
  const length = end - start
  const at = bucket(length, LOWER[bytes[start]!]!, LOWER[bytes[start + (length >> 1)]!]!, LOWER[bytes[end - 1]!]!)
  for (let id = first[at]!; id !== 0; id = next[id]!) {
    if (lengths[id] === length && spells(id, bytes, start, length)) return id
  }
  return 0
}

function spells(id: number, bytes: Uint8Array, start: number, length: number): boolean {
  const at = offsets[id]!
  for (let i = 0; i < length; i++) if (LOWER[bytes[start + i]!] !== letters[at + i]) return false
  return true
}

function bucket(length: number, a: number, b: number, c: number): number {
  return (length * 37 + a * 5 + b * 101 + c * 59) & (BUCKETS - 1)
}
