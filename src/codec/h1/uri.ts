// A request target's path and arguments, as nginx normalises them (ngx_http_parse_complex_uri): percent-decoded, with
// `.` and `..` resolved and repeated slashes merged. What needs nothing of that is sliced, not copied.
// And the other way: what must be escaped where (ngx_escape_uri), and undone (ngx_unescape_uri).

/** What parseUri found; reused. */
export class Uri {
  /** The normalised path: what locations are matched against. */
  uri = ''
  /** What stands behind the first `?`, undecoded. */
  args = ''
  /** Was there anything to normalise? If not, uri and target spell the path alike. */
  complex = false
}

const SLASH = 47
const DOT = 46
const PERCENT = 37
const HASH = 35
const QUESTION = 63

// 1: may stand anywhere in a simple path. The others are looked at.
const USUAL = new Uint8Array(256).fill(1)
for (const c of '/%#?') USUAL[c.charCodeAt(0)] = 0

/** False: the target is invalid (bad percent-encoding, %00, or above the root). */
export function parseUri(target: string, mergeSlashes: boolean, into: Uri): boolean {
  const length = target.length
  let i = 0
  for (; i < length; i++) {
    const c = target.charCodeAt(i)
    if (USUAL[c] === 1) continue
    if (c === SLASH) {
      const after = i + 1 < length ? target.charCodeAt(i + 1) : 0
      if (after === DOT || after === SLASH) return normalise(target, mergeSlashes, into)
    } else if (c === QUESTION && i > 0) break
    else return normalise(target, mergeSlashes, into)
  }
  const args = i < length ? target.slice(i + 1) : ''
  if (args.includes('#')) return normalise(target, mergeSlashes, into)
  into.uri = i < length ? target.slice(0, i) : target
  into.args = args
  into.complex = false
  return true
}

/**
 * The same with raw_requests: nothing is resolved or merged, and what is no percent-encoding stays as it is, as Python's
 * unquote() has it. Every target is valid.
 */
export function parseRawUri(target: string, into: Uri): void {
  const hash = target.indexOf('#')
  const text = hash === -1 ? target : target.slice(0, hash)
  const question = text.indexOf('?')
  const path = (question === -1 ? text : text.slice(0, question)) || '/'
  into.uri = unescapeUri(path)
  into.args = question === -1 ? '' : text.slice(question + 1)
  into.complex = into.uri !== path
}

// A path never grows by being normalised, but for the `/` in front of an empty one.
let scratch = Buffer.allocUnsafe(8192)

const IN_NAME = 0
const AFTER_SLASH = 1
const AFTER_DOT = 2
const AFTER_DOTS = 3

function normalise(target: string, mergeSlashes: boolean, into: Uri): boolean {
  const hash = target.indexOf('#')
  const text = hash === -1 ? target : target.slice(0, hash)
  const question = text.indexOf('?')
  if (scratch.length < text.length + 1) scratch = Buffer.allocUnsafe(text.length * 2)
  const used = writePath(text, question === -1 ? text.length : question, mergeSlashes)
  if (used === -1) return false
  into.uri = scratch.toString('latin1', 0, used)
  into.args = question === -1 ? '' : text.slice(question + 1)
  into.complex = true
  return true
}

/** Writes what stands before `end` to `scratch`, decoded and without dots. Answers its length, -1: it is invalid. */
function writePath(text: string, end: number, mergeSlashes: boolean): number {
  const out = scratch
  let used = 0
  // `http://host?x` has no path at all.
  if (end === 0 && text !== '') out[used++] = SLASH
  let state = IN_NAME
  for (let i = 0; i < end;) {
    let c = text.charCodeAt(i++)
    if (c === PERCENT) {
      c = hexPair(text, i)
      if (c <= 0) return -1
      i += 2
      // These are characters of a name once decoded; `.` and `/` keep their meaning, as in nginx.
      if (c === PERCENT || c === HASH || c === QUESTION) {
        state = IN_NAME
        out[used++] = c
        continue
      }
    }
    if (c === SLASH) {
      if (state >= AFTER_DOT) {
        used = leaveDots(out, used, state)
        if (used === 0) return -1
      } else if (state === IN_NAME || !mergeSlashes) out[used++] = SLASH
      state = AFTER_SLASH
    } else {
      out[used++] = c
      state = c === DOT && state !== IN_NAME && state !== AFTER_DOTS ? state + 1 : IN_NAME
    }
  }
  return state < AFTER_DOT ? used : leaveDots(out, used, state) || -1
}

