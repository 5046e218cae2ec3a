// An http block, read and checked, becomes what requests run through: servers by address and name, locations with flat
// lists of steps, filters and log handlers. All work that can be done before the first request is done here. Compiling
// opens nothing and starts nothing; start() does.

import { HTTP, MAIN, type Scope, type Site } from '../config/directive.ts'
import { ConfigError } from '../config/errors.ts'
import { canonicalAddress } from '../lib/networks.ts'
import { ErrorLog, type LogTarget } from '../log/error-log.ts'
import { listen, type Listener } from '../net/listener.ts'
import { coreDirectives } from './core.ts'
import { defaultAddress, type ListenDeclaration } from './listen.ts'
import type { SocketOption } from './listen-options.ts'
import { compileServer } from './compile-server.ts'
import { Definitions, type CompileOptions } from './definitions.ts'
import type { HttpModule } from './module.ts'
import { defineCaptures, regex, type Pattern } from './regex.ts'
import { ServerNames } from './server-names.ts'
import type { ListenRuntime, LocationRuntime, ServerRuntime } from './runtime.ts'
import { Sessions } from './sessions.ts'
import type { ThreadServices } from './setup.ts'
import { whenBackgroundIsIdle } from './subrequest.ts'
import { corePrefixVariables, coreVariables } from './variables.ts'

/** One socket to be bound by the master. */
export interface ListenAddress {
  readonly key: string
  readonly host: string
  readonly port: number
  readonly path: string
  readonly backlog: number
  readonly ipv6only: boolean
  readonly options: readonly SocketOption[]
  /** `FILE:LINE` of the directive. */
  readonly place: string
}

interface Address extends ListenAddress {
  readonly runtime: ListenRuntime
  /** Of a wildcard: what listens on its port on single addresses, which cannot be bound beside it. */
  readonly within: Map<string, ListenRuntime>
}

/** Compiles the http block of a configuration (an empty one when there is none). Throws ConfigError. */
export function compileHttp(main: Scope, modules: readonly HttpModule[], options: CompileOptions): CompiledHttp {
  const http = main.children.find(scope => scope.context === HTTP)
  const compiled = new CompiledHttp(http ?? null, modules, options)
  if (http !== undefined) compiled.compile(http)
  return compiled
}

export class CompiledHttp extends Definitions {
  listens: Address[] = []
  readonly modules: readonly HttpModule[]
  private readonly locations: { runtime: LocationRuntime; targets: readonly LogTarget[] | null }[] = []
  private listeners: Listener[] = []
  private sessions: Sessions | null = null

  constructor(scope: Scope | null, modules: readonly HttpModule[], options: CompileOptions) {
    super(scope, options, coreVariables, corePrefixVariables)
    this.modules = modules
    for (const { variables, prefixVariables } of modules) this.addVariables(variables ?? {}, prefixVariables ?? {})
  }

  compile(http: Scope): void {
    for (const module of this.modules) module.setup?.(http.conf(module.directives), this)
    for (const scope of http.conf(coreDirectives).server) this.defineNameCaptures(scope)
    const servers = http.conf(coreDirectives).server.map(scope => ({ scope, runtime: compileServer(scope, this) }))
    for (const { scope, runtime } of servers) this.listen(scope, runtime)
    for (const { runtime } of this.listens) (runtime as AddressServers).checkTls()
    this.listens = wildcardsFirst(this.listens)
    this.checkAwaited()
  }

  private defineNameCaptures(scope: Scope): void {
    const site = scope.site('server_name')
    for (const name of scope.conf(coreDirectives).server_name) {
      if (site !== null && /^~./s.test(name)) defineCaptures(regex(name.slice(1), true, site), site, this)
    }
  }

  /** A location whose log is opened when the thread starts. */
  addLocation(runtime: LocationRuntime, scope: Scope): void {
    const targets = ownErrorLog(scope)
    for (const { path } of targets ?? []) if (path !== null) this.needsLogFile(path)
    this.locations.push({ runtime, targets })
    this.notes?.locations.set(runtime, scope)
  }

  // ── addresses ────────────────────────────────────────────────────────────────────────────────────────────────────

