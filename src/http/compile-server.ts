// One server block: its own level, its locations, and the flat list of steps of each.

import { LOCATION, type Scope, type Site } from '../config/directive.ts'
import type { Template } from '../config/template.ts'
import { PRODUCT, VERSION } from '../lib/product.ts'
import { ERR } from '../log/error-log.ts'
import type { CompiledHttp } from './compile.ts'
import { coreDirectives } from './core.ts'
import { documentRoot } from './document-root.ts'
import { captures, Locations, type LocationEntry } from './locations.ts'
import type { LocationDeclaration } from './location-name.ts'
import { NEXT, type Filter, type Handler, type LocationBuilder, type LocationSlot, type Phase, type Value } from './module.ts'
import { LOCATION_PHASES, SERVER_PHASES, Step } from './phases.ts'
import type { HttpRequest } from './request.ts'
import type { FilterEntry, LocationRuntime, LogEntry, ServerRuntime } from './runtime.ts'

export function compileServer(scope: Scope, http: CompiledHttp): ServerRuntime {
  const conf = scope.conf(coreDirectives)
  const builder = new Builder(scope, null, http)
  const outsideSteps: Step[] = []
  const outside = builder.runtime(outsideSteps)
  const locations = new Locations(compileLocations(scope, http))
  const { number, size } = conf.large_client_header_buffers
  const [firstName = ''] = conf.server_name
  const server: ServerRuntime = {
    name: firstName,
    outside,
    locations,
    limits: {
      lineMax: size,
      fieldMax: size,
      headMax: number * size,
      fieldsMax: conf.max_headers,
      underscores: conf.underscores_in_headers,
      ignoreInvalid: conf.ignore_invalid_headers,
    },
    clientHeaderTimeout: conf.client_header_timeout,
    mergeSlashes: conf.merge_slashes,
  }
  // A request for which no location is found goes on through the server's own level.
  outsideSteps.push(...flatten(builder, [...SERVER_PHASES, 'find-config', ...LOCATION_PHASES], server))
  return server
}

function compileLocations(scope: Scope, http: CompiledHttp): LocationEntry[] {
  const declared = scope.conf(coreDirectives).location
  checkDuplicates(declared)
  return declared.map(declaration => {
    if (declaration.pattern !== null) defineCaptures(declaration.pattern, declaration.site, http)
    const builder = new Builder(declaration.scope, declaration, http)
    const runtime = builder.runtime(flatten(builder, LOCATION_PHASES, null))
    const inner = compileLocations(declaration.scope, http)
    return {
      runtime,
      pattern: declaration.pattern,
      inner: inner.length === 0 ? null : new Locations(inner),
      autoRedirect: builder.hasContent,
    }
  })
}

/** `(?<name>…)` makes `$name` a variable. */
function defineCaptures(pattern: RegExp, site: Site, http: CompiledHttp): void {
  // Nothing matches more readily than an alternative that is empty: it tells the groups' names.
  const { groups } = new RegExp(`${pattern.source}|`, pattern.flags).exec('')!
  for (const name of Object.keys(groups ?? {})) {
    http.define(name.toLowerCase(), { get: r => captures.get(r)?.groups?.[name] ?? null }, site)
  }
}

function checkDuplicates(locations: readonly LocationDeclaration[]): void {
  const seen = new Set<string>()
  for (const { modifier, name, site } of locations) {
    if (modifier === '~' || modifier === '~*') continue
    const key = `${modifier === '=' ? '=' : ''} ${name}`
    if (seen.has(key)) site.fail(`duplicate location "${name}"`)
    seen.add(key)
  }
}

interface PhasedStep {
  readonly phase: Phase
  readonly run: Handler<any>
  readonly conf: unknown
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
  private readonly http: CompiledHttp

  constructor(scope: Scope, declaration: LocationDeclaration | null, http: CompiledHttp) {
    this.scope = scope
    this.kind = scope.context === LOCATION ? 'location' : 'server'
    this.name = declaration?.name ?? ''
    this.modifier = declaration?.modifier ?? ''
    this.http = http
    for (const module of http.modules) module.compile?.(scope.conf(module.directives), this, http)
    if (this.contentStep !== null) this.steps.unshift(this.contentStep)
  }

