// Sessions that servers give us, to be resumed with them later (ngx_ssl_client_session_cache).

import { SSL_SESS_CACHE_CLIENT, SSL_SESS_CACHE_NO_INTERNAL } from './constants.ts'
import type { TlsContext } from './context.ts'
import { callback, openssl, returns } from './library.ts'
import { derOf, fromDer } from './memory.ts'

/** Who wants to know, by SSL. */
const awaiting = new Map<bigint, (session: Buffer) => void>()
let told = 0n

/** Connections with this context can be told of sessions. */
export function saveSessions(context: TlsContext): void {
  if (told === 0n) told = callback(returns('i32', 'pointer', 'pointer'), sessionGiven, 0)
  context.setSessionCache(SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL)
  openssl().SSL_CTX_sess_set_new_cb(context.pointer, told)
}

/** 0: OpenSSL keeps its reference. */
function sessionGiven(ssl: bigint, session: bigint): number {
  awaiting.get(ssl)?.(derOf(openssl().i2d_SSL_SESSION, session))
  return 0
}

export function awaitSessions(ssl: bigint, onSession: (session: Buffer) => void): void {
  awaiting.set(ssl, onSession)
}

/** The SSL is about to go. */
export function forgetSessions(ssl: bigint): void {
  awaiting.delete(ssl)
}

/** A session that cannot be read is none. */
export function resumeSession(ssl: bigint, serialised: Buffer): void {
  const o = openssl()
  const session = fromDer(o.d2i_SSL_SESSION, serialised)
  if (session === 0n) {
    o.ERR_clear_error()
    return
  }
  o.SSL_set_session(ssl, session)
  o.SSL_SESSION_free(session)
}
