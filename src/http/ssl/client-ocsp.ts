// ssl_ocsp: clients' certificates that their authority has revoked (ngx_ssl_ocsp_validate). The handshake is over by then; the
// first request waits for the answer. Answers may be remembered in memory that all threads share.

import { createHash } from 'node:crypto'
import { ERR } from '../../log/error-log.ts'
import type { TlsContext } from '../../net/openssl/context.ts'
import { GOOD, responderOf, REVOKED, verifiedChain } from '../../net/openssl/ocsp.ts'
import type { TlsConnection } from '../../net/tls.ts'
import type { KeyTable } from '../../zone/key-table.ts'
import type { LocationResolver } from '../resolver.ts'
import { askResponder } from './ocsp-query.ts'

export interface ClientOcspConf {
  /** Only the client's own certificate, not those between it and the root. */
  readonly leafOnly: boolean
  /** null: the one each certificate names. */
  readonly responder: string | null
  readonly resolver: LocationResolver | null
}

type Log = (level: number, message: string) => void

// An entry's numbers: the status, and until when it is good, in seconds since 1970.
const STATUS = 0
const VALID_UNTIL = 1
const FOREVER = 0x7fffffff

export class ClientOcsp {
  /** What is remembered; null: nothing. */
  cache: KeyTable | null = null
  private readonly conf: ClientOcspConf

  constructor(conf: ClientOcspConf) {
    this.conf = conf
  }

  /** Calls `done` later, with what is wrong with the client's certificate; '' for nothing. */
  validate(connection: TlsConnection, context: TlsContext, log: Log, done: (fault: string) => void): void {
    const chain = verifiedChain(context, connection.pointer)
    void this.check(chain, context, log).then(done)
  }

  private async check(chain: readonly Buffer[], context: TlsContext, log: Log): Promise<string> {
    if (chain.length === 0) {
      log(ERR, 'X509_verify_cert() failed while requesting certificate status')
      return 'certificate status request failed'
    }
    const last = this.conf.leafOnly ? Math.min(1, chain.length - 1) : chain.length - 1
    for (let i = 0; i < last; i++) {
      try {
        const status = await this.statusOf(chain[i]!, chain[i + 1]!, chain, context, log)
        if (status !== GOOD) return status === REVOKED ? 'certificate revoked' : 'certificate status unknown'
      } catch (error) {
        log(ERR, (error as Error).message)
        return 'certificate status request failed'
      }
    }
    return ''
  }

  private async statusOf(
    certificate: Buffer,
    issuer: Buffer,
    chain: readonly Buffer[],
    context: TlsContext,
    log: Log,
  ): Promise<number> {
    const key = createHash('sha256').update(certificate).update(issuer).digest('latin1')
    const known = this.remembered(key)
    if (known >= 0) return known
    const responder = this.conf.responder ?? responderOf(certificate)
    if (responder === '') throw new Error('no OCSP responder URL in certificate while requesting certificate status')
    const { resolver } = this.conf
    const query = { responder, context, certificate, name: '', issuer, chain, flags: 0n, resolver }
    const { status, validUntil } = await askResponder(query, problem => log(ERR, problem))
    this.remember(key, status, validUntil)
    return status
  }

  private remembered(key: string): number {
    const { cache } = this
    if (cache === null) return -1
    cache.lock()
    const entry = cache.find(key)
    let status = -1
    if (entry !== 0) {
      const at = cache.valuesAt(entry)
      if (cache.values[at + VALID_UNTIL]! > Date.now() / 1000) {
        status = cache.values[at + STATUS]!
        cache.touch(entry)
      } else cache.remove(entry)
    }
    cache.unlock()
    return status
  }

  /** An answer that does not say how long it is good is not remembered. */
  private remember(key: string, status: number, validUntil: number): void {
    const { cache } = this
    if (cache === null || validUntil === Infinity) return
    cache.lock()
    let entry = cache.find(key)
    if (entry === 0) entry = cache.add()
    if (entry === 0) {
      cache.remove(cache.oldest())
      cache.find(key)
      entry = cache.add()
    }
    if (entry !== 0) {
      const at = cache.valuesAt(entry)
      cache.values[at + STATUS] = status
      cache.values[at + VALID_UNTIL] = Math.min(validUntil, FOREVER)
    }
    cache.unlock()
  }
}
