import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { existsSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import tls from 'node:tls'
import { answerTo, dnsServer, ipv4, record } from '../../helpers/dns.ts'
import { check } from '../../helpers/check.ts'
import { accepts, eventually, freePorts, get, serve, tempDir } from '../../helpers/index.ts'
import { serveInside } from '../../helpers/inside.ts'
import { needs } from '../../helpers/needs.ts'

const A = 1
const ISSUE_MS = 60_000

interface Authority {
  readonly dir: string
  readonly uri: string
  /** Where it looks for answers to challenges. */
  readonly httpPort: number
  readonly tlsPort: number
  readonly dnsPort: number
}

/** Pebble, with a name server that knows every name to be this machine. */
async function pebble(t: TestContext, options: Record<string, unknown> = {}): Promise<Authority> {
  const dir = tempDir(t)
  const dns = await dnsServer(t, ({ type, bytes }) =>
    answerTo(bytes, type === A ? [record(A, 60, ipv4('127.0.0.1'))] : []),
  )
  const [port, management, httpPort, tlsPort] = (await freePorts(4)) as [number, number, number, number]
  const san = ['-addext', 'subjectAltName=IP:127.0.0.1']
  const key = ['-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=pebble', '-days', '2']
  const files = ['-keyout', join(dir, 'pebble.key'), '-out', join(dir, 'pebble.crt')]
  execFileSync('openssl', ['req', '-x509', ...key, ...san, ...files], { stdio: 'pipe' })
  const settings = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${management}`,
    certificate: join(dir, 'pebble.crt'),
    privateKey: join(dir, 'pebble.key'),
    httpPort,
    tlsPort,
    ocspResponderURL: '',
    externalAccountBindingRequired: false,
    ...options,
  }
  writeFileSync(join(dir, 'pebble.json'), JSON.stringify({ pebble: settings }))
  const args = ['-config', join(dir, 'pebble.json'), '-dnsserver', `127.0.0.1:${dns.port}`]
  const child = spawn('pebble', args, {
    stdio: ['ignore', 'ignore', 'ignore'],
    env: { ...process.env, PEBBLE_VA_NOSLEEP: '1', PEBBLE_WFE_NONCEREJECT: '30' },
  })
  t.after(() => child.kill('SIGKILL'))
  await eventually(() => accepts({ port, host: '127.0.0.1' }))
  return { dir, uri: `https://127.0.0.1:${port}/dir`, httpPort, tlsPort, dnsPort: dns.port }
}

/** The certificate that is shown to whoever asks for a name; null: there is none. */
function shown(port: number, servername: string): Promise<X509Certificate | null> {
  return new Promise(resolve => {
    const socket = tls.connect({ port, host: '127.0.0.1', servername, rejectUnauthorized: false }, () => {
      resolve(socket.getPeerX509Certificate() ?? null)
      socket.destroy()
    })
    socket.on('error', () => resolve(null))
  })
}

/** As shown(), when it is there. */
async function shownSoon(port: number, servername: string): Promise<X509Certificate> {
  let found: X509Certificate | null = null
  await eventually(async () => (found = await shown(port, servername)) !== null, ISSUE_MS)
  return found!
}

function configuration(authority: Authority, issuer: string, servers: string): string {
  return `worker_processes 2; http { resolver 127.0.0.1:${authority.dnsPort};
    acme_issuer test { uri ${authority.uri}; contact admin@example.test; ssl_trusted_certificate ${authority.dir}/pebble.crt;
      state_path %%DIR%%/state; accept_terms_of_service; ${issuer} }
    ${servers} }`
}

test('a certificate is got by HTTP-01, shown in all threads, and found again after a restart', async t => {
  if (!needs(t, 'pebble', 'openssl')) return
  const authority = await pebble(t)
  const servers = `server { listen 127.0.0.1:${authority.httpPort}; return 404; }
    server { listen %%PORT_0%% ssl; server_name one.example.test two.example.test; acme_certificate test;
      ssl_certificate $acme_certificate; ssl_certificate_key $acme_certificate_key; ssl_certificate_cache max=4;
      location / { return 200 ok; } }`
  const dir = tempDir(t)
  const conf = configuration(authority, '', servers)
  const server = await serve(t, { dir, conf })
  const [port] = server.ports as [number]
  const first = await shownSoon(port, 'one.example.test')
  assert.equal(first.subjectAltName, 'DNS:one.example.test, DNS:two.example.test')
  const issued = /\[notice\].*acme: issuer "test": certificate issued for one\.example\.test/
  await eventually(() => issued.test(server.errorLog()))
  for (let i = 0; i < 6; i++) assert.equal((await shown(port, 'two.example.test'))?.serialNumber, first.serialNumber)
  assert.equal((await get(authority.httpPort, '/.well-known/acme-challenge/nothing')).status, 404)
  await server.reload()
  assert.equal((await shown(port, 'one.example.test'))?.serialNumber, first.serialNumber)
  assert.deepEqual(
    readdirSync(join(dir, 'state'))
      .map(name => name.replace(/-[0-9a-f]{16}/, ''))
      .sort(),
    ['account.key', 'one.example.test.crt', 'one.example.test.key'],
  )
  await server.stop()
  const again = await serve(t, { dir, conf })
  const after = await shownSoon(again.ports[0]!, 'one.example.test')
  assert.equal(after.serialNumber, first.serialNumber)
})

test('a certificate is renewed when two thirds of its time are over, and all threads show the new one', async t => {
  if (!needs(t, 'pebble', 'openssl')) return
  const lasts = 15
  const authority = await pebble(t, {
    certificateValidityPeriod: lasts,
    profiles: { default: { description: 'short-lived', validityPeriod: lasts } },
  })
  const servers = `server { listen 127.0.0.1:${authority.httpPort}; return 404; }
    server { listen %%PORT_0%% ssl; server_name one.example.test; acme_certificate test; ssl_certificate_cache max=4;
      ssl_certificate $acme_certificate; ssl_certificate_key $acme_certificate_key; return 200 ok; }`
  const server = await serve(t, { conf: configuration(authority, '', servers) })
  const [port] = server.ports as [number]
  const first = await shownSoon(port, 'one.example.test')
  assert.ok(first.validToDate.getTime() - first.validFromDate.getTime() <= lasts * 1000, first.validTo)
  let second = first
  await eventually(async () => {
    second = (await shown(port, 'one.example.test')) ?? second
    return second.serialNumber !== first.serialNumber
  }, ISSUE_MS)
  const early = first.validFromDate.getTime() + (lasts - 1) * (2 / 3) * 1000 - second.validFromDate.getTime()
  assert.ok(early <= 1000, `${early} ms before its time`)
  assert.notEqual(
    second.publicKey.export({ type: 'spki', format: 'pem' }),
    first.publicKey.export({ type: 'spki', format: 'pem' }),
  )
  for (let i = 0; i < 6; i++) assert.notEqual((await shown(port, 'one.example.test'))?.serialNumber, first.serialNumber)
  assert.equal(server.errorLog().match(/acme: issuer "test": certificate issued for/g)!.length >= 2, true)
})

test('by TLS-ALPN-01, with an RSA key, for an account that is bound to another', async t => {
  if (!needs(t, 'pebble', 'openssl')) return
  const mac = 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W'
  const authority = await pebble(t, { externalAccountBindingRequired: true, externalAccountMACKeys: { kid: mac } })
  const issuer = `challenge tls-alpn-01; account_key rsa:2048; external_account_key kid data:${mac};`
  const servers = `server { listen 127.0.0.1:${authority.tlsPort} ssl; server_name three.example.test;
      acme_certificate test key=rsa:2048; ssl_certificate $acme_certificate; ssl_certificate_key $acme_certificate_key;
      return 200 ok; }`
  const server = await serve(t, { conf: configuration(authority, issuer, servers) })
  const port = authority.tlsPort
  const got = await shownSoon(port, 'three.example.test')
  assert.equal(got.publicKey.asymmetricKeyType, 'rsa')
  assert.equal(got.subjectAltName, 'DNS:three.example.test')
  assert.equal(existsSync(join(server.dir, 'state', 'account.key')), true)
})

test('an authority that refuses is told in the error log, and asked again', async t => {
  if (!needs(t, 'pebble', 'openssl')) return
  const authority = await pebble(t)
  const servers = `server { listen %%PORT_0%% ssl; server_name x.example.test; acme_certificate test;
      ssl_certificate $acme_certificate; ssl_certificate_key $acme_certificate_key; }`
  const server = await serve(t, { conf: configuration(authority, '', servers) })
  const said = /\[error\].*acme: issuer "test": no certificate for x\.example\.test: .*, next try in \d+ s/
  await eventually(() => said.test(server.errorLog()), ISSUE_MS)
  assert.equal(await shown(server.ports[0]!, 'x.example.test'), null)
})

test('as long as there is no certificate, the error log says which one', async t => {
  if (!needs(t, 'openssl')) return
  const dir = tempDir(t)
  const files = ['-keyout', join(dir, 'other.key'), '-out', join(dir, 'other.crt')]
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=x', ...files],
    {
      stdio: 'pipe',
    },
  )
  const conf = `events {} error_log error.log; http { acme_issuer test { uri http://127.0.0.1:1/; state_path off; }
    map $ssl_server_name $named { other.test %%DIR%%/other.crt; }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name a.test b.test; acme_certificate test;
      ssl_certificate $acme_certificate; ssl_certificate_key $acme_certificate_key; }
    server { listen 127.0.0.1:%%PORT_0%% ssl; server_name other.test third.test;
      ssl_certificate $named; ssl_certificate_key %%DIR%%/other.key; } }`
  const server = await serveInside(t, { conf, dir })
  for (const [name, why] of [
    ['a.test', 'issuer "test" has not issued one for a.test, b.test yet'],
    ['third.test', '"$named" is empty'],
  ] as const) {
    assert.equal(await shown(server.port, name), null)
    const line = `cannot load certificate "": ${why} while SSL handshaking`
    await eventually(() => server.errorLog().includes(line))
  }
  assert.equal((await shown(server.port, 'other.test'))?.subject, 'CN=x')
})

