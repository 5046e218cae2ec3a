// What `portico explain` needs to know of a compiled configuration and requests need not: which module made a step and
// where in the files it comes from. Notes are taken while the configuration compiles, beside what is compiled, and only
// if somebody asks (CompileOptions.notes); what requests run through is the same with them and without.

import type { Place, Scope } from '../config/directive.ts'
import type { ListenDeclaration } from './core/listen.ts'
import type { HttpModule } from './module.ts'
import type { Step } from './phases.ts'
import type { HttpRequest } from './request.ts'
import type { LocationRuntime, ServerRuntime } from './runtime.ts'

/** How a step is explained. Without it, and after the rewrite phase, it is told of and not run. */
export interface Explained<C> {
  /** May it be run for somebody who only wants to know? It answers at once, changes nothing and calls nobody. */
  readonly runs?: boolean
  /** A line each: what it does, or would do, with this request. */
  describe?(r: HttpRequest, conf: C): readonly string[]
}

export const RUNS: Explained<any> = { runs: true }
/** A content handler that says no more of itself. */
export const ANSWERS: Explained<any> = {}

export interface StepNote {
  /** A phase of module.ts, or `find-config`, `post-rewrite` and `end`, which are the core's. */
  readonly phase: string
  readonly module: HttpModule
  readonly scope: Scope
  readonly explained: Explained<any> | null
}

/** A server under one of its addresses. */
export interface ServerNote {
  readonly declared: ListenDeclaration
  readonly server: ServerRuntime
  readonly scope: Scope
}

/** Hears what happens within a step: a rule that applied, a location that was looked at. */
export type Tell = (what: string, text: string, place: Place | null) => void

export class Notes {
  readonly steps = new Map<Step, StepNote>()
  /** What each was compiled from. */
  readonly locations = new Map<LocationRuntime, Scope>()
  readonly servers: ServerNote[] = []
  tell: Tell = () => {}
}
