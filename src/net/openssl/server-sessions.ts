// Sessions of a server's clients, kept outside of OpenSSL: in memory that all threads share (ngx_ssl_session_cache_init).

import { setInt32 } from 'node:ffi'
import { SSL_OP_NO_TICKET, SSL_SESS_CACHE_NO_INTERNAL, SSL_SESS_CACHE_SERVER, TLS1_3 } from './constants.ts'
import type { TlsContext } from './context.ts'
import { callback, openssl, returns } from './library.ts'
import { bytesAt, derOf, fromDer } from './memory.ts'
import { forgetWith } from './thread-end.ts'

export interface SessionStore {
  /** @param id at most 32 bytes, as latin1 */
  save(id: string, session: Buffer): void
  load(id: string): Buffer | null
  remove(id: string): void
}

/** By context. */
const stores = new Map<bigint, { readonly store: SessionStore; readonly tickets: boolean }>()
forgetWith(stores)
let callbacks: { readonly save: bigint; readonly load: bigint; readonly remove: bigint } | null = null
const length = Buffer.alloc(4)

/** @param builtin how many OpenSSL keeps itself, in front of the store; -1: none */
export function storeSessions(context: TlsContext, store: SessionStore, builtin: number): void {
  const o = openssl()
  callbacks ??= {
    save: callback(returns('i32', 'pointer', 'pointer'), save, 0),
    load: callback(returns('pointer', 'pointer', 'pointer', 'i32', 'pointer'), load, 0n),
    remove: callback(returns('void', 'pointer', 'pointer'), remove, undefined),
  }
  context.setSessionCache(SSL_SESS_CACHE_SERVER | (builtin < 0 ? SSL_SESS_CACHE_NO_INTERNAL : 0n), builtin)
  const tickets = (o.SSL_CTX_set_options(context.pointer, 0n) & SSL_OP_NO_TICKET) === 0n
  stores.set(context.pointer, { store, tickets })
  o.SSL_CTX_sess_set_new_cb(context.pointer, callbacks.save)
  o.SSL_CTX_sess_set_get_cb(context.pointer, callbacks.load)
  o.SSL_CTX_sess_set_remove_cb(context.pointer, callbacks.remove)
}

/** 0: OpenSSL keeps its reference. */
function save(ssl: bigint, session: bigint): number {
  const o = openssl()
  const to = stores.get(o.SSL_get_SSL_CTX(ssl))
  // In TLS 1.3 OpenSSL tells of sessions that a ticket holds, too: nobody will ask for them.
  if (to === undefined || (to.tickets && o.SSL_version(ssl) === TLS1_3)) return 0
  to.store.save(idOf(session), derOf(o.i2d_SSL_SESSION, session))
  return 0
}

/** It is OpenSSL's from now on, so that no reference needs to be added (`copy`). */
function load(ssl: bigint, id: bigint, size: number, copy: bigint): bigint {
  setInt32(copy, 0, 0)
  const o = openssl()
  const from = stores.get(o.SSL_get_SSL_CTX(ssl))
  const session = from === undefined ? null : from.store.load(bytesAt(id, size).toString('latin1'))
  if (session === null) return 0n
  const found = fromDer(o.d2i_SSL_SESSION, session)
  // An error that is left would be taken for the handshake's (SSL_get_error).
  if (found === 0n) o.ERR_clear_error()
  return found
}

function remove(context: bigint, session: bigint): void {
  stores.get(context)?.store.remove(idOf(session))
}

function idOf(session: bigint): string {
  const id = openssl().SSL_SESSION_get_id(session, length)
  return bytesAt(id, length.readUInt32LE()).toString('latin1')
}

/**
 * In TLS 1.3 OpenSSL gives who resumes a session a new one that begins now and lasts as long as the first: the client's
 * certificate would never be looked at again. What is over of a session's time is taken off before the new one is made
 * (ngx_ssl_info_callback).
 */
export function ageSession(ssl: bigint): void {
  const o = openssl()
  if (o.SSL_session_reused(ssl) !== 1 || o.SSL_is_server(ssl) !== 1) return
  if (o.SSL_version(ssl) !== TLS1_3) return
  const session = o.SSL_get_session(ssl)
  const now = BigInt(Math.floor(Date.now() / 1000))
  const age = now - o.SSL_SESSION_get_time(session)
  const lasts = o.SSL_SESSION_get_timeout(session)
  const most = o.SSL_CTX_get_timeout(o.SSL_get_SSL_CTX(ssl))
  const left = (lasts < most ? lasts : most) - (age > 0n ? age : 0n)
  o.SSL_SESSION_set_time(session, now)
  o.SSL_SESSION_set_timeout(session, left > 0n ? left : 0n)
}
