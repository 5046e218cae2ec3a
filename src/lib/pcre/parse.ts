// PCRE2's syntax → a tree. What is wrong is refused in PCRE2's words; what neither engine can do (recursion, backtracking
// verbs, callouts) in words of our own.

import { anyByte, escapeSets, notNewline, only, setOf } from './byte-sets.ts'
import { byteClass, Cursor, escapedByte, literalSet, octal, property, unknownEscape } from './class.ts'
import { Groups } from './groups.ts'
import { empty, fixedLength, type Assertion, type ByteSet, type Node, type Parsed } from './nodes.ts'
import { initialOptions, type Options, readOptions } from './options.ts'
import { beginsQuantifier, isQuantifier, quantified } from './quantifier.ts'

const NESTING_MAX = 250

export function parsePattern(pattern: string, caseless: boolean): Parsed {
  return new Parser(pattern, caseless).parse()
}

class Parser {
  private readonly cursor: Cursor
  private options: Options
  private readonly groups: Groups
  private depth = 0
  private renumbers = false
  private looking = 0

  constructor(pattern: string, caseless: boolean) {
    this.cursor = new Cursor(pattern)
    this.groups = new Groups(this.cursor)
    this.options = initialOptions(caseless)
  }

  parse(): Parsed {
    const { cursor } = this
    if (/^\(\*[A-Z]/.test(cursor.text)) cursor.fail('(*VERB) is not supported', 2)
    const root = this.alternatives()
    if (!cursor.done) cursor.fail('unmatched closing parenthesis')
    this.groups.resolve()
    return { root, captures: this.groups.count, names: this.groups.names, renumbers: this.renumbers }
  }

  /** Branches up to the closing parenthesis, which is left unread. `reset`: each branch numbers anew, as in `(?|`. */
  private alternatives(reset = false): Node {
    const outer = this.options
    const first = this.groups.count
    let most = first
    const branches = [this.sequence()]
    while (this.cursor.skip('|')) {
      most = Math.max(most, this.groups.count)
      if (reset) this.groups.count = first
      branches.push(this.sequence())
    }
    if (reset) this.renumbers = true
    this.groups.count = Math.max(most, this.groups.count)
    this.options = outer
    return branches.length === 1 ? branches[0]! : { kind: 'alternatives', branches }
  }

  private sequence(): Node {
    const { cursor } = this
    const items: Node[] = []
    // May a quantifier follow? What stands for nothing (comments, \E) changes nothing in that.
    let repeatable = false
    for (;;) {
      this.skipBlanks()
      if (cursor.done || cursor.next === '|' || cursor.next === ')') break
      if (cursor.skip('\\E')) continue
      if (cursor.skip('(?#')) {
        this.comment()
      } else if (cursor.skip('\\Q')) {
        const before = items.length
        this.literals(items)
        repeatable ||= items.length > before
      } else if (isQuantifier(cursor, repeatable)) {
        items.push(quantified(cursor, items.pop()!, this.options.U))
        repeatable = false
      } else {
        const item = this.item()
        if (item !== null) items.push(item)
        repeatable = item !== null && item.kind !== 'assertion' && item.kind !== 'keep'
      }
    }
    return items.length === 1 ? items[0]! : { kind: 'sequence', items }
  }

  /** Behind `\Q`: everything is itself up to `\E`. */
  private literals(items: Node[]): void {
    const { cursor } = this
    while (!cursor.done && !cursor.skip('\\E')) {
      items.push({ kind: 'set', set: literalSet(cursor.take().charCodeAt(0), this.options.i) })
    }
  }

  private comment(): void {
    this.cursor.match(/[^)]*/y)
    if (!this.cursor.skip(')')) this.cursor.fail('missing ) after (?# comment')
  }

