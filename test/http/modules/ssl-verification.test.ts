// Whose certificate was judged by whom: sessions taken elsewhere, certificates that only look right, and what early data waits for.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import tls from 'node:tls'
import { certificate } from '../../helpers/certificates.ts'
import { eventually, needs, serve, tempDir } from '../../helpers/index.ts'
import { serveInside } from '../../helpers/inside.ts'

interface Visit {
  readonly answer: string
  readonly session: Buffer | null
  readonly reused: boolean
}

/** One request; then the session that the server has given for later, whatever it has answered. */
function visit(port: number, host: string, options: tls.ConnectionOptions): Promise<Visit> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', servername: host, rejectUnauthorized: false, ...options })
    let answer = ''
    let session: Buffer | null = null
    let reused = false
    socket.on('secureConnect', () => (reused = socket.isSessionReused()))
    socket.on('session', given => (session = given))
    socket.on('data', bytes => (answer += bytes.toString()))
    socket.on('error', reject)
    socket.on('close', () => resolve({ answer, session, reused }))
    socket.write(`GET / HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`)
  })
}

function pairOf(dir: string, name: string): tls.ConnectionOptions {
  return { cert: readFileSync(join(dir, `${name}.crt`)), key: readFileSync(join(dir, `${name}.key`)) }
}

const pair = 'ssl_certificate a.crt; ssl_certificate_key a.key;'
const versions = ['TLSv1.2', 'TLSv1.3'] as const

test('a session is resumed by no server that would have judged the client’s certificate otherwise', async t => {
  if (!needs(t, 'openssl')) return
  const dir = tempDir(t)
  certificate(dir, 'a', { ec: true })
  for (const name of ['one', 'two']) certificate(dir, name, { ec: true })
  certificate(dir, 'client', { ec: true, issuer: 'one' })
  writeFileSync(join(dir, 'index'), '')
  writeFileSync(
    join(dir, 'ca.conf'),
    `[ca]\ndefault_ca=my\n[my]\ndatabase=${dir}/index\ndefault_md=sha256\ndefault_crl_days=2\nnew_certs_dir=${dir}\npolicy=any\n[any]\n`,
  )
  const authority = ['ca', '-config', 'ca.conf', '-keyfile', 'one.key', '-cert', 'one.crt']
  execFileSync('openssl', [...authority, '-revoke', 'client.crt'], { cwd: dir, stdio: 'pipe' })
  execFileSync('openssl', [...authority, '-gencrl', '-out', 'crl.pem'], { cwd: dir, stdio: 'pipe' })
  // Each on a port of its own: Node's client does not take a session to another name.
  const verify = [
    'ssl_trusted_certificate one.crt;',
    'ssl_trusted_certificate two.crt;',
    'ssl_trusted_certificate one.crt; ssl_crl crl.pem;',
    'ssl_client_certificate two.crt; ssl_trusted_certificate one.crt;',
    'ssl_client_certificate two.crt;',
  ]
  const cached = 'ssl_session_tickets off; ssl_session_cache shared:S:64k;'
  const servers = [...verify, ...verify.map(how => `${cached} ${how}`)].map(
    (how, port) => `server { listen %%PORT_${port}%% ssl; ${pair} ssl_verify_client on; ${how}
      return 200 $ssl_client_verify; }`,
  )
  const { ports } = await serveInside(t, { dir, conf: `http { ${servers.join('\n')} }` })
  for (const first of [0, verify.length]) {
    for (const maxVersion of versions) {
      const client = { ...pairOf(dir, 'client'), maxVersion }
      for (const [from, to] of [
        [0, 1],
        [0, 2],
        [3, 4],
      ] as const) {
        const begin = async (): Promise<Buffer> => {
          const { answer, session } = await visit(ports[first + from]!, 'a', client)
          assert.match(answer, /SUCCESS$/)
          return session!
        }
        const again = await visit(ports[first + from]!, 'a', { ...client, session: await begin() })
        assert.match(again.answer, /SUCCESS$/)
        assert.ok(again.reused)
        const { answer } = await visit(ports[first + to]!, 'a', { ...client, session: await begin() })
        assert.match(answer, /400 Bad Request/, `${from} → ${to}, ${maxVersion}`)
      }
    }
  }
})

