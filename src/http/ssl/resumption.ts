// How a server's clients may take up a session again: tickets, which they keep themselves, and a cache
// (ngx_ssl_session_cache, ngx_ssl_session_ticket_keys).

import type { Scope } from '../../config/directive.ts'
import { ConfigError } from '../../config/errors.ts'
import {
  SSL_SESS_CACHE_NO_AUTO_CLEAR,
  SSL_SESS_CACHE_NO_INTERNAL_STORE,
  SSL_SESS_CACHE_OFF,
  SSL_SESS_CACHE_SERVER,
} from '../../net/openssl/constants.ts'
import type { TlsContext } from '../../net/openssl/context.ts'
import { storeSessions } from '../../net/openssl/server-sessions.ts'
import { sealTickets, ticketKeyOf, type TicketKey } from '../../net/openssl/tickets.ts'
import { SharedSessions, tableBytes } from '../../zone/session-store.ts'
import { SharedKeys, TICKET_KEYS_BYTES } from '../../zone/ticket-keys.ts'
import type { HttpSetup } from '../setup.ts'
import type { SslConf } from './context.ts'

const KEYS = 'tls-ticket-keys'

export class Resumption {
  private readonly conf: SslConf
  /** Keys from files; none: they are drawn. */
  private readonly own: readonly TicketKey[]
  private sessions: SharedSessions | null = null
  private drawn: SharedKeys | null = null
  private drawnFrom: readonly Buffer[] = []
  private drawnKeys: readonly TicketKey[] = []

  constructor(conf: SslConf, scope: Scope, http: HttpSetup) {
    this.conf = conf
    this.own = conf.ssl_session_ticket_key.map(path => readTicketKey(path, scope, http))
    const { shared } = conf.ssl_session_cache
    const period = shared === null ? 0 : conf.ssl_session_timeout
    const name = shared === null ? KEYS : `${KEYS} ${shared.name}`
    if (shared !== null) this.claim(shared.name, shared.bytes, http)
    http.sharedMemory(name, TICKET_KEYS_BYTES)
    http.onStart(services => {
      this.drawn = new SharedKeys(services.shared(name), period)
    })
  }

  private claim(name: string, bytes: number, http: HttpSetup): void {
    const index = `ssl_session_cache "${name}" table`
    const content = `ssl_session_cache "${name}" sessions`
    http.sharedMemory(index, tableBytes(bytes))
    http.sharedMemory(content, Math.floor((bytes - tableBytes(bytes)) / 256) * 256)
    http.onStart(services => {
      this.sessions = new SharedSessions(
        services.shared(index),
        services.shared(content),
        this.conf.ssl_session_timeout,
      )
    })
  }

  /** Called in a thread that has its memory. */
  prepare(context: TlsContext): void {
    this.cache(context)
    if (!this.conf.ssl_session_tickets && this.conf.ssl_conf_command.length === 0) return
    if (this.own.length > 0) sealTickets(context, () => this.own)
    else if (this.conf.ssl_session_cache.shared !== null) sealTickets(context, () => this.drawnToday())
    else if (this.drawn !== null) context.setTicketKeys(this.drawn.current()[0]!)
  }

  private cache(context: TlsContext): void {
    const { mode, builtin, shared } = this.conf.ssl_session_cache
    if (mode === 'off') context.setSessionCache(SSL_SESS_CACHE_OFF)
    else if (mode === 'none') {
      // We pretend: some clients do not work with a server that says it resumes nothing.
      context.setSessionCache(
        SSL_SESS_CACHE_SERVER | SSL_SESS_CACHE_NO_AUTO_CLEAR | SSL_SESS_CACHE_NO_INTERNAL_STORE,
        1,
      )
    } else if (shared === null) context.setSessionCache(SSL_SESS_CACHE_SERVER, builtin)
    else if (this.sessions !== null) storeSessions(context, this.sessions, builtin)
  }

  private drawnToday(): readonly TicketKey[] {
    if (this.drawn === null) return []
    const keys = this.drawn.current()
    if (keys !== this.drawnFrom) {
      this.drawnFrom = keys
      this.drawnKeys = keys.map(bytes => ticketKeyOf(bytes)!)
    }
    return this.drawnKeys
  }
}

function readTicketKey(path: string, scope: Scope, http: HttpSetup): TicketKey {
  const { text, error, errno } = http.readData(path)
  const fail = siteOf('ssl_session_ticket_key', scope)
  if (error !== '') fail(`open() "${path}" failed (${errno}: ${error})`)
  return ticketKeyOf(Buffer.from(text, 'latin1')) ?? fail(`"${path}" must be 48 or 80 bytes`)
}

/** Fails where the directive stands. */
function siteOf(directive: string, scope: Scope): (problem: string) => never {
  const site = scope.site(directive) ?? scope.parent?.site(directive) ?? null
  return problem => {
    if (site === null) throw new ConfigError(problem)
    return site.fail(problem)
  }
}
