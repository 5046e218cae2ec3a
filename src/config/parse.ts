// Text → statements, with every `include` replaced by what it names. Nothing is known about directives here: whether a
// name exists, may stand where it does or may have braces is the reader's matter (read.ts).
//
// nginx reads and judges in one pass, so a wrong directive on line 10 is told before a missing brace on line 50. Here the
// two are separate; each statement and each error therefore carries its position in reading order, and the reader puts
// its own errors and these into one order.

import { COMMAND_LINE, ConfigError } from './errors.ts'
import { Tokens } from './tokens.ts'
import { hasWildcards } from './glob.ts'
import type { Place, Statement } from './directive.ts'
import type { Source } from './source.ts'
import type { TextKind } from './tokens.ts'

export interface Parsed {
  readonly statements: readonly Statement[]
  /** In reading order. After a syntax error nothing more was read; a file that cannot be opened is passed over. */
  readonly errors: readonly ConfigError[]
  /** The folder that paths in the configuration are relative to, with its final slash. */
  readonly confFolder: string
}

/** nginx runs out of file descriptors when files include each other in a circle; this is told sooner. */
const INCLUDES_DEEP = 64
const BLOCKS_DEEP = 256
/** The order of a block's end that was not reached. */
export const TORN = Infinity

/** Reads the file, after the directives of the command line (`-g`) if there are any. Does not throw for what is in them. */
export function parseConfig(source: Source, path: string, commandLine = ''): Parsed {
  const parser = new Parser(source, folderOf(path))
  const statements: Statement[] = []
  parser.guard(() => parser.text(commandLine, COMMAND_LINE, 'parameter', statements))
  if (parser.errors.length === 0) parser.guard(() => parser.text(source.read(path), path, 'file', statements))
  return { statements, errors: parser.errors, confFolder: parser.confFolder }
}

/** Parses one text that is no file of its own: a test's, or one made by a program. It may include files all the same. */
export function parseText(text: string, path: string, source: Source): Parsed {
  const parser = new Parser(source, folderOf(path))
  const statements: Statement[] = []
  parser.guard(() => parser.text(text, path, 'file', statements))
  return { statements, errors: parser.errors, confFolder: parser.confFolder }
}

class Parser {
  readonly errors: ConfigError[] = []
  readonly confFolder: string
  private readonly source: Source
  private order = 0
  private includes = 0
  private blocks = 0

  constructor(source: Source, confFolder: string) {
    this.source = source
    this.confFolder = confFolder
  }

  /** A syntax error ends all reading; it is the last error then. */
  guard(read: () => void): void {
    try {
      read()
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      this.errors.push(new ConfigError(error.message, error.file, error.line, error.hint, this.order++))
    }
  }

  text(text: string, file: string, kind: TextKind, into: Statement[]): void {
    const tokens = new Tokens(text, file, kind)
    if (this.block(tokens, file, kind, into) === 'close') this.fail(tokens, file, 'unexpected "}"')
  }

  /** Reads statements up to the end of the block or of the text, and answers which of them it was. */
  private block(tokens: Tokens, file: string, kind: TextKind, into: Statement[]): 'close' | 'end' {
    for (;;) {
      const ending = tokens.next()
      if (ending === 'close' || ending === 'end') return ending
      const place: Place = { file, line: tokens.line, order: this.order++ }
      const [{ text: name }, ...words] = tokens.words as [(typeof tokens.words)[0], ...typeof tokens.words]
      if (ending === 'open') {
        if (kind === 'parameter') this.fail(tokens, file, 'block directives are not supported in -g option')
        this.open(tokens, place, name, words, into)
      } else if (name === 'include' && words.length === 1) this.include(words[0]!.text, place, into)
      else into.push({ ...place, name, words, block: null, end: place })
    }
  }

  private open(tokens: Tokens, place: Place, name: string, words: Statement['words'], into: Statement[]): void {
    const inner: Statement[] = []
    // Pushed before its content is read: a syntax error within must not hide the statements before it.
    const statement = { ...place, name, words, block: inner, end: { ...place, order: TORN } }
    into.push(statement)
    if (++this.blocks > BLOCKS_DEEP) this.fail(tokens, place.file, `more than ${BLOCKS_DEEP} nested blocks`)
    if (this.block(tokens, place.file, 'file', inner) === 'end') {
      this.fail(tokens, place.file, 'unexpected end of file, expecting "}"')
    }
    this.blocks--
    statement.end = { file: place.file, line: tokens.line, order: this.order++ }
  }

  private include(argument: string, place: Place, into: Statement[]): void {
    const pattern = argument.startsWith('/') ? argument : this.confFolder + argument
    const paths = hasWildcards(pattern) ? this.source.glob(pattern) : [pattern]
    for (const path of paths) {
      const text = this.read(path, place)
      if (text === null) continue
      if (++this.includes > INCLUDES_DEEP) throw ConfigError.at(place, `more than ${INCLUDES_DEEP} nested includes`)
      this.text(text, path, 'file', into)
      this.includes--
    }
  }

  private read(path: string, place: Place): string | null {
    try {
      return this.source.read(path)
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      this.errors.push(ConfigError.at(place, error.message))
      return null
    }
  }

  private fail(tokens: Tokens, file: string, problem: string): never {
    throw new ConfigError(problem, file, tokens.line)
  }
}

/** With the final slash; an empty string for a bare name. */
function folderOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/') + 1)
}
