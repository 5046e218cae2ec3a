// A block's values, and how it inherits the others: the Scope of directive.ts, filled in by read.ts.

import type { Checked, Conf, Directive, Directives, Scope, Site, Statement } from './directive.ts'

/** The whole file's state of reading: values are settled, and may be kept, only when all of it has been read. */
export interface Progress {
  done: boolean
}

interface Entry {
  readonly directive: Directive<unknown>
  readonly value: unknown
  readonly site: Site
}

export class BlockScope implements Scope {
  readonly context: number
  readonly parent: BlockScope | null
  readonly statement: Statement | null
  readonly children: BlockScope[] = []
  readonly checks: ((block: Checked) => void)[] = []
  readonly args: readonly string[]
  private readonly progress: Progress
  private readonly entries = new Map<string, Entry>()
  private readonly confs = new Map<Directives, Conf<any>>()

  constructor(context: number, parent: BlockScope | null, statement: Statement | null, progress: Progress) {
    this.context = context
    this.parent = parent
    this.statement = statement
    this.args = statement === null ? [] : statement.words.map(word => word.text)
    this.progress = progress
  }

  has(name: string): boolean {
    return this.entries.has(name)
  }

  site(name: string): Site | null {
    return this.entries.get(name)?.site ?? null
  }

  conf<D extends Directives>(directives: D): Conf<D> {
    const kept = this.confs.get(directives)
    if (kept !== undefined) return kept as Conf<D>
    const conf = this.inherit(directives)
    if (this.progress.done) this.confs.set(directives, conf)
    return conf as Conf<D>
  }

  /** This block's own value of a declaration; undefined before its first occurrence. */
  own(name: string, directive: Directive<unknown>): unknown {
    const entry = this.entries.get(name)
    return entry?.directive === directive ? entry.value : undefined
  }

  set(name: string, directive: Directive<unknown>, value: unknown, site: Site): void {
    this.entries.set(name, { directive, value, site })
  }

  private inherit(directives: Directives): Record<string, unknown> {
    const outer: Record<string, unknown> | null = this.parent === null ? null : this.parent.conf(directives)
    if (outer !== null && this.addsNothing(directives)) return outer
    const conf: Record<string, unknown> = {}
    for (const [name, directive] of Object.entries(directives)) {
      const inherited = outer !== null && inherits(this.context, directive) ? outer[name] : directive.default
      conf[name] = this.isOwn(name, directive) ? this.combine(name, directive, inherited) : inherited
    }
    return Object.freeze(conf)
  }

  private addsNothing(directives: Directives): boolean {
    if (!inheritsAll(this.context, directives)) return false
    for (const [name, { directive }] of this.entries) if (directives[name] === directive) return false
    return true
  }

  private isOwn(name: string, directive: Directive<unknown>): boolean {
    return this.entries.get(name)?.directive === directive
  }

  private combine(name: string, directive: Directive<unknown>, outer: unknown): unknown {
    const inner = this.own(name, directive)
    return directive.merge === undefined ? inner : directive.merge(outer, inner)
  }
}

// Asked for every block, and the same for all of a kind.
const inheritingAll = new WeakMap<Directives, Map<number, boolean>>()

function inheritsAll(context: number, directives: Directives): boolean {
  let known = inheritingAll.get(directives)
  if (known === undefined) inheritingAll.set(directives, (known = new Map()))
  let all = known.get(context)
  if (all === undefined) {
    all = Object.values(directives).every(directive => inherits(context, directive))
    known.set(context, all)
  }
  return all
}

function inherits(context: number, { inheritedBy }: Directive<unknown>): boolean {
  return inheritedBy === undefined || (inheritedBy & context) !== 0
}
