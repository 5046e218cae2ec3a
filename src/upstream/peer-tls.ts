// TLS towards a peer: what all connections of a location have in common, and the check of the certificate a peer shows.

import type { X509Certificate } from 'node:crypto'
import { isIPv4 } from 'node:net'
import type { TlsContext } from '../net/openssl/context.ts'
import { connectTls } from '../net/tls.ts'
import type { TlsConnection } from '../net/tls.ts'
import type { Connection, ConnectionHandler } from '../net/connection.ts'
import type { Peer } from './peer.ts'

/** One location's settings. */
export interface PeerTlsSettings {
  readonly context: TlsContext
  /** Is the peer told the name we know it by? */
  readonly sendsName: boolean
  readonly verifies: boolean
  /** Sessions to resume by peer and name; null: none is kept. */
  readonly sessions: Map<string, Buffer> | null
  /** What is offered by ALPN; absent: nothing. */
  readonly protocols?: readonly string[]
}

/** How one connection is to be made. */
export interface PeerTls {
  readonly settings: PeerTlsSettings
  /** What its certificate must be for, and what it is told. */
  readonly name: string
}

const SESSIONS_MAX = 1024

export function secure(
  plain: Connection,
  peer: Peer,
  { settings, name }: PeerTls,
  handler: ConnectionHandler,
  onSecure: () => void,
): TlsConnection {
  const { sessions } = settings
  const key = `${peer.name} ${name}`
  // An address is no name (RFC 6066, 3).
  const host = withoutPort(name)
  const sent = settings.sendsName && !isAddress(host) ? host : ''
  const { context, protocols = [] } = settings
  const connection = connectTls(plain, context, sent, sessions?.get(key) ?? null, handler, onSecure, protocols)
  if (sessions !== null) {
    connection.keepSessions(session => {
      if (sessions.size >= SESSIONS_MAX) sessions.clear()
      sessions.set(key, session)
    })
  }
  return connection
}

/** A port is no part of a name, nor is anything else behind a colon. */
function withoutPort(name: string): string {
  const colon = name.indexOf(':', name.startsWith('[') ? Math.max(0, name.indexOf(']')) : 0)
  return colon === -1 ? name : name.slice(0, colon)
}

function isAddress(host: string): boolean {
  return isIPv4(host) || host.startsWith('[') || host === ''
}

/** What is wrong with the peer's certificate, in nginx's words; '' for nothing, or if nobody wants to know. */
export function faultOf(connection: TlsConnection, { settings, name }: PeerTls): string {
  if (!settings.verifies) return ''
  const fault = connection.verifyFault
  if (fault !== null) return `upstream SSL certificate verify error: (${fault.code}:${fault.reason})`
  const certificate = connection.peerCertificate
  if (certificate === null) return 'upstream sent no SSL certificate'
  const host = withoutPort(name)
  if (names(certificate, host)) return ''
  return `upstream SSL certificate does not match "${host}"`
}

function names(certificate: X509Certificate, host: string): boolean {
  try {
    return certificate.checkHost(host, { subject: 'default' }) !== undefined
  } catch {
    // Its list of names cannot be read, or the host has a byte that no name has.
    return false
  }
}

/** May a connection made for the one serve the other? */
export function sameTls(one: PeerTls | null, other: PeerTls | null): boolean {
  if (one === null || other === null) return one === other
  return one.settings === other.settings && one.name === other.name
}
