// A request's way through a compiled configuration, told step by step. The steps are the real ones and most are really
// run; those that would ask, change or count something are told of instead (http/notes.ts says which).

import { reason } from '../codec/h1/write.ts'
import { HTTP, IF_IN_LOCATION, LIMIT_EXCEPT, LOCATION, type Place, type Scope } from '../config/directive.ts'
import { NEXT, SKIP, WAIT } from '../http/module.ts'
import type { Notes, StepNote } from '../http/notes.ts'
import { locationOf, respondSpecial } from '../http/output.ts'
import type { Step } from '../http/phases.ts'
import type { HttpRequest } from '../http/request.ts'
import type { LocationRuntime } from '../http/runtime.ts'
import { NOTICE, type ErrorLog } from '../log/error-log.ts'
import type { AbsentClient } from './explain-client.ts'
import { written, writtenOf, type Detail } from './explain-written.ts'

/** One thing that happens to the request, and what else is to be said of it. */
export interface Finding {
  readonly what: string
  readonly text: string
  readonly place: Place | null
  readonly details: readonly Detail[]
}

/** These settle what a request is before anybody answers it: they are always run. */
const RUN_PHASES = new Set(['post-read', 'server-rewrite', 'rewrite'])
/** No step stands there: nobody has moved the request. */
const NOWHERE = -2

export class Walk {
  readonly findings: Finding[] = []
  private readonly notes: Notes
  private readonly client: AbsentClient

  constructor(notes: Notes, client: AbsentClient) {
    this.notes = notes
    this.client = client
    notes.tell = (what, text, place) => this.add(what, text, place)
    const log = { level: NOTICE, log: (_level: number, message: string) => this.addLog(message) } as unknown as ErrorLog
    for (const location of notes.locations.keys()) location.errorLog = log
  }

  add(what: string, text: string, place: Place | null = null, details: readonly Detail[] = []): void {
    this.findings.push({ what, text, place, details })
  }

  /** From the step the request stands at to its end. */
  go(r: HttpRequest): void {
    let answer = this.step(r, r.steps[r.cursor]!)
    for (;;) {
      if (answer === NEXT) r.cursor++
      else if (answer === SKIP) r.cursor = r.steps[r.cursor]!.phaseEnd
      else if (answer < 200 || this.answerWith(r, answer)) break
      else r.cursor++
      answer = this.step(r, r.steps[r.cursor]!)
    }
    this.tellEnd(r, answer)
  }

  /** The request is refused before its first step. */
  end(r: HttpRequest, status: number): void {
    if (this.answerWith(r, status)) this.tellEnd(r, status)
    else this.go(r)
  }

  /** A status instead of a page. True: that was the end; false: the request goes on to its error page. */
  answerWith(r: HttpRequest, status: number): boolean {
    const { location } = r
    this.add('status', `${status} ${reason(status)}`.trim() + (r.redirect === '' ? '' : ` to "${r.redirect}"`))
    // Whoever would run the request on finds that it is done; we do that ourselves, step by step.
    r.done = true
    r.cursor = NOWHERE
    respondSpecial(r, status)
    r.done = false
    if (this.client.answered) return true
    if (r.cursor === NOWHERE) return this.answerWith(r, 500)
    const pages = this.writtenAt(location, ['error_page'])
    this.add('error page', this.whereabouts(r), null, pages)
    return false
  }

  private step(r: HttpRequest, step: Step): number {
    const note = this.notes.steps.get(step)!
    const { explained } = note
    const runs = explained?.runs === true || RUN_PHASES.has(note.phase)
    const details = explained?.describe?.(r, step.conf).map(text => ({ text, place: null })) ?? []
    if (!runs) return this.listStep(note, details)
    if (details.length > 0) this.add(note.module.name, '', this.placeOf(note), details)
    return this.runStep(r, step, note)
  }

  /** What is told of and not run: a content handler ends the way, all else is passed. */
  private listStep(note: StepNote, described: readonly Detail[]): number {
    const { phase, module, explained, scope } = note
    const own = writtenOf(scope, module.directives)
    const isHandler = phase === 'content' && explained !== null
    if (isHandler)
      this.add('handler', `${module.name} answers`, this.placeOf(note), described.length > 0 ? described : own)
    else if (own.length > 0) this.add(phase, `${module.name} is asked (not run here)`, null, [...described, ...own])
    return isHandler ? WAIT : NEXT
  }

