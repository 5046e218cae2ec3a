import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import tls from 'node:tls'
import { promisify } from 'node:util'
import { certificate } from '../../helpers/certificates.ts'
import { eventually, serve, tempDir } from '../../helpers/index.ts'
import { needs } from '../../helpers/needs.ts'

const run = promisify(execFile)

interface Visit {
  readonly body: string
  /** The last session the server gave. */
  readonly session: Buffer | null
}

function visit(port: number, options: tls.ConnectionOptions = {}): Promise<Visit> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
    let text = ''
    let session: Buffer | null = null
    socket.on('session', given => (session = given))
    socket.on('data', bytes => {
      text += bytes.toString()
      // A ticket renewed in TLS 1.2 is told by no event.
      if (socket.getProtocol() === 'TLSv1.2') session = socket.getSession() ?? null
    })
    socket.on('error', reject)
    socket.on('close', () => resolve({ body: text.replace(/^.*\r\n\r\n/s, ''), session }))
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  })
}

/** Seconds that a session lasts, as its server has said: [9] of what OpenSSL writes of a session (SSL_SESSION_ASN1). */
function lifetime(saved: Buffer): number {
  // Node has the server's name before it.
  const session = saved.subarray(saved.indexOf(Buffer.from([0x30, 0x82])))
  const size = (at: number): number => (session[at]! < 0x80 ? 1 : (session[at]! & 0x7f) + 1)
  const length = (at: number): number => (session[at]! < 0x80 ? session[at]! : session.readUIntBE(at + 1, size(at) - 1))
  for (let at = 1 + size(1); at < session.length; at += 1 + size(at + 1) + length(at + 1)) {
    if (session[at] === 0xa9) return session.readUIntBE(at + 4, session[at + 3]!)
  }
  return 0
}

const pair = 'ssl_certificate a.crt; ssl_certificate_key a.key;'

test('who resumes a session in TLS 1.3 gets one that lasts no longer than the first', async t => {
  const dir = tempDir(t)
  certificate(dir, 'a', { ec: true })
  const server = (name: string, more: string): string =>
    `server { listen %%PORT_0%% ssl; server_name ${name}; ${pair} ${more} return 200 $ssl_session_reused; }`
  const { ports } = await serve(t, {
    dir,
    conf: `http { ssl_session_timeout 300; ${server('tickets', '')}
      ${server('cache', 'ssl_session_tickets off; ssl_session_cache shared:S:64k;')}
      ${server('early', 'ssl_early_data on;')} }`,
  })
  const began = Date.now()
  const names = ['tickets', 'cache', 'early']
  const first = await Promise.all(names.map(servername => visit(ports[0]!, { servername })))
  // What is over shows in whole seconds.
  await eventually(() => Date.now() - began > 2100)
  for (const [i, servername] of names.entries()) {
    assert.equal(lifetime(first[i]!.session!), 300, servername)
    const second = await visit(ports[0]!, { servername, session: first[i]!.session! })
    assert.equal(second.body, 'r')
    const left = lifetime(second.session!)
    assert.ok(left < 300 && left > 100, `${servername}: ${left}`)
  }
})

test('sessions without tickets are kept for all threads, and over a reload', async t => {
  const dir = tempDir(t)
  certificate(dir, 'a', { ec: true })
  const server = await serve(t, {
    dir,
    conf: `worker_processes 2; http { server { listen %%PORT_0%% ssl; ${pair} ssl_session_tickets off;
      ssl_session_cache shared:S:64k; return 200 $ssl_session_reused; } }`,
  })
  const [port] = server.ports as [number]
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    let { body, session } = await visit(port, { maxVersion })
    assert.equal(body, '.')
    for (let i = 0; i < 6; i++) {
      const again = await visit(port, { maxVersion, session: session! })
      assert.equal(again.body, 'r', `${maxVersion}, visit ${i}`)
      // In TLS 1.3 each session is good for once.
      session = again.session ?? session
    }
    await server.reload()
    assert.equal((await visit(port, { maxVersion, session: session! })).body, 'r')
  }
})

test('none, off and builtin keep what they say', async t => {
  const dir = tempDir(t)
  certificate(dir, 'a', { ec: true })
  const caches = ['none', 'off', 'builtin:10']
  const servers = caches.map(
    (cache, i) =>
      `server { listen %%PORT_${i}%% ssl; ${pair} ssl_protocols TLSv1.2; ssl_session_tickets off;
        ssl_session_cache ${cache}; return 200 $ssl_session_reused; }`,
  )
  const server = await serve(t, { dir, conf: `http { ${servers.join('\n')} }` })
  const reused: string[] = []
  for (const port of server.ports) {
    const { session } = await visit(port)
    reused.push((await visit(port, session === null ? {} : { session })).body)
  }
  assert.deepEqual(reused, ['.', '.', 'r'])
})

test('ticket keys come from files: the first seals, and the others still open', async t => {
  const dir = tempDir(t)
  certificate(dir, 'a', { ec: true })
  for (const [name, size] of Object.entries({ old: 48, new: 80, other: 80, short: 47 })) {
    writeFileSync(join(dir, `${name}.key`), randomBytes(size))
  }
  const server = (port: string, keys: string): string =>
    `server { listen ${port} ssl; ${pair} ssl_protocols TLSv1.2; return 200 $ssl_session_reused;
      ${keys
        .split(' ')
        .map(key => `ssl_session_ticket_key ${key}.key;`)
        .join(' ')} }`
  const conf = [server('%%PORT_0%%', 'old'), server('%%PORT_1%%', 'new old'), server('%%PORT_2%%', 'other')].join('\n')
  const running = await serve(t, { dir, conf: `worker_processes 2; http { ${conf} }` })
  const [old, both, other] = running.ports as [number, number, number]
  const { session } = await visit(old)
  assert.equal((await visit(old, { session: session! })).body, 'r')
  const rotated = await visit(both, { session: session! })
  assert.equal(rotated.body, 'r')
  assert.notEqual(rotated.session, null, 'the client gets a ticket that is sealed with the new key')
  assert.equal((await visit(both, { session: rotated.session! })).body, 'r')
  assert.equal((await visit(old, { session: rotated.session! })).body, '.')
  assert.equal((await visit(other, { session: session! })).body, '.')
})

test('early data is taken from who comes back, and told to be early', async t => {
  if (!needs(t, 'openssl')) return
  const dir = tempDir(t)
  certificate(dir, 'a', { ec: true })
  const server = await serve(t, {
    dir,
    conf: `http { server { listen %%PORT_0%% ssl; ${pair} ssl_early_data on; return 200 "early=$ssl_early_data."; } }`,
  })
  const address = `127.0.0.1:${server.ports[0]}`
  writeFileSync(join(dir, 'request'), 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  const first = run('openssl', ['s_client', '-connect', address, '-tls1_3', '-sess_out', join(dir, 's'), '-ign_eof'])
  first.child.stdin!.end('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  assert.match((await first).stdout, /early=\./)
  const early = ['-sess_in', join(dir, 's'), '-early_data', join(dir, 'request'), '-ign_eof']
  const second = run('openssl', ['s_client', '-connect', address, '-tls1_3', ...early])
  second.child.stdin!.end()
  const { stdout } = await second
  assert.match(stdout, /Early data was accepted/)
  assert.match(stdout, /early=1\./)
})
