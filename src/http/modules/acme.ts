// Certificates that are asked for, proved and renewed by themselves, in the manner of nginx's own module (ngx_http_acme_module;
// RFC 8555). Here is what is written about them; how they are got is in http/acme.

import { createPrivateKey } from 'node:crypto'
import { isIP } from 'node:net'
import { ACME_ISSUER, HTTP, SERVER, type Conf, type Scope, type Site } from '../../config/directive.ts'
import { parseSize } from '../../config/units.ts'
import { flag, list, one, path, refused, str, words } from '../../config/values.ts'
import { claimZone } from '../../config/zone-names.ts'
import { certificateId, Issuer, type CertificateOrder, type IssuerSettings } from '../acme/issuer.ts'
import { keyKind, type KeyKind } from '../acme/keys.ts'
import { StateFolder } from '../acme/state.ts'
import { AcmeStore, STORE_BYTES } from '../acme/store.ts'
import { trustedContext } from '../acme/trust.ts'
import { TlsAlpn } from '../acme/tls-alpn.ts'
import { coreDirectives } from '../core/core.ts'
import { httpModule, LocationSlot, NEXT, ours } from '../module.ts'
import { respond } from '../output.ts'
import type { HttpRequest } from '../request.ts'
import { resolverDirectives, resolverOf } from '../resolver.ts'
import { Registry, RegistryKey, type HttpSetup } from '../setup.ts'
import { answerChallenges } from '../ssl/challenges.ts'
import { explainEmpty } from '../ssl/variable-source.ts'

interface IssuerDeclaration {
  readonly name: string
  readonly conf: Conf<typeof inside>
  readonly site: Site
}

interface CertificateDeclaration {
  readonly issuer: string
  readonly identifiers: readonly string[]
  readonly key: KeyKind
  readonly site: Site
}

const inside = {
  uri: str(ACME_ISSUER, ''),
  account_key: one<KeyKind | string>(
    ACME_ISSUER,
    { type: 'ecdsa', bits: 256 },
    (word, at) => keyKind(word) ?? at.confPath(word),
  ),
  challenge: one(ACME_ISSUER, 'http-01' as const, (word, at) => challengeType(word, at)),
  contact: list(ACME_ISSUER, [1, Infinity], args =>
    args.map(url => (/^[a-z][a-z0-9+.-]*:/i.test(url) ? url : `mailto:${url}`)),
  ),
  external_account_key: words(ACME_ISSUER, [2, 2], null),
  preferred_chain: refused(
    ACME_ISSUER,
    '"preferred_chain" is not supported: the chain is the one that the server offers',
  ),
  profile: words(ACME_ISSUER, [1, 2], null),
  ssl_trusted_certificate: path(ACME_ISSUER, null, 'configuration'),
  ssl_verify: flag(ACME_ISSUER, true),
  state_path: one<string | null>(ACME_ISSUER, '', (word, at) => (word === 'off' ? null : at.prefixPath(word))),
  accept_terms_of_service: { in: ACME_ISSUER, args: [0, 0], default: false, parse: () => true },
} as const

function challengeType(word: string, at: Site): 'http-01' | 'tls-alpn-01' {
  if (word === 'http-01' || word === 'http') return 'http-01'
  if (word === 'tls-alpn-01' || word === 'tls-alpn') return 'tls-alpn-01'
  return at.fail(`unsupported challenge "${word}", it must be "http-01" or "tls-alpn-01"`)
}

const directives = {
  acme_issuer: {
    ...list(HTTP, [1, 1], ([name], at): IssuerDeclaration => ({ name: name!, conf: at.inner!.conf(inside), site: at })),
    block: ACME_ISSUER,
    inheritedBy: 0,
  },
  acme_shared_zone: one(HTTP, STORE_BYTES, (word, at) => {
    const [, name, size] = /^zone=([^:]+):(.+)$/.exec(word) ?? []
    const bytes = (size === undefined ? null : parseSize(size)) ?? at.fail(`invalid parameter "${word}"`)
    if (bytes < 32768) at.fail(`zone "${word}" is too small`)
    claimZone(at, name!, bytes)
    return bytes
  }),
  acme_certificate: {
    in: SERVER,
    args: [1, Infinity],
    default: null,
    parse: readCertificate,
  },
  ...inside,
} as const

