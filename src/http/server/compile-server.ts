// One server block: its own level, its locations, and the flat list of steps of each.

import { plainName } from '../core/server-names.ts'
import { SERVER, type Conf, type Scope, type Site, type Statement } from '../../config/directive.ts'
import type { Template } from '../../config/template.ts'
import type { CompiledHttp } from './compile.ts'
import { coreDirectives } from '../core/core.ts'
import { absoluteValue, documentRoot } from '../files/document-root.ts'
import { compileErrorPages } from '../error-page.ts'
import { Locations, type LocationEntry } from './locations.ts'
import type { LocationDeclaration } from '../core/location-name.ts'
import {
  type Filter,
  type Handler,
  type HttpModule,
  type LocationBuilder,
  type LocationSlot,
  type Phase,
  type Value,
} from '../module.ts'
import { ANSWERS, RUNS, type Explained } from '../notes.ts'
import { compileServerHttp2 } from '../h2/directives.ts'
import { LOCATION_PHASES, SERVER_PHASES, Step } from '../phases.ts'
import type { HttpRequest } from '../request.ts'
import { compileServerTls } from '../ssl/server-tls.ts'
import type { FilterEntry, LocationRuntime, LogEntry, ServerRuntime } from '../runtime.ts'
import { findConfig, nothingAnswered, postRewrite, refuseRewritten } from './core-steps.ts'
import { WatchedLocations } from './watched-locations.ts'

export function compileServer(scope: Scope, http: CompiledHttp): ServerRuntime {
  const conf = scope.conf(coreDirectives)
  const builder = new Builder(scope, null, http)
  const outsideSteps: Step[] = []
  const outside = builder.runtime(outsideSteps)
  const locations = findLocations(compileLocations(scope, http), http)
  const { number, size } = conf.large_client_header_buffers
  // What is short enough for the first buffer needs no large one.
  const lineMax = Math.max(size, conf.client_header_buffer_size)
  const [firstName = ''] = conf.server_name
  const server: ServerRuntime = {
    name: plainName(firstName),
    outside,
    rewriteStart: builder.steps.reduce((count, step) => count + (step.phase === 'post-read' ? 1 : 0), 0),
    findConfig: builder.steps.reduce((count, step) => count + (SERVER_PHASES.includes(step.phase) ? 1 : 0), 0),
    locations,
    limits: {
      lineMax,
      fieldMax: lineMax,
      headMax: Math.max(number * size, lineMax),
      fieldsMax: conf.max_headers,
      underscores: conf.underscores_in_headers,
      ignoreInvalid: conf.ignore_invalid_headers,
      strict: conf.strict_requests,
      hostRequired: conf.require_host,
      raw: conf.raw_requests,
      lenient: conf.lenient_requests,
    },
    clientHeaderTimeout: conf.client_header_timeout,
    mergeSlashes: conf.merge_slashes,
    tunnels: mentions(scope.statement?.block ?? [], 'tunnel_pass'),
    tls: compileServerTls(scope, http),
    http2: compileServerHttp2(scope),
  }
  // A request for which no location is found goes on through the server's own level.
  outsideSteps.push(...flatten(builder, [...SERVER_PHASES, 'find-config', ...LOCATION_PHASES], server))
  return server
}

function mentions(statements: readonly Statement[], directive: string): boolean {
  return statements.some(({ name, block }) => name === directive || (block !== null && mentions(block, directive)))
}

function compileLocations(scope: Scope, http: CompiledHttp): LocationEntry[] {
  const declared = scope.conf(coreDirectives).location
  checkDuplicates(declared)
  return declared.map(declaration => {
    const builder = new Builder(declaration.scope, declaration, http)
    const runtime = builder.runtime(flatten(builder, LOCATION_PHASES, null), limitExceptOf(declaration, http))
    const inner = compileLocations(declaration.scope, http)
    return {
      runtime,
      pattern: declaration.pattern,
      inner: inner.length === 0 ? null : findLocations(inner, http),
      autoRedirect: builder.passesOn,
    }
  })
}

function findLocations(entries: readonly LocationEntry[], { notes }: CompiledHttp): Locations {
  return notes === null ? new Locations(entries) : new WatchedLocations(entries, notes)
}

/** The location's other self, with the same name and steps of its own. */
function limitExceptOf(declaration: LocationDeclaration, http: CompiledHttp): LocationRuntime['limitExcept'] {
  const rule = declaration.scope.conf(coreDirectives).limit_except
  if (rule === null) return null
  const builder = new Builder(rule.scope, declaration, http)
  return { methods: rule.methods, otherwise: builder.runtime(flatten(builder, LOCATION_PHASES, null)) }
}

