// What may come before the first request of a connection: a PROXY protocol header, the hello of a client that speaks TLS,
// which settles whose handshake it gets, and the preface of one that speaks HTTP/2 in plain text. On a port with none of them
// there is no Opening.

import { latin1 } from '../../codec/h1/fields.ts'
import { HostName, parseHost } from '../../codec/h1/host.ts'
import { PREFACE } from '../../codec/h2/constants.ts'
import { BROKEN, header, mayBegin, type ProxyProtocol, readProxyProtocol } from '../../codec/proxy-protocol.ts'
import { HANDSHAKE, readClientHello, type ClientHello } from '../../codec/tls-client-hello.ts'
import * as uwsgi from '../../codec/uwsgi.ts'
import { ConfigError } from '../../config/errors.ts'
import { errorText } from '../../lib/errno.ts'
import { ALERT, ERR, INFO } from '../../log/error-log.ts'
import type { Connection, ConnectionHandler } from '../../net/connection.ts'
import { acceptTls, type TlsSettings } from '../../net/tls.ts'
import { INTERNAL_ERROR, opensslText, UNRECOGNIZED_NAME } from '../../net/tls-errors.ts'
import { isAmong } from '../access/peers.ts'
import { gaveUp } from '../regex.ts'
import type { HttpRequest } from '../request.ts'
import type { ListenRuntime, ServerRuntime } from '../runtime.ts'
import { ACME_TLS, challengeSettings } from '../ssl/challenges.ts'
import { ClientTls } from '../ssl/client-tls.ts'
import type { TlsSource } from '../ssl/server-tls.ts'

/** The session whose connection it is. */
export interface OpeningOwner extends ConnectionHandler {
  readonly listen: ListenRuntime
  connection: Connection
  readonly clientAddress: string
  proxyProtocol: ProxyProtocol | null
  tls: ClientTls | null
  /** Logs with the client's address. */
  note(level: number, message: string): void
  closeNow(): void
  /** A request before there is any, for variables that a server's certificates depend on. */
  blankRequest(server: ServerRuntime): HttpRequest
  handshakeDone(): void
  /** The client speaks HTTP/2: the connection is the answer's from now on. */
  speaksHttp2(): ConnectionHandler
}

