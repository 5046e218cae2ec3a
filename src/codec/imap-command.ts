// An IMAP client's commands before it has logged in (RFC 3501, 9): a tag, a name, and arguments that are words, quoted strings,
// or literals, which say how long they are and may have to be asked for.

import { CONTINUE, INCOMPLETE, type MailCommand } from './mail-command.ts'

const NAMES = new Set(['NOOP', 'LOGIN', 'LOGOUT', 'STARTTLS', 'CAPABILITY', 'AUTHENTICATE'])
const ARGS_MAX = 3
const TAG_MAX = 32
/** Digits of a literal's length: more are more than anybody may send here. */
const DIGITS_MAX = 9

const BROKEN = -2

/**
 * @param asked how many literals of this command the client has been asked for
 * @returns characters used, INCOMPLETE, or CONTINUE: it is to be asked for one more. What is no command is used up to the end of
 *   the line it goes wrong in, and has no name
 */
export function readImapCommand(text: string, asked: number, into: MailCommand): number {
  const reader = new Reader(text, asked)
  into.name = ''
  into.args = []
  into.tag = ''
  const used = reader.read(into)
  if (used !== BROKEN) return used
  into.name = ''
  const end = text.indexOf('\n', reader.at)
  return end < 0 ? INCOMPLETE : end + 1
}

/** Has what was no command a literal behind it that comes without being asked for? Nobody knows where it ends. */
export function endsInLiteral(line: string): boolean {
  return /\+\}\r?\n$/.test(line)
}

class Reader {
  at = 0
  private readonly text: string
  private asked: number
  private readonly args: string[] = []

  constructor(text: string, asked: number) {
    this.text = text
    this.asked = asked
  }

  read(into: MailCommand): number {
    const { text } = this
    const tag = this.take(/[A-Za-z0-9._-]*/y)
    if (tag.length > TAG_MAX) return BROKEN
    if (this.at === text.length) return INCOMPLETE
    if (text[this.at] !== ' ') return BROKEN
    into.tag = `${tag} `
    this.take(/ */y)
    const name = this.take(/[A-Za-z]*/y).toUpperCase()
    if (this.at === text.length) return INCOMPLETE
    if (!NAMES.has(name) || !/[ \r\n]/.test(text[this.at]!)) return BROKEN
    const used = this.readArguments()
    if (used > 0) {
      into.name = name
      into.args = this.args
    }
    return used
  }

  private take(pattern: RegExp): string {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)![0]
    this.at += found.length
    return found
  }

  private readArguments(): number {
    const { text } = this
    for (;;) {
      this.take(/ */y)
      const char = text[this.at]
      if (char === undefined) return INCOMPLETE
      if (char === '\r' || char === '\n') return this.lineEnd()
      if (this.args.length === ARGS_MAX) return BROKEN
      const status = char === '"' ? this.quoted() : char === '{' ? this.literal() : this.word()
      if (status !== 0) return status === 1 ? INCOMPLETE : status
    }
  }

  /** @returns what has been used with it */
  private lineEnd(): number {
    const { text } = this
    if (text[this.at] === '\n') return this.at + 1
    if (this.at + 1 === text.length) return INCOMPLETE
    this.at++
    return text[this.at] === '\n' ? this.at + 1 : BROKEN
  }

  // An argument each. 0: it is read; 1: there is not all of it; else what readArguments() says.

  private word(): number {
    const word = this.take(/[^ \r\n]*/y)
    if (this.at === this.text.length) return 1
    this.args.push(word)
    return 0
  }

  private quoted(): number {
    const { text } = this
    let value = ''
    for (let at = this.at + 1; at < text.length; at++) {
      let char = text[at]!
      if (char === '"') {
        this.at = at + 1
        this.args.push(value)
        return 0
      }
      if (char === '\\' && ++at < text.length) char = text[at]!
      if (char === '\r' || char === '\n') {
        this.at = at
        return BROKEN
      }
      value += char
    }
    return 1
  }

  private literal(): number {
    const { text } = this
    const [head, digits, unasked] = /^\{(\d*)(\+?)(?:\}\r*\n)?/.exec(text.slice(this.at))!
    if (digits!.length > DIGITS_MAX) return BROKEN
    if (!head.endsWith('\n')) return this.literalBegun(head)
    if (digits === '') return BROKEN
    if (unasked === '') {
      if (this.asked === 0) return CONTINUE
      this.asked--
    }
    const start = this.at + head.length
    const end = start + Number(digits)
    if (text.length <= end) return 1
    this.args.push(text.slice(start, end))
    this.at = end
    if (/[ \r\n]/.test(text[end]!)) return 0
    return BROKEN
  }

  /** Can what there is of a literal's head become one? */
  private literalBegun(head: string): number {
    const rest = this.text.slice(this.at + head.length)
    if (/^(?:\}\r*)?$/.test(rest)) return 1
    this.at += head.length
    return BROKEN
  }
}
