// What becomes of an upstream's response, and what its faults look like to the client and in the log.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import test from 'node:test'
import { eventually, origin, raw, reply, request } from '../../helpers/index.ts'
import type { Scope } from '../../helpers/index.ts'
import { serveInside } from '../../helpers/inside.ts'
import type { InsideServer } from '../../helpers/inside.ts'

function proxy(t: Scope, at: string, directives = ''): Promise<InsideServer> {
  return serveInside(
    t,
    `http { log_format up '$status $upstream_status $upstream_addr $upstream_response_length $upstream_http_x_a';
       access_log access.log up;
       upstream u { server ${at}; }
       server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass http://u; ${directives} } } }`,
  )
}

async function byteByByte(socket: net.Socket, text: string): Promise<void> {
  for (const byte of text) {
    socket.write(Buffer.from(byte, 'latin1'))
    await new Promise(resolve => setImmediate(resolve))
  }
}

for (const [name, text, body, length] of [
  ['length', 'HTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 5\r\n\r\nhello', 'hello', 5],
  [
    'chunks',
    'HTTP/1.1 200 OK\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n',
    'hello',
    // With its framing, as nginx counts.
    24,
  ],
  [
    'interim heads',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nX-A: 1\r\nContent-Length: 2\r\n\r\nok',
    'ok',
    2,
  ],
] as const) {
  test(`a response with ${name} is the same whole and byte by byte`, async t => {
    const up = await origin(t, (request, socket) => (request.target === '/whole' ? text : byteByByte(socket, text)))
    const server = await proxy(t, up.path)
    for (const path of ['/whole', '/bytes', '/bytes', '/whole']) {
      const response = await request({ address: server.port, path })
      assert.equal(response.status, 200)
      assert.equal(response.header('x-a'), '1')
      assert.equal(response.text, body)
    }
    assert.equal(up.accepted, 1, 'one connection for all')
    await eventually(() => server.accessLog().split('\n').length === 5)
    assert.equal(server.accessLog().split('\n')[0], `200 ${/103/.test(text) ? 103 : 200} ${up.path} ${length} 1`)
  })
}

test('a response in two pieces, cut at every byte', async t => {
  const text = 'HTTP/1.1 200 OK\r\nX-A: 1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n'
  const up = await origin(t, async (request, socket) => {
    const at = Number(request.target.slice(1))
    socket.write(text.slice(0, at))
    await new Promise(resolve => setImmediate(resolve))
    await new Promise(resolve => setImmediate(resolve))
    socket.write(text.slice(at))
  })
  const server = await proxy(t, up.path)
  const client = await raw(t, server.port)
  for (let at = 1; at < text.length; at++) {
    const response = await client.request({ path: `/${at}` })
    assert.equal(response.text, 'hello', `cut at ${at}`)
  }
})

test('a body until close, and one of an HTTP/1.0 server', async t => {
  const up = await origin(t, (request, socket) => {
    socket.end(
      request.target === '/10' ? 'HTTP/1.0 200 OK\r\n\r\nold' : 'HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nnew',
    )
  })
  const server = await proxy(t, up.path)
  assert.equal((await request({ address: server.port, path: '/10' })).text, 'old')
  const response = await request({ address: server.port, path: '/11' })
  assert.equal(response.text, 'new')
  assert.equal(response.header('transfer-encoding'), 'chunked')
})

test('HEAD, 204 and 304 have no body, and the connection is used again', async t => {
  const up = await origin(t, request => {
    if (request.target === '/204') return 'HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n'
    if (request.target === '/304') return 'HTTP/1.1 304 Not Modified\r\nETag: "x"\r\n\r\n'
    return 'HTTP/1.1 200 OK\r\nContent-Length: 12345\r\n\r\n'
  })
  const server = await proxy(t, up.path)
  const client = await raw(t, server.port)
  const head = await client.request({ method: 'HEAD' })
  assert.equal(head.header('content-length'), '12345')
  assert.equal((await client.request({ path: '/204' })).status, 204)
  assert.equal((await client.request({ path: '/304' })).header('etag'), '"x"')
  assert.equal((await client.request({ method: 'HEAD' })).status, 200)
  assert.equal(up.accepted, 1)
})

