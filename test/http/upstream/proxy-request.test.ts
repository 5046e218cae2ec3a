// What an upstream is sent: fields, framing, bodies from memory, from a file and as they come.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, truncateSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { atEnd, eventually, origin, raw, reply, request } from '../../helpers/index.ts'
import type { Scope } from '../../helpers/index.ts'
import { serveInside } from '../../helpers/inside.ts'
import type { InsideServer } from '../../helpers/inside.ts'

function proxy(t: Scope, at: string, directives = '', http = ''): Promise<InsideServer> {
  return serveInside(
    t,
    `http { client_body_temp_path %%DIR%%/body; ${http}
       server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass ${at}; ${directives} } } }`,
  )
}

test("the client's fields go on in their order and spelling, without those that end at this hop", async t => {
  const up = await origin(t)
  const server = await proxy(t, `http://${up.path}`)
  await request({
    address: server.port,
    headers: {
      Host: 'a.example',
      'X-First': '1',
      Connection: 'close',
      'Keep-Alive': 'timeout=5',
      'Proxy-Connection': 'keep-alive',
      TE: 'trailers',
      Upgrade: 'x',
      'x-SECOND': '  two  words ',
      Cookie: ['a=1', 'b=2'],
    },
  })
  assert.equal(
    up.requests[0]!.head,
    `GET / HTTP/1.1\r\nHost: ${up.path}\r\nX-First: 1\r\nx-SECOND: two  words\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n`,
  )
})

test('proxy_set_header replaces, adds, and removes where the value is empty', async t => {
  const up = await origin(t)
  const server = await proxy(
    t,
    `http://${up.path}`,
    `proxy_set_header Host $host; proxy_set_header X-Constant yes; proxy_set_header X-Real-IP $remote_addr;
     proxy_set_header X-Empty ""; proxy_set_header X-Gone $http_x_nothing; proxy_set_header Connection close;
     proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-At $proxy_host:$proxy_port;`,
  )
  await request({
    address: server.port,
    headers: { Host: 'A.example:1', 'X-Empty': 'x', 'X-Gone': 'y', 'x-constant': 'no', 'X-Forwarded-For': '1.2.3.4' },
  })
  assert.equal(
    up.requests[0]!.head,
    `GET / HTTP/1.1\r\nHost: a.example\r\nX-Constant: yes\r\nX-Real-IP: 127.0.0.1\r\nConnection: close\r\n` +
      `X-Forwarded-For: 1.2.3.4, 127.0.0.1\r\nX-At: ${up.path}:${up.port}\r\n\r\n`,
  )
})

test('proxy_set_header is inherited as a whole or not at all', async t => {
  const up = await origin(t)
  const server = await serveInside(
    t,
    `http { proxy_set_header X-Outer 1; server { listen 127.0.0.1:%%PORT_0%%;
       location /a { proxy_pass http://${up.path}; }
       location /b { proxy_pass http://${up.path}; proxy_set_header X-Inner 2; } } }`,
  )
  await request({ address: server.port, path: '/a' })
  await request({ address: server.port, path: '/b' })
  assert.deepEqual(
    up.requests.map(one => [one.header('x-outer'), one.header('x-inner')]),
    [
      ['1', null],
      [null, '2'],
    ],
  )
})

test('proxy_http_version 1.0, proxy_method and proxy_set_body', async t => {
  const up = await origin(t)
  const server = await proxy(
    t,
    `http://${up.path}`,
    'proxy_http_version 1.0; proxy_method PUT; proxy_set_body "uri=$uri";',
  )
  await request({ address: server.port, path: '/x', method: 'POST', body: 'dropped' })
  const [seen] = up.requests
  assert.equal(seen!.startLine, 'PUT /x HTTP/1.0')
  assert.equal(seen!.text, 'uri=/x')
  assert.equal(seen!.header('content-length'), '6')
})

test('a request head without Host gets $proxy_host', async t => {
  const up = await origin(t)
  const server = await proxy(t, 'http://backend/base/', '', `upstream backend { server ${up.path}; }`)
  await request({ address: server.port, version: '1.0' })
  assert.equal(up.requests[0]!.head, 'GET /base/ HTTP/1.1\r\nHost: backend\r\n\r\n')
})

