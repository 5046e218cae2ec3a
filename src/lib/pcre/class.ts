// Escapes that stand for one byte, and classes in brackets.

import { add, bothCases, escapeSets, inverse, only, posixSets, propertySet } from './byte-sets.ts'
import { PatternError, type ByteSet } from './nodes.ts'

/** A pattern's text and how far it is read. */
export class Cursor {
  readonly text: string
  at = 0

  constructor(text: string) {
    this.text = text
  }

  get done(): boolean {
    return this.at >= this.text.length
  }

  /** The next character, '' at the end. */
  get next(): string {
    return this.text.charAt(this.at)
  }

  take(): string {
    return this.text.charAt(this.at++)
  }

  /** Passes over the text if it is what follows. */
  skip(text: string): boolean {
    if (!this.text.startsWith(text, this.at)) return false
    this.at += text.length
    return true
  }

  /** Passes over what the sticky expression matches; '' if it does not. */
  match(sticky: RegExp): string {
    sticky.lastIndex = this.at
    const found = sticky.exec(this.text)?.[0] ?? ''
    this.at += found.length
    return found
  }

  fail(message: string, offset = this.at): never {
    throw new PatternError(message, Math.min(offset, this.text.length))
  }
}

const TOO_LARGE = 'character code point value in \\x{} or \\o{} is too large'
const controls: Readonly<Record<string, number>> = { a: 7, e: 27, f: 12, n: 10, r: 13, t: 9 }

/** The byte of an escape such as `\n` or `\x41`, behind its backslash; -1, and nothing read, if it is of another kind. */
export function escapedByte(cursor: Cursor): number {
  const c = cursor.next
  if (controls[c] !== undefined) {
    cursor.at++
    return controls[c]
  }
  if (c === 'x') return hexadecimal(cursor)
  if (c === 'o') return octalInBraces(cursor)
  if (c === '0') return octal(cursor)
  if (c === 'c') return control(cursor)
  if (/[A-Za-z1-9]/.test(c)) return -1
  cursor.at++
  return c.charCodeAt(0)
}

function hexadecimal(cursor: Cursor): number {
  cursor.at++
  if (!cursor.skip('{')) return parseInt(cursor.match(/[0-9A-Fa-f]{1,2}/y) || '0', 16)
  const digits = cursor.match(/[0-9A-Fa-f]+/y)
  const value = parseInt(digits, 16)
  if (value > 255) cursor.fail(TOO_LARGE, cursor.at - digits.replace(/^0+/, '').length + 3)
  if (digits === '' || !cursor.skip('}')) {
    cursor.fail('non-hex character in \\x{} (closing brace missing?)', cursor.done ? cursor.at - 1 : cursor.at)
  }
  return value
}

function octalInBraces(cursor: Cursor): number {
  cursor.at++
  if (!cursor.skip('{')) cursor.fail('missing opening brace after \\o')
  const digits = cursor.match(/[0-7]+/y)
  if (parseInt(digits, 8) > 255) cursor.fail(TOO_LARGE)
  if (digits === '' || !cursor.skip('}')) cursor.fail('non-octal character in \\o{} (closing brace missing?)')
  return parseInt(digits, 8)
}

/** Up to three digits. */
export function octal(cursor: Cursor): number {
  const value = parseInt(cursor.match(/[0-7]{1,3}/y), 8)
  if (value > 255) cursor.fail('octal value is greater than \\377 in 8-bit non-UTF-8 mode')
  return value
}

function control(cursor: Cursor): number {
  cursor.at++
  if (cursor.done) cursor.fail('\\c at end of pattern')
  const byte = cursor.take().toUpperCase().charCodeAt(0)
  if (byte < 32 || byte > 126) cursor.fail('\\c must be followed by a printable ASCII character', cursor.at - 1)
  return byte ^ 64
}

/** `\p{…}` and `\P{…}`, whose letter has been read. */
export function property(cursor: Cursor, letter: string): ByteSet {
  let name = cursor.take()
  if (name === '{') {
    name = cursor.match(/[^}]*/y)
    if (!cursor.skip('}')) cursor.fail('malformed \\P or \\p sequence')
  }
  const set = propertySet(name) ?? cursor.fail('unknown property after \\P or \\p')
  return letter === 'P' ? inverse(set) : set
}