  private skipBlanks(): void {
    if (this.options.x) this.cursor.match(/(?:[\t-\r ]|#[^\n]*(?:\n|$))*/y)
  }

  /** One item without its quantifier; null for what matches nothing by itself. */
  private item(): Node | null {
    const { cursor, options } = this
    const start = cursor.at
    const c = cursor.take()
    switch (c) {
      case '\\':
        return this.escape()
      case '[':
        if (/^[:.=]/.test(cursor.next) && isPosixOutside(cursor.text.slice(start))) {
          cursor.fail('POSIX named classes are supported only within a class', start)
        }
        return { kind: 'set', set: byteClass(cursor, options.i) }
      case '(':
        return this.group(start)
      case '.':
        return { kind: 'set', set: options.s ? anyByte : notNewline }
      case '^':
        return { kind: 'assertion', at: options.m ? 'line-start' : 'start' }
      case '$':
        return { kind: 'assertion', at: options.m ? 'line-end' : 'final' }
      default:
        return { kind: 'set', set: literalSet(c.charCodeAt(0), options.i) }
    }
  }

  // ── escapes ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Behind a backslash. */
  private escape(): Node {
    const { cursor, options } = this
    const start = cursor.at
    if (cursor.done) cursor.fail('\\ at end of pattern')
    if (/[1-9]/.test(cursor.next)) return this.numbered(start)
    const byte = escapedByte(cursor)
    if (byte >= 0) return { kind: 'set', set: literalSet(byte, options.i) }
    const letter = cursor.take()
    const set = escapeSets[letter]
    if (set !== undefined) return { kind: 'set', set }
    const at = assertions[letter]
    if (at !== undefined) return { kind: 'assertion', at }
    switch (letter) {
      case 'N':
        if (cursor.next === '{' && !beginsQuantifier(cursor.text.slice(cursor.at))) unknownEscape(cursor, 'u')
        return { kind: 'set', set: notNewline }
      case 'C':
        return { kind: 'set', set: anyByte }
      case 'R':
        return { kind: 'atomic', body: lineEnding }
      case 'K':
        if (this.looking > 0) {
          cursor.fail(
            '\\K is not allowed in lookarounds (but see PCRE2_EXTRA_ALLOW_LOOKAROUND_BSK)',
            cursor.text.length,
          )
        }
        return { kind: 'keep' }
      case 'p':
      case 'P':
        return { kind: 'set', set: property(cursor, letter) }
      case 'g':
        return this.backReference(/[{]?([+-]?[0-9]+)[}]?|\{([A-Za-z_]\w*)\}/y, start)
      case 'k':
        return this.namedReference()
      case 'X':
        return cursor.fail('\\X is not supported', start)
      default:
        return unknownEscape(cursor, letter)
    }
  }

  /** `\1`: a reference, unless there are not that many groups and it can be octal. */
  private numbered(start: number): Node {
    const { cursor } = this
    const digits = cursor.match(/[0-9]+/y)
    const number = Number(digits)
    if (number < 10 || digits.charAt(0) >= '8' || number <= this.groups.count) return this.reference(number, start)
    cursor.at = start
    return { kind: 'set', set: literalSet(octal(cursor), this.options.i) }
  }

  private backReference(form: RegExp, start: number): Node {
    const { cursor } = this
    if (cursor.next === '<' || cursor.next === "'") cursor.fail('recursion is not supported', start)
    const found = cursor.match(form)
    if (found === '' || found.startsWith('{') !== found.endsWith('}')) {
      cursor.fail('\\g is not followed by a braced, angle-bracketed, or quoted name/number or by a plain number')
    }
    const inner = found.replace(/^\{|\}$/g, '')
    if (!/^[+-]?[0-9]/.test(inner)) return this.reference(inner, start + 2)
    const offset = found.startsWith('{') ? cursor.at - 1 : start + 1
    const value = Number(inner)
    if (value < 0 && this.groups.count + value < 0) cursor.fail('reference to non-existent subpattern', start + 1)
    return this.reference(this.groups.relative(inner), offset)
  }

  private namedReference(): Node {
    const { cursor } = this
    const close =
      closing[cursor.next] ?? cursor.fail('\\k is not followed by a braced, angle-bracketed, or quoted name')
    cursor.at++
    const offset = cursor.at
    return this.reference(this.name(close), offset)
  }

  private reference(target: string | number, offset: number): Node {
    return this.groups.reference(target, offset, this.options.i)
  }

  // ── groups ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Behind an opening parenthesis at `start`. */
  private group(start: number): Node | null {
    const { cursor } = this
    if (cursor.next === '*') return this.verb()
    if (!cursor.skip('?')) return this.options.n ? this.body(node => node) : this.capture(null)
    if (cursor.skip(':')) return this.body(node => node)
    if (cursor.skip('>')) return this.body(body => ({ kind: 'atomic', body }))
    if (cursor.skip('=')) return this.look(body => ({ kind: 'look', ahead: true, negative: false, body }))
    if (cursor.skip('!')) return this.look(body => ({ kind: 'look', ahead: true, negative: true, body }))
    if (cursor.skip('<=')) return this.lookBehind(start, false)
    if (cursor.skip('<!')) return this.lookBehind(start, true)
    if (cursor.skip('|')) return this.body(node => node, true)
    if (cursor.skip('P<') || cursor.skip('<')) return this.capture(this.name('>'))
    if (cursor.skip("'")) return this.capture(this.name("'"))
    if (cursor.skip('P=')) {
      const offset = cursor.at
      return this.reference(this.name(')'), offset)
    }
    if (cursor.skip('(')) return this.conditional()
    return this.optionsOrRefusal(start)
  }

  private verb(): never {
    const { cursor } = this
    cursor.at++
    const name = cursor.match(/[A-Za-z_]*/y)
    return /^[a-z]/.test(name)
      ? cursor.fail('(*alpha_assertion) not recognized')
      : cursor.fail('(*VERB) is not supported')
  }

  private capture(name: string | null): Node {
    const number = this.groups.open(name)
    return this.body(body => ({ kind: 'capture', number, name, body }))
  }

  /** Reads up to the closing parenthesis. */
  private body(make: (body: Node) => Node, reset = false): Node {
    const { cursor } = this
    if (++this.depth > NESTING_MAX) cursor.fail('parentheses are too deeply nested')
    const body = this.alternatives(reset)
    if (!cursor.skip(')')) cursor.fail('missing closing parenthesis')
    this.depth--
    return group(make(body))
  }

  private look(make: (body: Node) => Node): Node {
    this.looking++
    const node = this.body(make)
    this.looking--
    return node
  }

  private lookBehind(start: number, negative: boolean): Node {
    return this.look(body => {
      const branches = body.kind === 'alternatives' ? body.branches : [body]
      if (branches.some(branch => fixedLength(branch) < 0)) {
        this.cursor.fail('lookbehind assertion is not fixed length', start)
      }
      return { kind: 'look', ahead: false, negative, body }
    })
  }

  private name(close: string): string {
    const { cursor } = this
    if (/[0-9]/.test(cursor.next)) cursor.fail('subpattern name must start with a non-digit')
    const name = cursor.match(/\w+/y)
    if (name === '') cursor.fail('subpattern name expected')
    if (name.length > 32) cursor.fail('subpattern name is too long (maximum 32 code units)')
    if (!cursor.skip(close)) cursor.fail('syntax error in subpattern name (missing terminator?)')
    return name
  }

  /** `(?(1)yes|no)`, `(?(<name>)…)`, `(?(?=…)…)`. */
  private conditional(): Node {
    const { cursor } = this
    let condition: number | Node = 0
    const node = { kind: 'conditional' as const, condition, yes: empty, no: empty }
    if (cursor.next === '?') {
      cursor.at++
      const look = this.conditionLook()
      condition = look
    } else {
      const offset = cursor.at
      const target = this.conditionTarget()
      this.groups.refer(
        target,
        offset - Number(typeof target === 'number'),
        number => void Object.assign(node, { condition: number }),
      )
    }
    return this.body(body => {
      const branches = body.kind === 'alternatives' ? body.branches : [body]
      if (branches.length > 2) cursor.fail('conditional subpattern contains more than two branches', cursor.at - 1)
      return Object.assign(node, { condition, yes: branches[0]!, no: branches[1] ?? empty })
    })
  }

  private conditionLook(): Node {
    const { cursor } = this
    const start = cursor.at - 2
    for (const [sign, ahead, negative] of [
      ['=', true, false],
      ['!', true, true],
    ] as const) {
      if (cursor.skip(sign)) return this.look(body => ({ kind: 'look', ahead, negative, body }))
    }
    if (cursor.skip('<=')) return this.lookBehind(start, false)
    if (cursor.skip('<!')) return this.lookBehind(start, true)
    return cursor.fail('assertion expected after (?( or (?(?C)')
  }

  private conditionTarget(): string | number {
    const { cursor } = this
    if (cursor.done) cursor.fail('missing closing parenthesis')
    if (/^(?:R\d*|R&\w+|DEFINE|VERSION[^)]*)\)/.test(cursor.text.slice(cursor.at)))
      cursor.fail('recursion is not supported')
    const digits = cursor.match(/[+-]?[0-9]+/y)
    if (digits === '')
      return cursor.skip('<')
        ? closed(cursor, this.name('>'))
        : cursor.skip("'")
          ? closed(cursor, this.name("'"))
          : this.name(')')
    closed(cursor, '')
    return this.groups.relative(digits)
  }