function readCertificate(args: readonly string[], at: Site): CertificateDeclaration {
  const [issuer, ...others] = args
  let key: KeyKind = { type: 'ecdsa', bits: 256 }
  const identifiers: string[] = []
  for (const word of others) {
    if (word.startsWith('key=')) key = keyKind(word.slice(4)) ?? at.fail(`unsupported key "${word.slice(4)}"`)
    else identifiers.push(identifierOf(word) ?? at.fail(`"${word}" cannot be an identifier of a certificate`))
  }
  return { issuer: issuer!, identifiers, key, site: at }
}

/** A name or an address; null: patterns and wildcards are no identifiers. */
function identifierOf(name: string): string | null {
  const bare = name
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/^\./, '')
    .toLowerCase()
  if (isIP(bare) !== 0) return bare
  return /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/.test(bare) ? bare : null
}

interface Known {
  readonly declaration: IssuerDeclaration
  readonly orders: Map<string, CertificateOrder>
}

const ISSUERS = new RegistryKey<Known>('acme_issuer')
const STORES = new RegistryKey<AcmeStore>('acme')
const MEMORY = 'acme'

interface Kept {
  readonly order: CertificateOrder
  readonly issuer: string
  readonly store: AcmeStore
}

/** A server's certificate. */
const certificates = new LocationSlot<Kept>()

export const acme = httpModule({
  name: 'acme',
  directives,
  variables: ours({
    acme_certificate: { get: r => issuedFor(r, 'certificate') },
    acme_certificate_key: { get: r => issuedFor(r, 'key') },
  }),
  setup(conf, http) {
    if (conf.acme_issuer.length === 0) return
    const issuers: Registry<Known> = http.registry(ISSUERS)
    for (const declaration of conf.acme_issuer) {
      check(declaration)
      issuers.add(declaration.name, { declaration, orders: new Map() }, declaration.site)
    }
    const store = new AcmeStore()
    http.registry(STORES).set('', store)
    http.sharedMemory(MEMORY, Math.floor(conf.acme_shared_zone / 4) * 4)
    const prepared = [...issuers.values()].map(known => ({ known, settings: settingsOf(known.declaration, http) }))
    http.onStart(services => {
      store.use(services.shared(MEMORY))
      store.beside = [...issuers.values()].flatMap(({ declaration }) => folderOf(declaration) ?? [])
      answerChallenges(new TlsAlpn(store).answer)
      explainEmpty(whyMissing)
      // One thread does the work, all use what comes of it.
      if (services.thread !== 0) return
      for (const { known, settings } of prepared) {
        const issuer = new Issuer(settings(), [...known.orders.values()], store, services.errorLog)
        issuer.start()
        // After a reload the next one's thread goes on, however long connections last here.
        http.onRetire(() => issuer.stop())
        http.onStop(() => issuer.stop())
      }
    })
  },
  compile(conf, at, http) {
    const store = http.registry(STORES).get('')
    if (store === null) {
      const wanted = conf.acme_certificate
      if (wanted !== null) wanted.site.fail(`issuer "${wanted.issuer}" is not defined`)
      return
    }
    if (at.kind === 'server') at.step('post-read', answerHttpChallenge, store)
    const wanted = conf.acme_certificate
    if (wanted === null) return
    const order = orderOf(wanted, at.scope, http)
    at.keep(certificates, { order, issuer: wanted.issuer, store })
  },
})

function orderOf(wanted: CertificateDeclaration, scope: Scope, http: HttpSetup): CertificateOrder {
  const { issuer, key, site } = wanted
  const known = http.registry(ISSUERS).get(issuer) ?? site.fail(`issuer "${issuer}" is not defined`)
  const identifiers = wanted.identifiers.length > 0 ? wanted.identifiers : namesOf(scope)
  if (identifiers.length === 0) site.fail(`no identifiers found for "acme_certificate ${issuer}"`)
  const id = certificateId(issuer, identifiers, key)
  const order = known.orders.get(id) ?? { id, identifiers, key }
  known.orders.set(id, order)
  return order
}

