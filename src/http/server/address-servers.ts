// The servers of one address, of the http block or of stream: who answers for a name, who for all others, and what goes
// before the first byte that is meant for them (a PROXY protocol header, a TLS handshake).

import type { Site } from '../../config/directive.ts'
import { addressText, type ListenDeclaration, type ProxyVersions } from '../core/listen.ts'
import type { Pattern } from '../regex.ts'
import { isName, ServerNames } from '../core/server-names.ts'

export class AddressServers<S> {
  readonly address: string
  defaultServer: S
  tcpNodelay = true
  proxyProtocol = false
  proxyVersions: ProxyVersions | null = null
  uwsgi = false
  tls = false
  http2 = false
  protected readonly finder: ServerNames<S>
  private explicitDefault = false
  private readonly names = new Set<string>()
  private serverCount = 0
  private misnamed: { readonly name: string; readonly site: Site } | null = null

  /** @param server the first one is the default, unless another one says that it is */
  constructor(address: string, server: S) {
    this.address = address
    this.defaultServer = server
    this.finder = new ServerNames(server)
  }

  /** @param names its server_name, as written; `site` is where */
  addServer(declared: ListenDeclaration, server: S, names: readonly string[], site: Site): void {
    this.proxyProtocol ||= declared.proxyProtocol
    this.proxyVersions ??= declared.proxyVersions
    this.tls ||= declared.tls
    if (declared.isDefault) {
      if (this.explicitDefault) declared.site.fail(`a duplicate default server for ${addressText(declared.key)}`)
      this.explicitDefault = true
      this.defaultServer = server
      this.finder.fallback = server
    }
    for (const name of names.length === 0 ? [''] : names) {
      const lower = name.toLowerCase()
      // Of two patterns the first one that matches counts. A server without either directive has no place to warn of.
      if (this.names.has(lower) && !name.startsWith('~'))
        site.warn?.(`conflicting server name "${lower}" on ${addressText(declared.key)}, ignored`)
      else {
        this.names.add(lower)
        if (isName(lower)) this.finder.add(name, server, site)
        else this.misnamed ??= { name, site }
      }
    }
    this.serverCount++
    // With one server nobody looks at names.
    if (this.serverCount > 1 && this.misnamed !== null) {
      const { name, site } = this.misnamed
      site.fail(`invalid server name or wildcard "${name}" on ${addressText(declared.key)}`)
    }
  }

  serverFor(host: string): S {
    return this.finder.find(host)
  }

  /** null: nobody has that name. */
  serverNamed(host: string): S | null {
    return this.finder.lookup(host)
  }

  /** The regular expression that the last look-up ended with. */
  get matchedName(): Pattern | null {
    return this.finder.matched
  }

  /** Has it given up? */
  get nameFailed(): boolean {
    return this.finder.failed
  }
}
