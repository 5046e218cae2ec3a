// A mail block, read and checked, becomes what sessions run through. As with http, compiling opens nothing; start() does.

import { MAIL, type Scope } from '../config/directive.ts'
import { ConfigError, placeText } from '../config/errors.ts'
import { compileServerHttp2 } from '../http/h2/directives.ts'
import type { HttpModule } from '../http/module.ts'
import { resolverDirectives, resolverOf } from '../http/resolver.ts'
import type { CompileOptions } from '../http/server/definitions.ts'
import { ServerBlock } from '../http/server/server-block.ts'
import { Sessions } from '../http/session/sessions.ts'
import { compileServerTlsFor, type ServerTls } from '../http/ssl/server-tls.ts'
import type { ErrorLog } from '../log/error-log.ts'
import type { ConnectionLimit } from '../upstream/connection-limit.ts'
import { authHttpDirectives, compileAuthHttp } from './auth-http.ts'
import { mailDirectives, nameOf, protocolAt } from './core.ts'
import { compileImap, imapDirectives } from './imap.ts'
import { MailListen } from './listen.ts'
import type { MailProtocol, MailServer } from './module.ts'
import { compilePop3, pop3Directives } from './pop3.ts'
import { compileProxy, proxyDirectives } from './proxy.ts'
import { MailSession } from './session.ts'
import { compileSmtp, smtpDirectives } from './smtp.ts'

/** Every directive of mail's own. */
export const declarations = [
  mailDirectives,
  authHttpDirectives,
  proxyDirectives,
  imapDirectives,
  pop3Directives,
  smtpDirectives,
]

/** Compiles the mail block of a configuration (nothing where there is none). Throws ConfigError. */
export function compileMail(main: Scope, modules: readonly HttpModule[], options: CompileOptions): CompiledMail {
  const mail = main.children.find(scope => scope.context === MAIL)
  const compiled = new CompiledMail(mail ?? null, modules, { ...options, notes: null })
  if (mail !== undefined) compiled.compile(mail)
  return compiled
}

/** As in nginx, certificates that nobody is ever shown need not be there. */
const WITHOUT_TLS: ServerTls = { verify: 'off', rejects: false, settings: null, ocsp: null }

function speaksTls(scope: Scope): boolean {
  const { listen, starttls } = scope.conf(mailDirectives)
  return starttls !== 'off' || listen.some(({ tls }) => tls)
}

export class CompiledMail extends ServerBlock<MailListen> {
  private readonly modules: readonly HttpModule[]

  /** @param modules of http: those that know the mail block, too, take part */
  constructor(scope: Scope | null, modules: readonly HttpModule[], options: CompileOptions) {
    super(scope, options, {}, {})
    this.modules = modules.filter(module => module.inMail === true)
  }

  compile(mail: Scope): void {
    for (const scope of mail.conf(mailDirectives).server) this.listen(scope, this.server(scope))
    this.settleAddresses()
    this.checkAwaited()
  }

  private server(scope: Scope): MailServer {
    const conf = scope.conf(mailDirectives)
    if (conf.listen.length === 0)
      throw new ConfigError(`no "listen" is defined for server in ${placeText(scope.statement!)}`)
    const name = nameOf(conf.server_name)
    const protocol = this.protocol(scope, name)
    const authHttp = compileAuthHttp(scope.conf(authHttpDirectives))
    if (authHttp === null)
      throw new ConfigError(`no "auth_http" is defined for server in ${placeText(scope.statement!)}`)
    const server: MailServer = {
      name,
      errorLog: null as unknown as ErrorLog,
      protocol,
      timeout: conf.timeout,
      maxErrors: conf.max_errors,
      starttls: conf.starttls,
      tls: speaksTls(scope) ? compileServerTlsFor(protocol.name, scope, this) : WITHOUT_TLS,
      http2: { ...compileServerHttp2(scope), enabled: false },
      resolver: resolverOf(scope.conf(resolverDirectives), this),
      access: this.access(scope),
      authHttp,
      proxy: compileProxy(scope.conf(proxyDirectives)),
    }
    this.checkTls(scope, server)
    this.logsFor(server, scope)
    return server
  }

  private protocol(scope: Scope, name: string): MailProtocol {
    const { protocol, listen } = scope.conf(mailDirectives)
    const known = protocol ?? listen.map(({ port }) => protocolAt(port)).find(found => found !== null)
    if (known === 'imap') return compileImap(scope.conf(imapDirectives))
    if (known === 'pop3') return compilePop3(scope.conf(pop3Directives))
    if (known === 'smtp') return compileSmtp(scope.conf(smtpDirectives), name)
    throw new ConfigError(`unknown mail protocol for server in ${placeText(scope.statement!)}`)
  }

  private access(scope: Scope): MailServer['access'] {
    const access: { run: (r: any, conf: any) => number; conf: unknown }[] = []
    const add = (run: (r: any, conf: any) => number, conf: unknown): void => void access.push({ run, conf })
    const builder = { scope, postAccept: add, access: add, log: () => {}, value: this.value.bind(this) }
    for (const module of this.modules) module.connection?.(scope.conf(module.directives), builder, this)
    return access
  }

  private checkTls(scope: Scope, { tls, starttls }: MailServer): void {
    if (tls.settings !== null) return
    const listens = scope.conf(mailDirectives).listen.find(declared => declared.tls)
    if (listens === undefined && starttls === 'off') return
    const site = listens?.site ?? scope.site('starttls') ?? scope.parent!.site('starttls')!
    const mode = listens === undefined ? 'starttls' : 'listen ... ssl'
    const { file, line } = site
    throw new ConfigError(`no "ssl_certificate" is defined for the "${mode}" directive in ${file}:${line}`)
  }

  private listen(scope: Scope, server: MailServer): void {
    const { listen } = scope.conf(mailDirectives)
    const taken = new Set(this.listens.map(address => address.key))
    for (const { key, site } of listen) {
      if (taken.has(key)) site.fail(`duplicate "${key}" address and port pair`)
      taken.add(key)
    }
    this.addressesOf(
      listen,
      key => new MailListen(key, server),
      (address, declared) => address.addServer(declared, server, [], declared.site),
    )
  }

  protected sessionsFor(limit: ConnectionLimit, log: ErrorLog): Sessions {
    return new Sessions(limit, log, (...all) => new MailSession(...all))
  }
}