/** The server's names, as far as they can be in a certificate. */
function namesOf(scope: Scope): string[] {
  // A location has the certificate of its server, and no names of its own.
  let server = scope
  while (server.context !== SERVER && server.parent !== null) server = server.parent
  const names = server.conf(coreDirectives).server_name.map(identifierOf)
  return [...new Set(names.filter(name => name !== null && name !== ''))] as string[]
}

function check({ conf, name, site }: IssuerDeclaration): void {
  if (conf.uri === '') site.fail(`"uri" is missing in acme_issuer "${name}"`)
  if (!/^https?:\/\//.test(conf.uri)) site.fail(`invalid "uri" in acme_issuer "${name}"`)
  if (conf.profile?.[1] !== undefined && conf.profile[1] !== 'require')
    site.fail(`invalid parameter "${conf.profile[1]}"`)
}

/** Files are read now; what is costly to make waits for the thread that needs it. */
function settingsOf(declaration: IssuerDeclaration, http: HttpSetup): () => IssuerSettings {
  const { conf, name, site } = declaration
  const { account_key: key, external_account_key: external } = conf
  const text = (file: string): string => {
    const { text, error, errno } = http.readData(file)
    return error === '' ? text : site.fail(`open() "${file}" failed (${errno}: ${error})`)
  }
  const accountKey = typeof key === 'string' ? checkedKey(key, text(key), site) : key
  const folder = pathOf(declaration)
  if (folder !== null) http.needsFolder(folder)
  const mac =
    external === null
      ? ''
      : external[1]!.startsWith('data:')
        ? external[1]!.slice(5)
        : text(site.confPath(external[1]!))
  const trusted = conf.ssl_trusted_certificate === null ? null : text(conf.ssl_trusted_certificate)
  const resolver = resolverOf(site.scope.conf(resolverDirectives), http)
  return () => ({
    name,
    uri: conf.uri,
    accountKey,
    challenge: conf.challenge,
    contacts: conf.contact.flat(),
    acceptsTerms: conf.accept_terms_of_service,
    external: external === null ? null : { kid: external[0]!, mac: Buffer.from(mac.trim(), 'base64url') },
    profile: conf.profile?.[0] ?? '',
    tls: trustedContext(trusted),
    verifies: conf.ssl_verify,
    resolver,
    state: folderOf(declaration),
  })
}

/** null: nothing is kept. */
function pathOf({ conf, name, site }: IssuerDeclaration): string | null {
  return conf.state_path === '' ? site.prefixPath(`acme_${name}`) : conf.state_path
}

function folderOf(declaration: IssuerDeclaration): StateFolder | null {
  const path = pathOf(declaration)
  return path === null ? null : new StateFolder(path)
}

function checkedKey(file: string, text: string, site: Site): string {
  try {
    createPrivateKey(text)
    return text
  } catch (error) {
    return site.fail(`cannot load the account's key "${file}": ${(error as Error).message}`)
  }
}

function issuedFor(r: HttpRequest, what: 'certificate' | 'key'): string | null {
  const kept = certificates.get(r)
  const issued = kept === null ? null : kept.store.certificate(kept.order.id)
  return issued === null ? null : `data:${issued[what]}`
}

/** Why there is none, as far as this module is concerned. */
function whyMissing(r: HttpRequest): string {
  const kept = certificates.get(r)
  if (kept === null || kept.store.certificate(kept.order.id) !== null) return ''
  return `issuer "${kept.issuer}" has not issued one for ${kept.order.identifiers.join(', ')} yet`
}

const WELL_KNOWN = '/.well-known/acme-challenge/'

function answerHttpChallenge(r: HttpRequest, store: AcmeStore): number {
  if (!r.uri.startsWith(WELL_KNOWN)) return NEXT
  const authorization = store.authorizationOf(r.uri.slice(WELL_KNOWN.length))
  return authorization === null ? NEXT : respond(r, 200, 'application/octet-stream', authorization)
}
