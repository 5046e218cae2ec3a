// A compiled PCRE pattern. V8 runs it wherever both languages mean the same by it and V8's linear engine could run it
// too, which V8 falls back to when backtracking gets out of hand; everything else runs in a matcher of our own that
// counts what it tries. So no text, however hostile, holds the thread (docs/decisions/0008-regular-expressions.md).

import { setFlagsFromString } from 'node:v8'
import { emit } from './emit.ts'
import { Matcher } from './matcher.ts'
import { PatternError, type ByteSet, type Node, type Parsed } from './nodes.ts'
import { parsePattern } from './parse.ts'
import { compileProgram } from './program.ts'
import { lastBytes, neededPairs } from './required.ts'

export { PatternError }

/** Backtracks before V8 turns to its linear engine. A run of one class (`/+$`) is walked back and forth over without being counted:
 *  there is one backtrack for each place where the search begins, and each may cost as much as the text is long. */
const BACKTRACKS_MAX = 500

// For the whole process; expressions compiled from here on obey.
setFlagsFromString('--enable-experimental-regexp-engine')
setFlagsFromString('--enable-experimental-regexp-engine-on-excessive-backtracks')
setFlagsFromString(`--regexp-backtracks-before-fallback=${BACKTRACKS_MAX}`)

/** Refuses with PatternError. */
export function compilePattern(text: string, caseless: boolean): Pattern {
  return new Pattern(text, caseless)
}

/** Used as any RegExp without flags: exec() and test(). */
export class Pattern extends RegExp {
  /** As written. */
  readonly text: string
  readonly caseless: boolean
  /** Groups, without the whole match. */
  readonly captures: number
  readonly names: ReadonlyMap<string, number>
  /** A text without all of these pairs cannot match, nor one that ends in another byte or a newline (required.ts). */
  readonly pairs: number
  readonly endings: ByteSet | null
  private readonly native: RegExp | null
  /** `$` matches before a final newline, which V8 does not know. */
  private readonly asksForEnd: boolean
  private readonly parsed: Parsed
  private matcher: Matcher | null = null

  constructor(text: string, caseless: boolean) {
    const parsed = parsePattern(text, caseless)
    const source = parsed.renumbers ? null : emit(parsed.root)
    const native = source === null ? null : linear(source)
    super(native === null ? '(?:)' : native.source)
    this.text = text
    this.caseless = caseless
    this.captures = parsed.captures
    this.names = parsed.names
    this.pairs = neededPairs(parsed.root)
    this.endings = lastBytes(parsed.root)
    this.native = native
    this.asksForEnd = asksForEnd(parsed.root)
    this.parsed = parsed
  }

  override exec(text: string): RegExpExecArray | null {
    if (this.native !== null && !(this.asksForEnd && text.charCodeAt(text.length - 1) === 10))
      return this.native.exec(text)
    this.matcher ??= new Matcher(compileProgram(this.parsed))
    return this.matcher.exec(text)
  }

  override test(text: string): boolean {
    return this.exec(text) !== null
  }

  /** The last exec() gave up: its null does not mean that the text does not match. */
  get exceeded(): boolean {
    return this.matcher !== null && this.matcher.exceeded
  }
}

/** V8's flag for its linear engine. */
export const LINEAR = 'l'

/** The expression, if V8's linear engine can run it: then V8's backtracking one may try first. */
function linear(source: string): RegExp | null {
  try {
    RegExp(source, LINEAR)
  } catch {
    return null
  }
  return new RegExp(source)
}

function asksForEnd(node: Node): boolean {
  switch (node.kind) {
    case 'assertion':
      return node.at === 'end' || node.at === 'final'
    case 'sequence':
      return node.items.some(asksForEnd)
    case 'alternatives':
      return node.branches.some(asksForEnd)
    case 'capture':
    case 'repeat':
      return asksForEnd(node.body)
    default:
      return false
  }
}
