// What a client of POP3 (RFC 1939) or SMTP (RFC 5321) says before it has logged in: commands of one line, and the lines with
// which it answers challenges (RFC 4954, RFC 5034). IMAP's commands are in imap-command.ts.

/** A command as it was received; made once a session and filled anew by each. */
export class MailCommand {
  /** In upper case; '' of one that was not understood. */
  name = ''
  args: readonly string[] = []
  /** As it was written, without the spaces at its end. */
  line = ''
  /** IMAP's, with the space behind it; '' for none. */
  tag = ''
}

// What has been read, if it is not the bytes a command took.
/** The command is not there as a whole. */
export const INCOMPLETE = 0
/** The client waits to be asked for the rest (IMAP's literals). */
export const CONTINUE = -1

/** Which commands there are, how many arguments they take at most, and those that are one argument with its spaces. */
export interface Grammar {
  readonly names: ReadonlySet<string>
  readonly argsMax: number
  readonly whole: ReadonlySet<string>
}

export const POP3: Grammar = {
  names: new Set(['USER', 'PASS', 'APOP', 'QUIT', 'CAPA', 'AUTH', 'NOOP', 'STLS']),
  argsMax: 3,
  // A name or a password may have spaces.
  whole: new Set(['USER', 'PASS']),
}

export const SMTP: Grammar = {
  names: new Set(['HELO', 'EHLO', 'QUIT', 'AUTH', 'NOOP', 'MAIL', 'RSET', 'RCPT', 'VRFY', 'EXPN', 'HELP', 'STARTTLS']),
  argsMax: 11,
  whole: new Set(),
}

/**
 * Reads a command of one line.
 * @param text what has come, one character a byte
 * @returns characters used, or INCOMPLETE. What is no command is used up to the end of its line, and has no name
 */
export function readCommand(text: string, grammar: Grammar, into: MailCommand): number {
  const end = text.indexOf('\n')
  if (end < 0) return INCOMPLETE
  into.name = ''
  into.args = []
  const line = lineBefore(text, end)
  into.line = line === null ? '' : withoutSpacesBehind(line)
  const [, word, rest] = /^([A-Za-z]+)(?: +|$)(.*)$/.exec(line ?? '') ?? []
  const name = word?.toUpperCase() ?? ''
  if (!grammar.names.has(name)) return end + 1
  const args = grammar.whole.has(name) ? (rest === '' ? [] : [rest!]) : wordsOf(rest!)
  if (args.length <= grammar.argsMax) {
    into.name = name
    into.args = args
  }
  return end + 1
}

/** An answer is one word; a line of many is a command of somebody who has lost the thread. */
const ANSWER_WORDS_MAX = 3

/** The answer to a challenge. It has no name if it is none; otherwise `name` stays what it was. */
export function readAnswer(text: string, into: MailCommand): number {
  const end = text.indexOf('\n')
  if (end < 0) return INCOMPLETE
  const line = lineBefore(text, end)
  const [first, ...others] = line === null ? [''] : line.split(' ')
  const words = [first!, ...others.filter(word => word !== '')]
  if (line === null || words.length > ANSWER_WORDS_MAX) into.name = ''
  else into.args = words
  return end + 1
}

/** null: a carriage return stands where none may. */
function lineBefore(text: string, end: number): string | null {
  const line = text.slice(0, text[end - 1] === '\r' ? end - 1 : end)
  return line.includes('\r') ? null : line
}

/** As ` +$` would take them, but that the expression tries each run of spaces from each of its spaces. */
function withoutSpacesBehind(line: string): string {
  let end = line.length
  while (end > 0 && line[end - 1] === ' ') end--
  return line.slice(0, end)
}

function wordsOf(text: string): string[] {
  return text.split(' ').filter(word => word !== '')
}
