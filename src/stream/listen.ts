// One address of the stream block with the servers that share it. To what reads a connection's beginning (a PROXY protocol
// header, a TLS client's hello) it is a listener as any other.

import { ConfigError } from '../config/errors.ts'
import { AddressServers } from '../http/server/address-servers.ts'
import type { StreamServer } from './module.ts'

export class StreamListen extends AddressServers<StreamServer> {
  /** Clients need a certificate of somebody's. */
  checkTls(): void {
    const { tls, place } = this.defaultServer
    if (!this.tls || tls.settings !== null || tls.rejects) return
    throw new ConfigError(`no "ssl_certificate" is defined for the "listen ... ssl" directive in ${place}`)
  }
}
