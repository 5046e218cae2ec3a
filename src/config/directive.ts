// What a directive is: where it may stand, how many arguments it takes, what its value is and how it is inherited.
// This file knows no directive by name; modules declare theirs with the builders in values.ts.

import type { DataFile } from './source.ts'

/** The contexts a directive may stand in, as bits (nginx's NGX_*_CONF). */
export const MAIN = 1
export const EVENTS = 2
export const HTTP = 4
export const SERVER = 8
export const LOCATION = 16
export const IF_IN_SERVER = 32
export const IF_IN_LOCATION = 64
export const LIMIT_EXCEPT = 128
export const UPSTREAM = 256
export const APP = 512
export const STREAM = 1024
export const STREAM_SERVER = 2048
export const STREAM_UPSTREAM = 4096
export const MAIL = 8192
export const MAIL_SERVER = 16384
export const ACME_ISSUER = 32768

/** Where something was written; order counts directives in reading order, so values of different names can be put in order. */
export interface Place {
  readonly file: string
  readonly line: number
  readonly order: number
}

/** One argument after unquoting. Quoting matters to a few readers (`""`, `if (…)`), so it is kept. */
export interface Word {
  readonly text: string
  readonly quoted: boolean
}

/** A directive as written: its name, the words after it, and the block's content when it has braces. Its line is that of
 *  the `;` or `{`, which is where nginx reports what is wrong with it. */
export interface Statement extends Place {
  readonly name: string
  readonly words: readonly Word[]
  readonly block: readonly Statement[] | null
  /** The closing brace, for what can only be missed at the end of a block; without a block the statement's own place. */
  readonly end: Place
}

/** What a reader is told about the directive it reads, and the way to refuse it. */
export interface Site extends Place {
  readonly name: string
  readonly context: number
  readonly words: readonly Word[]
  /** The scope the directive stands in: its file-wide registry and the enclosing values read so far. */
  readonly scope: Scope
  /** Data blocks (`block: 'data'`): the lines between the braces, unread; `include` is already resolved. */
  readonly lines: readonly Statement[]
  /** Scope blocks (`block: <context>`): the inner scope, already read. */
  readonly inner: Scope | null
  /** Where the directive's block ends. */
  readonly end: Place
  /** Relative paths are relative to the prefix, or to the configuration's folder. */
  prefixPath(path: string): string
  confPath(path: string): string
  /** Refuses the configuration: `problem in FILE:LINE`. */
  fail(problem: string, hint?: string): never
  /** Refuses it for something written elsewhere: a line of a data block, the end of the block. */
  failAt(place: Place, problem: string, hint?: string): never
  /** @param place where it is, if not where the directive is */
  warn(problem: string, place?: Place): void
}

export interface Directive<T> {
  readonly in: number
  readonly args: readonly [min: number, max: number]
  readonly default: T
  /** Absent: no braces. 'data': lines for the reader itself (types, map). A context bit: an inner scope (server, location).
   *  A function where the inner context depends on the outer one: `if` within a server and within a location. */
  readonly block?: 'data' | number | ((context: number) => number)
  /** May it be given twice in one block? If not, nginx says `"x" directive is duplicate`. Builders of lists set it. */
  readonly repeatable?: boolean
  /** The contexts that take the value from the enclosing block. Absent: all. `IF_IN_LOCATION | LIMIT_EXCEPT`: a handler
   *  such as proxy_pass, which nested locations do not inherit. 0: none, as with rewrite rules. */
  readonly inheritedBy?: number
  /** Accepted for the sake of existing files; its value changes nothing. */
  readonly idle?: boolean
  /** Idle since its feature does not exist yet, which is said once: nobody shall believe it works. */
  readonly later?: boolean
  /** It is known, and why it cannot be used; its block is not looked at. */
  readonly refused?: string
  parse(args: readonly string[], at: Site, soFar: T | undefined): T
  /** How an inner block's own value is combined with the enclosing one (the default, if there is none). Absent: it
   *  replaces it. */
  merge?(outer: T, inner: T): T
}

export type Directives = Readonly<Record<string, Directive<any>>>
/** The values of a set of directives in one scope. */
export type Conf<D extends Directives> = { readonly [K in keyof D]: D[K] extends Directive<infer T> ? T : never }

/** What a check may ask of the block (http, stream) that it is made in. */
export interface Checked {
  /** Has a variable of that name been defined? */
  knows(variable: string): boolean
  readData(path: string): DataFile
}

/** A block's values: its own, and through `parent` those it inherits. */
export interface Scope {
  readonly context: number
  readonly parent: Scope | null
  /** The statement that opened this block; null for the file itself. */
  readonly statement: Statement | null
  /** Inner scopes in the order written (server, location, upstream, …). */
  readonly children: readonly Scope[]
  /** Arguments of the opening statement. */
  readonly args: readonly string[]
  /** What must hold of values of this block whether anybody uses them or not; asked when all modules have spoken. */
  readonly checks: ((block: Checked) => void)[]
  /** Is the directive written in this very block? */
  has(name: string): boolean
  /** The site of this block's own (last) directive of that name, for errors found later. */
  site(name: string): Site | null
  /** Values of a module's directives here, after inheritance. Frozen; the same object for the same declarations, also in
   *  an inner block that sets none of them. */
  conf<D extends Directives>(directives: D): Conf<D>
}