test('a chunked upload is collected and sent with its length', async t => {
  const up = await origin(t)
  const server = await proxy(t, `http://${up.path}`)
  const client = await raw(t, server.port)
  await client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
  await client.send('4\r\ndefg\r\n0\r\n\r\n')
  assert.equal((await client.response()).status, 200)
  assert.equal(up.requests[0]!.text, 'abcdefg')
  assert.equal(up.requests[0]!.header('content-length'), '7')
  assert.equal(up.requests[0]!.header('transfer-encoding'), null)
})

test('an empty POST keeps its Content-Length: 0, a GET has none', async t => {
  const up = await origin(t)
  const server = await proxy(t, `http://${up.path}`)
  await request({ address: server.port, method: 'POST' })
  await request({ address: server.port })
  assert.deepEqual(
    up.requests.map(one => one.header('content-length')),
    ['0', null],
  )
})

test('proxy_pass_request_headers and proxy_pass_request_body off send neither', async t => {
  const up = await origin(t)
  const server = await proxy(t, `http://${up.path}`, 'proxy_pass_request_headers off; proxy_pass_request_body off;')
  await request({ address: server.port, method: 'POST', body: 'x', headers: { 'X-A': '1' } })
  assert.equal(up.requests[0]!.head, `POST / HTTP/1.1\r\nHost: ${up.path}\r\nContent-Length: 0\r\n\r\n`)
})

test('an upload larger than client_body_buffer_size goes through a file, which is gone afterwards', async t => {
  const up = await origin(t)
  const server = await proxy(t, `http://${up.path}`, 'client_body_buffer_size 8k; client_max_body_size 20m;')
  const body = Buffer.alloc(3_000_000, 'upload')
  const response = await request({ address: server.port, method: 'PUT', body })
  assert.equal(response.status, 200)
  assert.equal(up.requests[0]!.body.equals(body), true)
  await eventually(() => readdirSync(join(server.dir, 'body')).length === 0)
})

test('an upload from a file is sent again to the next peer', async t => {
  const bad = await origin(t, (_, socket) => void socket.destroy())
  const good = await origin(t)
  const server = await proxy(
    t,
    'http://u',
    'client_body_buffer_size 8k;',
    `upstream u { server ${bad.path}; server ${good.path} backup; }`,
  )
  const body = Buffer.alloc(200_000, 'again')
  assert.equal((await request({ address: server.port, method: 'PUT', body })).status, 200)
  assert.equal(good.requests[0]!.body.equals(body), true)
})

test('proxy_request_buffering off: the upstream sees the body before the client has sent it all', async t => {
  const up = await origin(t, request => reply(request.text))
  const server = await proxy(t, `http://${up.path}`, 'proxy_request_buffering off;')
  const client = await raw(t, server.port)
  await client.send('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc')
  const socket = await eventually(() => [...up.open][0])
  await eventually(() => socket!.bytesRead > 0)
  await client.send('def')
  const response = await client.response()
  assert.equal(response.text, 'abcdef')
  assert.equal(up.requests[0]!.header('content-length'), '6')
})

test('proxy_request_buffering off: a chunked body stays chunked', async t => {
  const up = await origin(t, request => reply(request.text))
  const server = await proxy(t, `http://${up.path}`, 'proxy_request_buffering off;')
  const client = await raw(t, server.port)
  await client.send('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n')
  await eventually(() => up.open.size > 0)
  await client.send('2\r\nde\r\n0\r\n\r\n')
  assert.equal((await client.response()).text, 'abcde')
  assert.equal(up.requests[0]!.header('transfer-encoding'), 'chunked')
  assert.equal(up.requests[0]!.header('content-length'), null)
})