function checkDuplicates(locations: readonly LocationDeclaration[]): void {
  const seen = new Set<string>()
  for (const { modifier, name, site } of locations) {
    if (modifier === '~' || modifier === '~*') continue
    const key = `${modifier === '=' ? '=' : ''} ${name}`
    // nginx takes the first of those with a name.
    if (seen.has(key) && modifier === '@') site.warn(`duplicate location "${name}" is ignored`)
    else if (seen.has(key)) site.fail(`duplicate location "${name}"`)
    seen.add(key)
  }
}

interface PhasedStep {
  readonly phase: Phase
  readonly run: Handler<any>
  readonly conf: unknown
  readonly module: HttpModule
  readonly explained: Explained<any> | null
}

class Builder implements LocationBuilder {
  readonly kind: 'server' | 'location'
  readonly name: string
  readonly modifier: string
  readonly scope: Scope
  readonly steps: PhasedStep[] = []
  readonly filters: FilterEntry[] = []
  readonly logs: LogEntry[] = []
  readonly kept: unknown[] = []
  private contentStep: PhasedStep | null = null
  private contentRank = Number.NEGATIVE_INFINITY
  private readonly outer: Builder | null
  private readonly declaration: LocationDeclaration | null
  private readonly http: CompiledHttp
  /** The one that is adding to the location just now. */
  private module: HttpModule = own

  /** @param outer what an `if` stands in: its handler answers, unless the block has one of its own */
  constructor(scope: Scope, declaration: LocationDeclaration | null, http: CompiledHttp, outer: Builder | null = null) {
    this.scope = scope
    this.outer = outer
    this.declaration = declaration
    this.kind = scope.context === SERVER ? 'server' : 'location'
    this.name = declaration?.name ?? ''
    this.modifier = declaration?.modifier ?? ''
    this.http = http
    for (const module of http.modules) {
      this.module = module
      module.compile?.(scope.conf(module.directives), this, http)
    }
    this.contentStep ??= outer?.contentStep ?? null
    if (this.contentStep !== null) this.steps.unshift(this.contentStep)
    else if (documentRoot(scope, '').aliasLength >= 0) {
      this.steps.unshift({ phase: 'precontent', run: refuseRewritten, conf: null, module: own, explained: null })
    }
  }

  /** Is what is below the location somebody else's? */
  get passesOn(): boolean {
    return this.contentStep !== null && this.contentStep.explained !== RUNS
  }

  step<C>(phase: Phase, run: Handler<C>, conf: C, explained: Explained<C> | null = null): void {
    this.steps.push({ phase, run, conf, module: this.module, explained })
  }

  /** Of several the one written last in this very block answers; where none is, that of the block around it. */
  content<C>(run: Handler<C>, conf: C, explained: Explained<C> = ANSWERS): void {
    const rank = this.handlerRank()
    if (rank <= this.contentRank) return
    this.contentRank = rank
    this.contentStep = { phase: 'content', run, conf, module: this.module, explained }
  }

  /** Where in this block the module's handler is written; below zero if it is inherited. Handlers are known by what all of
   *  them have: locations within do not inherit them. */
  private handlerRank(): number {
    const { directives } = this.module
    const written = (this.scope.statement?.block ?? []).findLastIndex(
      ({ name }) => Object.hasOwn(directives, name) && directives[name]!.inheritedBy !== undefined,
    )
    if (written >= 0) return written
    return this.module === this.outer?.contentStep?.module ? -1 : -2
  }

  /** The step, with a note of where it comes from if somebody wants to know. */
  make({ run, conf, module, explained }: Omit<PhasedStep, 'phase'>, phase: string): Step {
    const step = new Step(run, conf, 0)
    this.http.notes?.steps.set(step, { phase, module, scope: this.scope, explained })
    return step
  }

  filter<C>(run: Filter<C>, conf: C, alters: FilterEntry['alters'] = null): void {
    this.filters.push({ run, conf, alters })
  }

  log<C>(run: (r: HttpRequest, conf: C) => unknown, conf: C): void {
    this.logs.push({ run, conf })
  }

  keep<T>(slot: LocationSlot<T>, value: T): void {
    this.kept[slot.index] = value
  }

  has(directive: string): boolean {
    return this.scope.has(directive)
  }

  site(directive: string): Site | null {
    return this.scope.site(directive)
  }

  inner(scope: Scope): LocationRuntime {
    const builder = new Builder(scope, this.declaration, this.http, this)
    return builder.runtime(flatten(builder, LOCATION_PHASES, null))
  }

  value(template: Template): Value {
    return this.http.value(template)
  }