  private listen(scope: Scope, server: ServerRuntime): void {
    const own = scope.conf(coreDirectives).listen
    if (own.length === 0) scope.site('listen')?.fail('a server for HTTP/3 alone is not supported yet')
    const seen = new Set<string>()
    for (const declared of own.length > 0 ? own : [this.defaultListen(scope)]) {
      if (seen.has(declared.key)) declared.site.fail(`a duplicate listen ${declared.key}`)
      seen.add(declared.key)
      this.notes?.servers.push({ declared, server, scope })
      this.addressFor(declared, server).addServer(declared, server, scope, scope.site('server_name') ?? declared.site)
    }
  }

  private defaultListen(scope: Scope): ListenDeclaration {
    const { statement } = scope
    const site = {
      ...statement,
      fail: (problem: string) => {
        throw new ConfigError(problem)
      },
    } as unknown as Site
    return {
      ...defaultAddress(this.options.asRoot),
      isDefault: false,
      backlog: 511,
      ipv6only: true,
      options: [],
      proxyProtocol: false,
      proxyVersions: null,
      uwsgi: false,
      tls: false,
      http2: false,
      site,
    }
  }

  private addressFor(declared: ListenDeclaration, server: ServerRuntime): AddressServers {
    const known = this.listens.find(address => address.key === declared.key)
    if (known !== undefined) {
      const runtime = known.runtime as AddressServers
      runtime.proxyProtocol ||= declared.proxyProtocol
      runtime.proxyVersions ??= declared.proxyVersions
      runtime.uwsgi ||= declared.uwsgi
      runtime.tls ||= declared.tls
      runtime.http2 ||= declared.http2
      return runtime
    }
    const runtime = new AddressServers(declared.key, server)
    runtime.proxyProtocol = declared.proxyProtocol
    runtime.proxyVersions = declared.proxyVersions
    runtime.uwsgi = declared.uwsgi
    runtime.tls = declared.tls
    runtime.http2 = declared.http2
    const { key, host, port, path, backlog, ipv6only, options, site } = declared
    this.listens.push({
      key,
      host,
      port,
      path,
      backlog,
      ipv6only,
      options,
      place: `${site.file}:${site.line}`,
      runtime,
      within: new Map(),
    })
    return runtime
  }

  // ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Puts the configuration into use in this thread; resolves when every address accepts.
   * @param descriptors a descriptor of our own for each address's key
   * @param connectionsMax worker_connections
   */
  async start(
    services: ThreadServices,
    descriptors: ReadonlyMap<string, number>,
    connectionsMax: number,
  ): Promise<void> {
    const sessions = new Sessions(connectionsMax, services.errorLog)
    this.sessions = sessions
    this.openErrorLogs(services)
    for (const run of this.starts) run(services)
    await Promise.all(
      this.listens.map(
        address =>
          new Promise<void>((resolve, reject) => {
            const fd = descriptors.get(address.key)!
            const accept = (handle: unknown): void => sessions.add(handle, runtimeFor(address, handle))
            this.listeners.push(
              listen({ fd }, address.backlog, accept, error => (error === null ? resolve() : reject(error))),
            )
          }),
      ),
    )
  }

  private openErrorLogs(services: ThreadServices): void {
    const opened = new Map<readonly LogTarget[], ErrorLog>()
    for (const { runtime, targets } of this.locations) {
      if (targets === null) {
        runtime.errorLog = services.errorLog
        continue
      }
      let log = opened.get(targets)
      if (log === undefined) {
        log = new ErrorLog(targets, services.logFiles, services.errorLog.thread)
        opened.set(targets, log)
      }
      runtime.errorLog = log
    }
  }

  /** Client connections open now. */
  get connections(): number {
    return this.sessions?.size ?? 0
  }

  /** Accepts no more and calls `done` when the last connection has ended. `grace`: see Sessions.drain. */
  retire(grace: boolean, done: () => void): void {
    for (const listener of this.listeners) listener.close()
    this.listeners = []
    if (this.sessions === null) done()
    else this.sessions.drain(grace, () => whenBackgroundIsIdle(done))
  }