test('what cannot be is refused when the configuration is read', t => {
  const dir = tempDir(t)
  const refusal = (http: string): string => {
    writeFileSync(join(dir, 'x.conf'), `events {} http { ${http} }`)
    const { status, stderr } = check(dir, 'x.conf')
    return status === 0 ? 'accepted' : (/\[emerg\] (?:\d+#\d+: )?(.*) in /.exec(stderr)?.[1] ?? '')
  }
  const server = (more: string): string => `server { listen 127.0.0.1:8888; server_name a.test; ${more} }`
  assert.equal(refusal('acme_issuer a { }'), '"uri" is missing in acme_issuer "a"')
  assert.match(refusal('acme_issuer a { preferred_chain "Other Root"; }'), /^"preferred_chain" is not supported/)
  assert.equal(refusal(server('acme_certificate a;')), 'issuer "a" is not defined')
  const issuer = 'acme_issuer a { uri https://a.test/; state_path off; }'
  assert.equal(refusal(issuer + server('acme_certificate b;')), 'issuer "b" is not defined')
  assert.equal(refusal(issuer + server('acme_certificate a *.b;')), '"*.b" cannot be an identifier of a certificate')
  assert.equal(refusal(issuer + server('acme_certificate a key=dsa;')), 'unsupported key "dsa"')
  assert.equal(refusal(`${issuer} ${issuer}`), 'duplicate acme_issuer "a"')
  assert.equal(refusal(issuer + server('acme_certificate a;')), 'accepted')
})

test('a server that names no identifiers has its own names, its locations too', t => {
  const dir = tempDir(t)
  const locations = 'location / { root /x; location ~ \\.php$ { alias /y; if ($args) { return 403; } } }'
  const server = `server { listen 127.0.0.1:8888; server_name a.test; acme_certificate a; ${locations} }`
  const issuer = 'acme_issuer a { uri https://a.test/; state_path off; }'
  writeFileSync(join(dir, 'x.conf'), `events {} http { ${issuer} ${server} }`)
  assert.deepEqual(check(dir, 'x.conf', { quiet: true }), { status: 0, stderr: '' })
})
