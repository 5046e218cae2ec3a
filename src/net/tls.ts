// A connection with TLS on it: OpenSSL (openssl/) between a plain Connection and its user, behind the same interface. The plain
// one has read the client's hello already, so that the settings for the whole handshake are chosen before it begins.
//
//   socket ── chunk ──▶ RecordReader ──▶ SSL_read, into the place the record came from ──▶ handler.onData
//   socket ◀── records ── RecordWriter: SSL_write ◀── write, writeText, writeAll
//
// An idle connection owns no buffers: what is read is used up at once, and OpenSSL gives its own back between records.

import { getRawPointer } from 'node:ffi'
import type { Connection, ConnectionHandler } from './connection.ts'
import { offersHttp2 } from './openssl/alpn.ts'
import { awaitSessions, resumeSession } from './openssl/client-sessions.ts'
import * as c from './openssl/constants.ts'
import type { TlsContext } from './openssl/context.ts'
import { clearErrors, queuedErrors } from './openssl/errors.ts'
import { cString, openssl } from './openssl/library.ts'
import { addressOf } from './openssl/memory.ts'
import { RecordReader, type RecordSink } from './openssl/record-reader.ts'
import { RECORD_MAX, type RecordSource, RecordWriter } from './openssl/record-writer.ts'
import { attach, claim, cork, flush, leaveSoon, offer, send, uncork } from './openssl/records.ts'
import { ageSession } from './openssl/server-sessions.ts'
import { TlsError } from './tls-errors.ts'
import { TlsSession } from './tls-session.ts'

/** How a server speaks TLS. */
export interface TlsSettings {
  readonly context: TlsContext
  /** Bytes of a record that is sent (ssl_buffer_size). */
  readonly bufferSize: number
  /** May a client that comes back send something before the handshake is over (ssl_early_data)? */
  readonly earlyData?: boolean
}

const NOTHING = Buffer.alloc(0)

// Stages of a connection. Early data only: TRYING to find out if there is any, reading it EARLY, FINISHING the handshake.
const SHAKING = 0
const TRYING = 1
const EARLY = 2
const FINISHING = 3
const OVER = 4

const readCount = Buffer.alloc(8)

/** Records that a peer may have us answer (KeyUpdate, attempts to renegotiate) while it takes nothing of what we send. */
const UNHEARD_MAX = 256

export class TlsConnection extends TlsSession implements ConnectionHandler, RecordSink, RecordSource {
  /** The handshake is done, or early data has come. */
  secured = false
  private readonly plain: Connection
  private readonly onSecure: () => void
  private readonly records = new RecordReader(this)
  private readonly writer: RecordWriter
  private http2 = false
  private peerEnded = false
  /** The peer's socket has ended behind records that nobody has read yet. */
  private endsLater = false
  /** Early data that came as its reader paused. */
  private heldEarly: Buffer | null = null
  private unheard = 0
  /** A write has answered false. */
  private owesDrain = false
  private failure: TlsError | null = null
  private stage = SHAKING

  /** @param plain the connection so far; it is this one's now */
  constructor(
    plain: Connection,
    context: TlsContext,
    recordSize: number,
    handler: ConnectionHandler,
    onSecure: () => void,
  ) {
    super(plain, context, handler)
    this.plain = plain
    this.onSecure = onSecure
    attach(this.ssl)
    this.writer = new RecordWriter(this, plain, this.ssl, Math.min(recordSize, RECORD_MAX))
    plain.handler = this
  }

  /** @param early may the client send something before the handshake is over? @param http2 may it choose HTTP/2? */
  accept(received: Buffer, early: boolean, http2: boolean): void {
    this.http2 = http2
    openssl().SSL_set_accept_state(this.ssl)
    if (!early) {
      this.onData(received)
      return
    }
    // The first request may be behind the hello, and whoever hands it over is not ready for it yet.
    this.stage = TRYING
    this.records.hold(received)
    setImmediate(readHeld, this)
  }