test('a client that was refused for its certificate does not get its session back', async t => {
  const dir = tempDir(t)
  for (const name of ['a', 'other']) certificate(dir, name, { ec: true })
  const { ports } = await serveInside(t, {
    dir,
    conf: `http { server { listen %%PORT_0%% ssl; ${pair} ssl_verify_client on; ssl_client_certificate a.crt;
      ssl_protocols TLSv1.2; ssl_session_tickets off; ssl_session_cache shared:S:64k; return 200 ok; } }`,
  })
  const good = await visit(ports[0]!, 'a', pairOf(dir, 'a'))
  assert.ok((await visit(ports[0]!, 'a', { ...pairOf(dir, 'a'), session: good.session! })).reused)
  for (const client of [{}, pairOf(dir, 'other')]) {
    const refused = await visit(ports[0]!, 'a', client)
    assert.match(refused.answer, /400 Bad Request/)
    const again = await visit(ports[0]!, 'a', { ...client, session: refused.session! })
    assert.match(again.answer, /400 Bad Request/)
    assert.ok(!again.reused)
  }
})

test('a request for another name than was negotiated is the negotiated server’s to refuse', async t => {
  const dir = tempDir(t)
  certificate(dir, 'a', { ec: true })
  const page = 'error_page 421 /421; location /421 { return 200 "$server_name $host"; }'
  const server = await serveInside(t, {
    dir,
    conf: `error_log e.log info; http { ${pair}
      server { listen %%PORT_0%% ssl; server_name first; ${page} }
      server { listen %%PORT_0%% ssl; server_name second; ssl_verify_client optional; ssl_client_certificate a.crt; ${page} } }`,
  })
  const socket = tls.connect({
    port: server.ports[0]!,
    host: '127.0.0.1',
    servername: 'first',
    rejectUnauthorized: false,
  })
  let answer = ''
  socket.on('data', bytes => (answer += bytes.toString()))
  socket.write('GET / HTTP/1.1\r\nHost: second\r\n\r\n')
  await new Promise(resolve => socket.on('close', resolve))
  assert.match(answer, /^HTTP\/1\.1 421 [^]*Connection: close\r\n[^]*\r\nfirst first$/)
})

test('how both sides have signed is told', async t => {
  const dir = tempDir(t)
  certificate(dir, 'a', { ec: true })
  certificate(dir, 'r')
  const { ports } = await serveInside(t, {
    dir,
    conf: `http { server { listen %%PORT_0%% ssl; ${pair} ssl_verify_client optional; ssl_client_certificate r.crt;
      ssl_session_tickets off; ssl_session_cache shared:S:64k;
      return 200 "$ssl_sigalg|$ssl_client_sigalg|$ssl_ech_status$ssl_ech_outer_server_name"; } }`,
  })
  for (const maxVersion of versions) {
    const bare = await visit(ports[0]!, 'a', { maxVersion })
    assert.match(bare.answer, /\r\n\r\necdsa_secp256r1_sha256\|\|$/)
    const shown = await visit(ports[0]!, 'a', { maxVersion, ...pairOf(dir, 'r') })
    assert.match(shown.answer, /\|rsa_pss_rsae_sha256\|$/)
    const resumed = await visit(ports[0]!, 'a', { maxVersion, session: bare.session! })
    assert.match(resumed.answer, /\r\n\r\n\|\|$/)
  }
})