test('status lines and fields go on as the upstream spells them; its Date, Server and X-Accel fields do not', async t => {
  const up = await origin(
    t,
    'HTTP/1.1 299 Very Odd\r\nServer: secret\r\nDate: never\r\nX-Accel-Expires: 1\r\nX-Pad: x\r\nsEt-cOOkie: a=1\r\n' +
      'Set-Cookie: b=2\r\nContent-Type: text/x; charset=q\r\nKeep-Alive: timeout=3\r\nConnection: keep-alive\r\n' +
      'X-Hidden: h\r\nContent-Length: 0\r\n\r\n',
  )
  const server = await proxy(t, up.path, 'proxy_hide_header X-Hidden; proxy_pass_header X-Pad;')
  const client = await raw(t, server.port)
  const response = await client.request()
  assert.equal(response.startLine, 'HTTP/1.1 299 Very Odd')
  assert.deepEqual(
    response.headers.filter(([name]) => !['Server', 'Date'].includes(name)),
    [
      ['Content-Type', 'text/x; charset=q'],
      ['Content-Length', '0'],
      ['Connection', 'keep-alive'],
      ['X-Pad', 'x'],
      ['sEt-cOOkie', 'a=1'],
      ['Set-Cookie', 'b=2'],
    ],
  )
  assert.notEqual(response.header('server'), 'secret')
  assert.notEqual(response.header('date'), 'never')
})

test('proxy_pass_header Server and Date', async t => {
  const up = await origin(t, reply('', { Server: 'theirs', Date: 'then' }))
  const server = await proxy(t, up.path, 'proxy_pass_header Server; proxy_pass_header Date;')
  const response = await request({ address: server.port })
  assert.equal(response.header('server'), 'theirs')
  assert.equal(response.header('date'), 'then')
})

for (const [name, answer, logged] of [
  ['garbage', 'what is this\r\n\r\n', 'upstream sent no valid HTTP/1.0 header'],
  [
    'a field name with a space',
    'HTTP/1.1 200 OK\r\nBad Name: x\r\n\r\n',
    'upstream sent invalid header: "Bad\\x20..."',
  ],
  [
    'two lengths',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
    'upstream sent duplicate header line: "Content-Length: 2", previous value: "Content-Length: 1"',
  ],
  [
    'length and chunked',
    'HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na',
    'upstream sent "Content-Length" and "Transfer-Encoding" headers at the same time',
  ],
  [
    'an unknown coding',
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n',
    'upstream sent unknown "Transfer-Encoding": "gzip, chunked"',
  ],
  [
    'a length that is none',
    'HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n',
    'upstream sent invalid "Content-Length" header: "Content-Length: -1"',
  ],
  [
    'a head beyond proxy_buffer_size',
    `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(5000)}\r\n\r\n`,
    'upstream sent too big header',
  ],
  [
    'interim heads without end',
    'HTTP/1.1 102 Processing\r\n\r\n'.repeat(200),
    'upstream sent too many interim responses',
  ],
  [
    '101 nobody asked for',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n',
    'upstream switched protocols without being asked',
  ],
] as const) {
  test(`${name}: 502`, async t => {
    const up = await origin(t, answer)
    const server = await proxy(t, up.path)
    assert.equal((await request({ address: server.port, path: '/p?q' })).status, 502)
    const line = `${logged} while reading response header from upstream, client: 127.0.0.1, server: , request: "GET /p?q HTTP/1.1", upstream: "http://${up.path}/p?q", host: "localhost"`
    await eventually(() => server.errorLog().includes(line) || assert.fail(server.errorLog()))
  })
}

test('in place of a 101 that nobody asked for there is a 502 without a body, unless error_page has one', async t => {
  const up = await origin(t, 'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello')
  const server = await serveInside(
    t,
    `http { log_format up '$status $body_bytes_sent'; access_log access.log up;
       server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass http://${up.path}; }
         location /page { proxy_pass http://${up.path}; error_page 502 /own; } location = /own { return 200 own; } } }`,
  )
  const bare = await request({ address: server.port })
  assert.deepEqual([bare.status, bare.header('content-length'), bare.text], [502, '0', ''])
  const page = await request({ address: server.port, path: '/page' })
  assert.deepEqual([page.status, page.text], [502, 'own'])
  await eventually(() => server.accessLog() === '502 0\n502 3\n')
})

