// A connection with TLS on it: node:tls over the socket of a plain Connection, behind the same interface. The plain one has
// read the client's hello already, so that the settings for the whole handshake are chosen before it begins.
//
// Unlike a plain socket's, no write here is done at once: records are made and go out, and the stream hears of it a turn of
// the loop later. Every write therefore answers false and onDrain follows.

import type { X509Certificate } from 'node:crypto'
import type tls from 'node:tls'
import { Connection, type ConnectionHandler } from './connection.ts'
import { surrender } from './read-buffer.ts'

/** How a server speaks TLS. */
export interface TlsSettings {
  readonly secureContext: tls.SecureContext
  /** Is the client asked for a certificate? It need not have one: what follows from that is the caller's decision. */
  readonly requestCert: boolean
}

/** Why a client's certificate is not to be trusted: OpenSSL's name for it and its words. */
export interface VerifyFault {
  readonly code: string
  readonly reason: string
}

type Wrap = { verifyError(): (Error & { code?: string }) | null | undefined }

/** What we speak inside, in ALPN's form (RFC 7301). */
const PROTOCOLS = ['http/1.1', 'http/1.0', 'http/0.9']

/** Goes to whoever asks for a name nobody here has (RFC 8446, 6.2): a fatal alert, unrecognized_name. */
export const UNRECOGNIZED_NAME = Buffer.from([21, 3, 3, 0, 2, 2, 112])

/** internal_error: what was configured cannot be used. */
export const INTERNAL_ERROR = Buffer.from([21, 3, 3, 0, 2, 2, 80])

// Loaded when the first configuration or connection wants it: most of node:tls is OpenSSL's own tables.
let nodeTls: typeof tls | null = null

export function tlsModule(): typeof tls {
  nodeTls ??= process.getBuiltinModule('node:tls')
  return nodeTls
}

const IGNORE: ConnectionHandler = { onData() {}, onEnd() {}, onDrain() {}, onClose() {} }

export class TlsConnection extends Connection {
  declare readonly socket: tls.TLSSocket
  /** The handshake is done. */
  secured = false
  private readonly plain: Connection
  private certificate: X509Certificate | null | undefined = undefined
  private fault: VerifyFault | null | undefined = undefined
  private chain = -1

  /** @param plain the connection so far; it is not to be used any more */
  constructor(plain: Connection, socket: tls.TLSSocket, handler: ConnectionHandler, onSecure: () => void) {
    plain.handler = IGNORE
    super(socket, handler)
    this.plain = plain
    this.socket.on('data', (chunk: Buffer) => {
      this.bytesIn += chunk.length
      this.handler.onData(chunk)
    })
    this.socket.on('secure', () => {
      this.secured = true
      onSecure()
    })
    // Once the handshake is over, node:tls leaves what to do about broken records to us.
    this.socket.on('_tlsError', (error: Error) => void this.socket.destroy(error))
  }

  // ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

  override writeText(text: string): boolean {
    this.bytesOut += text.length
    this.socket.write(text, 'latin1', this.flushed)
    return false
  }

  override write(bytes: Buffer): boolean {
    this.bytesOut += bytes.length
    this.socket.write(bytes, this.flushed)
    return false
  }

  override writeVolatile(chunk: Buffer): boolean {
    // What OpenSSL gets at once it has encrypted when write() is back; what waits in the stream must stay as it is.
    if (this.socket.writableLength > 0) surrender(chunk)
    return this.write(chunk)
  }

  override writeAll(before: string, bytes: Buffer, after: string, volatile: boolean): boolean {
    const { socket } = this
    this.bytesOut += before.length + bytes.length + after.length
    if (volatile && socket.writableLength > 0) surrender(bytes)
    socket.cork()
    if (before !== '') socket.write(before, 'latin1')
    socket.write(bytes, after === '' ? this.flushed : undefined)
    if (after !== '') socket.write(after, 'latin1', this.flushed)
    socket.uncork()
    return false
  }

  protected override onFlushed(): void {
    if (!this.closed && !this.socket.destroyed && this.socket.writableLength === 0) this.handler.onDrain()
  }