  /** Cuts what is left and lets go of everything. */
  stop(): void {
    for (const listener of this.listeners) listener.close()
    this.listeners = []
    this.sessions?.closeAll()
    for (const run of this.stops) run()
  }
}

/** Leaves out what a wildcard of the same family and port takes in (ngx_http_init_listening). */
export function wildcardsFirst<A extends ListenAddress & { within: Map<string, unknown>; runtime: unknown }>(
  addresses: readonly A[],
): A[] {
  return addresses.filter(address => {
    if (address.path !== '' || address.host === '0.0.0.0' || address.host === '::') return true
    const any = address.host.includes(':') ? '::' : '0.0.0.0'
    const wildcard = addresses.find(other => other.host === any && other.port === address.port)
    wildcard?.within.set(canonicalAddress(address.host), address.runtime)
    return wildcard === undefined
  })
}

/** The handle is libuv's, as listener.ts hands it over. */
export function runtimeFor<R>(address: { within: Map<string, R>; runtime: R }, handle: unknown): R {
  if (address.within.size === 0) return address.runtime
  const local: { address?: string } = {}
  ;(handle as { getsockname(into: object): number }).getsockname(local)
  return address.within.get(local.address ?? '') ?? address.runtime
}

/** The `error_log` lines in force where they are not the main ones; null where they are. */
export function ownErrorLog(scope: Scope): readonly LogTarget[] | null {
  for (let at: Scope | null = scope; at !== null && at.context !== MAIN; at = at.parent) {
    if (at.has('error_log')) return at.conf(coreDirectives).error_log
  }
  return null
}

/** The servers of one address. */
class AddressServers implements ListenRuntime {
  readonly address: string
  defaultServer: ServerRuntime
  readonly tcpNodelay = true
  proxyProtocol = false
  proxyVersions: ListenRuntime['proxyVersions'] = null
  uwsgi = false
  tls = false
  http2 = false
  private explicitDefault = false
  private readonly servers: { server: ServerRuntime; scope: Scope }[] = []
  private readonly names = new Set<string>()
  private readonly finder: ServerNames
  private single = true

  constructor(address: string, server: ServerRuntime) {
    this.address = address
    this.defaultServer = server
    this.finder = new ServerNames(server)
  }

  addServer(declared: ListenDeclaration, server: ServerRuntime, scope: Scope, site: Site): void {
    const names = scope.conf(coreDirectives).server_name
    if (declared.isDefault) {
      if (this.explicitDefault) declared.site.fail(`a duplicate default server for ${declared.key}`)
      this.explicitDefault = true
      this.defaultServer = server
      this.finder.fallback = server
    }
    this.servers.push({ server, scope })
    if (server !== this.defaultServer || this.names.size > 0) this.single = false
    for (const name of names.length === 0 ? [''] : names) {
      const lower = name.toLowerCase()
      if (this.names.has(lower)) site.warn?.(`conflicting server name "${name}" on ${declared.key}, ignored`)
      else {
        this.names.add(lower)
        this.finder.add(name, server, site)
      }
    }
    // Who asks for captures must have them matched, even if there is no other server.
    if (this.finder.named.some(pattern => pattern.captures > 0)) this.single = false
  }

  /** Who has no certificate uses the default server's; if that has none either, everybody must (ngx_http_ssl_init). */
  checkTls(): void {
    const { defaultServer, servers } = this
    if (!this.tls || defaultServer.tls.settings !== null) return
    const lacking = defaultServer.tls.rejects
      ? servers.find(({ server }) => server.tls.settings === null && !server.tls.rejects)
      : servers.find(({ server }) => server === defaultServer)
    if (lacking === undefined) return
    const { file, line } = lacking.scope.statement!
    throw new ConfigError(`no "ssl_certificate" is defined for the "listen ... ssl" directive in ${file}:${line}`)
  }

  serverFor(host: string): ServerRuntime {
    return this.single ? this.defaultServer : this.finder.find(host)
  }

  serverNamed(host: string): ServerRuntime | null {
    return this.finder.lookup(host)
  }

  get matchedName(): Pattern | null {
    return this.single ? null : this.finder.matched
  }
}
