// Groups behind proxy_pass: whom a request is sent to, when it is tried elsewhere, and which connections are kept.

import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, gunicorn, needs, origin, raw, reply, request, tempDir, writeFiles } from '../../helpers/index.ts'
import { check } from '../../helpers/check.ts'
import type { Scope } from '../../helpers/index.ts'
import { serveInside } from '../../helpers/inside.ts'
import type { InsideServer } from '../../helpers/inside.ts'

function proxy(t: Scope, upstream: string, directives = '', more = ''): Promise<InsideServer> {
  return serveInside(
    t,
    `http { log_format up '$status|$upstream_addr|$upstream_status'; access_log access.log up; proxy_temp_path %%DIR%%/temp;
       upstream u { ${upstream} }
       server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass http://u; ${directives} } ${more} } }`,
  )
}

async function logged(server: InsideServer, line: string): Promise<void> {
  await eventually(
    () => server.accessLog().split('\n').includes(line) || assert.fail(`${line} not in ${server.accessLog()}`),
  )
}

test('a refused connection, a closed one and an invalid head lead to the next peer; each is told', async t => {
  const gone = await origin(t)
  await gone.close()
  const closes = await origin(t, (_, socket) => void socket.end())
  const babbles = await origin(t, 'no http\r\n\r\n')
  const good = await origin(t)
  const peers = [gone, closes, babbles].map(one => `server ${one.path} weight=10;`).join(' ')
  const server = await proxy(
    t,
    `${peers} server ${good.path} backup;`,
    'proxy_next_upstream error timeout invalid_header;',
  )
  assert.equal((await request({ address: server.port })).status, 200)
  await logged(server, `200|${gone.path}, ${closes.path}, ${babbles.path}, ${good.path}|502, 502, 502, 200`)
  await eventually(() =>
    server.errorLog().includes('upstream server temporarily disabled while connecting to upstream, client:'),
  )
})

test('statuses are passed on to the next peer only if proxy_next_upstream names them; the last one is the answer', async t => {
  const busy = await origin(t, reply('busy', {}, '503 Service Unavailable'))
  const missing = await origin(t, reply('missing', {}, '404 Not Found'))
  const server = await proxy(
    t,
    `server ${busy.path} max_fails=0; server ${missing.path} backup;`,
    'proxy_next_upstream http_503 http_404;',
  )
  const response = await request({ address: server.port })
  assert.equal(response.status, 404)
  assert.equal(response.text, 'missing')
  await logged(server, `404|${busy.path}, ${missing.path}|503, 404`)
})

test('a POST that has been sent is not repeated unless non_idempotent is named', async t => {
  const closes = await origin(t, (_, socket) => void socket.end())
  const good = await origin(t)
  const peers = `server ${closes.path} max_fails=0; server ${good.path} backup;`
  const server = await proxy(
    t,
    peers,
    '',
    'location /again { proxy_pass http://u; proxy_next_upstream error non_idempotent; }',
  )
  assert.equal((await request({ address: server.port, method: 'POST', body: 'x' })).status, 502)
  assert.equal(good.requests.length, 0)
  assert.equal((await request({ address: server.port, path: '/again', method: 'POST', body: 'x' })).status, 200)
  assert.equal(good.requests[0]!.text, 'x')
})

test('proxy_next_upstream off and proxy_next_upstream_tries', async t => {
  const dead = await Promise.all(
    [0, 1, 2].map(async () => {
      const one = await origin(t)
      await one.close()
      return one
    }),
  )
  const good = await origin(t)
  const server = await proxy(
    t,
    `${dead.map(one => `server ${one.path} max_fails=0;`).join('')} server ${good.path} backup;`,
    'proxy_next_upstream off;',
    `location /two { proxy_pass http://u; proxy_next_upstream_tries 2; }`,
  )
  assert.equal((await request({ address: server.port })).status, 502)
  await eventually(() => /^502\|[^,]+\|502$/m.test(server.accessLog()))
  assert.equal((await request({ address: server.port, path: '/two' })).status, 502)
  await eventually(() => /^502\|[^,]+, [^,]+\|502, 502$/m.test(server.accessLog()))
})