/** A first line of three words, of which the last is no version and the one before no target of HTTP/1. */
const NO_HTTP1 = /^[A-Z]+ [^/*:.\s]+ (?!HTTP\/)[^\s]+\r?\n/

const hostName = new HostName()

/** HTTP/2's answer to whoever does not speak it: PROTOCOL_ERROR. */
const GOAWAY = Buffer.from([0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1])

/** Does anything come before requests on such connections? @param tls of one that was passed on, and speaks it already */
export function awaitsOpening(listen: ListenRuntime, tls: ClientTls | null): boolean {
  const awaitsHello = listen.tls && tls === null
  return listen.proxyProtocol || listen.uwsgi || awaitsHello || speaksHttp2(listen, listen.defaultServer)
}

function speaksHttp2(listen: ListenRuntime, server: ServerRuntime): boolean {
  return listen.http2 || server.http2.enabled
}

const SHAKING = 'SSL handshaking'
const WAITING = 'waiting for request'

export class Opening {
  private readonly owner: OpeningOwner
  private awaitsProxyHeader: boolean
  private awaitsHello: boolean
  private awaitsPreface: boolean
  private awaitsPacket: boolean
  /** What is to be read as if it had come: a request that another protocol has told. */
  told: Buffer | null = null

  /** @param midway the client has asked for TLS on a connection that is in use (STARTTLS) */
  constructor(owner: OpeningOwner, midway = false) {
    this.owner = owner
    this.awaitsProxyHeader = owner.listen.proxyProtocol && !midway
    this.awaitsHello = midway || (owner.listen.tls && owner.tls === null)
    this.awaitsPacket = owner.listen.uwsgi
    this.awaitsPreface = !this.awaitsHello && speaksHttp2(owner.listen, owner.listen.defaultServer)
  }

  get done(): boolean {
    return !this.awaitsProxyHeader && !this.awaitsHello && !this.awaitsPreface && !this.awaitsPacket
  }

  /** In nginx's words. */
  get doing(): string {
    if (this.awaitsProxyHeader) return 'reading PROXY protocol'
    return this.awaitsHello ? SHAKING : WAITING
  }

  /** No PROXY protocol header is awaited any more. */
  get headed(): boolean {
    return !this.awaitsProxyHeader
  }

  /** @returns bytes used; 0: what is awaited is not complete, unless `done`; -1: the connection's fate is sealed */
  read(bytes: Buffer, start: number, end: number): number {
    const versions = this.owner.listen.proxyVersions
    if (this.awaitsProxyHeader && versions !== null && !mayBegin(versions, bytes, start, end)) {
      this.awaitsProxyHeader = false
      if (this.done) return 0
    }
    if (this.awaitsPacket) return this.readPacket(bytes, start, end)
    if (this.awaitsProxyHeader) return this.readProxyHeader(bytes, start, end)
    return this.awaitsHello ? this.readHello(bytes, start, end) : this.readPreface(bytes, start, end)
  }

  private readProxyHeader(bytes: Buffer, start: number, end: number): number {
    const { owner } = this
    const used = readProxyProtocol(bytes, start, end)
    if (used === BROKEN) {
      owner.note(ERR, `${header.error} while reading PROXY protocol`)
      owner.closeNow()
    } else if (used > 0) {
      owner.proxyProtocol = header.value
      this.awaitsProxyHeader = false
    }
    return used
  }

  /** uwsgi: one packet, then the body. The front has told the client's address and whether it spoke TLS. */
  private readPacket(bytes: Buffer, start: number, end: number): number {
    const { owner } = this
    const used = uwsgi.readPacket(bytes, start, end)
    if (used === uwsgi.INCOMPLETE) return 0
    const { variables } = uwsgi.packet
    const head = used === uwsgi.BROKEN ? null : uwsgi.requestHead(variables)
    if (head === null) {
      owner.note(ERR, `${used === uwsgi.BROKEN ? uwsgi.packet.error : 'invalid request'} while reading uwsgi packet`)
      owner.closeNow()
      return -1
    }
    owner.proxyProtocol = new uwsgi.UwsgiPeer(variables)
    this.awaitsPacket = false
    this.told = Buffer.from(head, 'latin1')
    return used
  }

  private readPreface(bytes: Buffer, start: number, end: number): number {
    const { cleartextFrom } = this.owner.listen.defaultServer.http2
    if (cleartextFrom !== null && !isAmong(this.owner.clientAddress, cleartextFrom)) {
      this.awaitsPreface = false
      return 0
    }
    const size = Math.min(PREFACE.length, end - start)
    if (bytes.compare(PREFACE, 0, size, start, start + size) !== 0) {
      if (NO_HTTP1.test(latin1(bytes, start, Math.min(end, start + 256)))) return refuse(this.owner, GOAWAY)
      this.awaitsPreface = false
    } else if (size === PREFACE.length) {
      this.awaitsPreface = false
      this.owner.speaksHttp2().onData(bytes.subarray(start, end))
      return end - start
    }
    return 0
  }

  private readHello(bytes: Buffer, start: number, end: number): number {
    // Plain text on such a port is answered, with 400. The other form is a hello as SSL 2 had it.
    if (bytes[start] !== HANDSHAKE && bytes[start]! < 0x80) {
      this.awaitsHello = false
      return 0
    }
    const hello = readClientHello(bytes, start, end)
    if (hello === null) return 0
    this.awaitsHello = false
    const { owner } = this
    const { listen } = owner
    const challenge = hello.offers(ACME_TLS) ? challengeSettings(hello.serverName) : null
    if (challenge !== null) {
      owner.tls = new ClientTls(hello, listen.defaultServer, null, listen.defaultServer)
      const done = (): void => owner.closeNow()
      owner.tls.connection = acceptTls(owner.connection, bytes.subarray(start, end), challenge, owner, done, false)
      owner.connection = owner.tls.connection
      return end - start
    }
    const { spelledName } = hello
    const name = nameIn(hello)
    const named = name === null ? null : listen.serverNamed(name)
    if (name !== null && named === null && listen.nameFailed) {
      owner.note(ALERT, `${gaveUp(listen.matchedName!, name)} while ${SHAKING}`)
      return refuse(owner, INTERNAL_ERROR)
    }
    const server = named ?? listen.defaultServer
    const negotiated = server.tls.settings === null ? listen.defaultServer : server
    if (server.tls.rejects || negotiated.tls.settings === null) {
      owner.note(INFO, `handshake rejected while ${SHAKING}`)
      return refuse(owner, UNRECOGNIZED_NAME)
    }
    owner.tls = new ClientTls(hello, server, named === null ? null : name, negotiated)
    const source = negotiated.tls.settings
    // What is no host's name (`../…`) leads to no file.
    const readable = !source.variable || name !== null || spelledName === ''
    const settings = readable ? settingsFor(owner, source, negotiated) : null
    if (settings === null) return refuse(owner, INTERNAL_ERROR)
    const received = bytes.subarray(start, end)
    const onSecure = (): void => afterHandshake(owner, negotiated, settings)
    const http2 = speaksHttp2(listen, server)
    owner.tls.connection = acceptTls(owner.connection, received, settings, owner, onSecure, http2)
    owner.connection = owner.tls.connection
    return end - start
  }
}

/** A client's certificate may have to be asked about before its requests are read. */
function afterHandshake(owner: OpeningOwner, { tls: { ocsp } }: ServerRuntime, { context }: TlsSettings): void {
  const tls = owner.tls!
  const connection = tls.connection!
  if (ocsp === null || tls.certificate === null || tls.fault !== null) {
    owner.handshakeDone()
    return
  }
  const log = (level: number, message: string): void => owner.note(level, message)
  connection.pause()
  ocsp.validate(connection, context, log, fault => {
    if (connection.closed) return
    tls.revocation = fault
    connection.resume()
    owner.handshakeDone()
  })
}

/** null: variables have led nowhere. */
function settingsFor(owner: OpeningOwner, source: TlsSource, server: ServerRuntime): TlsSettings | null {
  try {
    return source.settingsFor(source.variable ? owner.blankRequest(server) : null)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    owner.note(ERR, `${error.message} while SSL handshaking`)
    return null
  }
}

/** The server that a client asks for, as names are compared: in lower case, without the last dot. Null: it asks for none. */
export function nameIn({ spelledName }: ClientHello): string | null {
  if (spelledName === '' || !parseHost(spelledName, 0, spelledName.length, hostName)) return null
  return hostName.name
}

function refuse(owner: OpeningOwner, alert: Buffer): number {
  owner.connection.write(alert)
  owner.closeNow()
  return -1
}

/** A connection has ended with an error: that of a handshake, or of a record, is told. */
export function logTlsError(owner: OpeningOwner, error: NodeJS.ErrnoException): void {
  const text = opensslText(error)
  // What the network does to a connection is no fault of anybody's handshake.
  if (text === null || owner.tls === null) return
  const secured = owner.tls.connection?.secured === true
  const where = secured ? 'SSL_read() failed' : 'SSL_do_handshake() failed'
  owner.note(INFO, `${where} (SSL: ${text}) while ${secured ? 'reading client request' : 'SSL handshaking'}`)
}

/** What a connection is at before its first request. */
export function stageOf({ tls }: OpeningOwner, opening: Opening | null): string {
  if (opening !== null) return opening.doing
  return tls !== null && tls.connection?.secured !== true ? SHAKING : WAITING
}

/** The client has closed a connection before its first request. @param began has it sent a part of what was awaited? */
export function noteGone(owner: OpeningOwner, opening: Opening | null, began: boolean): void {
  const stage = stageOf(owner, opening)
  const shook = stage === SHAKING && (began || opening === null)
  owner.note(INFO, `${shook ? 'peer closed connection in SSL handshake' : 'client closed connection'} while ${stage}`)
}

/** As noteGone(), when it did so with an error of the network's. */
export function noteBroken(
  owner: OpeningOwner,
  opening: Opening | null,
  began: boolean,
  error: NodeJS.ErrnoException,
): void {
  const stage = stageOf(owner, opening)
  const shook = stage === SHAKING && (began || opening === null)
  const what = shook ? 'peer closed connection in SSL handshake' : 'recv() failed'
  owner.note(INFO, `${what} (${errorText(error)}) while ${stage}`)
}