test('proxy_request_buffering off: a large upload passes whole through an upstream that reads slowly', async t => {
  const up = await origin(t, request => reply(String(request.body.length)))
  const server = await proxy(t, `http://${up.path}`, 'proxy_request_buffering off; client_max_body_size 0;')
  const client = await raw(t, server.port)
  const size = 8_000_000
  const sending = client.send(
    Buffer.concat([
      Buffer.from(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`),
      Buffer.alloc(size, 'x'),
    ]),
  )
  const socket = await eventually(() => [...up.open][0])
  socket!.pause()
  setTimeout(() => socket!.resume(), 200)
  await sending
  assert.equal((await client.response()).text, String(size))
})

test('a body whose file is cut short while it is sent is a 500, and told', async t => {
  const server = net.createServer({ pauseOnConnect: true }, socket => void socket.on('error', () => {}))
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const connected = once(server, 'connection') as Promise<[net.Socket]>
  atEnd(t, () => server.close())
  const { port } = server.address() as net.AddressInfo
  const portico = await proxy(t, `http://127.0.0.1:${port}`, 'client_max_body_size 0;')
  const client = await raw(t, portico.port)
  const size = 40_000_000
  client.socket.write(`PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: ${size}\r\n\r\n`)
  client.socket.write(Buffer.alloc(size, 'x'))
  const [socket] = await connected
  const [file] = readdirSync(join(portico.dir, 'body'))
  truncateSync(join(portico.dir, 'body', file!), 100)
  socket.resume()
  assert.equal((await client.response()).status, 500)
  await eventually(() => /\[crit\].*request body file ".*" was truncated at \d+/.test(portico.errorLog()))
})

test('line ends that a client smuggles into variables end no line', async t => {
  const up = await origin(t, reply('', { Location: 'http://x/' }, '302 Found'))
  const server = await serveInside(
    t,
    `http { server { listen 127.0.0.1:%%PORT_0%%;
       location /f { proxy_pass http://${up.path}; proxy_set_header X-Uri $uri; proxy_redirect http://x/ $uri; }
       location /v { proxy_pass http://${up.path}$uri; } } }`,
  )
  const response = await request({ address: server.port, path: '/f%0d%0aX-Evil:%201' })
  assert.equal(response.header('x-evil'), null)
  await request({ address: server.port, path: '/v%20HTTP/1.1%0d%0aX-Evil:%201' })
  assert.equal(up.requests[0]!.header('x-uri'), '/f  X-Evil: 1')
  assert.equal(up.requests[1]!.target, '/v%20HTTP/1.1%0D%0AX-Evil:%201')
  assert.ok(up.requests.every(one => one.header('x-evil') === null))
})

test('an unbuffered body that has come with the head has its length, and a broken one reaches no upstream', async t => {
  const up = await origin(t)
  const server = await proxy(t, `http://${up.path}`, 'proxy_request_buffering off;')
  const head = 'POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n'
  const broken = await raw(t, server.port)
  await broken.send(`${head}3\r\nabcd\r\n0\r\n\r\n`)
  assert.match(await broken.closed(), /^HTTP\/1\.1 400 /)
  assert.equal(up.accepted, 0)
  const client = await raw(t, server.port)
  await client.send(`${head}3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n`)
  assert.match(await client.closed(), /^HTTP\/1\.1 200 /)
  assert.equal(up.requests[0]!.head, `POST / HTTP/1.1\r\nHost: ${up.path}\r\nContent-Length: 5\r\n\r\n`)
})

test('who expects 100 Continue is told so even if the body has come with the head', async t => {
  const up = await origin(t)
  for (const buffering of ['on', 'off']) {
    const server = await proxy(t, `http://${up.path}`, `proxy_request_buffering ${buffering};`)
    const client = await raw(t, server.port)
    await client.send(
      'POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc',
    )
    assert.match(await client.closed(), /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /)
  }
})

test('arguments that were set are what the upstream is asked', async t => {
  const up = await origin(t)
  const server = await proxy(t, `http://${up.path}`, 'set $args $arg_to;')
  for (const path of ['/a%20b?to=x', '/a?other', '/a', '/a?to=']) await request({ address: server.port, path })
  assert.deepEqual(
    up.requests.map(({ target }) => target),
    ['/a%20b?x', '/a', '/a', '/a'],
  )
})

test('what an upstream says to a part of a refused body is not the answer', async t => {
  const refusing = await origin(t, () => 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate')
  const page = await origin(t, reply('page'))
  const server = await proxy(
    t,
    `http://${refusing.path}`,
    `proxy_request_buffering off; client_max_body_size 4; error_page 400 413 @page; } location @page { proxy_pass http://${page.path};`,
  )
  for (const rest of ['3\r\ndef\r\n', 'zz\r\n']) {
    const client = await raw(t, server.port)
    const before = refusing.accepted
    await client.send(
      'POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n',
    )
    await eventually(() => refusing.accepted === before + 1)
    await client.send(rest)
    assert.match(await client.closed(), /^HTTP\/1\.1 4[\s\S]*page$/)
  }
})
