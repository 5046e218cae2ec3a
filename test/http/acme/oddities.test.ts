// Authorities at their worst: what they forget, refuse, delay or get wrong, and what issuers make of it.

import assert from 'node:assert/strict'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { Issuer, type CertificateOrder, type IssuerSettings } from '../../../src/http/acme/issuer.ts'
import { StateFolder } from '../../../src/http/acme/state.ts'
import { AcmeStore } from '../../../src/http/acme/store.ts'
import { addressIn } from '../../../src/http/acme/tls-alpn.ts'
import { trustedContext } from '../../../src/http/acme/trust.ts'
import { ErrorLog, INFO, LogFiles } from '../../../src/log/error-log.ts'
import { acmeAuthority, problem, type AcmeAuthority } from '../../helpers/acme-authority.ts'
import { atEnd, eventually, get, raw, serve, tempDir, type Scope } from '../../helpers/index.ts'

const order: CertificateOrder = { id: 'a', identifiers: ['a.test', 'b.test'], key: { type: 'ecdsa', bits: 256 } }

interface Bench {
  readonly store: AcmeStore
  readonly dir: string
  readonly log: () => string
  /** Another one on the same memory and folder. */
  readonly issuer: () => Issuer
}

function bench(t: Scope, authority: AcmeAuthority, memory = 65_536): Bench {
  const dir = tempDir(t)
  const logFiles = new LogFiles()
  atEnd(t, () => logFiles.close())
  const errorLog = new ErrorLog([{ path: join(dir, 'log'), level: INFO }], logFiles)
  const store = new AcmeStore()
  store.use(new SharedArrayBuffer(memory))
  const settings: IssuerSettings = {
    name: 'test',
    uri: authority.uri,
    accountKey: { type: 'ecdsa', bits: 256 },
    challenge: 'http-01',
    contacts: [],
    acceptsTerms: true,
    external: null,
    profile: '',
    tls: trustedContext(''),
    verifies: true,
    resolver: null,
    state: new StateFolder(join(dir, 'state')),
  }
  const issuer = (): Issuer => {
    const one = new Issuer(settings, [order], store, errorLog, 100)
    atEnd(t, () => one.stop())
    one.start()
    return one
  }
  return { store, dir, log: () => readFileSync(join(dir, 'log'), 'latin1'), issuer }
}

test('acme: nonces that are not taken and an order that takes its time hold nothing up', async t => {
  const authority = await acmeAuthority(t)
  authority.odd = (step, times) => {
    if (step === 'new-order' && times < 4) return problem(400, 'badNonce')
    if (step === 'order' && times === 2) return { json: { status: 'processing' }, fields: { 'Retry-After': '1' } }
    return null
  }
  const { store, issuer, log } = bench(t, authority)
  issuer()
  await eventually(() => store.certificate('a') !== null)
  assert.doesNotMatch(log(), /\[error\]/)
})

test('acme: an authority that has moved, and forgotten us, is introduced to us anew', async t => {
  const authority = await acmeAuthority(t)
  authority.lastsMs = 3000
  const { store, issuer, log } = bench(t, authority)
  issuer()
  await eventually(() => store.certificate('a') !== null)
  assert.equal(authority.count('account'), 1)
  authority.era = 'two'
  authority.lastsMs = 86_400_000
  await eventually(() => log().split('certificate issued').length === 3)
  assert.match(log(), /no certificate for a\.test, b\.test: malformed/)
  assert.equal(authority.count('directory'), 2)
})

test('acme: what the configuration before has begun is waited for, not asked for again', async t => {
  const authority = await acmeAuthority(t)
  let answer = (): void => {}
  const held = new Promise<null>(resolve => (answer = () => resolve(null)))
  authority.odd = step => (step === 'challenge' ? held : null)
  const { store, issuer } = bench(t, authority)
  const old = issuer()
  await eventually(() => authority.count('challenge') === 1)
  old.stop()
  issuer()
  await eventually(() => store.isTaken('a'))
  answer()
  await eventually(() => store.certificate('a') !== null)
  assert.equal(authority.count('new-order'), 1)
})

test('acme: a reload in the middle of an order costs none', async t => {
  const authority = await acmeAuthority(t)
  let answer = (): void => {}
  const held = new Promise<null>(resolve => (answer = () => resolve(null)))
  authority.odd = step => (step === 'challenge' ? held : null)
  const conf = `http { acme_issuer test { uri ${authority.uri}; state_path %%DIR%%/state; }
    server { listen 127.0.0.1:%%PORT_0%%; location /slow { root %%DIR%%; limit_rate 1k; } location / { return 200 'old'; } }
    server { listen 127.0.0.1:%%PORT_1%% ssl; server_name a.test; acme_certificate test;
      ssl_certificate $acme_certificate; ssl_certificate_key $acme_certificate_key; } }`
  const server = await serve(t, { conf, files: { slow: 'x'.repeat(1_000_000) } })
  authority.httpPort = server.port
  await eventually(() => authority.count('challenge') === 1)
  // The thread that is at it has something to stay for.
  const slow = await raw(t, server.port)
  await slow.send('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n')
  await slow.until('\r\n\r\n')
  await server.reload(conf.replace("'old'", "'new'"))
  await eventually(async () => (await get(server.port)).body.toString() === 'new')
  answer()
  await eventually(() => /certificate issued for a\.test/.test(server.errorLog()))
  assert.equal(authority.count('new-order'), 1)
})

