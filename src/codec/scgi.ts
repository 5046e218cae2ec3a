// SCGI requests: names and values, each ended by a zero byte, as one netstring. CONTENT_LENGTH comes first.
// A value cannot hold such a byte.

export function encodeHeader(name: string, value: string): string {
  return `${name}\0${value.includes('\0') ? value.replaceAll('\0', '') : value}\0`
}

/** The whole head; behind it comes the body. */
export function requestNetstring(contentLength: number, headers: string): string {
  const text = encodeHeader('CONTENT_LENGTH', String(contentLength)) + headers
  return `${text.length}:${text},`
}
