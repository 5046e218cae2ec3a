// ssl_stapling: what an OCSP responder says of our certificate, handed to clients with it (ngx_ssl_stapling). It is asked when
// the first client wants to know, and again before the answer is out of date; who comes before there is one gets none.

import { ConfigError } from '../../config/errors.ts'
import { ERR, type ErrorLog } from '../../log/error-log.ts'
import { fromDer } from '../../net/openssl/memory.ts'
import { openssl } from '../../net/openssl/library.ts'
import { GOOD, issuerOf, OCSP_NOVERIFY, OCSP_TRUSTOTHER, responderOf, staple } from '../../net/openssl/ocsp.ts'
import { parseUrl } from '../fetch.ts'
import type { LocationResolver } from '../resolver.ts'
import type { ServerContext, ShownCertificate, SslConf } from './context.ts'
import { readFile, type Read } from './files.ts'
import { askResponder, described, type OcspQuery } from './ocsp-query.ts'

/** Seconds until the next question: after a failure and at least, and at most. */
const AGAIN = 300
const REFRESH = 3600

const words = ['good', 'revoked', 'unknown']

/**
 * Staples to all certificates of a context for which that can be done.
 * @param warn is told of those for which it cannot
 */
export function stapleAll(
  made: ServerContext,
  conf: SslConf,
  read: Read,
  resolver: LocationResolver | null,
  warn: (problem: string) => void,
): readonly Stapling[] {
  const file = conf.ssl_stapling_file
  const staplings: Stapling[] = []
  for (const certificate of made.certificates) {
    if (file !== null) {
      const response = responseIn(file, read)
      staple(made.context, certificate.pointer, () => response)
      continue
    }
    const query = queryFor(made, certificate, conf, resolver)
    if (typeof query === 'string') {
      warn(`"ssl_stapling" ignored, ${query}`)
      continue
    }
    const stapling = new Stapling(query)
    staplings.push(stapling)
    staple(made.context, certificate.pointer, () => stapling.response())
  }
  return staplings
}

function responseIn(file: string, read: Read): Buffer {
  const text = readFile(file, read, problem => `BIO_new_file("${file}") failed ${problem}`)
  const bytes = Buffer.from(text, 'latin1')
  const o = openssl()
  const response = fromDer(o.d2i_OCSP_RESPONSE, bytes)
  if (response === 0n) {
    o.ERR_clear_error()
    throw new ConfigError(`d2i_OCSP_RESPONSE_bio("${file}") failed`)
  }
  o.OCSP_RESPONSE_free(response)
  return bytes
}

function queryFor(
  { context }: ServerContext,
  { name, chain: [certificate, ...chain] }: ShownCertificate,
  conf: SslConf,
  resolver: LocationResolver | null,
): OcspQuery | string {
  const issuer = issuerOf(context, certificate!, chain)
  if (issuer === null) return `issuer certificate not found for certificate "${name}"`
  const responder = conf.ssl_stapling_responder ?? responderOf(certificate!)
  if (responder === '') return `no OCSP responder URL in the certificate "${name}"`
  const url = parseUrl(responder)
  if (url === null || url.secure) {
    return `invalid URL prefix in OCSP responder "${responder}" in the certificate "${name}"`
  }
  const flags = conf.ssl_stapling_verify ? OCSP_TRUSTOTHER : OCSP_NOVERIFY
  return { responder, context, certificate: certificate!, name, issuer, chain, flags, resolver }
}

class Stapling {
  errorLog: ErrorLog | null = null
  private readonly query: OcspQuery
  private staple: Buffer | null = null
  /** Seconds since 1970. */
  private validUntil = 0
  private refreshAt = 0
  private asking = false

  constructor(query: OcspQuery) {
    this.query = query
  }

  response(): Buffer | null {
    const now = Date.now() / 1000
    if (!this.asking && now > this.refreshAt) this.refresh()
    return this.validUntil >= now ? this.staple : null
  }

  private refresh(): void {
    this.asking = true
    // OpenSSL is in the middle of a handshake: what is to be asked is made when it is not.
    setImmediate(() => {
      void this.ask().finally(() => {
        this.asking = false
      })
    })
  }

  private async ask(): Promise<void> {
    this.refreshAt = Date.now() / 1000 + AGAIN
    const tell = (problem: string): void => this.errorLog?.log(ERR, problem)
    try {
      const { status, validUntil, response, peer } = await askResponder(this.query, tell)
      const word = words[status] ?? status
      if (status !== GOOD)
        throw new Error(described(this.query, `certificate status "${word}" in the OCSP response`, peer))
      const now = Date.now() / 1000
      this.staple = response
      this.validUntil = validUntil
      this.refreshAt = Math.max(Math.min(validUntil - AGAIN, now + REFRESH), now + AGAIN)
    } catch (error) {
      tell((error as Error).message)
    }
  }
}
