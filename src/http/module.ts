// What a module is: directives, variables, and a compile() that adds steps, filters and log handlers to the locations
// that need them. A feature nobody configured costs a request nothing, because it is in no list.

import type { Conf, Directives, Scope, Site } from '../config/directive.ts'
import type { Template } from '../config/template.ts'
import type { HttpRequest } from './request.ts'
import type { Explained } from './notes.ts'
import type { LocationRuntime } from './runtime.ts'
import type { BodyStage } from './output.ts'
import type { HttpSetup } from './setup.ts'

// What a handler answers: a small integer, never a promise. 200 and above ends the request with that status.
/** Not mine, or nothing to object: the following step. */
export const NEXT = 0
/** This phase is settled: the first step of the following phase. */
export const SKIP = 1
/** I hold the request and will call resume(r, answer) later, once, and not before I have returned. */
export const WAIT = 2
/** The response is mine from here on. */
export const DONE = 3

export type Handler<C> = (r: HttpRequest, conf: C) => number

/** nginx's phases in the order they run; find-config and post-rewrite are the core's own (phases.ts). */
export type Phase = 'post-read' | 'server-rewrite' | 'rewrite' | 'preaccess' | 'access' | 'precontent' | 'content'

/** Looks at the response head when it is ready; answers a stage to sit in the body's path, or null, which costs nothing. */
export type Filter<C> = (r: HttpRequest, conf: C) => BodyStage | null

/** A variable is a getter; null is nginx's "not found" (empty in a string, `-` in a log). */
export interface Variable {
  readonly get: (r: HttpRequest) => string | null
  /** May `set`, map and the like assign it? */
  readonly set?: (r: HttpRequest, value: string) => void
  /** nginx has no such variable: what a configuration makes of that name takes its place. */
  readonly yields?: true
}

/** Variables of ours that nginx does not have. */
export function ours<const N extends string>(variables: Readonly<Record<N, Variable>>): Readonly<Record<N, Variable>> {
  const entries = Object.entries<Variable>(variables).map(([name, variable]) => [name, { ...variable, yields: true }])
  return Object.fromEntries(entries) as Record<N, Variable>
}

/** Text with variables, bound to getters: `constant` is the text when it has none. */
export interface Value {
  readonly constant: string | null
  get(r: HttpRequest): string
}

/** One location (or a server's own level) as a module sees it: once, after inheritance, while the configuration compiles. */
export interface LocationBuilder {
  /** 'server' for the level outside locations: its post-read and server-rewrite steps run for every request, those of the
   *  other phases for a request that belongs to no location. */
  readonly kind: 'server' | 'location'
  /** The location's name as written (`/static/`), '' at server level. */
  readonly name: string
  /** `=`, `^~`, `~`, `~*`, `@` or '' (prefix). */
  readonly modifier: string
  readonly scope: Scope
  /** `explained`: what `portico explain` does with it (notes.ts). */
  step<C>(phase: Phase, run: Handler<C>, conf: C, explained?: Explained<C>): void
  /** The location's only content handler (proxy_pass, app_pass …); it comes before every step of the content phase. */
  content<C>(run: Handler<C>, conf: C, explained?: Explained<C>): void
  /** `alters`: will it change the bytes of this response's body? Asked before ranges are promised; absent: never. */
  filter<C>(run: Filter<C>, conf: C, alters?: (r: HttpRequest, conf: C) => boolean): void
  log<C>(run: (r: HttpRequest, conf: C) => unknown, conf: C): void
  /** Leaves a value at the location, where the module's variables find it. */
  keep<T>(slot: LocationSlot<T>, value: T): void
  /** Is the directive written in this very block, not inherited? */
  has(directive: string): boolean
  site(directive: string): Site | null
  /** A block within this location that has a configuration of its own (`if`): what the request sees once it is in force.
   *  Its steps begin behind the rewrite phase. */
  inner(scope: Scope): LocationRuntime
  /** Binds a template's names to getters; refuses unknown variables at the template's place. */
  value(template: Template): Value
}

/** A server of the stream block, for modules that look at connections as they do at requests: what they are handed is a
 *  session, which has of a request the client's address, slots for their state, `stream`, a status and a log. */
export interface ConnectionBuilder {
  readonly scope: Scope
  /** As access(), before everything else: who the client is. */
  postAccept<C>(run: (r: HttpRequest, conf: C) => number, conf: C): void
  /** Refuses with the status it answers, or NEXT. */
  access<C>(run: (r: HttpRequest, conf: C) => number, conf: C): void
  log<C>(run: (r: HttpRequest, conf: C) => unknown, conf: C): void
  value(template: Template): Value
}

export interface HttpModule<D extends Directives = any> {
  /** The file's name, and its name in docs and logs. */
  readonly name: string
  /** Keys spelled as in nginx.conf. */
  readonly directives: D
  readonly variables?: Readonly<Record<string, Variable>>
  /** Families such as `http_`: the getter for `$http_user_agent` is made from 'user_agent'. */
  readonly prefixVariables?: Readonly<Record<string, (rest: string) => Variable>>
  /** Once per http block, before any location: named groups (upstream, app), new variables (map), zones. */
  setup?(conf: Conf<D>, http: HttpSetup): void
  /** Is it a module of the stream block, too? Then setup() is called for that block as well. */
  readonly inStream?: true
  /** Does it look at mail's connections, too? */
  readonly inMail?: true
  /** Once per server of the stream block, and of mail. */
  connection?(conf: Conf<D>, at: ConnectionBuilder, stream: HttpSetup): void
  /** Once per location and once per server (kind 'server'): add steps only where this location needs them. No side effects. */
  compile?(conf: Conf<D>, at: LocationBuilder, http: HttpSetup): void
}

export function httpModule<const D extends Directives>(module: HttpModule<D>): HttpModule<D> {
  return module
}

// Number 0 is nobody's and always null: the number of slots that have not been used yet.
let slotCount = 1
const inheritedSlots: Slot<unknown>[] = []

/** Per-request state of a module. Numbered when it is first used, since few of the modules there are have any in one program: a
 *  request that waits keeps no room for the others. */
export class Slot<T> {
  private index = 0
  /** @param reach 'subrequests': they begin with their parent's state, as with variables that were set */
  constructor(reach: 'request' | 'subrequests' = 'request') {
    if (reach === 'subrequests') inheritedSlots.push(this)
  }
  get(r: HttpRequest): T | null {
    const { slots } = r
    // A request that is older than the number has no room for it.
    return this.index < slots.length ? (slots[this.index] as T | null) : null
  }
  set(r: HttpRequest, value: T | null): void {
    if (this.index === 0) {
      if (value === null) return
      this.index = slotCount++
    }
    const { slots } = r
    while (slots.length <= this.index) slots.push(null)
    slots[this.index] = value
  }
}

let locationSlotCount = 0

/** What a module keeps at a location: for variables, which no step hands a configuration. */
export class LocationSlot<T> {
  readonly index = locationSlotCount++
  get(r: HttpRequest): T | null {
    return (r.location.kept[this.index] ?? null) as T | null
  }
}

export function inheritSlots(parent: HttpRequest, sub: HttpRequest): void {
  for (const slot of inheritedSlots) {
    const value = slot.get(parent)
    if (value !== null) slot.set(sub, value)
  }
}

let blank: readonly null[] = []

/** Slots for a new request: a copy of as many as are in use, and no more. */
export function freshSlots(): unknown[] {
  if (blank.length !== slotCount) blank = Array.from({ length: slotCount }, () => null)
  return blank.slice()
}
