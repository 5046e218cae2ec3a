// An http block, read and checked, becomes what requests run through: servers by address and name, locations with flat
// lists of steps, filters and log handlers. All work that can be done before the first request is done here. Compiling
// opens nothing and starts nothing; start() does.

import { isDeepStrictEqual } from 'node:util'
import { HTTP, type Scope, type Site } from '../../config/directive.ts'
import { ConfigError, placeText } from '../../config/errors.ts'
import type { ErrorLog } from '../../log/error-log.ts'
import type { ConnectionLimit } from '../../upstream/connection-limit.ts'
import { AddressServers } from './address-servers.ts'
import { coreDirectives } from '../core/core.ts'
import { defaultListen, type ListenDeclaration } from '../core/listen.ts'
import { compileServer } from './compile-server.ts'
import type { CompileOptions } from './definitions.ts'
import type { HttpModule } from '../module.ts'
import { defineCaptures, type Pattern } from '../regex.ts'
import type { ListenRuntime, LocationRuntime, ServerRuntime } from '../runtime.ts'
import { ServerBlock } from './server-block.ts'
import { Sessions } from '../session/sessions.ts'
import { whenBackgroundIsIdle } from '../subrequest.ts'
import { corePrefixVariables, coreVariables } from './variables.ts'

/** Compiles the http block of a configuration (an empty one when there is none). Throws ConfigError. */
export function compileHttp(main: Scope, modules: readonly HttpModule[], options: CompileOptions): CompiledHttp {
  const http = main.children.find(scope => scope.context === HTTP)
  const compiled = new CompiledHttp(http ?? null, modules, options)
  if (http !== undefined) compiled.compile(http)
  return compiled
}

export class CompiledHttp extends ServerBlock<HttpAddress> {
  readonly modules: readonly HttpModule[]

  constructor(scope: Scope | null, modules: readonly HttpModule[], options: CompileOptions) {
    super(scope, options, coreVariables, corePrefixVariables)
    this.modules = modules
    for (const { variables, prefixVariables } of modules) this.addVariables(variables ?? {}, prefixVariables ?? {})
  }

  compile(http: Scope): void {
    for (const module of this.modules) module.setup?.(http.conf(module.directives), this)
    const scopes = http.conf(coreDirectives).server
    for (const scope of scopes) {
      this.defineNameCaptures(scope, scope.conf(coreDirectives).server_name)
      this.defineLocationCaptures(scope)
    }
    const servers = scopes.map(scope => ({ scope, runtime: compileServer(scope, this) }))
    for (const { scope, runtime } of servers) this.listen(scope, runtime)
    for (const { runtime } of this.listens) runtime.checkTls()
    this.settleAddresses()
    this.checkAwaited()
  }

  /** Of all, before the first is compiled: a log that they share may name them. */
  private defineLocationCaptures(outer: Scope): void {
    for (const { pattern, site, scope } of outer.conf(coreDirectives).location) {
      if (pattern !== null) defineCaptures(pattern, site, this)
      this.defineLocationCaptures(scope)
    }
  }

  /** A location whose log is opened when the thread starts. */
  addLocation(runtime: LocationRuntime, scope: Scope): void {
    this.logsFor(runtime, scope)
    this.notes?.locations.set(runtime, scope)
  }

  // ── addresses ────────────────────────────────────────────────────────────────────────────────────────────────────

  private listen(scope: Scope, server: ServerRuntime): void {
    const own = scope.conf(coreDirectives).listen
    if (own.length === 0) scope.site('listen')?.fail('a server for HTTP/3 alone is not supported yet')
    this.addressesOf(
      own.length > 0 ? own : [this.defaultListen(scope)],
      key => new HttpAddress(key, server),
      (address, declared) => {
        this.notes?.servers.push({ declared, server, scope })
        address.add(declared, server, scope)
      },
    )
  }

  private defaultListen(scope: Scope): ListenDeclaration {
    const { statement } = scope
    const site = {
      ...statement,
      fail: (problem: string) => {
        throw new ConfigError(problem)
      },
    } as unknown as Site
    return defaultListen(this.options.asRoot, site)
  }

  // ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────

  protected sessionsFor(limit: ConnectionLimit, log: ErrorLog): Sessions {
    return new Sessions(limit, log)
  }

  override retire(grace: boolean, done: () => void): void {
    super.retire(grace, () => whenBackgroundIsIdle(done))
  }
}

/** The servers of one address, as requests are given to them. */
class HttpAddress extends AddressServers<ServerRuntime> implements ListenRuntime {
  private readonly servers: { server: ServerRuntime; scope: Scope }[] = []
  /** There is but one server, whatever the request says, and nobody asks for captures of its name. */
  private single = true
  limitsDiffer = false

  add(declared: ListenDeclaration, server: ServerRuntime, scope: Scope): void {
    this.uwsgi ||= declared.uwsgi
    this.http2 ||= declared.http2
    const { server_name: names } = scope.conf(coreDirectives)
    this.addServer(declared, server, names, scope.site('server_name') ?? declared.site)
    this.servers.push({ server, scope })
    if (!isDeepStrictEqual(server.limits, this.servers[0]!.server.limits)) this.limitsDiffer = true
    // Settled before anything is read: the default server speaks for all.
    if (this.defaultServer === server) this.tcpNodelay = scope.conf(coreDirectives).tcp_nodelay
    if (this.servers.length > 1 || this.finder.named.some(pattern => pattern.captures > 0)) this.single = false
  }

  /** Who has no certificate uses the default server's; if that has none either, everybody must (ngx_http_ssl_init). */
  checkTls(): void {
    const { defaultServer, servers } = this
    if (!this.tls || defaultServer.tls.settings !== null) return
    const lacking = defaultServer.tls.rejects
      ? servers.find(({ server }) => server.tls.settings === null && !server.tls.rejects)
      : servers.find(({ server }) => server === defaultServer)
    if (lacking === undefined) return
    const where = placeText(lacking.scope.statement!)
    throw new ConfigError(`no "ssl_certificate" is defined for the "listen ... ssl" directive in ${where}`)
  }

  override serverFor(host: string): ServerRuntime {
    return this.single ? this.defaultServer : this.finder.find(host)
  }

  /** Where there is but one, its name makes no difference: TLS was not agreed on for one name rather than another. */
  override serverNamed(host: string): ServerRuntime | null {
    return this.single ? null : super.serverNamed(host)
  }

  override get matchedName(): Pattern | null {
    return this.single ? null : this.finder.matched
  }
}
