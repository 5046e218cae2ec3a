// Which fields of an application's response the server takes for itself, and which just go on to the client.

export const OTHER = 0
export const CONTENT_TYPE = 1
export const CONTENT_LENGTH = 2
export const LOCATION = 3
export const LAST_MODIFIED = 4
export const ETAG = 5
export const ACCEL_BUFFERING = 6
export const ACCEL_REDIRECT = 8
export const ACCEL_LIMIT_RATE = 9
export const ACCEL_CHARSET = 10
export const ACCEL_EXPIRES = 11
/** Says that there will be trailers, which have a place with some clients only. */
export const TRAILER = 12
/** Of one connection only, or ours to say. */
const DROPPED = 7

/** A map: to an object `constructor` is a name it knows. */
const kinds: ReadonlyMap<string, number> = new Map([
  ['content-type', CONTENT_TYPE],
  ['content-length', CONTENT_LENGTH],
  ['location', LOCATION],
  ['last-modified', LAST_MODIFIED],
  ['etag', ETAG],
  ['x-accel-buffering', ACCEL_BUFFERING],
  ['x-accel-redirect', ACCEL_REDIRECT],
  ['x-accel-limit-rate', ACCEL_LIMIT_RATE],
  ['x-accel-charset', ACCEL_CHARSET],
  ['x-accel-expires', ACCEL_EXPIRES],
  ['connection', DROPPED],
  ['keep-alive', DROPPED],
  ['transfer-encoding', DROPPED],
  ['upgrade', DROPPED],
  ['trailer', TRAILER],
  ['te', DROPPED],
  ['date', DROPPED],
  ['server', DROPPED],
])

/** By the name as the application spells it, which is one of few. */
const kindOfName = new Map<string, number>()
const NAMES_MAX = 1000

/** What is to be done with a field of that name. */
export function kindOf(name: string): number {
  let kind = kindOfName.get(name)
  if (kind === undefined) {
    kind = kinds.get(name.toLowerCase()) ?? OTHER
    if (kindOfName.size < NAMES_MAX) kindOfName.set(name, kind)
  }
  return kind
}

/** Is a field of that name for this connection, or ours to say? */
export function isForUs(name: string): boolean {
  const kind = kindOf(name)
  return kind === DROPPED || kind === TRAILER
}

/** Blanks around a value are none of it (RFC 9110, 5.5), and a mistake in HTTP/2. */
export function bare(value: string): string {
  let start = 0
  let end = value.length
  while (start < end && value.charCodeAt(start) <= 32) start++
  while (end > start && value.charCodeAt(end - 1) <= 32) end--
  return end - start === value.length ? value : value.slice(start, end)
}

export function isAccel(kind: number): boolean {
  return kind === ACCEL_BUFFERING || (kind >= ACCEL_REDIRECT && kind <= ACCEL_EXPIRES)
}
