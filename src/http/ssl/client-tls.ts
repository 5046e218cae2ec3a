// What a client and we agreed on in the handshake, as requests see it, and which requests it is not good for
// (ngx_http_process_request, ngx_http_set_virtual_server).

import type { X509Certificate } from 'node:crypto'
import type { ClientHello } from '../../codec/tls-client-hello.ts'
import { INFO } from '../../log/error-log.ts'
import type { VerifyFault } from '../../net/openssl/negotiated.ts'
import type { TlsConnection } from '../../net/tls.ts'
import type { HttpRequest } from '../request.ts'
import type { ServerRuntime } from '../runtime.ts'
import type { ServerTls } from './server-tls.ts'

export class ClientTls {
  /** null while its settings are being looked for. */
  connection: TlsConnection | null = null
  readonly hello: ClientHello
  /** The server the handshake was for. */
  readonly server: ServerRuntime
  /** The name that the client has called it by, as Host fields are compared with it; null: it named none of ours. */
  readonly name: string | null
  private readonly negotiated: ServerRuntime
  /** What its authority says of the client's certificate; '' for nothing bad. */
  revocation = ''

  /** @param negotiated the server whose settings the handshake ran with: `server`, or the default one in its place */
  constructor(hello: ClientHello, server: ServerRuntime, name: string | null, negotiated: ServerRuntime) {
    this.hello = hello
    this.server = server
    this.name = name
    this.negotiated = negotiated
  }

  /** The same handshake, as servers of another address see it: it named none of them. */
  with(server: ServerRuntime): ClientTls {
    const same = new ClientTls(this.hello, server, null, this.negotiated)
    same.connection = this.connection
    same.revocation = this.revocation
    return same
  }

  private get verified(): boolean {
    return this.negotiated.tls.verify !== 'off'
  }

  /** Why the client's certificate is not to be trusted; null: it is, or there is none. */
  get fault(): VerifyFault | null {
    const { connection } = this
    if (!this.verified || connection === null || connection.peerCertificate === null) return null
    const fault = connection.verifyFault
    return fault === null && this.revocation !== '' ? { code: 0, reason: this.revocation } : fault
  }

  get certificate(): X509Certificate | null {
    return this.connection === null ? null : this.connection.peerCertificate
  }

  /** $ssl_client_verify */
  get verdict(): string {
    if (!this.verified || this.certificate === null) return 'NONE'
    const { fault } = this
    return fault === null ? 'SUCCESS' : `FAILED:${fault.reason}`
  }
}

/** optional_no_ca asks only that the client has the key; whose certificate it is, an application will decide. X509_V_ERR_…
 *  DEPTH_ZERO_SELF_SIGNED_CERT, SELF_SIGNED_CERT_IN_CHAIN, UNABLE_TO_GET_ISSUER_CERT_LOCALLY,
 *  UNABLE_TO_VERIFY_LEAF_SIGNATURE. */
const WITHOUT_CA = new Set([18, 19, 20, 21])

/** What is wrong with a client's certificate, for the log; '' where it will do, or none is asked for. */
export function certificateProblem({ certificate, fault }: ClientTls, verify: ServerTls['verify']): string {
  if (verify === 'off') return ''
  if (fault !== null && (verify !== 'optional_no_ca' || !WITHOUT_CA.has(fault.code))) {
    return `client SSL certificate verify error: ${fault.code === 0 ? fault.reason : `(${fault.code}:${fault.reason})`}`
  }
  return verify === 'on' && certificate === null ? 'client sent no required SSL certificate' : ''
}

/** The status that a request is refused with on a TLS port, 0 for none. `tls` null: it came in plain text. */
export function tlsRefusal(r: HttpRequest, tls: ClientTls | null): number {
  if (tls === null) {
    r.log(INFO, 'client sent plain HTTP request to HTTPS port while reading client request headers')
    return 497
  }
  const { verify } = r.server.tls
  if (verify === 'off') return 0
  if (tls.name !== null && r.host !== tls.name) {
    const what = 'client attempted to request the server name different from the one that was negotiated'
    answerAs(r, tls.server)
    r.log(INFO, `${what} while reading client request headers`)
    return 421
  }
  const problem = certificateProblem(tls, verify)
  if (problem === '') return 0
  tls.connection?.forgetSession()
  r.log(INFO, `${problem} while reading client request headers`)
  return tls.certificate === null ? 496 : 495
}

/** The server it was about to be given to has no part in it: it is the negotiated one's, as if no host had been named. */
function answerAs(r: HttpRequest, server: ServerRuntime): void {
  r.server = server
  r.location = server.outside
  r.steps = server.outside.steps
  r.host = ''
  r.keepAlive = false
}
