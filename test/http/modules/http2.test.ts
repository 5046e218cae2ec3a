import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import tls from 'node:tls'
import { promisify } from 'node:util'
import { certificate } from '../../helpers/certificates.ts'
import { check } from '../../helpers/check.ts'
import { eventually, serve, serveApp, tempDir, type Server } from '../../helpers/index.ts'
import { frame, get, headers, http2, Http2Client, PREFACE, settings, type Fields } from '../../helpers/http2.ts'
import { needs } from '../../helpers/needs.ts'

const run = promisify(execFile)

async function program(t: TestContext, http: string, main = ''): Promise<Server> {
  const dir = tempDir(t)
  certificate(dir, 'a')
  writeFileSync(join(dir, 'big'), Buffer.alloc(3_000_000, 'portico '))
  return serve(t, {
    dir,
    conf: `worker_processes 1; ${main} http { keepalive_requests 100000; access_log access.log; ${http} }`,
  })
}

const TLS = 'ssl_certificate a.crt; ssl_certificate_key a.key;'

function negotiate(port: number, protocols: string[], servername = 'localhost'): Promise<string | false | null> {
  return new Promise((resolve, reject) => {
    const socket = tls.connect(
      { port, host: '127.0.0.1', servername, ALPNProtocols: protocols, rejectUnauthorized: false },
      () => {
        resolve(socket.alpnProtocol)
        socket.destroy()
      },
    )
    socket.on('error', reject)
  })
}

test('http2: the limits of a connection are those of the server that TLS has named', async t => {
  const server = await program(
    t,
    `server { listen %%PORT_0%% ssl; http2 on; server_name first; ${TLS} return 200 $http_x_a; }
     server { listen %%PORT_0%% ssl; http2 on; server_name second; ${TLS} return 200 $http_x_a;
       http2_max_concurrent_streams 7; large_client_header_buffers 4 1k; }`,
  )
  for (const [servername, streams, fits] of [
    ['first', 128, true],
    ['second', 7, false],
  ] as const) {
    const options = { port: server.ports[0]!, host: '127.0.0.1', rejectUnauthorized: false, ALPNProtocols: ['h2'] }
    const socket = tls.connect({ ...options, servername })
    t.after(() => socket.destroy())
    const client = new Http2Client(socket)
    const long: Fields = [['x-a', 'x'.repeat(2000)]]
    client.send(PREFACE, settings(), headers(1, get('/', long)))
    const { payload } = await client.frame('SETTINGS')
    assert.deepEqual([payload.readUInt16BE(0), payload.readUInt32BE(2)], [3, streams])
    if (fits) assert.equal((await client.response(1)).body.length, 2000)
    else assert.equal((await client.frame('GOAWAY')).code, 11)
  }
})

test('http2: curl is served over TLS by ALPN and in plain text, up and down', async t => {
  if (!needs(t, 'curl', 'openssl')) return
  const server = await program(
    t,
    `http2 on; server { listen %%PORT_0%% ssl; listen %%PORT_1%%; ${TLS} client_max_body_size 0;
      location / { return 200 "$http2 $server_protocol $ssl_alpn_protocol"; }
      location /big { root %%DIR%%; } location /up { proxy_pass http://127.0.0.1:%%PORT_1%%/echo; }
      location /echo { return 200 "$content_length $http2"; } }`,
  )
  const [secure, plain] = server.ports as [number, number]
  const curl = async (...args: string[]): Promise<string> =>
    (await run('curl', ['-sk', ...args], { maxBuffer: 1e8 })).stdout
  assert.equal(await curl('--http2', `https://127.0.0.1:${secure}/`), 'h2 HTTP/2.0 h2')
  assert.equal(await curl('--http1.1', `https://127.0.0.1:${secure}/`), ' HTTP/1.1 http/1.1')
  assert.equal(await curl('--http2-prior-knowledge', `http://127.0.0.1:${plain}/`), 'h2c HTTP/2.0 ')
  assert.equal(await curl(`http://127.0.0.1:${plain}/`), ' HTTP/1.1 ')
  for (const url of [`https://127.0.0.1:${secure}`, `http://127.0.0.1:${plain}`]) {
    const version = url.startsWith('https') ? '--http2' : '--http2-prior-knowledge'
    assert.equal((await curl(version, `${url}/big`)).length, 3_000_000)
    assert.match(await curl(version, '-T', join(server.dir, 'big'), `${url}/up`), /^3000000 $/)
  }
  await eventually(() => readFileSync(join(server.dir, 'access.log'), 'latin1').includes('"PUT /up HTTP/2.0" 200'))
})

