// A stream block, read and checked, becomes what sessions run through. As with http, compiling opens nothing; start() does.

import { plainName } from '../http/core/server-names.ts'
import { STREAM, type Scope } from '../config/directive.ts'
import { ConfigError } from '../config/errors.ts'
import { ErrorLog, type LogTarget } from '../log/error-log.ts'
import type { CompileOptions } from '../http/server/definitions.ts'
import { compileServerHttp2 } from '../http/h2/directives.ts'
import type { HttpModule } from '../http/module.ts'
import { ownErrorLog, ServerBlock } from '../http/server/server-block.ts'
import { type ConnectionLimit, Sessions } from '../http/session/sessions.ts'
import type { ThreadServices } from '../http/setup.ts'
import { compileServerTls } from '../http/ssl/server-tls.ts'
import { readValue, valueIndex, writeValue } from '../http/variable-values.ts'
import { streamDirectives } from './core.ts'
import { StreamListen } from './listen.ts'
import type { Content, StreamServer } from './module.ts'
import { compileProxy } from './proxy/conf.ts'
import { returnContent } from './return.ts'
import { StreamSession } from './session.ts'
import { ALSO_OF_SESSIONS, streamVariables } from './variables.ts'

/** Compiles the stream block of a configuration (nothing where there is none). Throws ConfigError. */
export function compileStream(main: Scope, modules: readonly HttpModule[], options: CompileOptions): CompiledStream {
  const stream = main.children.find(scope => scope.context === STREAM)
  const compiled = new CompiledStream(stream ?? null, modules, { ...options, notes: null })
  if (stream !== undefined) compiled.compile(stream)
  return compiled
}

export class CompiledStream extends ServerBlock<StreamListen> {
  private readonly modules: readonly HttpModule[]
  private readonly logged: { server: StreamServer; targets: readonly LogTarget[] | null }[] = []

  /** @param modules of http: those that know the stream block, too, take part */
  constructor(scope: Scope | null, modules: readonly HttpModule[], options: CompileOptions) {
    super(scope, options, streamVariables, {})
    this.modules = modules.filter(module => module.inStream === true)
    for (const { variables = {}, prefixVariables = {} } of modules) {
      const shared = Object.entries(variables).filter(([name]) => ALSO_OF_SESSIONS.test(name))
      const families = Object.entries(prefixVariables).filter(([name]) => ALSO_OF_SESSIONS.test(name))
      this.addVariables(Object.fromEntries(shared), Object.fromEntries(families))
    }
  }

  compile(stream: Scope): void {
    for (const module of this.modules) module.setup?.(stream.conf(module.directives), this)
    const scopes = stream.conf(streamDirectives).server
    for (const scope of scopes) {
      this.defineSet(scope)
      this.defineNameCaptures(scope, scope.conf(streamDirectives).server_name)
    }
    for (const scope of scopes) this.listen(scope, this.server(scope))
    for (const { runtime, place } of this.listens) runtime.checkTls(place)
    this.settleAddresses()
    this.checkAwaited()
  }

  /** `set` makes variables, which others may name before they are set. */
  private defineSet(scope: Scope): void {
    for (const { name, site } of scope.conf(streamDirectives).set) {
      if (this.defined(name) !== null) continue
      const index = valueIndex(name)
      this.define(name, { get: r => readValue(r, index) ?? '', set: (r, value) => writeValue(r, index, value) }, site)
    }
  }

  private server(scope: Scope): StreamServer {
    const conf = scope.conf(streamDirectives)
    const access: { run: StreamServer['access'][number]['run']; conf: unknown }[] = []
    const logs: { run: StreamServer['logs'][number]['run']; conf: unknown }[] = []
    const builder = {
      scope,
      access: (run: (r: any, conf: any) => number, of: unknown) => void access.push({ run, conf: of }),
      log: (run: (r: any, conf: any) => void, of: unknown) => void logs.push({ run, conf: of }),
      value: this.value.bind(this),
    }
    for (const module of this.modules) module.connection?.(scope.conf(module.directives), builder, this)
    const server: StreamServer = {
      name: plainName(conf.server_name[0] ?? ''),
      errorLog: null as unknown as ErrorLog,
      access,
      logs,
      assignments: conf.set.map(({ name, template, site }) => {
        return { variable: this.variable(name, site), value: this.value(template) }
      }),
      content: this.content(scope),
      prereads: conf.ssl_preread,
      prereadBufferSize: conf.preread_buffer_size,
      prereadTimeout: conf.preread_timeout,
      proxyProtocolTimeout: conf.proxy_protocol_timeout,
      handshakeTimeout: conf.ssl_handshake_timeout,
      tcpNodelay: conf.tcp_nodelay,
      tls: compileServerTls(scope, this),
      http2: { ...compileServerHttp2(scope), enabled: false },
    }
    const targets = ownErrorLog(scope)
    for (const { path } of targets ?? []) if (path !== null) this.needsLogFile(path)
    this.logged.push({ server, targets })
    return server
  }

  private content(scope: Scope): Content {
    const told = scope.conf(streamDirectives).return
    const proxied = compileProxy(scope, this)
    if (told !== null && proxied !== null) scope.site('return')!.fail('"return" and "proxy_pass" exclude each other')
    if (told !== null) return returnContent(this.value(told))
    if (proxied !== null) return proxied
    const { file, line } = scope.statement!
    throw new ConfigError(`no handler for server in ${file}:${line}`)
  }

  // ── addresses ────────────────────────────────────────────────────────────────────────────────────────────────────

  private listen(scope: Scope, server: StreamServer): void {
    const conf = scope.conf(streamDirectives)
    if (conf.listen.length === 0) {
      const { file, line } = scope.statement!
      throw new ConfigError(`no "listen" is defined for server in ${file}:${line}`)
    }
    this.addressesOf(
      conf.listen,
      key => new StreamListen(key, server),
      (address, declared) => {
        address.addServer(declared, server, conf.server_name, scope.site('server_name') ?? declared.site)
      },
    )
  }

  // ── running ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** As CompiledHttp.start(). */
  async start(
    services: ThreadServices,
    descriptors: ReadonlyMap<string, number>,
    limit: ConnectionLimit,
  ): Promise<void> {
    const { errorLog, logFiles } = services
    for (const { server, targets } of this.logged) {
      server.errorLog = targets === null ? errorLog : new ErrorLog(targets, logFiles, errorLog.thread)
    }
    for (const run of this.starts) run(services)
    const sessions = new Sessions(limit, errorLog, (...all) => new StreamSession(...all))
    await this.accept(sessions, descriptors)
  }
}