  /** The location as requests see it, around a list of steps. */
  runtime(steps: readonly Step[], limitExcept: LocationRuntime['limitExcept'] = null): LocationRuntime {
    const conf = this.scope.conf(coreDirectives)
    const { prefix } = this.http.options
    const { template, aliasLength } = documentRoot(this.scope, prefix)
    const tempPath = conf.client_body_temp_path ?? `${prefix}client_body_temp`
    this.http.needsFolder(tempPath)
    const root = absoluteValue(this.value(template), prefix)
    const errorPages = compileErrorPages(conf.error_page, template => this.value(template))
    const { name, modifier, filters, logs, kept } = this
    const made = { name, modifier, steps, filters, logs, kept, root, aliasLength, tempPath, errorPages, limitExcept }
    const runtime = locationRuntime(conf, made)
    this.http.addLocation(runtime, this.scope)
    return runtime
  }
}

type Made = Pick<
  LocationRuntime,
  'name' | 'modifier' | 'steps' | 'filters' | 'logs' | 'kept' | 'root' | 'aliasLength' | 'errorPages' | 'limitExcept'
> & { readonly tempPath: string }

/** What was made of the configuration, and what is read as it was configured: a table, of one shape for all locations. */
function locationRuntime(conf: Conf<typeof coreDirectives>, made: Made): LocationRuntime {
  const { timeout, header } = conf.keepalive_timeout
  const product = conf.server_tokens
  return {
    name: made.name,
    modifier: made.modifier,
    steps: made.steps,
    filters: made.filters,
    logs: made.logs,
    kept: made.kept,
    errorLog: silent,
    internal: conf.internal,
    root: made.root,
    aliasLength: made.aliasLength,
    clientMaxBodySize: conf.client_max_body_size,
    clientBodyBufferSize: conf.client_body_buffer_size,
    clientBodyInFileOnly: conf.client_body_in_file_only,
    clientBodyTempPath: made.tempPath,
    tempFileLogLevel: conf.temp_file_log_level,
    clientBodyTimeout: conf.client_body_timeout,
    sendTimeout: conf.send_timeout,
    keepaliveTimeout: timeout,
    keepaliveMinTimeout: conf.keepalive_min_timeout,
    keepaliveTime: conf.keepalive_time,
    keepaliveHeader: `Connection: keep-alive\r\n${header === 0 ? '' : `Keep-Alive: timeout=${header}\r\n`}`,
    keepaliveRequests: conf.keepalive_requests,
    keepaliveDisable: conf.keepalive_disable,
    lingeringClose: conf.lingering_close,
    lingeringTime: conf.lingering_time,
    lingeringTimeout: conf.lingering_timeout,
    resetTimedoutConnection: conf.reset_timedout_connection,
    defaultType: conf.default_type,
    types: conf.types,
    serverTokens: `Server: ${product}\r\n`,
    product,
    errorPages: made.errorPages,
    recursiveErrorPages: conf.recursive_error_pages,
    msiePadding: conf.msie_padding,
    msieRefresh: conf.msie_refresh,
    limitExcept: made.limitExcept,
    logSubrequest: conf.log_subrequest,
    chunkedTransferEncoding: conf.chunked_transfer_encoding,
    postponesOutput: conf.postpone_output > 0,
    absoluteRedirect: conf.absolute_redirect,
    portInRedirect: conf.port_in_redirect,
    serverNameInRedirect: conf.server_name_in_redirect,
  }
}

/** Until a thread gives a location its log there are no requests that could use one. */
const silent = { level: 0, log() {} } as unknown as LocationRuntime['errorLog']

/** Phase by phase into one list; every step knows where the following phase begins. */
function flatten(builder: Builder, phases: readonly (Phase | 'find-config')[], server: ServerRuntime | null): Step[] {
  const steps: Step[] = []
  for (const phase of phases) {
    const first = steps.length
    if (phase === 'find-config') steps.push(builder.make(core(findConfig, server), phase))
    else for (const step of builder.steps) if (step.phase === phase) steps.push(builder.make(step, phase))
    if (phase === 'rewrite' && steps.length > first) steps.push(builder.make(core(postRewrite, null), 'post-rewrite'))
    for (let i = first; i < steps.length; i++) steps[i]!.phaseEnd = steps.length
  }
  const last = builder.make(core(nothingAnswered, null), 'end')
  last.phaseEnd = steps.push(last)
  return steps
}

const own: HttpModule = { name: 'core', directives: {} }

function core(run: Handler<any>, conf: unknown): Omit<PhasedStep, 'phase'> {
  return { run, conf, module: own, explained: RUNS }
}
