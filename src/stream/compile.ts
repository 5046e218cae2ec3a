// A stream block, read and checked, becomes what sessions run through. As with http, compiling opens nothing; start() does.

import { plainName } from '../http/core/server-names.ts'
import { STREAM, type Scope } from '../config/directive.ts'
import { ConfigError, placeText } from '../config/errors.ts'
import type { ErrorLog } from '../log/error-log.ts'
import type { ConnectionLimit } from '../upstream/connection-limit.ts'
import type { CompileOptions } from '../http/server/definitions.ts'
import { compileServerHttp2 } from '../http/h2/directives.ts'
import type { HttpModule } from '../http/module.ts'
import { ServerBlock } from '../http/server/server-block.ts'
import { Sessions } from '../http/session/sessions.ts'
import type { ThreadServices } from '../http/setup.ts'
import { compileServerTls } from '../http/ssl/server-tls.ts'
import { readValue, valueIndex, writeValue } from '../http/variable-values.ts'
import { streamDirectives } from './core.ts'
import { StreamListen } from './listen.ts'
import type { Content, StreamServer } from './module.ts'
import { passContent } from './pass.ts'
import { compileProxy } from './proxy/conf.ts'
import { returnContent } from './return.ts'
import { StreamSession } from './session.ts'
import { assignments } from './set.ts'
import { type UdpListener, udpListeners } from './udp/listener.ts'
import { familiesOfSessions, ofSessions, streamVariables } from './variables.ts'

/** Compiles the stream block of a configuration (nothing where there is none). Throws ConfigError. */
export function compileStream(main: Scope, modules: readonly HttpModule[], options: CompileOptions): CompiledStream {
  const stream = main.children.find(scope => scope.context === STREAM)
  const compiled = new CompiledStream(stream ?? null, modules, { ...options, notes: null })
  if (stream !== undefined) compiled.compile(stream)
  return compiled
}

/** A server that says of itself only where it listens. */
const nothing: Content = { begin: session => session.finalize(500) }

export class CompiledStream extends ServerBlock<StreamListen> {
  /** Whose addresses `pass` may name. */
  readonly blocks: ServerBlock<any>[] = [this]
  private readonly modules: readonly HttpModule[]
  private datagrams: readonly UdpListener[] = []

  /** @param modules of http: those that know the stream block, too, take part */
  constructor(scope: Scope | null, modules: readonly HttpModule[], options: CompileOptions) {
    super(scope, options, streamVariables, {})
    this.modules = modules.filter(module => module.inStream === true)
    for (const { variables = {}, prefixVariables = {} } of modules) {
      this.addVariables(ofSessions(variables), familiesOfSessions(prefixVariables))
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
    for (const { runtime } of this.listens) runtime.checkTls()
    this.settleAddresses()
    this.checkAwaited()
  }

  /** `set` makes variables, which others may name before they are set. */
  private defineSet(scope: Scope): void {
    for (const { name, site } of scope.conf(streamDirectives).set) {
      const known = this.defined(name)
      if (known !== null && known.set === undefined) site.fail(`the duplicate "${name}" variable`)
      if (known !== null) continue
      const index = valueIndex(name)
      this.define(name, { get: r => readValue(r, index) ?? '', set: (r, value) => writeValue(r, index, value) }, site)
    }
  }

  private server(scope: Scope): StreamServer {
    const conf = scope.conf(streamDirectives)
    const postAccept: { run: StreamServer['access'][number]['run']; conf: unknown }[] = []
    const access: typeof postAccept = []
    const logs: { run: StreamServer['logs'][number]['run']; conf: unknown }[] = []
    const builder = {
      scope,
      postAccept: (run: (r: any, conf: any) => number, of: unknown) => void postAccept.push({ run, conf: of }),
      access: (run: (r: any, conf: any) => number, of: unknown) => void access.push({ run, conf: of }),
      log: (run: (r: any, conf: any) => void, of: unknown) => void logs.push({ run, conf: of }),
      value: this.value.bind(this),
    }
    for (const module of this.modules) module.connection?.(scope.conf(module.directives), builder, this)
    const server: StreamServer = {
      name: plainName(conf.server_name[0] ?? ''),
      place: placeText(scope.statement!),
      errorLog: null as unknown as ErrorLog,
      access: [...postAccept, ...assignments(conf.set, this), ...access],
      logs,
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
    this.logsFor(server, scope)
    return server
  }

  /** Of several the last one counts. */
  private content(scope: Scope): Content {
    const { return: told, pass } = scope.conf(streamDirectives)
    const contents = {
      proxy_pass: compileProxy(scope, this),
      return: told === null ? null : returnContent(this.value(told)),
      pass: pass === null ? null : passContent(pass, this.value(pass.template), this.blocks),
    }
    const order = (name: string): number => scope.site(name)!.order
    const names = (Object.keys(contents) as (keyof typeof contents)[]).filter(name => contents[name] !== null)
    const [last, ...others] = names.toSorted((a, b) => order(b) - order(a))
    for (const name of others) scope.site(name)!.warn(`"${name}" is ignored: "${last}" follows it`)
    return last === undefined ? nothing : contents[last]!
  }

  // ── addresses ────────────────────────────────────────────────────────────────────────────────────────────────────

  private listen(scope: Scope, server: StreamServer): void {
    const conf = scope.conf(streamDirectives)
    if (conf.listen.length === 0) {
      throw new ConfigError(`no "listen" is defined for server in ${placeText(scope.statement!)}`)
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

  protected sessionsFor(limit: ConnectionLimit, log: ErrorLog): Sessions {
    return new Sessions(limit, log, (...all) => new StreamSession(...all), 'never')
  }

  override async start(
    services: ThreadServices,
    descriptors: Map<string, number>,
    limit: ConnectionLimit,
  ): Promise<void> {
    await super.start(services, descriptors, limit)
    const addresses = this.listens.filter(({ udp }) => udp)
    this.datagrams = udpListeners(addresses, services, descriptors, this.sessions!)
  }

  override retire(grace: boolean, done: () => void): void {
    for (const listener of this.datagrams) listener.retire()
    super.retire(grace, done)
  }

  override stop(): void {
    super.stop()
    for (const listener of this.datagrams) listener.stop()
    this.datagrams = []
  }
}
