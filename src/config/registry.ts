// All modules' directives by name. One name may be declared several times for different contexts (`server` in http and in
// upstream); two declarations for the same context are a fault of the program.

import { closest } from './closest.ts'
import type { Directive, Directives } from './directive.ts'
import * as contexts from './directive.ts'

/** Why a name cannot be used here, in nginx's words. */
export interface Refusal {
  readonly problem: string
  readonly hint: string | null
}

export class Registry {
  private readonly byName = new Map<string, Directive<unknown>[]>()

  constructor(modules: Iterable<Directives>) {
    for (const directives of modules) {
      for (const [name, directive] of Object.entries(directives)) this.add(name, directive)
    }
  }

  find(name: string, context: number): Directive<unknown> | null {
    return this.byName.get(name)?.find(directive => (directive.in & context) !== 0) ?? null
  }

  /** Names with their declarations, for the manual and for listings. */
  entries(): IterableIterator<[string, readonly Directive<unknown>[]]> {
    return this.byName.entries()
  }

  refusal(name: string, context: number): Refusal {
    const declared = this.byName.get(name)
    if (declared !== undefined) {
      const where = contextNames(declared.reduce((all, directive) => all | directive.in, 0))
      return { problem: `"${name}" directive is not allowed here`, hint: `it may stand in ${where.join(', ')}` }
    }
    const here = [...this.byName].filter(([, all]) => all.some(directive => (directive.in & context) !== 0))
    const near =
      closest(
        name,
        here.map(([name]) => name),
      ) ?? closest(name, this.byName.keys())
    return { problem: `unknown directive "${name}"`, hint: near === null ? null : `did you mean "${near}"?` }
  }

  private add(name: string, directive: Directive<unknown>): void {
    const declared = this.byName.get(name) ?? []
    if (declared.includes(directive)) return
    const clash = declared.reduce((all, other) => all | (other.in & directive.in), 0)
    if (clash !== 0) throw new Error(`"${name}" is declared twice for ${contextNames(clash).join(', ')}`)
    this.byName.set(name, [...declared, directive])
  }
}

/** The contexts' names as the manual has them. */
export function contextNames(bits: number): string[] {
  return namesOfContexts.flatMap(([bit, name]) => ((bits & bit) === 0 ? [] : [name]))
}

const namesOfContexts: readonly (readonly [bit: number, name: string])[] = [
  [contexts.MAIN, 'main'],
  [contexts.EVENTS, 'events'],
  [contexts.HTTP, 'http'],
  [contexts.SERVER, 'server'],
  [contexts.LOCATION, 'location'],
  [contexts.IF_IN_SERVER, 'if in server'],
  [contexts.IF_IN_LOCATION, 'if in location'],
  [contexts.LIMIT_EXCEPT, 'limit_except'],
  [contexts.UPSTREAM, 'upstream'],
  [contexts.ACME_ISSUER, 'acme_issuer'],
  [contexts.APP, 'app'],
  [contexts.STREAM, 'stream'],
  [contexts.STREAM_SERVER, 'server in stream'],
  [contexts.STREAM_UPSTREAM, 'upstream in stream'],
  [contexts.MAIL, 'mail'],
  [contexts.MAIL_SERVER, 'server in mail'],
]
