// What OpenSSL keeps for one connection (its SSL): made with it, freed at its end, and asked what was agreed on in the handshake.
// What goes through it is the business of TlsConnection (tls.ts).

import type { X509Certificate } from 'node:crypto'
import { Connection, type ConnectionHandler } from './connection.ts'
import { forgetSessions } from './openssl/client-sessions.ts'
import { SSL_RECEIVED_SHUTDOWN, SSL_SENT_SHUTDOWN } from './openssl/constants.ts'
import type { TlsContext } from './openssl/context.ts'
import { queuedErrors } from './openssl/errors.ts'
import { openssl } from './openssl/library.ts'
import { textAt } from './openssl/memory.ts'
import {
  alpnOf,
  certificateOf,
  cipherOf,
  curveOf,
  faultOf,
  hasPssKey,
  ownCertificateOf,
  sessionIdOf,
  type OwnCertificate,
  type VerifyFault,
} from './openssl/negotiated.ts'
import { peerSignatureOf, signatureOf } from './openssl/signatures.ts'
import { begun, freed, type OpenConnection } from './openssl/thread-end.ts'

export abstract class TlsSession extends Connection implements OpenConnection {
  older: OpenConnection | null = null
  newer: OpenConnection | null = null
  /** Held as long as there are connections with it: what is known of it is asked for in handshakes. */
  protected readonly context: TlsContext
  /** 0n once it is freed. */
  protected ssl: bigint
  /** The peer knows that this was the end (close_notify). */
  protected saidEnd = false
  private certificate: X509Certificate | null | undefined = undefined

  constructor(plain: Connection, context: TlsContext, handler: ConnectionHandler) {
    super(plain, handler)
    this.context = context
    this.ssl = openssl().SSL_new(context.pointer)
    if (this.ssl === 0n) throw new Error(`SSL_new() failed (SSL: ${queuedErrors()})`)
    begun(this)
  }

  protected free(): void {
    if (this.ssl === 0n) return
    forgetSessions(this.ssl)
    freed(this)
    const o = openssl()
    // A connection that just breaks off takes its session with it otherwise; what OpenSSL has found wrong it has removed itself.
    if (!this.saidEnd) o.SSL_set_shutdown(this.ssl, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN)
    o.SSL_free(this.ssl)
    this.ssl = 0n
  }

  /** Nobody shall resume its session, as far as that is in our hands. */
  forgetSession(): void {
    if (this.ssl === 0n) return
    const o = openssl()
    const session = o.SSL_get_session(this.ssl)
    if (session !== 0n) o.SSL_CTX_remove_session(o.SSL_get_SSL_CTX(this.ssl), session)
  }

  get protocol(): string {
    return this.ssl === 0n ? '' : textAt(openssl().SSL_get_version(this.ssl))
  }

  get cipher(): string {
    return this.ssl === 0n ? '' : cipherOf(this.ssl)
  }

  get curve(): string {
    return this.ssl === 0n ? '' : curveOf(this.ssl)
  }

  /** What we have signed the handshake with, and the peer; '' without a signature. */
  get signature(): string {
    return this.ssl === 0n ? '' : signatureOf(this.ssl, hasPssKey(this.ssl))
  }

  get peerSignature(): string {
    if (this.ssl === 0n) return ''
    return peerSignatureOf(this.ssl, this.peerCertificate?.publicKey.asymmetricKeyType === 'rsa-pss')
  }

  get alpnProtocol(): string {
    return this.ssl === 0n ? '' : alpnOf(this.ssl)
  }

  get sessionReused(): boolean {
    return this.ssl !== 0n && openssl().SSL_session_reused(this.ssl) === 1
  }

  get sessionId(): string {
    return this.ssl === 0n ? '' : sessionIdOf(this.ssl)
  }

  /** The peer's certificate, null without one. */
  get peerCertificate(): X509Certificate | null {
    if (this.certificate === undefined && this.ssl !== 0n) this.certificate = certificateOf(this.ssl)
    return this.certificate ?? null
  }

  /** What is wrong with the peer's certificate; null: nothing, or it sent none. */
  get verifyFault(): VerifyFault | null {
    return this.peerCertificate === null || this.ssl === 0n ? null : faultOf(this.ssl)
  }

  get ownCertificate(): OwnCertificate {
    return this.ssl === 0n ? { signature: '', key: '' } : ownCertificateOf(this.ssl)
  }

  /** For what OpenSSL alone can tell (openssl/): its SSL, 0n when it is gone. */
  get pointer(): bigint {
    return this.ssl
  }
}