for (const [name, answer] of [
  ['the length promises', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'],
  ['the chunks promise', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\na\r\nhalf'],
] as const) {
  test(`a body shorter than ${name}: the client is cut off`, async t => {
    const up = await origin(t, (_, socket) => void socket.end(answer))
    const server = await proxy(t, up.path)
    const client = await raw(t, server.port)
    await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    const text = await client.closed()
    assert.match(text, /^HTTP\/1\.1 200 OK\r\n/)
    assert.doesNotMatch(text, /\r\n0\r\n\r\n$/)
    await eventually(() =>
      server.errorLog().includes('upstream prematurely closed connection while reading upstream, client:'),
    )
  })
}

test('invalid chunks cut the client off', async t => {
  const up = await origin(t, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n')
  const server = await proxy(t, up.path)
  const client = await raw(t, server.port)
  await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.doesNotMatch(await client.closed(), /\r\n0\r\n\r\n$/)
  await eventually(() => server.errorLog().includes('upstream sent invalid chunked response'))
})

test('more data than the length says is dropped, and the connection not used again', async t => {
  const up = await origin(
    t,
    'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong',
  )
  const server = await proxy(t, up.path)
  const client = await raw(t, server.port)
  assert.equal((await client.request()).text, 'ok')
  assert.equal((await client.request()).text, 'ok')
  assert.equal(up.accepted, 2)
  await eventually(() =>
    server.errorLog().includes('upstream sent more data than specified in "Content-Length" header'),
  )
})

test('data on an idle connection closes it', async t => {
  const up = await origin(t, (_, socket) => {
    socket.write(reply('one'))
    setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong'), 30)
  })
  const server = await proxy(t, up.path)
  const client = await raw(t, server.port)
  assert.equal((await client.request()).text, 'one')
  await eventually(() => up.open.size === 0)
  assert.equal((await client.request()).text, 'one')
})

test("nobody listens: 502 and nginx's words", async t => {
  const up = await origin(t)
  await up.close()
  const server = await proxy(t, up.path)
  assert.equal((await request({ address: server.port })).status, 502)
  const line = `connect() failed (111: Connection refused) while connecting to upstream, client: 127.0.0.1, server: , request: "GET / HTTP/1.1", upstream: "http://${up.path}/", host: "localhost"`
  await eventually(() => server.errorLog().includes(line) || assert.fail(server.errorLog()))
})

test('an upstream that closes without a word: 502', async t => {
  const up = await origin(t, (_, socket) => void socket.end())
  const server = await proxy(t, up.path)
  assert.equal((await request({ address: server.port })).status, 502)
  await eventually(() =>
    server.errorLog().includes('upstream prematurely closed connection while reading response header from upstream'),
  )
})

test('an upstream that says nothing: 504 after proxy_read_timeout', async t => {
  const up = await origin(t, () => {})
  const server = await proxy(t, up.path, 'proxy_read_timeout 200ms;')
  assert.equal((await request({ address: server.port })).status, 504)
  await eventually(() =>
    server
      .errorLog()
      .includes('upstream timed out (110: Connection timed out) while reading response header from upstream'),
  )
  await eventually(() => up.open.size === 0)
})

test('an upstream that stops in the middle of a body: the client is cut off after proxy_read_timeout', async t => {
  const up = await origin(t, (_, socket) => void socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'))
  const server = await proxy(t, up.path, 'proxy_read_timeout 1s;')
  const client = await raw(t, server.port)
  await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.match(await client.closed(), /half$/)
  await eventually(() => server.errorLog().includes('(110: Connection timed out) while reading upstream'))
})

test('a client that leaves before the answer: 499, and the upstream connection is closed', async t => {
  const up = await origin(t, () => {})
  const server = await proxy(t, up.path)
  const client = await raw(t, server.port)
  await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  await eventually(() => up.requests.length === 1)
  client.destroy()
  await eventually(() => up.open.size === 0)
  await eventually(() => server.accessLog().startsWith('499 - '))
})

for (const how of ['closes', 'resets'] as const) {
  test(`proxy_ignore_client_abort on: the request is gone through with when its client ${how} the connection`, async t => {
    let answer = (): void => {}
    const up = await origin(t, (_, socket) => {
      answer = () => void socket.write(reply('late'))
    })
    const server = await proxy(t, up.path, 'proxy_ignore_client_abort on;')
    const client = net.connect(server.port, '127.0.0.1')
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await eventually(() => up.requests.length === 1)
    if (how === 'closes') client.destroy()
    else client.resetAndDestroy()
    await once(client, 'close')
    if (how === 'resets') await eventually(() => /client closed connection/.test(server.errorLog()))
    assert.equal(server.accessLog(), '')
    answer()
    await eventually(() => server.accessLog() !== '')
    assert.equal(server.accessLog(), `200 200 ${up.path} 4 -\n`)
    assert.equal(up.open.size, 1, 'the connection was good and is kept')
  })
}

test('proxy_redirect: default, off, pairs and patterns', async t => {
  const up = await origin(t, request =>
    reply(
      '',
      { Location: request.header('x-location')!, Refresh: `3; url=${request.header('x-location')}` },
      '302 Found',
    ),
  )
  const server = await serveInside(
    t,
    `http { server { listen 127.0.0.1:%%PORT_0%%;
       location /default/ { proxy_pass http://${up.path}/base/; }
       location /off/ { proxy_pass http://${up.path}/base/; proxy_redirect off; }
       location /pairs/ { proxy_pass http://${up.path}; proxy_redirect http://a.example/ /a/; proxy_redirect ~*^http://B\\.example/(?<tail>.*)x(.)$ http://$host/$2/$tail; }
     } }`,
  )
  const where = async (path: string, location: string): Promise<string | null> =>
    (await request({ address: server.port, path, headers: { Host: 'front', 'X-Location': location } })).header(
      'location',
    )
  assert.equal(await where('/default/', `http://${up.path}/base/x`), `http://front:${server.port}/default/x`)
  assert.equal(await where('/default/', `http://elsewhere/x`), 'http://elsewhere/x')
  assert.equal(await where('/default/', `/relative`), '/relative')
  assert.equal(await where('/off/', `http://${up.path}/base/x`), `http://${up.path}/base/x`)
  assert.equal(await where('/pairs/', 'http://a.example/x'), `http://front:${server.port}/a/x`)
  assert.equal(await where('/pairs/', 'http://b.example/y/x9'), 'http://front/9/y/')
  const refresh = await request({
    address: server.port,
    path: '/default/',
    headers: { 'X-Location': `http://${up.path}/base/r` },
  })
  assert.equal(refresh.header('refresh'), '3; url=/default/r')
})

test('proxy_cookie_domain and proxy_cookie_path', async t => {
  const up = await origin(t, reply('', { 'Set-Cookie': 'a=b; Domain=.up.example; Path=/app/x; Secure' }))
  const server = await proxy(
    t,
    up.path,
    'proxy_cookie_domain up.example $host; proxy_cookie_path ~^/app(.*)$ /front$1;',
  )
  const response = await request({ address: server.port, headers: { Host: 'me' } })
  assert.equal(response.header('set-cookie'), 'a=b; Domain=.me; Path=/front/x; Secure')
})

test('$upstream_cookie_ and several values of one field', async t => {
  const up = await origin(
    t,
    'HTTP/1.1 200 OK\r\nSet-Cookie: sid=abc; Path=/\r\nVia: a\r\nVia: b\r\nContent-Length: 0\r\n\r\n',
  )
  const server = await serveInside(
    t,
    `http { log_format x '$upstream_cookie_sid|$upstream_http_via|$upstream_http_none'; access_log access.log x;
       server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass http://${up.path}; } } }`,
  )
  await request({ address: server.port })
  await eventually(() => server.accessLog() === 'abc|a, b|-\n' || assert.fail(server.accessLog()))
})

test('of fields that there can be one of, the first is passed on', async t => {
  const fields = ['Expires', 'Date', 'Server', 'ETag', 'Last-Modified', 'Location', 'Content-Type']
  const text = fields.map(name => `${name}: "1"\r\n${name}: "2"\r\n`).join('')
  const up = await origin(t, (_request, socket) => {
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: 0\r\n${text}\r\n`)
  })
  const server = await proxy(t, up.path, 'proxy_pass_header Date; proxy_pass_header Server;')
  const response = await request({ address: server.port })
  for (const name of fields) assert.equal(response.header(name.toLowerCase()), '"1"', name)
  assert.doesNotMatch(response.head, /"2"/)
})

test('a kept connection that breaks within a response head is no reason to fail', async t => {
  let seen = 0
  const up = await origin(t, (_request, socket) => {
    if (++seen === 2) socket.end('HTTP/1.1 200')
    else socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
  })
  const server = await serveInside(
    t,
    `http { upstream u { server ${up.path}; keepalive 1; }
       server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass http://u; proxy_set_header Connection ""; } } }`,
  )
  for (let i = 0; i < 3; i++) assert.equal((await request({ address: server.port })).text, 'ok')
  assert.deepEqual([seen, up.accepted], [4, 2])
})

test('$proxy_host is unknown where an error page is not proxied', async t => {
  const server = await serveInside(
    t,
    `http { log_format p '$uri $proxy_host'; access_log access.log p;
       server { listen 127.0.0.1:%%PORT_0%%; error_page 502 /page;
         location / { proxy_pass http://127.0.0.1:1; } location /page { return 200 page; } } }`,
  )
  await request({ address: server.port, path: '/' })
  await eventually(() => server.accessLog() === '/page -\n')
})