  /** `(?i)`, `(?i-m:…)`; or what cannot be. */
  private optionsOrRefusal(start: number): Node | null {
    const { cursor } = this
    if (cursor.done) cursor.fail('missing closing parenthesis')
    if (/^(?:R|&|P>|[+-]?[0-9])/.test(cursor.text.slice(cursor.at))) cursor.fail('recursion is not supported', start)
    if (cursor.next === 'C') cursor.fail('callouts are not supported', start)
    if (cursor.skip('P')) {
      if (cursor.done) cursor.fail('missing closing parenthesis')
      cursor.fail('unrecognized character after (?P')
    }
    const options = readOptions(cursor, this.options)
    if (cursor.skip(':')) {
      const outer = this.options
      this.options = options
      const body = this.body(node => node)
      this.options = outer
      return body
    }
    cursor.at++
    this.options = options
    return null
  }
}

const closing: Readonly<Record<string, string>> = { '{': '}', '<': '>', "'": "'" }
const assertions: Readonly<Record<string, Assertion>> = {
  A: 'start',
  // Every match begins its search at the start of the text.
  G: 'start',
  z: 'end',
  Z: 'final',
  b: 'word',
  B: 'not-word',
}

const one = (set: ByteSet): Node => ({ kind: 'set', set })
const lineEnding: Node = {
  kind: 'alternatives',
  branches: [{ kind: 'sequence', items: [one(only(13)), one(only(10))] }, one(setOf([10, 13], [0x85, 0x85]))],
}

/** A group is one item, whatever it holds: `(?:^)*` may be repeated where `^*` may not. */
function group(node: Node): Node {
  return node.kind === 'assertion' || node.kind === 'keep' ? { kind: 'sequence', items: [node] } : node
}

function closed(cursor: Cursor, name: string): string {
  if (!cursor.skip(')')) cursor.fail('missing closing parenthesis for condition')
  return name
}

/** Is it a POSIX class that lacks its outer brackets? */
function isPosixOutside(text: string): boolean {
  return /^\[([:.=])[^\]\\]*\1\]/.test(text)
}