/** A class; its `[` has been read. */
export function byteClass(cursor: Cursor, caseless: boolean): ByteSet {
  const negated = cursor.skip('^')
  const set = new Uint8Array(256)
  let first = true
  let literal = false
  for (;;) {
    if (cursor.done) cursor.fail('missing terminating ] for character class')
    if (literal ? cursor.skip('\\E') : cursor.skip('\\Q')) {
      literal = !literal
      continue
    }
    if (!literal && cursor.skip('\\E')) continue
    if (!literal && !first && cursor.skip(']')) break
    first = false
    const from = literal ? cursor.take().charCodeAt(0) : member(cursor)
    if (!literal && isRange(cursor)) addRange(cursor, from, set)
    else add(set, typeof from === 'number' ? only(from) : from)
  }
  const cased = caseless ? bothCases(set) : set
  return negated ? inverse(cased) : cased
}

/** A `-` that neither ends the class nor stands before its end is a range's. */
function isRange(cursor: Cursor): boolean {
  return cursor.next === '-' && cursor.at + 1 < cursor.text.length && cursor.text.charAt(cursor.at + 1) !== ']'
}

function addRange(cursor: Cursor, from: number | ByteSet, set: ByteSet): void {
  cursor.at++
  // Behind a class such as \d a hyphen is taken for itself before another class, and refused before a character.
  if (typeof from !== 'number')
    cursor.fail('invalid range in character class', cursor.at - 1 + Number(cursor.text[cursor.at - 2] === ']'))
  cursor.match(/(?:\\E)+/y)
  const start = cursor.at
  const to = member(cursor)
  if (typeof to !== 'number')
    cursor.fail('invalid range in character class', cursor.text[start] === '[' ? start + 1 : cursor.at)
  if (to < from) cursor.fail('range out of order in character class', cursor.at - 1)
  set.fill(1, from, to + 1)
}

/** One character, or an escape or POSIX class that is a set. */
function member(cursor: Cursor): number | ByteSet {
  if (cursor.next === '[' && /[:.=]/.test(cursor.text.charAt(cursor.at + 1))) {
    const posix = posixClass(cursor)
    if (posix !== null) return posix
  }
  const c = cursor.take()
  if (c !== '\\') return c.charCodeAt(0)
  if (cursor.done) cursor.fail('\\ at end of pattern')
  const letter = cursor.next
  if (letter === 'b') {
    cursor.at++
    return 8
  }
  if (/[1-7]/.test(letter)) return octal(cursor)
  const byte = escapedByte(cursor)
  if (byte >= 0) return byte
  cursor.at++
  if (letter === 'p' || letter === 'P') return property(cursor, letter)
  const set = escapeSets[letter]
  if (set !== undefined) return set
  if (letter === 'N') cursor.fail('\\N is not supported in a class')
  if (/[BRX]/.test(letter)) cursor.fail('escape sequence is invalid in character class', cursor.at - 1)
  return unknownEscape(cursor, letter)
}

/** A letter that means nothing behind a backslash. */
export function unknownEscape(cursor: Cursor, letter: string): never {
  if (/[FLlUu]/.test(letter)) cursor.fail('PCRE2 does not support \\F, \\L, \\l, \\N{name}, \\U, or \\u')
  return cursor.fail('unrecognized character follows \\', cursor.at - 1)
}

function posixClass(cursor: Cursor): ByteSet | null {
  const kind = cursor.text.charAt(cursor.at + 1)
  const start = cursor.at
  const found = cursor.match(
    kind === ':' ? /\[:(?:\^?)[^\]\\:]*:\]/y : kind === '.' ? /\[\.[^\]\\]*\.\]/y : /\[=[^\]\\]*=\]/y,
  )
  if (found === '') return null
  if (kind !== ':') cursor.fail('POSIX collating elements are not supported', start)
  const negated = found.charAt(2) === '^'
  const name = found.slice(negated ? 3 : 2, -2)
  const set = Object.hasOwn(posixSets, name) ? posixSets[name] : undefined
  if (set === undefined) cursor.fail('unknown POSIX class name', start + 2)
  return negated ? inverse(set) : set
}

/** What a literal character matches. */
export function literalSet(byte: number, caseless: boolean): ByteSet {
  const kept = caseless ? caselessSets : exactSets
  return (kept[byte] ??= caseless ? bothCases(only(byte)) : only(byte))
}

// One set for each character, so that equal literals are the same object.
const exactSets: ByteSet[] = []
const caselessSets: ByteSet[] = []
