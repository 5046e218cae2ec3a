// The configuration as text again: the files as they are (`-T`), and statements written anew (`serve --print-config`).

import { Tokens } from './tokens.ts'
import type { Bundle } from './source.ts'
import type { Place, Statement, Word } from './directive.ts'

/** Every file once, in order of first use, as nginx's `-T` prints them. */
export function dump(bundle: Bundle): string {
  return bundle.files.map(([path, text]) => `# configuration file ${path}:\n${text}\n`).join('')
}

/** A statement made by a program; printing quotes what needs it. */
export function statement(
  name: string,
  args: readonly string[] = [],
  block: readonly Statement[] | null = null,
): Statement {
  return { ...unwritten, name, words: args.map(text => ({ text, quoted: false })), block, end: unwritten }
}

const unwritten: Place = { file: 'built-in', line: 0, order: 0 }

/** nginx.conf text that parses back to the same statements. */
export function print(statements: readonly Statement[], indent = ''): string {
  return statements.map((statement, i) => separator(statements, i) + printOne(statement, indent)).join('')
}

/** An empty line around blocks. */
function separator(statements: readonly Statement[], i: number): string {
  const isBlock = (statement: Statement | undefined) => statement !== undefined && statement.block !== null
  return i > 0 && (isBlock(statements[i]) || isBlock(statements[i - 1])) ? '\n' : ''
}

function printOne({ name, words, block }: Statement, indent: string): string {
  const head = indent + [{ text: name, quoted: false }, ...words].map(printWord).join(' ')
  if (block === null) return `${head};\n`
  if (block.length === 0) return `${head} {}\n`
  return `${head} {\n${print(block, indent + '    ')}${indent}}\n`
}

/** Quoted as it was, or as it must be. */
export function printWord({ text, quoted }: Word): string {
  if (!quoted) {
    const bare = escape(text, '')
    if (readsBack(bare, text)) return bare
  }
  const quote = text.includes('"') && !text.includes("'") ? "'" : '"'
  return quote + escape(text, quote) + quote
}

/** Is it one word, and this one? A word that does not come first, since `}` is special there. */
function readsBack(bare: string, text: string): boolean {
  if (/^[A-Za-z0-9_$./:=-]+$/.test(bare)) return true
  try {
    const tokens = new Tokens(`a ${bare};`, '', 'parameter')
    tokens.next()
    return (
      tokens.words.length === 2 && tokens.words[1]!.text === text && !tokens.words[1]!.quoted && tokens.next() === 'end'
    )
  } catch {
    return false // Not a word for this language without quotes.
  }
}

/** A backslash stays single where it is no escape, so that regular expressions remain readable. */
function escape(text: string, quote: string): string {
  return text.replace(/\\(?=["'\\trn]|\$\{|$)|\\[^]|["'\t\r\n]/g, (match, at: number) => {
    if (match === '\\') return '\\\\'
    if (match === '\t') return '\\t'
    if (match === '\r') return '\\r'
    if (match === '\n') return '\\n'
    if (match === '"' || match === "'") return match === quote || (quote === '' && at === 0) ? `\\${match}` : match
    return match
  })
}
