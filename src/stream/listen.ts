// One address of the stream block with the servers that share it. To what reads a connection's beginning (a PROXY protocol
// header, a TLS client's hello) it is a listener as any other.

import type { Site } from '../config/directive.ts'
import { ConfigError } from '../config/errors.ts'
import type { ListenDeclaration } from '../http/listen.ts'
import type { ListenRuntime, ServerRuntime } from '../http/runtime.ts'
import type { Pattern } from '../http/regex.ts'
import { ServerNames } from '../http/server-names.ts'
import type { StreamServer } from './module.ts'

export class StreamListen {
  readonly address: string
  defaultServer: StreamServer
  readonly tcpNodelay = true
  readonly proxyVersions = null
  readonly uwsgi = false
  readonly http2 = false
  proxyProtocol = false
  tls = false
  private explicitDefault = false
  private readonly names = new Set<string>()
  private readonly finder: ServerNames

  constructor(address: string, server: StreamServer) {
    this.address = address
    this.defaultServer = server
    this.finder = new ServerNames(server as unknown as ServerRuntime)
  }

  /** @param names its server_name, as written */
  addServer(declared: ListenDeclaration, server: StreamServer, names: readonly string[], site: Site): void {
    this.proxyProtocol ||= declared.proxyProtocol
    this.tls ||= declared.tls
    if (declared.isDefault) {
      if (this.explicitDefault) declared.site.fail(`a duplicate default server for ${declared.key}`)
      this.explicitDefault = true
      this.defaultServer = server
    }
    for (const name of names.length === 0 ? [''] : names) {
      const lower = name.toLowerCase()
      if (this.names.has(lower)) site.warn(`conflicting server name "${name}" on ${declared.key}, ignored`)
      else {
        this.names.add(lower)
        this.finder.add(name, server as unknown as ServerRuntime, site)
      }
    }
  }

  /** Clients need a certificate of somebody's. */
  checkTls(place: string): void {
    const { tls } = this.defaultServer
    if (!this.tls || tls.settings !== null || tls.rejects) return
    throw new ConfigError(`no "ssl_certificate" is defined for the "listen ... ssl" directive in ${place}`)
  }

  /** The regular expression that serverNamed() has just found the server by. */
  get matchedName(): Pattern | null {
    return this.finder.matched
  }

  serverFor(host: string): ServerRuntime {
    return this.serverNamed(host) ?? (this.defaultServer as unknown as ServerRuntime)
  }

  serverNamed(host: string): ServerRuntime | null {
    return this.finder.lookup(host)
  }
}

/** As those who know HTTP see it. */
export function asListen(listen: StreamListen): ListenRuntime {
  return listen as unknown as ListenRuntime
}
