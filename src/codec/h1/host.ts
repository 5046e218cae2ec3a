// Is this a host, as a Host field or an absolute-form target may name it, and which? nginx's ngx_http_validate_host:
// lower-cased, port and trailing dot taken off, two dots in a row refused, IP literals kept in their brackets.

/** What parseHost found; one is enough for a connection. */
export class HostName {
  name = ''
  port = 0
}

const ALNUM = 1
const UPPER = 2
// Unreserved and sub-delims of RFC 3986, 2; `%` for what is percent-encoded.
const MARK = 3
const KIND = new Uint8Array(128)
for (const c of 'abcdefghijklmnopqrstuvwxyz0123456789-') KIND[c.charCodeAt(0)] = ALNUM
for (const c of 'ABCDEFGHIJKLMNOPQRSTUVWXYZ') KIND[c.charCodeAt(0)] = UPPER
for (const c of "_~!$&'()*+,;=%") KIND[c.charCodeAt(0)] = MARK

const DOT = 46
const COLON = 58

/** Reads text[from, to): the head itself rather than a slice of it, whose characters cost more to look at. */
export function parseHost(text: string, from: number, to: number, into: HostName): boolean {
  const literal = from < to && text.charCodeAt(from) === 91 // [
  let upper = false
  let dot = from - 2
  let i = literal ? from + 1 : from
  for (; i < to; i++) {
    const c = text.charCodeAt(i)
    const kind = c < 128 ? KIND[c]! : 0
    if (kind === ALNUM) continue
    if (kind === UPPER) upper = true
    else if (c === DOT) {
      if (dot === i - 1) return false
      dot = i
    } else if (kind !== MARK || (literal && c === 37)) {
      if (c === COLON && literal) continue
      if (c === COLON || (c === 93 && literal)) break // ]
      return false
    }
  }
  if (literal) {
    if (i === to) return false
    i++
    if (i < to && text.charCodeAt(i) !== COLON) return false
  }
  if (!takePort(text, i, to, into)) return false
  const end = dot === i - 1 ? dot : i
  if (end <= from) return false
  const name = text.slice(from, end)
  into.name = upper ? name.toLowerCase() : name
  return true
}

// `:` and up to five digits, or nothing at all after the colon.
function takePort(text: string, colon: number, to: number, into: HostName): boolean {
  let port = 0
  for (let i = colon + 1; i < to; i++) {
    const digit = text.charCodeAt(i) - 48
    if (digit < 0 || digit > 9) return false
    port = port * 10 + digit
    if (port > 65535) return false
  }
  into.port = port
  return true
}