test('all peers down: no live upstreams', async t => {
  const up = await origin(t)
  const server = await proxy(t, `server ${up.path} down; server ${up.path} down;`)
  assert.equal((await request({ address: server.port })).status, 502)
  await logged(server, '502|u|502')
  await eventually(() =>
    server
      .errorLog()
      .includes(
        'no live upstreams while connecting to upstream, client: 127.0.0.1, server: , request: "GET / HTTP/1.1", upstream: "http://u/", host: "localhost"',
      ),
  )
})

test('a failed peer is left alone for fail_timeout; a peer with max_fails=0 never is', async t => {
  const bad = await origin(t, (_, socket) => void socket.end())
  const good = await origin(t)
  const server = await proxy(t, `server ${bad.path}; server ${good.path};`)
  for (let i = 0; i < 6; i++) assert.equal((await request({ address: server.port })).status, 200)
  assert.equal(bad.requests.length, 1)
  const always = await proxy(t, `server ${bad.path} max_fails=0; server ${good.path};`)
  for (let i = 0; i < 6; i++) assert.equal((await request({ address: always.port })).status, 200)
  assert.ok(bad.requests.length > 2)
})

test('weights are kept to, smoothly', async t => {
  const a = await origin(t, reply('a'))
  const b = await origin(t, reply('b'))
  const c = await origin(t, reply('c'))
  const server = await proxy(t, `server ${a.path} weight=5; server ${b.path}; server ${c.path};`)
  const client = await raw(t, server.port)
  let order = ''
  for (let i = 0; i < 14; i++) order += (await client.request()).text
  assert.equal(order, 'aabacaaaabacaa')
})

test('least_conn sends to the peer with fewer requests; max_conns is a limit', async t => {
  const slow = await origin(t, () => {})
  const fast = await origin(t, reply('fast'))
  const server = await proxy(t, `least_conn; server ${slow.path} max_conns=1; server ${fast.path};`)
  const held = await raw(t, server.port)
  await held.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await eventually(() => slow.requests.length === 1)
  for (let i = 0; i < 4; i++) assert.equal((await request({ address: server.port })).text, 'fast')
})

test('ip_hash sends a client to one peer', async t => {
  const peers = await Promise.all([0, 1, 2].map(i => origin(t, reply(String(i)))))
  const server = await proxy(t, `ip_hash; ${peers.map(one => `server ${one.path};`).join('')}`)
  const answers = new Set<string>()
  for (let i = 0; i < 6; i++) answers.add((await request({ address: server.port })).text)
  assert.equal(answers.size, 1)
})

test('keep-alive: one connection for many requests; without a group a new one for each', async t => {
  const up = await origin(t)
  const server = await proxy(
    t,
    `server ${up.path}; keepalive 4;`,
    '',
    `location /one { proxy_pass http://${up.path}; }`,
  )
  const client = await raw(t, server.port)
  for (let i = 0; i < 10; i++) assert.equal((await client.request()).status, 200)
  assert.equal(up.accepted, 1)
  for (let i = 0; i < 3; i++) assert.equal((await client.request({ path: '/one' })).status, 200)
  assert.equal(up.accepted, 4)
})

test('keepalive_requests, Connection: close and keepalive 0 end connections', async t => {
  const up = await origin(t, request => reply('', request.target === '/close' ? { Connection: 'close' } : {}))
  const server = await proxy(t, `server ${up.path}; keepalive 4; keepalive_requests 3;`)
  const client = await raw(t, server.port)
  for (let i = 0; i < 6; i++) await client.request()
  assert.equal(up.accepted, 2)
  await client.request({ path: '/close' })
  await client.request()
  assert.equal(up.accepted, 4)
  const none = await proxy(t, `server ${up.path}; keepalive 0;`)
  const before = up.accepted
  for (let i = 0; i < 3; i++) await request({ address: none.port })
  assert.equal(up.accepted, before + 3)
})

test('keepalive_timeout closes an idle connection', async t => {
  const up = await origin(t)
  const server = await proxy(t, `server ${up.path}; keepalive 4; keepalive_timeout 100ms;`)
  await request({ address: server.port })
  assert.equal(up.accepted, 1)
  await eventually(() => up.open.size === 0)
})

test('no more idle connections than keepalive says', async t => {
  const waiting: (() => void)[] = []
  const up = await origin(t, (_, socket) => void waiting.push(() => socket.write(reply())))
  const server = await proxy(t, `server ${up.path}; keepalive 2;`)
  const answers = [0, 1, 2, 3, 4].map(() => request({ address: server.port }))
  await eventually(() => waiting.length === 5)
  for (const answer of waiting) answer()
  await Promise.all(answers)
  await eventually(() => up.open.size === 2)
})

