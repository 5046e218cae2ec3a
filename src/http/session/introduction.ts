// What a server behind us hears of a connection by the PROXY protocol (ngx_proxy_protocol_v2_write): whose it is, and with version
// 2 what was agreed on if it spoke TLS to us. For stream and for mail.

import { proxyHeader, proxyLine, ProxyProtocol, tlsTlv, tlv } from '../../codec/proxy-protocol.ts'
import type { ClientTls } from '../ssl/client-tls.ts'
import { commonName } from '../ssl/distinguished-name.ts'

export interface Introduced {
  readonly clientAddress: string
  readonly clientPort: number
  readonly localAddress: string
  readonly localPort: number
  readonly tls: ClientTls | null
}

// OpenSSL's numbers for verdicts on certificates (X509_V_ERR_…).
const NOT_SHOWN = 1
const REVOKED = 23

/** As latin1 text. */
export function introduction(client: Introduced, version: 'v1' | 'v2', datagrams = false): string {
  const { clientAddress, clientPort, localAddress, localPort, tls } = client
  const tlvs = version === 'v1' || tls === null ? '' : ofTls(tls)
  const told = new ProxyProtocol(clientAddress, clientPort, localAddress, localPort, tlvs)
  return version === 'v1' ? proxyLine(told) : proxyHeader(told, datagrams)
}

function ofTls(tls: ClientTls): string {
  const { certificate, connection, fault, hello } = tls
  if (connection === null) return ''
  const { alpnProtocol, cipher, ownCertificate, protocol, sessionReused } = connection
  const ssl = tlsTlv({
    version: protocol,
    cipher,
    commonName: certificate === null ? '' : commonName(certificate.subject),
    signature: ownCertificate.signature,
    key: ownCertificate.key,
    certificate: certificate === null ? 'none' : sessionReused ? 'session' : 'connection',
    verify: certificate === null ? NOT_SHOWN : fault === null ? 0 : fault.code || REVOKED,
  })
  return tlv('authority', hello.serverName) + tlv('alpn', alpnProtocol) + ssl
}