test('a certificate that an authority of the same name has not signed is refused as one', async t => {
  if (!needs(t, 'openssl')) return
  const dir = tempDir(t)
  certificate(dir, 'a', { ec: true })
  certificate(dir, 'client-ca', { subject: '/CN=ca' })
  certificate(dir, 'other-ca', { subject: '/CN=ca' })
  // No extension tells which of the two has signed it: that is found out by the signature.
  const request = ['req', '-new', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=client', '-keyout', 'client.key']
  const signer = ['-CA', 'other-ca.crt', '-CAkey', 'other-ca.key', '-CAcreateserial', '-out', 'client.crt']
  execFileSync('openssl', [...request, '-out', 'client.csr'], { cwd: dir, stdio: 'pipe' })
  execFileSync('openssl', ['x509', '-req', '-in', 'client.csr', ...signer], { cwd: dir, stdio: 'pipe' })
  const { ports } = await serveInside(t, {
    dir,
    conf: `http { server { listen %%PORT_0%% ssl; ${pair} ssl_verify_client optional; ssl_client_certificate client-ca.crt;
      return 200 ok; } }`,
  })
  for (const maxVersion of versions) {
    const { answer } = await visit(ports[0]!, 'a', { ...pairOf(dir, 'client'), maxVersion })
    assert.match(answer, /400 Bad Request[^]*The SSL certificate error/, maxVersion)
  }
})

test('each connection is offered HTTP/2 by its own server, though handshakes overlap', async t => {
  const dir = tempDir(t)
  certificate(dir, 'a', { ec: true })
  const { ports } = await serveInside(t, {
    dir,
    conf: `http { ${pair} ssl_early_data on; ssl_ecdh_curve secp384r1; return 200 ok;
      server { listen %%PORT_0%% ssl; server_name new; http2 on; return 200 ok; }
      server { listen %%PORT_0%% ssl; server_name old; return 200 ok; } }`.replace('return 200 ok;\n', '\n'),
  })
  const spoken = (servername: string): Promise<string | false> =>
    new Promise((resolve, reject) => {
      // The first group it offers is not the server's: it has to say hello twice.
      const offer = { ALPNProtocols: ['h2', 'http/1.1'], ecdhCurve: 'X25519:P-384', rejectUnauthorized: false }
      const socket = tls.connect({ port: ports[0]!, host: '127.0.0.1', servername, ...offer })
      socket.on('error', reject)
      socket.on('secureConnect', () => {
        resolve(socket.alpnProtocol as string | false)
        socket.destroy()
      })
    })
  for (let round = 0; round < 5; round++) {
    const names = Array.from({ length: 40 }, (_, i) => (i % 2 === 0 ? 'new' : 'old'))
    const answers = await Promise.all(names.map(name => spoken(name)))
    assert.deepEqual(
      answers,
      names.map(name => (name === 'new' ? 'h2' : 'http/1.1')),
    )
  }
})

test('a session outlives a connection that breaks off', async t => {
  const dir = tempDir(t)
  certificate(dir, 'a', { ec: true })
  const { ports } = await serveInside(t, {
    dir,
    conf: `http { server { listen %%PORT_0%% ssl; ${pair} ssl_session_tickets off; ssl_session_cache shared:S:64k;
      return 200 "$ssl_session_reused "; } }`,
  })
  const [port] = ports as [number]
  for (const maxVersion of versions) {
    const session = await new Promise<Buffer>((resolve, reject) => {
      const plain = net.connect(port, '127.0.0.1')
      const socket = tls.connect({ socket: plain, servername: 'a', rejectUnauthorized: false, maxVersion })
      let given: Buffer | undefined
      let text = ''
      socket.on('session', one => (given ??= one))
      socket.on('error', reject)
      socket.on('data', bytes => {
        text += bytes.toString()
        if (!text.endsWith('. ') || given === undefined) return
        resolve(given)
        plain.resetAndDestroy()
      })
      socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    })
    assert.match((await visit(port, 'a', { maxVersion, session })).answer, /\r\nr $/, maxVersion)
  }
})

test('what is wrong with a client’s certificate is logged with OpenSSL’s number, of requests and of connections', async t => {
  const dir = tempDir(t)
  for (const name of ['a', 'other']) certificate(dir, name, { ec: true })
  const judged = 'ssl_verify_client on; ssl_client_certificate a.crt;'
  const server = await serve(t, {
    dir,
    conf: `
      http { server { listen 127.0.0.1:%%PORT_0%% ssl; ${pair} ${judged} return 200 ok; } }
      stream { server { listen 127.0.0.1:%%PORT_1%% ssl; ${pair} ${judged} return ok; } }`,
  })
  for (const [port, at] of [
    [server.ports[0]!, 'reading client request headers'],
    [server.ports[1]!, 'SSL handshaking'],
  ] as const)
    for (const [client, problem] of [
      [{}, 'client sent no required SSL certificate'],
      [pairOf(dir, 'other'), 'client SSL certificate verify error: (18:self-signed certificate)'],
    ] as const) {
      // What it answers a connection with is not of interest: it may well be a reset.
      await visit(port, 'a', client).catch(() => {})
      await eventually(() => server.errorLog().includes(`${problem} while ${at}, client: 127.0.0.1, server: `))
    }
})