  connect(serverName: string, session: Buffer | null, protocols: readonly string[]): void {
    const o = openssl()
    const { ssl } = this
    o.SSL_set_connect_state(ssl)
    if (serverName !== '') {
      const name = cString(serverName)
      o.SSL_ctrl(ssl, c.SSL_CTRL_SET_TLSEXT_HOSTNAME, 0n, getRawPointer(name))
      name.fill(0)
    }
    if (protocols.length > 0) {
      const offer = Buffer.from(protocols.map(name => String.fromCharCode(name.length) + name).join(''), 'latin1')
      o.SSL_set_alpn_protos(ssl, offer, offer.length)
    }
    if (session !== null) resumeSession(ssl, session)
    this.handshake(NOTHING)
  }

  /** `onSession` is given sessions that may be resumed later. Its context must have been told to save them. */
  keepSessions(onSession: (session: Buffer) => void): void {
    awaitSessions(this.ssl, onSession)
  }

  // ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────

  onData(chunk: Buffer): void {
    if (this.heldEarly !== null) this.readHeld()
    cork(this.plain)
    this.records.take(chunk)
    uncork(this.plain)
  }

  get takesRecords(): boolean {
    return this.alive && !this.peerEnded
  }

  get alive(): boolean {
    return this.ssl !== 0n && this.failure === null && !this.socket.destroyed
  }

  onRecord(record: Buffer): void {
    if (this.stage === TRYING || this.stage === EARLY) this.readEarly(record)
    else if (this.stage === OVER) this.readRecord(record)
    else this.handshake(record)
  }

  private handshake(record: Buffer): void {
    const o = openssl()
    claim(this.plain)
    clearErrors()
    offer(record)
    offersHttp2(this.http2)
    const done = o.SSL_do_handshake(this.ssl)
    if (done === 1) {
      send(this.plain)
      this.stage = OVER
      this.becomeSecure()
      return
    }
    const error = o.SSL_get_error(this.ssl, done)
    if (error !== c.SSL_ERROR_WANT_READ) return this.fail()
    ageSession(this.ssl)
    send(this.plain)
  }

  /** Is the handshake not over yet, so that what is read may be somebody's copy of what a client has sent? */
  get early(): boolean {
    return this.stage === EARLY || this.stage === FINISHING
  }

  private becomeSecure(): void {
    if (this.secured) return
    this.secured = true
    this.onSecure()
  }

  /** RFC 8446, 2.3: until the client says that this was all of it, or has none. */
  private readEarly(record: Buffer): void {
    const o = openssl()
    claim(this.plain)
    clearErrors()
    offer(record)
    offersHttp2(this.http2)
    const got = o.SSL_read_early_data(this.ssl, record, BigInt(record.length), readCount)
    if (got === c.SSL_READ_EARLY_DATA_SUCCESS) {
      if (this.stage !== EARLY) ageSession(this.ssl)
      this.stage = EARLY
      send(this.plain)
      this.becomeSecure()
      const size = Number(readCount.readBigUInt64LE())
      this.bytesIn += size
      if (!this.alive || size === 0) return
      if (this.reading) this.handler.onData(record.subarray(0, size))
      else this.heldEarly = Buffer.from(record.subarray(0, size))
    } else if (got === c.SSL_READ_EARLY_DATA_FINISH) {
      this.stage = this.stage === EARLY ? FINISHING : SHAKING
      this.handshake(NOTHING)
    } else if (o.SSL_get_error(this.ssl, got) === c.SSL_ERROR_WANT_READ) send(this.plain)
    else this.fail()
  }

  /** The plaintext takes the place of the record it was in, which is always longer. */
  private readRecord(record: Buffer): void {
    const o = openssl()
    claim(this.plain)
    clearErrors()
    offer(record)
    const size = o.SSL_read(this.ssl, addressOf(record), record.length)
    if (size > 0) {
      this.bytesIn += size
      this.handler.onData(record.subarray(0, size))
      return
    }
    const error = o.SSL_get_error(this.ssl, size)
    if (send(this.plain)) this.unheard = 0
    else if (++this.unheard > UNHEARD_MAX) {
      this.reset()
      return
    }
    if (error === c.SSL_ERROR_WANT_READ) return
    if (error === c.SSL_ERROR_ZERO_RETURN) this.end()
    else this.fail()
  }

  fail(): void {
    this.failure = new TlsError(queuedErrors(), !this.secured)
    flush(this.plain)
    this.plain.destroy()
  }

  override pause(): void {
    this.reading = false
    this.plain.pause()
  }

