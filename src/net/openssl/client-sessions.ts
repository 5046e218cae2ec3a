// Sessions that servers give us, to be resumed with them later (ngx_ssl_client_session_cache).

import { sessionGiven } from '../tls.ts'
import { SSL_SESS_CACHE_CLIENT, SSL_SESS_CACHE_NO_INTERNAL } from './constants.ts'
import type { TlsContext } from './context.ts'
import { callback, openssl, returns } from './library.ts'

let told = 0n

/** Connections with this context are told of sessions (TlsConnection.keepSessions). */
export function saveSessions(context: TlsContext): void {
  if (told === 0n) told = callback(returns('i32', 'pointer', 'pointer'), sessionGiven)
  context.setSessionCache(SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL)
  openssl().SSL_CTX_sess_set_new_cb(context.pointer, told)
}
