// Characters → directives, one at a time: the words up to `;` or `{`, a closing `}`, or the end of the text.
//
// nginx's reader, state for state, with its oddities, since existing files lean on them: a `}` or a quote within a word is
// an ordinary character, a quoted word must be followed by a blank (or `)`), a `#` starts a comment only where a word could
// start, and nothing longer than nginx's buffer can be one word or one comment. The text has one character per byte.

import { ConfigError } from './errors.ts'
import type { Word } from './directive.ts'

/** What ended the words: `;`, `{`, a `}` standing alone, or the end of the text. */
export type Ending = 'semicolon' | 'open' | 'close' | 'end'

/** Files end as nginx's files do; a parameter (`-g`) has another text for its end and no limit of length. */
export type TextKind = 'file' | 'parameter'

const BUFFER_SIZE = 4096
const END = -1
const TAB = 9
const LF = 10
const CR = 13
const SPACE = 32
const DOUBLE_QUOTE = 34
const HASH = 35
const DOLLAR = 36
const SINGLE_QUOTE = 39
const CLOSING_PARENTHESIS = 41
const SEMICOLON = 59
const BACKSLASH = 92
const OPEN = 123
const CLOSE = 125

export class Tokens {
  /** The words of the directive just read. */
  words: Word[] = []
  /** The line reached: of the `;` or brace after `next()`, of the fault after an error. */
  line: number
  private readonly text: string
  private readonly file: string
  private readonly kind: TextKind
  private position = 0
  /** Where the thing now being read began, and on which line: what nginx's buffer would have to hold. */
  private start = 0
  private startLine: number
  private quote = 0

  constructor(text: string, file: string, kind: TextKind = 'file') {
    this.text = text
    this.file = file
    this.kind = kind
    this.line = kind === 'file' ? 1 : 0
    this.startLine = this.line
  }

  /** Reads up to the next ending; the words are in `words`. Throws ConfigError. */
  next(): Ending {
    this.words = []
    this.start = this.position
    this.startLine = this.line
    let c = this.firstOfWord()
    for (;;) {
      switch (c) {
        case END:
          return this.words.length === 0 ? 'end' : this.failAtEnd()
        case SEMICOLON:
          return this.words.length === 0 ? this.unexpected(c) : 'semicolon'
        case OPEN:
          return this.words.length === 0 ? this.unexpected(c) : 'open'
        case CLOSE:
          return this.words.length === 0 ? 'close' : this.unexpected(c)
        case DOUBLE_QUOTE:
        case SINGLE_QUOTE:
          this.quotedWord(c)
          c = this.afterQuote()
          break
        default:
          c = this.bareWord(c)
      }
      // What followed a word may end the directive, or begin the next word, or be a blank.
      if (c === SEMICOLON) return 'semicolon'
      if (c === OPEN) return 'open'
      if (isBlank(c)) c = this.firstOfWord()
    }
  }

  /** Passes over blanks and comments. */
  private firstOfWord(): number {
    for (;;) {
      let c = this.take()
      this.start = this.position - 1
      this.startLine = this.line
      if (c === END || (!isBlank(c) && c !== HASH)) return c
      if (c !== HASH) continue
      while (c !== LF && c !== END) c = this.take()
      if (c === END) return END
    }
  }

  private quotedWord(quote: number): void {
    this.start = this.position
    this.quote = quote
    for (;;) {
      const c = this.take()
      if (c === quote) break
      if (c === END || (c === BACKSLASH && this.take() === END)) this.failAtEnd()
    }
    this.quote = 0
    this.words.push({ text: unescape(this.text.slice(this.start, this.position - 1)), quoted: true })
  }

  private afterQuote(): number {
    const c = this.take()
    if (c === CLOSING_PARENTHESIS) {
      this.start = this.position - 1
      this.startLine = this.line
    } else if (c !== END && !isBlank(c) && c !== SEMICOLON && c !== OPEN) this.unexpected(c)
    return c
  }

  /** Reads a word that began with `c`, and answers the character after it. */
  private bareWord(c: number): number {
    // `$` opens a name in braces, whose `{` opens no block; nginx lets any number of `{` pass there.
    let variable = false
    do {
      if (c === END || (c === BACKSLASH && this.take() === END)) this.failAtEnd()
      variable = c === DOLLAR || (variable && c === OPEN)
      c = this.take()
    } while (!isBlank(c) && c !== SEMICOLON && (c !== OPEN || variable))
    this.words.push({ text: unescape(this.text.slice(this.start, this.position - 1)), quoted: false })
    return c
  }

  private take(): number {
    if (this.position >= this.text.length) return END
    if (this.position - this.start >= BUFFER_SIZE && this.kind === 'file') this.failTooLong()
    const c = this.text.charCodeAt(this.position++)
    if (c === LF) this.line++
    return c
  }

  private unexpected(c: number): never {
    return this.fail(`unexpected "${String.fromCharCode(c)}"`)
  }

  private failAtEnd(): never {
    return this.fail(
      this.kind === 'file'
        ? 'unexpected end of file, expecting ";" or "}"'
        : 'unexpected end of parameter, expecting ";"',
    )
  }

  private failTooLong(): never {
    this.line = this.startLine
    if (this.quote === 0) {
      return this.fail(`too long parameter "${this.text.slice(this.start, this.start + 10)}..." started`)
    }
    const quote = String.fromCharCode(this.quote)
    return this.fail(`too long parameter, probably missing terminating "${quote}" character`)
  }

  private fail(problem: string): never {
    throw new ConfigError(problem, this.file, this.line)
  }
}

function isBlank(c: number): boolean {
  return c === SPACE || c === LF || c === TAB || c === CR
}

/** Only these are escapes; before any other character the backslash stays, as regular expressions want it. */
const escapes: Readonly<Record<string, string>> = {
  '\\"': '"',
  "\\'": "'",
  '\\\\': '\\',
  '\\t': '\t',
  '\\r': '\r',
  '\\n': '\n',
}

function unescape(raw: string): string {
  return raw.includes('\\') ? raw.replace(/\\[^]/g, pair => escapes[pair] ?? pair) : raw
}