/** A segment `.` or `..` has ended: the length that leaves the path it leads to, with its `/`; 0 above the root. */
function leaveDots(out: Buffer, used: number, state: number): number {
  return state === AFTER_DOT ? used - 1 : parent(out, used)
}

// out ends in `/name/..`: the length that leaves `/`; 0 above the root.
function parent(out: Buffer, used: number): number {
  let i = used - 4
  while (i >= 0 && out[i] !== SLASH) i--
  return i + 1
}

const HEX = new Int8Array(256).fill(-1)
for (let i = 0; i < 16; i++) {
  HEX['0123456789abcdef'.charCodeAt(i)] = i
  HEX['0123456789ABCDEF'.charCodeAt(i)] = i
}

// The byte two hexadecimal digits stand for, or -1.
function hexPair(text: string, at: number): number {
  if (at + 1 >= text.length) return -1
  const high = HEX[text.charCodeAt(at)]!
  const low = HEX[text.charCodeAt(at + 1)]!
  return high < 0 || low < 0 ? -1 : high * 16 + low
}

/** Where the text is going: nginx's NGX_ESCAPE_ kinds. */
export type EscapeKind = 'uri' | 'args' | 'component' | 'html' | 'refresh' | 'memcached' | 'xtext'

const CONTROLS = 0
const NOT_ASCII = 1
type Also = typeof CONTROLS | typeof NOT_ASCII
// Never allowed in a URI (RFC 3986, 2), but for `"`, `<` and the like that refresh and memcached treat their own way.
const UNSAFE = ' "<>\\^`{|}'

const ESCAPED: Readonly<Record<EscapeKind, Uint8Array>> = {
  uri: table(`${UNSAFE}#%?`, NOT_ASCII),
  args: table(`${UNSAFE}#%&+;?`, NOT_ASCII),
  component: table(`${UNSAFE}!#$%&'()*+,/:;=?@[]`, NOT_ASCII),
  html: table(`${UNSAFE}#%'`, NOT_ASCII),
  // nginx's own choice for HTML's refresh: `}` may stand, `~` may not.
  refresh: table(' "<>\\^`{|~\'', NOT_ASCII),
  memcached: table(' %', CONTROLS),
  xtext: table(' +=', NOT_ASCII),
}

function table(characters: string, also: Also): Uint8Array {
  const escaped = new Uint8Array(256).fill(1, 0, 32)
  if (also === NOT_ASCII) escaped.fill(1, 127)
  for (const c of characters) escaped[c.charCodeAt(0)] = 1
  return escaped
}

export function escapeUri(text: string, kind: EscapeKind): string {
  const escaped = ESCAPED[kind]
  let i = 0
  while (i < text.length && escaped[text.charCodeAt(i)] === 0) i++
  if (i === text.length) return text
  const sign = kind === 'xtext' ? '+' : '%'
  let out = ''
  let from = 0
  for (; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (escaped[c] === 0) continue
    out += text.slice(from, i) + sign + (c < 16 ? '0' : '') + c.toString(16).toUpperCase()
    from = i + 1
  }
  return out + text.slice(from)
}

/** Percent-decoded; what is no encoding stays as it is. */
export function unescapeUri(text: string): string {
  let i = text.indexOf('%')
  if (i === -1) return text
  let out = ''
  let from = 0
  while (i !== -1) {
    const c = hexPair(text, i + 1)
    if (c >= 0) {
      out += text.slice(from, i) + String.fromCharCode(c)
      from = i + 3
    }
    i = text.indexOf('%', Math.max(from, i + 1))
  }
  return out + text.slice(from)
}