test('an idle connection the upstream closes at the wrong moment: the request goes out again on a new one', async t => {
  const up = await origin(t, (request, socket) => {
    if (request.turn === 0) socket.write(reply('fresh'))
    else socket.destroy()
  })
  const server = await proxy(t, `server ${up.path};`)
  const client = await raw(t, server.port)
  for (let i = 0; i < 4; i++) assert.equal((await client.request()).text, 'fresh')
  // It is told as with nginx, though no client hears of it and the server is not blamed.
  const log = server.errorLog()
  assert.match(log, /upstream prematurely closed connection while reading response header from upstream/)
  assert.doesNotMatch(log, /temporarily disabled/)
})

test('a fast upstream is free while a slow client still reads; the temporary file is gone afterwards', async t => {
  const body = Buffer.alloc(6_000_000, 'payload')
  let sent = false
  const up = await origin(t, (_, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n`)
    socket.end(body, () => (sent = true))
  })
  const server = await proxy(t, `server ${up.path};`)
  const client = await raw(t, server.port)
  client.pause()
  await client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await eventually(() => sent && up.open.size === 0)
  client.resume()
  const response = await client.response()
  assert.equal(response.body.equals(body), true)
  await eventually(() => readdirSync(join(server.dir, 'temp')).length === 0)
  await eventually(() => server.errorLog().includes('an upstream response is buffered to a temporary file'))
})

for (const [name, directives, header] of [
  ['proxy_buffering off', 'proxy_buffering off;', {}],
  ['X-Accel-Buffering: no', '', { 'X-Accel-Buffering': 'no' }],
  ['proxy_max_temp_file_size 0', 'proxy_max_temp_file_size 0;', {}],
] as const) {
  test(`${name}: a slow client holds the upstream, and gets every byte`, async t => {
    const body = Buffer.alloc(30_000_000, 'payload')
    let sent = false
    const up = await origin(t, (_, socket) => {
      socket.write(reply('', { ...header, 'Content-Length': String(body.length) }))
      socket.write(body, () => (sent = true))
    })
    const server = await proxy(t, `server ${up.path};`, directives)
    const client = await raw(t, server.port)
    client.pause()
    await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await eventually(() => up.requests.length === 1)
    await new Promise(resolve => setTimeout(resolve, 300))
    assert.equal(sent, false)
    client.resume()
    const response = await client.response()
    assert.equal(response.body.equals(body), true)
    assert.doesNotMatch(server.errorLog(), /temporary file/)
  })
}

test('proxy_buffering off: the client sees each piece, and the head, as they come', async t => {
  const up = await origin(t, async (_, socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n')
    await eventually(() => step === 1)
    socket.write('3\r\none\r\n')
    await eventually(() => step === 2)
    socket.write('3\r\ntwo\r\n0\r\n\r\n')
  })
  let step = 0
  const server = await proxy(t, `server ${up.path};`, 'proxy_buffering off;')
  const client = await raw(t, server.port)
  await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await client.until('\r\n\r\n')
  step = 1
  await client.until('one')
  step = 2
  await client.until('two\r\n0\r\n\r\n')
})

test('an upgraded connection is a tunnel both ways, whole, and ends in both directions', async t => {
  const up = await origin(t, (request, socket) => {
    assert.equal(request.header('connection'), 'upgrade')
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nready')
    socket.pipe(socket)
  })
  const server = await proxy(
    t,
    `server ${up.path};`,
    'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection "upgrade";',
  )
  const client = await raw(t, server.port)
  await client.send('GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\nearly')
  const head = await client.until('\r\n\r\n')
  assert.match(head, /^HTTP\/1\.1 101 Switching Protocols\r\n/)
  assert.match(head, /\r\nUpgrade: echo\r\n/)
  assert.match(head, /\r\nConnection: upgrade\r\n/i)
  assert.doesNotMatch(head, /Transfer-Encoding|Content-Length/)
  await client.until('readyearly')
  const big = 'x'.repeat(3_000_000)
  const sending = client.send(big)
  await client.until(big)
  await sending
  await client.send('last words')
  client.end()
  assert.equal(await client.closed(), 'last words')
  await eventually(() => up.open.size === 0)
  await logged(server, `101|${up.path}|101`)
})

test('an idle tunnel ends after proxy_read_timeout', async t => {
  const up = await origin(t, 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
  const server = await proxy(
    t,
    `server ${up.path};`,
    'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; proxy_read_timeout 1s;',
  )
  const client = await raw(t, server.port)
  await client.send('GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
  await client.closed()
  await eventually(() => up.open.size === 0)
  await eventually(() => server.errorLog().includes('while proxying upgraded connection'))
})

for (const [conf, message] of [
  ['upstream a { }', 'no servers are inside upstream'],
  ['upstream a { server 127.0.0.1:0; }', 'invalid port in upstream "127.0.0.1:0"'],
  ['upstream a { server 127.0.0.1 weight=0; }', 'invalid parameter "weight=0"'],
  ['upstream a { ip_hash; server 127.0.0.1 backup; }', 'balancing method does not support parameter "backup"'],
  ['upstream a { server 127.0.0.1; } upstream a { server 127.0.0.1; }', 'duplicate upstream "a"'],
  ['server { location / { proxy_pass ftp://x; } }', 'invalid URL prefix'],
  ['server { location / { proxy_pass backend:8000; } }', 'invalid URL prefix'],
  [
    'server { location ~ /x { proxy_pass http://127.0.0.1/y; } }',
    '"proxy_pass" cannot have URI part in location given by regular expression, or inside named location, or inside "if" statement, or inside "limit_except" block',
  ],
  [
    'server { location / { if ($args) { proxy_pass http://127.0.0.1/y; } } }',
    '"proxy_pass" cannot have URI part in location given by regular expression, or inside named location, or inside "if" statement, or inside "limit_except" block',
  ],
  [
    'server { location / { limit_except GET { proxy_pass http://127.0.0.1/; } } }',
    '"proxy_pass" cannot have URI part in location given by regular expression, or inside named location, or inside "if" statement, or inside "limit_except" block',
  ],
  [
    'server { location / { proxy_redirect default; proxy_pass http://127.0.0.1; } }',
    '"proxy_redirect default" should be placed after the "proxy_pass" directive',
  ],
  [
    'server { location / { proxy_pass http://127.0.0.1; proxy_buffers 1 4k; } }',
    'there must be at least 2 "proxy_buffers"',
  ],
  [
    'upstream a { server 127.0.0.1; } server { location / { proxy_pass http://a:81; } }',
    'upstream "a" may not have port 81',
  ],
] as const) {
  test(`a configuration with ${conf} is refused`, t => {
    const dir = tempDir(t)
    writeFiles(dir, { 'a.conf': `events { } http { server { listen 127.0.0.1:8888; } ${conf} }`, 'logs/x': '' })
    const { status, stderr } = check(dir, 'a.conf')
    assert.equal(status, 1)
    assert.ok(stderr.includes(`[emerg] ${message} in `), stderr)
  })
}

test('a "proxy_pass" without "http://" is told what to say', t => {
  const dir = tempDir(t)
  writeFiles(dir, { 'a.conf': 'events { } http { server { location / { proxy_pass backend:8000; } } }', 'logs/x': '' })
  const { stderr } = check(dir, 'a.conf')
  assert.match(stderr, /invalid URL prefix in .*\n.*say "http:\/\/backend:8000"/)
})

for (const unix of [false, true]) {
  test(`Gunicorn over ${unix ? 'a Unix socket' : 'TCP'}`, async t => {
    if (!needs(t, 'gunicorn')) return
    const app = [
      'def app(environ, start_response):',
      '    body = environ["wsgi.input"].read()',
      '    start_response("200 OK", [("Content-Type", "text/plain"), ("X-Method", environ["REQUEST_METHOD"])])',
      '    return [environ["PATH_INFO"].encode(), b" ", body]',
    ].join('\n')
    const backend = await gunicorn(t, 'wsgi:app', {
      files: { 'wsgi.py': app },
      unix,
      args: ['-k', 'gthread', '--threads', '2'],
    })
    const server = await proxy(t, `server ${unix ? `unix:${backend.path}` : backend.path};`)
    const response = await request({ address: server.port, path: '/a%20b', method: 'POST', body: 'payload' })
    assert.equal(response.text, '/a b payload')
    assert.equal(response.header('x-method'), 'POST')
  })
}