  private runStep(r: HttpRequest, step: Step, note: StepNote): number {
    const { location, uriChanges } = r
    const changed = r.uriChanged
    const answer = step.run(r, step.conf)
    if (note.phase === 'find-config') this.tellLocation(r, answer)
    else if (note.phase === 'post-rewrite' && changed) {
      if (answer === NEXT) this.add('search', `the URI is now "${uriOf(r)}": its location is searched`)
    } else if (r.uriChanges !== uriChanges && answer === NEXT) {
      this.add('redirect', `${note.module.name} ${this.whereabouts(r)}`, this.placeOf(note))
    } else if (r.location !== location) this.tellLocation(r, answer)
    return answer
  }

  private tellLocation(r: HttpRequest, answer: number): void {
    if (answer === 404) this.add('location', 'is internal, and the request comes from outside')
    else if (answer === 301) this.add('location', 'none yet: only with a slash at the end of the URI there is one')
    else if (answer >= 200) this.add('location', 'none: the search has failed')
    else this.add('location', this.nameOf(r.location), this.notes.locations.get(r.location)?.statement ?? null)
  }

  private nameOf(location: LocationRuntime): string {
    const scope = this.notes.locations.get(location)
    if (scope === undefined || (scope.context & (LOCATION | IF_IN_LOCATION | LIMIT_EXCEPT)) === 0) {
      return 'none: the server answers by itself'
    }
    const name = `location ${[location.modifier === '@' ? '' : location.modifier, location.name].filter(Boolean).join(' ')}`
    if (scope.context === LIMIT_EXCEPT) return `${name}, its limit_except block`
    return scope.context === IF_IN_LOCATION ? `${name}, the "if" block within it` : name
  }

  /** Where a request that was sent elsewhere has come to. */
  private whereabouts(r: HttpRequest): string {
    if (r.location !== r.server.outside) return `goes to ${this.nameOf(r.location)}`
    return `goes on as "${uriOf(r)}", from the rewrite rules of its server`
  }

  private tellEnd(r: HttpRequest, answer: number): void {
    if (this.client.answered) {
      const fields = r.outNames.map((name, i) => ({ text: `${name}: ${r.outValues[i]}`, place: null }))
      if (r.redirect !== '') fields.push({ text: `Location: ${locationOf(r)}`, place: null })
      this.add('response', responseOf(r), null, fields)
    } else if (answer !== WAIT) this.add('response', 'is made by somebody else')
    const logs = this.writtenAt(r.location, ['access_log', 'error_log'])
    const default_ = logs.some(({ text }) => text.startsWith('access_log')) ? '' : 'access_log as by default'
    this.add('log', default_, null, logs)
    if (this.client.answered) return
    const later = ['add_header', 'add_trailer', 'expires', 'gzip', 'error_page', 'proxy_intercept_errors']
    const rules = this.writtenAt(r.location, later)
    if (rules.length > 0) this.add('then', 'the response is subject to', null, rules)
  }

  private addLog(message: string): void {
    this.add('error log', message.replace(/, client: .*$/s, ''))
  }

  private writtenAt(location: LocationRuntime, names: readonly string[]): Detail[] {
    const scope = this.notes.locations.get(location)
    return scope === undefined ? [] : names.flatMap(name => written(scope, name))
  }

  /** Of the directive that made the step, as far as there is just one in question. */
  private placeOf({ scope, module }: StepNote): Place | null {
    const blocks: Scope[] = []
    for (let at: Scope | null = scope; at !== null && at.context >= HTTP; at = at.parent) blocks.push(at)
    const named = Object.keys(module.directives).filter(name =>
      /_pass$|^(?:try_files|index|empty_gif|stub_status)$/.test(name),
    )
    const wanted = module.name === 'static' ? ['alias', 'root'] : named
    for (const block of blocks) {
      for (const name of wanted) if (block.has(name)) return block.site(name)
    }
    return null
  }
}

function uriOf(r: HttpRequest): string {
  return r.args === '' ? r.uri : `${r.uri}?${r.args}`
}

function responseOf(r: HttpRequest): string {
  if (r.status === 444) return 'none: the connection is closed'
  const length = r.contentLength < 0 ? '' : `, ${r.contentLength} bytes`
  const type = r.contentType === '' ? '' : `, ${r.contentType}`
  return `${r.status} ${reason(r.status)}${type}${length}`
}