  override resume(): void {
    if (this.reading || this.closed) return
    this.reading = true
    this.plain.resume()
    if (this.records.holds || this.heldEarly !== null || this.endsLater) setImmediate(readHeld, this)
  }

  /** What came in before a pause. */
  readHeld(): void {
    if (!this.reading) return
    const { heldEarly } = this
    if (heldEarly !== null) {
      this.heldEarly = null
      if (this.alive) this.handler.onData(heldEarly)
    }
    if (this.reading && this.records.holds) {
      cork(this.plain)
      this.records.readHeld()
      uncork(this.plain)
    }
    if (this.endsLater && this.reading && this.alive) this.end()
  }

  // ── what happens to the plain connection ─────────────────────────────────────────────────────────────────────────

  /** Whole records that wait for their reader come before the end; of one that is cut off, nothing. */
  onEnd(): void {
    this.endsLater = true
    this.readHeld()
  }

  /** Also when the peer has said that it is done (close_notify). */
  private end(): void {
    this.endsLater = false
    if (this.peerEnded) return
    this.peerEnded = true
    this.handler.onEnd()
  }

  onDrain(): void {
    if (!this.owesDrain) return
    this.owesDrain = false
    this.handler.onDrain()
  }

  onClose(error: NodeJS.ErrnoException | null): void {
    this.closed = true
    this.handler.onClose(this.failure ?? error)
    this.free()
  }

  // ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

  override get pending(): number {
    return this.plain.pending
  }

  override writeText(text: string): boolean {
    this.bytesOut += text.length
    this.writer.text(text)
    return this.sent()
  }

  override write(bytes: Buffer): boolean {
    this.bytesOut += bytes.length
    this.writer.bytes(bytes, bytes.length)
    return this.sent()
  }

  /** What is encrypted is not looked at any more. */
  override writeVolatile(chunk: Buffer): boolean {
    return this.write(chunk)
  }

  override writeAll(before: string, bytes: Buffer, after: string, _volatile: boolean): boolean {
    this.bytesOut += before.length + bytes.length + after.length
    this.writer.all(before, bytes, after)
    return this.sent()
  }

  private sent(): boolean {
    const fast = send(this.plain)
    if (!fast) this.owesDrain = true
    return fast
  }

  /** Tells the peer that this is the end (close_notify), so that it knows that nothing was cut off. */
  private sayEnd(): void {
    if (!this.secured || !this.alive) return
    const o = openssl()
    claim(this.plain)
    clearErrors()
    o.SSL_shutdown(this.ssl)
    this.saidEnd = true
  }

  override shutdown(): void {
    this.sayEnd()
    flush(this.plain)
    this.plain.shutdown()
  }

  override destroy(): void {
    const { socket } = this
    if (socket.destroyed || this.pending > 0 || socket.writableEnded) {
      this.plain.destroy()
      return
    }
    this.sayEnd()
    claim(this.plain)
    flush(this.plain)
    if (this.pending === 0) {
      this.plain.destroy()
      return
    }
    leaveSoon(socket)
  }

  override reset(): void {
    this.plain.reset()
  }
}

function readHeld(connection: TlsConnection): void {
  connection.readHeld()
}

/**
 * Answers a client that wants TLS.
 * @param received what the connection has read: the hello and what follows
 * @param http2 may the two of them choose HTTP/2? Servers that differ in this may share a context
 */
export function acceptTls(
  plain: Connection,
  received: Buffer,
  settings: TlsSettings,
  handler: ConnectionHandler,
  onSecure: () => void,
  http2: boolean,
): TlsConnection {
  const connection = new TlsConnection(plain, settings.context, settings.bufferSize, handler, onSecure)
  connection.accept(received, settings.earlyData === true, http2)
  return connection
}

/**
 * Speaks TLS to a server over a connection that stands.
 * @param serverName sent to it, unless empty
 * @param session of an earlier connection, to be resumed
 * @param protocols offered by ALPN
 */
export function connectTls(
  plain: Connection,
  context: TlsContext,
  serverName: string,
  session: Buffer | null,
  handler: ConnectionHandler,
  onSecure: () => void,
  protocols: readonly string[] = [],
): TlsConnection {
  const connection = new TlsConnection(plain, context, RECORD_MAX, handler, onSecure)
  connection.connect(serverName, session, protocols)
  return connection
}