test('acme: who is asked to wait does', async t => {
  const authority = await acmeAuthority(t)
  authority.odd = step => (step === 'new-order' ? problem(429, 'rateLimited', { 'Retry-After': '40000' }) : null)
  const { issuer, log } = bench(t, authority)
  issuer()
  const said = await eventually(() => /rateLimited: odd: rateLimited, next try in (\d+) s/.exec(log()))
  assert.ok(Number(said![1]) >= 40_000)
})

test('acme: a busy authority has no nonce, and is believed when it says when it will', async t => {
  const authority = await acmeAuthority(t)
  authority.odd = step => {
    const fields = { 'Retry-After': '7000', 'Replay-Nonce': '' }
    return step === 'nonce' || step === 'directory' ? { status: 503, fields } : null
  }
  const { issuer, log } = bench(t, authority)
  issuer()
  const said = await eventually(() => /: status 503, next try in (\d+) s/.exec(log()))
  assert.ok(Number(said![1]) >= 7000)
})

test('acme: one for which the memory has no room is kept on disk, and not asked for again', async t => {
  const authority = await acmeAuthority(t)
  const { dir, issuer, log } = bench(t, authority, 900)
  issuer()
  await eventually(() => log().split('"acme_shared_zone" is too small').length > 2)
  assert.deepEqual(readdirSync(join(dir, 'state')).sort(), ['a.crt', 'a.key', 'account.key'])
  assert.equal(authority.count('new-order'), 1)
})

test('acme: what another master has got meanwhile is found in the state folder', async t => {
  const authority = await acmeAuthority(t)
  const other = bench(t, authority)
  other.issuer()
  await eventually(() => other.store.certificate('a') !== null)
  authority.odd = step => (step === 'new-order' ? problem(500, 'serverInternal') : null)
  const { dir, store, issuer, log } = bench(t, authority)
  issuer()
  await eventually(() => /serverInternal/.test(log()))
  for (const name of ['a.key', 'a.crt'])
    writeFileSync(join(dir, 'state', name), readFileSync(join(other.dir, 'state', name)))
  await eventually(() => store.certificate('a') !== null)
  await eventually(() => /certificate found for a\.test/.test(log()))
})

test('acme: an authority that comes to another master finds its answer there', async t => {
  const authority = await acmeAuthority(t)
  let answer = (): void => {}
  const held = new Promise<null>(resolve => (answer = () => resolve(null)))
  authority.odd = (step, times) => (step === 'challenge' && times === 1 ? held : null)
  const { dir, store, issuer } = bench(t, authority)
  const folder = new StateFolder(join(dir, 'state'))
  const other = new AcmeStore()
  other.use(new SharedArrayBuffer(1024))
  other.beside = [folder]
  issuer()
  await eventually(() => authority.count('challenge') === 1)
  const [file] = readdirSync(join(dir, 'state')).filter(name => name.startsWith('challenge-'))
  const token = file!.replace('challenge-http-01-', '')
  assert.match(other.authorizationOf(token)!, new RegExp(`^${token}\\.`))
  for (const name of ['x', '../a.key', `../state/${file}`, '']) assert.equal(other.authorizationOf(name), null)
  folder.setAnswer('tls-alpn-01', 'a.test', 'proof')
  assert.deepEqual(other.challengeFor('a.test'), { type: 'tls-alpn-01', token: '', authorization: 'proof' })
  folder.setAnswer('tls-alpn-01', 'a.test', null)
  assert.equal(other.challengeFor('a.test'), null)
  answer()
  await eventually(() => store.certificate('a') !== null)
  assert.deepEqual(readdirSync(join(dir, 'state')).sort(), ['a.crt', 'a.key', 'account.key'])
})

test('acme: what makes no sense is told as what it is', async t => {
  const authority = await acmeAuthority(t)
  const { issuer, log, store } = bench(t, authority)
  const nonsense = [
    ['new-order', { json: null }, 'the authority has not said where the order is'],
    ['new-order', { fields: { Location: 'x:' }, json: {} }, 'the order that the authority gives has no "finalize"'],
    ['authorization', { json: [] }, 'the authorization that the authority gives has no "value"'],
    ['order', { text: '<html>' }, 'that the authority gives has no "status"'],
    ['certificate', { text: '<html>' }, 'what the authority gives is no certificate'],
  ] as const
  let [step, reply]: readonly unknown[] = nonsense[0]
  authority.odd = asked => (asked === step ? (reply as object) : null)
  issuer()
  for (const [wrong, answer, words] of nonsense) {
    ;[step, reply] = [wrong, answer]
    await eventually(() => log().includes(words))
  }
  step = ''
  await eventually(() => store.certificate('a') !== null)
})

test('acme: a certificate that is over at once is used, and not asked for at once again', async t => {
  const authority = await acmeAuthority(t)
  authority.lastsMs = 1200
  const { issuer, log, store } = bench(t, authority)
  issuer()
  await eventually(() => /is good until .*: is this machine's clock right\?, next try in/.test(log()))
  assert.notEqual(store.certificate('a'), null)
})

test('acme: addresses in names of handshakes', () => {
  assert.equal(addressIn('1.2.0.192.in-addr.arpa'), '192.0.2.1')
  const nibbles = '1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2'
  assert.equal(addressIn(`${nibbles}.ip6.arpa`), '2001:db8::1')
  for (const name of ['a.test', 'arpa', 'in-addr.arpa', '1.2.in-addr.arpa', 'x.ip6.arpa'])
    assert.equal(addressIn(name), null)
})
