// A configuration that cannot be used, and where it goes wrong.

import type { Place } from './directive.ts'

/** What stands for a file's name where directives came from the command line (`-g`); such places have no line. */
export const COMMAND_LINE = 'command line'

/** As messages name it. */
export function placeText({ file, line }: Pick<Place, 'file' | 'line'>): string {
  return file === COMMAND_LINE ? file : `${file}:${line}`
}

/** `message` is the problem in nginx's words, without place; `toString` adds ` in FILE:LINE` where the place is known. */
export class ConfigError extends Error {
  readonly file: string | null
  readonly line: number
  /** What the user may have meant. Never part of the message, which stays exactly nginx's. */
  readonly hint: string | null
  /** Position in reading order: of several errors, nginx would have told the one of the lowest order. */
  readonly order: number

  constructor(problem: string, file: string | null = null, line = 0, hint: string | null = null, order = 0) {
    super(problem)
    this.name = 'ConfigError'
    this.file = file
    this.line = line
    this.hint = hint
    this.order = order
  }

  static at(place: Place, problem: string, hint: string | null = null): ConfigError {
    return new ConfigError(problem, place.file, place.line, hint, place.order)
  }

  override toString(): string {
    return this.file === null ? this.message : `${this.message} in ${placeText({ file: this.file, line: this.line })}`
  }
}

/** Everything found wrong, in reading order. The first is what nginx would have said before giving up. */
export class ConfigErrors extends Error {
  readonly errors: readonly ConfigError[]

  constructor(errors: readonly ConfigError[]) {
    super(errors.map(error => error.toString()).join('\n'))
    this.name = 'ConfigErrors'
    this.errors = errors
  }
}