test('http2: ALPN offers h2 where the server of that name has it, or the address', async t => {
  if (!needs(t, 'openssl')) return
  const server = await program(
    t,
    `${TLS} server { listen %%PORT_0%% ssl; server_name on; http2 on; } server { listen %%PORT_0%% ssl; server_name off; }
     server { listen %%PORT_1%% ssl http2; }`,
  )
  const [one, other] = server.ports as [number, number]
  assert.equal(await negotiate(one, ['h2', 'http/1.1'], 'on'), 'h2')
  assert.equal(await negotiate(one, ['h2', 'http/1.1'], 'off'), 'http/1.1')
  assert.equal(await negotiate(one, ['http/1.1'], 'on'), 'http/1.1')
  assert.equal(await negotiate(other, ['h2', 'http/1.1']), 'h2')
})

test('http2: nghttp and h2load get what they ask for', async t => {
  if (!needs(t, 'nghttp', 'openssl')) return
  const server = await program(
    t,
    `http2 on; server { listen %%PORT_0%% ssl; listen %%PORT_1%%; ${TLS} location / { return 200 text; }
      location /big { root %%DIR%%; } }`,
  )
  const [secure, plain] = server.ports as [number, number]
  for (const url of [`https://127.0.0.1:${secure}`, `http://127.0.0.1:${plain}`]) {
    const { stdout } = await run('nghttp', ['--no-verify-peer', `${url}/`, `${url}/big`], { maxBuffer: 1e8 })
    assert.equal(stdout.length, 3_000_004)
    const load = await run('h2load', ['-n', '2000', '-c', '4', '-m', '50', '-t', '1', `${url}/`])
    assert.match(load.stdout, /2000 succeeded, 0 failed/)
    const files = await run('h2load', ['-n', '40', '-c', '2', '-m', '10', '-t', '1', `${url}/big`])
    assert.match(files.stdout, /40 succeeded, 0 failed/)
  }
})

test('http2: a reload tells clients to go, and answers what they have asked', async t => {
  const server = await program(
    t,
    `http2 on; server { listen %%PORT_0%%; location / { return 200 text; } location /slow { limit_rate 10; root %%DIR%%/html; } }`,
  )
  const [port] = server.ports as [number]
  const client = await http2(t, port)
  client.send(headers(1, get('/')))
  await client.response(1)
  server.signal('SIGHUP')
  assert.equal((await client.frame('GOAWAY')).code, 0)
  client.send(frame(6, 0, 0, 'portico!'))
  await client.closed()
  const next = await http2(t, port)
  next.send(headers(1, get('/')))
  assert.equal((await next.response(1)).status, 200)
})

test('http2: what nginx refuses in its directives is refused', t => {
  const dir = tempDir(t)
  const said = (http: string): string => {
    writeFileSync(join(dir, 'nginx.conf'), `events { } http { ${http} }`)
    return check(dir, 'nginx.conf').stderr
  }
  assert.match(said('http2_chunk_size 0;'), /http2 chunk size cannot be zero/)
  assert.match(said('http2_body_preread_size 3000m;'), /maximum body preread buffer size/)
  assert.match(said('http2_recv_buffer_size 16;'), /"http2_recv_buffer_size" directive value is too small/)
  assert.match(said('http2_pool_size 64;'), /the pool size must be no less than 112/)
  assert.match(said('http2_pool_size 1025;'), /the pool size must be a multiple of 16/)
  assert.match(said('http2_streams_index_size 3;'), /"http2_streams_index_size" directive must be a power of two/)
  assert.match(said('server { listen 8080 http2; }'), /"listen \.\.\. http2" directive is deprecated/)
  assert.match(said('http2_max_requests 10;'), /obsolete/)
})

test('http2: serve offers it over TLS, unless --http-protocols says otherwise', async t => {
  if (!needs(t, 'curl', 'openssl', 'python3')) return
  for (const [flags, wanted] of [
    [[], 'HTTP/2.0'],
    [['--http-protocols', 'h1,h2', '--http2-max-concurrent-streams', '7'], 'HTTP/2.0'],
    [['--http-protocols', 'h1'], 'HTTP/1.1'],
  ] as const) {
    const dir = tempDir(t)
    certificate(dir, 'a')
    writeFileSync(
      join(dir, 'proto.py'),
      'def app(environ, start):\n    start("200 OK", [])\n    return [environ["SERVER_PROTOCOL"].encode()]\n',
    )
    const server = await serveApp(t, ['--certfile', 'a.crt', '--keyfile', 'a.key', ...flags, 'proto:app'], { dir })
    const { stdout } = await run('curl', ['-sk', '--http2', `https://127.0.0.1:${server.port}/`])
    assert.equal(stdout, wanted)
  }
})