  /** Tells the client that this is the end (close_notify), so that it knows that nothing was cut off. */
  override destroy(): void {
    const { socket } = this
    if (!this.secured || socket.destroyed || socket.writableLength > 0) {
      socket.destroy()
      return
    }
    socket.end()
    // The alert has been offered to the kernel by then; nobody waits for a client that would not even take that.
    setImmediate(destroySocket, socket)
  }

  override reset(): void {
    this.plain.reset()
  }

  // ── what was agreed on ───────────────────────────────────────────────────────────────────────────────────────────

  get protocol(): string {
    return this.socket.getProtocol() ?? ''
  }

  get cipher(): string {
    return this.socket.getCipher()?.name ?? ''
  }

  get alpnProtocol(): string {
    const { alpnProtocol } = this.socket
    return typeof alpnProtocol === 'string' ? alpnProtocol : ''
  }

  get sessionReused(): boolean {
    return this.socket.isSessionReused()
  }

  /** OpenSSL's serialised session, null without one. */
  get session(): Buffer | null {
    return this.socket.getSession() ?? null
  }

  /** The client's certificate, null without one. */
  get peerCertificate(): X509Certificate | null {
    if (this.certificate === undefined) this.certificate = this.socket.getPeerX509Certificate() ?? null
    return this.certificate
  }

  /** Certificates between the client's own and the root. */
  get intermediates(): number {
    if (this.chain >= 0) return this.chain
    let length = 0
    for (let at = this.socket.getPeerCertificate(true); ; at = at.issuerCertificate) {
      length++
      if (at.issuerCertificate === undefined || at.issuerCertificate === at) break
    }
    this.chain = Math.max(0, length - 2)
    return this.chain
  }

  /** What is wrong with the client's certificate; null: nothing, or it sent none. */
  get verifyFault(): VerifyFault | null {
    if (this.fault === undefined) {
      const handle = (this.socket as unknown as { _handle: Wrap | null })._handle
      const error = this.peerCertificate === null ? null : handle?.verifyError()
      this.fault = error === null || error === undefined ? null : { code: error.code ?? '', reason: wordsOf(error) }
    }
    return this.fault
  }
}

/** OpenSSL's words; Node adds advice for users of its own, behind a semicolon. */
function wordsOf(error: Error): string {
  return error.message.split(';', 1)[0]!
}

/**
 * Answers a client that wants TLS.
 * @param received what the connection has read: the hello and what follows
 */
export function acceptTls(
  plain: Connection,
  received: Buffer,
  settings: TlsSettings,
  handler: ConnectionHandler,
  onSecure: () => void,
): TlsConnection {
  plain.socket.unshift(Buffer.from(received))
  const socket = new (tlsModule().TLSSocket)(plain.socket, {
    isServer: true,
    secureContext: settings.secureContext,
    requestCert: settings.requestCert,
    rejectUnauthorized: false,
    ALPNProtocols: PROTOCOLS,
  })
  return new TlsConnection(plain, socket, handler, onSecure)
}

/**
 * Speaks TLS to a server over a connection that stands.
 * @param serverName sent to it, unless empty
 * @param session of an earlier connection, to be resumed
 */
export function connectTls(
  plain: Connection,
  secureContext: tls.SecureContext,
  serverName: string,
  session: Buffer | null,
  handler: ConnectionHandler,
  onSecure: () => void,
): TlsConnection {
  const socket = tlsModule().connect({
    socket: plain.socket,
    secureContext,
    rejectUnauthorized: false,
    // Who we are talking to is checked by whoever asked for it, against a name that need not be the one sent.
    checkServerIdentity: () => undefined,
    ...(serverName === '' ? {} : { servername: serverName }),
    ...(session === null ? {} : { session }),
  })
  return new TlsConnection(plain, socket, handler, onSecure)
}

/** What OpenSSL has said, without the thread's number and the place in its sources that Node puts around it; null: it was
 *  not OpenSSL. */
export function opensslText(error: NodeJS.ErrnoException): string | null {
  if (error.code?.startsWith('ERR_SSL') !== true) return null
  const [, code, library, reason] = /error:([0-9A-F]+):([^:]*):[^:]*:([^:]*)/.exec(error.message) ?? []
  return code === undefined ? error.message : `error:${code}:${library}::${reason}`
}

function destroySocket(socket: tls.TLSSocket): void {
  socket.destroy()
}