  get hasContent(): boolean {
    return this.contentStep !== null
  }

  step<C>(phase: Phase, run: Handler<C>, conf: C): void {
    this.steps.push({ phase, run, conf })
  }

  content<C>(run: Handler<C>, conf: C): void {
    this.contentStep = { phase: 'content', run, conf }
  }

  filter<C>(run: Filter<C>, conf: C): void {
    this.filters.push({ run, conf })
  }

  log<C>(run: (r: HttpRequest, conf: C) => void, conf: C): void {
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

  value(template: Template): Value {
    return this.http.value(template)
  }

  /** The core's own values as plain fields, around a list of steps. */
  runtime(steps: readonly Step[]): LocationRuntime {
    const conf = this.scope.conf(coreDirectives)
    const { prefix } = this.http.options
    const { template, aliasLength } = documentRoot(this.scope, prefix)
    const keepalive = conf.keepalive_timeout
    const tempPath = conf.client_body_temp_path ?? `${prefix}client_body_temp`
    this.http.needsFolder(tempPath)
    const runtime: LocationRuntime = {
      name: this.name,
      modifier: this.modifier,
      steps,
      filters: this.filters,
      logs: this.logs,
      kept: this.kept,
      errorLog: silent,
      internal: conf.internal,
      root: this.value(template),
      aliasLength,
      clientMaxBodySize: conf.client_max_body_size,
      clientBodyBufferSize: conf.client_body_buffer_size,
      clientBodyTempPath: tempPath,
      clientBodyTimeout: conf.client_body_timeout,
      sendTimeout: conf.send_timeout,
      keepaliveTimeout: keepalive.timeout,
      keepaliveHeader:
        keepalive.header === 0 ? 'Connection: keep-alive\r\n' : `Connection: keep-alive\r\nKeep-Alive: timeout=${keepalive.header}\r\n`,
      keepaliveRequests: conf.keepalive_requests,
      lingeringTime: conf.lingering_time,
      lingeringTimeout: conf.lingering_timeout,
      resetTimedoutConnection: conf.reset_timedout_connection,
      defaultType: conf.default_type,
      types: conf.types,
      serverTokens: conf.server_tokens === 'off' ? `Server: ${PRODUCT}\r\n` : `Server: ${PRODUCT}/${VERSION}\r\n`,
      absoluteRedirect: conf.absolute_redirect,
      portInRedirect: conf.port_in_redirect,
      serverNameInRedirect: conf.server_name_in_redirect,
    }
    this.http.addLocation(runtime, this.scope)
    return runtime
  }
}

/** Until a thread gives a location its log there are no requests that could use one. */
const silent = { level: 0, log() {} } as unknown as LocationRuntime['errorLog']

/** Phase by phase into one list; every step knows where the following phase begins. */
function flatten(builder: Builder, phases: readonly (Phase | 'find-config')[], server: ServerRuntime | null): Step[] {
  const steps: Step[] = []
  for (const phase of phases) {
    const first = steps.length
    if (phase === 'find-config') steps.push(new Step(findConfig, server, 0))
    else for (const { phase: of, run, conf } of builder.steps) if (of === phase) steps.push(new Step(run, conf, 0))
    for (let i = first; i < steps.length; i++) steps[i]!.phaseEnd = steps.length
  }
  steps.push(new Step(nothingAnswered, null, steps.length))
  return steps
}

function nothingAnswered(r: HttpRequest): number {
  r.log(ERR, r.uri.endsWith('/') ? `directory index of "${r.uri}" is forbidden` : `"${r.uri}" is not found`)
  return r.uri.endsWith('/') ? 403 : 404
}

/** Finds the location and goes on with its steps (ngx_http_core_find_config_phase). */
function findConfig(r: HttpRequest, server: ServerRuntime): number {
  const location = server.locations.find(r)
  if (location === null) {
    if (r.redirect !== '') return 301
  } else {
    if (location.internal && !r.internal) return 404
    r.location = location
    r.steps = location.steps
    r.cursor = -1
  }
  const limit = r.location.clientMaxBodySize
  if (limit !== 0 && r.head.contentLength > limit) {
    r.log(ERR, `client intended to send too large body: ${r.head.contentLength} bytes`)
    return 413
  }
  return NEXT
}
