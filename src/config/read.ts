// Statements → scopes: every directive is looked up, checked as nginx checks it and in that order, and read into a value.
// What is wrong is collected, not thrown, so that a user sees it all at once; the first error is the one nginx tells.

import { MAIN } from './directive.ts'
import { ConfigError, ConfigErrors } from './errors.ts'
import { TORN } from './parse.ts'
import { BlockScope } from './scope.ts'
import type { Directive, Place, Scope, Site, Statement, Word } from './directive.ts'
import type { Parsed } from './parse.ts'
import type { Progress } from './scope.ts'
import type { Registry } from './registry.ts'

export interface ReadOptions {
  /** What relative paths are relative to (`-p`), with its final slash. */
  readonly prefix: string
  /** The context of the outermost statements. */
  readonly context?: number
  /** Hears of what is odd but usable. */
  readonly warn?: (warning: ConfigError) => void
}

/** How many errors are told at once; those after it often follow from the first. */
const ERRORS_MAX = 20

/** Reads all statements and answers the outermost scope. Throws ConfigErrors. */
export function readConfig(parsed: Parsed, registry: Registry, options: ReadOptions): Scope {
  const reader = new Reader(parsed, registry, options)
  const scope = new BlockScope(options.context ?? MAIN, null, null, reader.progress)
  reader.block(parsed.statements, scope)
  reader.progress.done = true
  reader.throwErrors()
  return scope
}

class Reader {
  readonly progress: Progress = { done: false }
  readonly options: ReadOptions
  readonly confFolder: string
  private readonly registry: Registry
  private readonly errors: ConfigError[]
  private readonly toldOfLater = new Set<string>()

  constructor(parsed: Parsed, registry: Registry, options: ReadOptions) {
    this.registry = registry
    this.options = options
    this.confFolder = parsed.confFolder
    this.errors = [...parsed.errors]
  }

  block(statements: readonly Statement[], scope: BlockScope): void {
    for (const statement of statements) {
      try {
        this.statement(statement, scope)
      } catch (error) {
        if (!(error instanceof ConfigError)) throw error
        this.errors.push(this.withMissingEnd(error, statement, scope.context))
      }
    }
  }

  /** One of the words is a directive that may stand here: who forgets a ";" is told of the next line. */
  private withMissingEnd(error: ConfigError, { name, words }: Statement, context: number): ConfigError {
    if (error.hint !== null || this.registry.find(name, context) === null) return error
    const next = words.find(({ text, quoted }) => !quoted && this.registry.find(text, context) !== null)
    if (next === undefined) return error
    return new ConfigError(
      error.message,
      error.file,
      error.line,
      `is a ";" missing before "${next.text}"?`,
      error.order,
    )
  }

  throwErrors(): void {
    if (this.errors.length === 0) return
    // What a block lacks is not known where its end was not read; why it was not is among the others.
    const known = this.errors.filter(({ order }) => order !== TORN)
    throw new ConfigErrors(distinct(known.sort((a, b) => a.order - b.order)).slice(0, ERRORS_MAX))
  }

  private statement(statement: Statement, scope: BlockScope): void {
    const directive = this.registry.find(statement.name, scope.context)
    if (directive === null) this.refuse(statement, scope)
    if (directive.refused !== undefined) throw ConfigError.at(statement, directive.refused)
    checkForm(statement, directive)
    const inner = this.content(statement, directive, scope)
    if (scope.has(statement.name) && directive.repeatable !== true) {
      throw ConfigError.at(statement, `"${statement.name}" directive is duplicate`)
    }
    const site = new StatementSite(statement, scope, inner, directive.block === 'data', this)
    const args = statement.words.map(word => word.text)
    const value = directive.parse(args, site, scope.own(statement.name, directive))
    scope.set(statement.name, directive, value, site)
    if (directive.later !== true || this.toldOfLater.has(statement.name)) return
    this.toldOfLater.add(statement.name)
    site.warn(`the "${statement.name}" directive has no effect yet`)
  }

  private refuse(statement: Statement, scope: BlockScope): never {
    if (statement.name === 'include') {
      // One that could be followed was replaced by the parser.
      checkForm(statement, includeForm)
    }
    const { problem, hint } = this.registry.refusal(statement.name, scope.context)
    throw ConfigError.at(statement, problem, hint)
  }

  /** Reads what is between the braces, as far as that is not the directive's own matter. */
  private content(statement: Statement, directive: Directive<unknown>, scope: BlockScope): BlockScope | null {
    if (directive.block === undefined || statement.block === null) return null
    if (directive.block === 'data') {
      const line = statement.block.find(line => line.block !== null)
      if (line !== undefined) throw ConfigError.at(line, 'unexpected "{"')
      return null
    }
    const context = typeof directive.block === 'number' ? directive.block : directive.block(scope.context)
    const inner = new BlockScope(context, scope, statement, this.progress)
    scope.children.push(inner)
    this.block(statement.block, inner)
    return inner
  }
}

const includeForm: Pick<Directive<unknown>, 'args' | 'block'> = { args: [1, 1] }

function checkForm(
  { name, words, block, ...place }: Statement,
  form: Pick<Directive<unknown>, 'args' | 'block'>,
): void {
  if (form.block === undefined && block !== null) {
    throw ConfigError.at(place, `directive "${name}" is not terminated by ";"`)
  }
  if (form.block !== undefined && block === null) {
    throw ConfigError.at(place, `directive "${name}" has no opening "{"`)
  }
  if (words.length < form.args[0] || words.length > form.args[1]) {
    throw ConfigError.at(place, `invalid number of arguments in "${name}" directive`)
  }
}

/** A file included twice is wrong twice; once is enough to be told. */
function distinct(errors: readonly ConfigError[]): ConfigError[] {
  const byText = new Map<string, ConfigError>()
  for (const error of errors) if (!byText.has(error.toString())) byText.set(error.toString(), error)
  return [...byText.values()]
}

class StatementSite implements Site {
  readonly name: string
  readonly file: string
  readonly line: number
  readonly order: number
  readonly context: number
  readonly words: readonly Word[]
  readonly scope: Scope
  readonly lines: readonly Statement[]
  readonly inner: Scope | null
  readonly end: Place
  private readonly reader: Reader

  constructor(statement: Statement, scope: Scope, inner: Scope | null, isData: boolean, reader: Reader) {
    this.name = statement.name
    this.file = statement.file
    this.line = statement.line
    this.order = statement.order
    this.context = scope.context
    this.words = statement.words
    this.scope = scope
    this.lines = isData ? (statement.block ?? []) : []
    this.inner = inner
    this.end = statement.end
    this.reader = reader
  }

  prefixPath(path: string): string {
    return path.startsWith('/') ? path : this.reader.options.prefix + path
  }

  confPath(path: string): string {
    return path.startsWith('/') ? path : this.reader.confFolder + path
  }

  fail(problem: string, hint?: string): never {
    return this.failAt(this, problem, hint)
  }

  failAt(place: Place, problem: string, hint?: string): never {
    throw ConfigError.at(place, problem, hint ?? null)
  }

  warn(problem: string, place: Place = this): void {
    this.reader.options.warn?.(ConfigError.at(place, problem))
  }
}
