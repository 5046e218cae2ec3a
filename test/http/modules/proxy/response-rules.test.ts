// What a location makes of an upstream's response besides passing it on: where it is bound to, how fast it is read, that it is
// stored, cut, and followed by trailers.

import assert from 'node:assert/strict'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get, origin, raw, reply, request } from '../../../helpers/index.ts'
import { serveHttp as serveWithout } from '../../../helpers/http.ts'
import type { HttpOptions, HttpServer } from '../../../helpers/http.ts'
import type { Scope } from '../../../helpers/index.ts'

const OK = 'HTTP/1.1 200 OK\r\n'

/** With the temporary folder that the master makes elsewhere. */
async function serveHttp(t: Scope, body: string, http = '', options: HttpOptions = {}): Promise<HttpServer> {
  const server = await serveWithout(t, body, http, options)
  mkdirSync(join(server.dir, 'proxy_temp'))
  return server
}

/** It takes less than that, at least once in a few times: what others do on the machine is not ours. */
async function quick(ms: number, run: () => Promise<void>): Promise<void> {
  let best = Infinity
  for (let round = 0; round < 6 && best >= ms; round++) {
    const start = performance.now()
    await run()
    best = Math.min(best, performance.now() - start)
  }
  assert.ok(best < ms, `${best} ms`)
}

test('proxy_bind: connections come from that address, from variables too, and `off` undoes it', async t => {
  const from: string[] = []
  const up = await origin(t, (_request, socket) => {
    from.push(socket.remoteAddress!)
    return reply()
  })
  const to = `proxy_pass http://${up.path};`
  const server = await serveHttp(
    t,
    `proxy_bind 127.0.0.2; add_header X-Up "<$upstream_addr>" always;
     location /a { ${to} } location /b { proxy_bind 127.0.0.3; ${to} } location /off { proxy_bind off; ${to} }
     location /var { proxy_bind $arg_from; ${to} } location /none { proxy_bind 192.0.2.1; ${to} }`,
  )
  for (const path of ['/a', '/b', '/off', '/var?from=127.0.0.4', '/var?from=nonsense', '/var'])
    assert.equal((await get(server.port, path)).status, 200)
  assert.deepEqual(from, ['127.0.0.2', '127.0.0.3', '127.0.0.1', '127.0.0.4', '127.0.0.1', '127.0.0.1'])
  assert.match(server.errorLog(), /invalid local address "nonsense"/)
  const none = await get(server.port, '/none')
  assert.deepEqual([none.status, none.header('x-up')], [500, '<>'])
  assert.match(server.errorLog(), /\[crit\].*bind\(192\.0\.2\.1\) failed \(99: Cannot assign requested address\)/)
})

test('proxy_bind: connections of different addresses are not taken for each other', async t => {
  const from: string[] = []
  const up = await origin(t, (_request, socket) => {
    from.push(socket.remoteAddress!)
    return reply()
  })
  const server = await serveHttp(
    t,
    'location / { proxy_bind $arg_from; proxy_pass http://up; }',
    `upstream up { server ${up.path}; }`,
  )
  for (const address of ['127.0.0.2', '127.0.0.3', '127.0.0.2', '127.0.0.3'])
    await get(server.port, `/?from=${address}`)
  assert.deepEqual(from, ['127.0.0.2', '127.0.0.3', '127.0.0.2', '127.0.0.3'])
  assert.equal(up.accepted, 2)
})

test('proxy_bind: an address that need not be ours may be ours, and no other word follows it', async t => {
  const from: string[] = []
  const up = await origin(t, (_request, socket) => {
    from.push(socket.remoteAddress!)
    return reply()
  })
  const server = await serveHttp(t, `location / { proxy_bind $arg_from transparent; proxy_pass http://${up.path}; }`)
  assert.equal((await get(server.port, '/?from=127.0.0.3')).status, 200)
  assert.equal((await get(server.port, '/?from=nobody')).status, 200)
  assert.deepEqual(from, ['127.0.0.3', '127.0.0.1'])
  await assert.rejects(
    serveHttp(t, 'location / { proxy_bind 127.0.0.1 opaque; proxy_pass http://127.0.0.1:1; }'),
    /invalid parameter "opaque"/,
  )
  await assert.rejects(
    serveHttp(t, 'location / { proxy_bind 1.2.3; proxy_pass http://127.0.0.1:1; }'),
    /invalid address "1.2.3"/,
  )
})

test('proxy_limit_rate: a response is read no faster, and arrives whole', async t => {
  const body = 'x'.repeat(30_000)
  const up = await origin(t, request => (request.target === '/close' ? '' : reply(body)))
  const server = await serveHttp(t, `proxy_limit_rate $arg_rate; location / { proxy_pass http://${up.path}; }`)
  // The second's worth of the present second goes at once, that of the next one with it if it begins just then.
  const start = performance.now()
  assert.equal((await get(server.port, '/?rate=10000')).text, body)
  const between = performance.now() - start
  assert.ok(between >= 450, `30 kB at 10 kB a second took ${between} ms`)
  for (const path of ['/', '/?rate=0']) {
    await quick(450, async () => assert.equal((await get(server.port, path)).text, body))
  }
})

test('proxy_limit_rate: a body that ends with its connection is whole, and a client that leaves ends it', async t => {
  const body = 'x'.repeat(10_000)
  const up = await origin(t, (_request, socket) => void socket.end(`${OK}Connection: close\r\n\r\n${body}`))
  const server = await serveHttp(t, `proxy_limit_rate 20k; location / { proxy_pass http://${up.path}; }`)
  assert.equal((await get(server.port)).text, body)
  const client = await raw(t, server.port)
  await client.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
  await client.until('\r\n\r\n')
  client.destroy()
  await eventually(() => up.open.size === 0)
})

test('X-Accel-Limit-Rate: the client gets it no faster, unless it is ignored or not buffered', async t => {
  const body = 'x'.repeat(6000)
  const up = await origin(t, request => {
    const unbuffered = request.target === '/unbuffered' ? { 'X-Accel-Buffering': 'no' } : {}
    return reply(body, { 'X-Accel-Limit-Rate': '2000', ...unbuffered })
  })
  const server = await serveHttp(
    t,
    `location / { proxy_pass http://${up.path}; }
     location /ignored { proxy_pass http://${up.path}; proxy_ignore_headers X-Accel-Limit-Rate; }`,
  )
  const ask = async (path: string): Promise<void> => {
    const response = await get(server.port, path)
    assert.equal(response.text, body)
    assert.equal(response.header('x-accel-limit-rate'), null)
  }
  const start = performance.now()
  await ask('/')
  assert.ok(performance.now() - start > 900)
  await quick(500, () => ask('/ignored'))
  await quick(500, () => ask('/unbuffered'))
})

test('X-Accel-Charset: the response’s charset is that one, if the configuration knows it', async t => {
  const up = await origin(t, () => reply('x', { 'Content-Type': 'text/html', 'X-Accel-Charset': 'koi8-r' }))
  const server = await serveHttp(
    t,
    `location / { proxy_pass http://${up.path}; }
     location /ignored { proxy_pass http://${up.path}; proxy_ignore_headers X-Accel-Charset; }
     location /other { proxy_pass http://${up.path}; charset utf-8; }
     location /known { charset KOI8-R; }`,
  )
  const other = await serveHttp(t, `location / { proxy_pass http://${up.path}; }`)
  assert.equal((await get(other.port, '/')).header('content-type'), 'text/html')
  assert.match(other.errorLog(), /\[error\] .*unknown charset "koi8-r" to override/)
  assert.equal((await get(server.port, '/')).header('content-type'), 'text/html; charset=koi8-r')
  assert.equal((await get(server.port, '/ignored')).header('content-type'), 'text/html')
  assert.equal((await get(server.port, '/other')).header('content-type'), 'text/html; charset=koi8-r')
})

test('proxy_store: a response of 200 becomes a file, with its time and permissions', async t => {
  const up = await origin(t, request => {
    if (request.target === '/missing') return reply('no', {}, '404 Not Found')
    if (request.target === '/empty') return reply('')
    return reply(`<${request.target}>`, { 'Last-Modified': 'Mon, 28 Sep 1970 06:00:00 GMT' })
  })
  const to = `proxy_pass http://${up.path};`
  const server = await serveHttp(
    t,
    `root kept;
     location / { ${to} proxy_store on; proxy_store_access user:rw group:rw all:r; }
     location /named { ${to} proxy_store $document_root/by-name/$arg_n; }
     location /off { ${to} proxy_store off; }`,
  )
  const kept = (name: string): string => join(server.dir, 'kept', name)
  assert.equal((await get(server.port, '/a/b/file')).text, '</a/b/file>')
  assert.equal(readFileSync(kept('a/b/file'), 'latin1'), '</a/b/file>')
  const { mode, mtimeMs } = statSync(kept('a/b/file'))
  assert.equal(mode & 0o777, 0o664)
  assert.equal(mtimeMs, Date.parse('Mon, 28 Sep 1970 06:00:00 GMT'))
  await get(server.port, '/named?n=x')
  assert.equal(readFileSync(kept('by-name/x'), 'latin1'), '</named?n=x>')
  assert.equal(statSync(kept('by-name/x')).mode & 0o777, 0o600)
  await get(server.port, '/empty')
  assert.equal(readFileSync(kept('empty'), 'latin1'), '')
  await request({ address: server.port, method: 'HEAD', path: '/headed' })
  for (const path of ['/missing', '/off', '/folder/']) await get(server.port, path)
  for (const name of ['missing', 'off', 'headed', 'folder']) assert.equal(existsSync(kept(name)), false, name)
  assert.deepEqual(readdirSync(join(server.dir, 'proxy_temp')), [])
})

test('proxy_store: what is not whole is not stored; a client that leaves is no reason to stop', async t => {
  let finish = (): void => {}
  const up = await origin(t, (request, socket) => {
    if (request.target === '/cut') return void socket.end(`${OK}Content-Length: 100\r\n\r\nsome`)
    if (request.target === '/chunks') return void socket.end(`${OK}Transfer-Encoding: chunked\r\n\r\n4\r\nsome\r\n`)
    socket.write(`${OK}Content-Length: 8\r\n\r\nsome`)
    finish = () => void socket.write('more')
    return undefined
  })
  const server = await serveHttp(t, `root kept; location / { proxy_pass http://${up.path}; proxy_store on; }`)
  for (const path of ['/cut', '/chunks']) {
    const client = await raw(t, server.port)
    await client.send(`GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`)
    await client.closed()
    assert.equal(existsSync(join(server.dir, 'kept', path)), false)
  }
  const client = await raw(t, server.port)
  await client.send('GET /left HTTP/1.1\r\nHost: h\r\n\r\n')
  await client.until('some')
  client.destroy()
  await eventually(() => server.errorLog().includes('client prematurely closed connection') || !client.socket.writable)
  finish()
  await eventually(() => existsSync(join(server.dir, 'kept/left')))
  assert.equal(readFileSync(join(server.dir, 'kept/left'), 'latin1'), 'somemore')
  assert.deepEqual(readdirSync(join(server.dir, 'proxy_temp')), [])
})

test('proxy_store: where nothing can be written the client gets its response all the same', async t => {
  const up = await origin(t, () => reply('hello'))
  const server = await serveHttp(
    t,
    `location / { proxy_pass http://${up.path}; proxy_store $document_root/file/x; root kept; }`,
    '',
    { files: { 'kept/file': 'a file' } },
  )
  assert.equal((await get(server.port)).text, 'hello')
  assert.match(server.errorLog(), /\[crit\].*rename\(\) ".*file\/x" failed \(\d+: [\w ]+\) while reading upstream, /)
  assert.deepEqual(readdirSync(join(server.dir, 'proxy_temp')), [])
})

test('proxy_force_ranges: one part is cut out of the whole', async t => {
  const body = 'abcdefghij'.repeat(10_000)
  const up = await origin(t, request => {
    if (request.target === '/chunks') return `${OK}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`
    if (request.target === '/404') return reply(body, {}, '404 Not Found')
    return reply(body, { 'Accept-Ranges': 'none', ETag: '"v1"' })
  })
  const server = await serveHttp(
    t,
    `location / { proxy_pass http://${up.path}; proxy_force_ranges on; proxy_set_header Range ""; }
     location /off { proxy_pass http://${up.path}; }`,
  )
  const ask = (path: string, range: string, more = {}) =>
    request({ address: server.port, path, headers: { Range: range, ...more } })
  const part = await ask('/', 'bytes=10-29999')
  assert.equal(part.status, 206)
  assert.equal(part.header('content-range'), 'bytes 10-29999/100000')
  assert.equal(part.text, body.slice(10, 30_000))
  assert.equal((await ask('/', 'bytes=-5')).text, body.slice(-5))
  assert.equal((await ask('/', 'bytes=0-0')).text, 'a')
  assert.equal((await ask('/', 'bytes=0-')).text, body)
  const none = await ask('/', 'bytes=100000-')
  assert.equal(none.status, 416)
  assert.equal(none.header('content-range'), 'bytes */100000')
  for (const [path, range, more] of [
    ['/', 'bytes=0-1,5-6', {}],
    ['/', 'bytes=0-1', { 'If-Range': '"v2"' }],
    ['/chunks', 'bytes=0-1', {}],
    ['/404', 'bytes=0-1', {}],
    ['/off', 'bytes=0-1', {}],
  ] as const)
    assert.notEqual((await ask(path, range, more)).status, 206, path)
  assert.equal((await get(server.port)).header('accept-ranges'), 'bytes')
})

test('proxy_pass_trailers: fields behind the body go on, with those that are added', async t => {
  const trailers = 'X-Sum: 1\r\nContent-Length: 3\r\nSet-Cookie: a=b\r\nX-Hidden: 2\r\n'
  const up = await origin(
    t,
    () => `${OK}Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\nabc\r\n0\r\n${trailers}\r\n`,
  )
  const to = `proxy_pass http://${up.path}; proxy_hide_header X-Hidden;`
  const server = await serveHttp(
    t,
    `location /on { ${to} proxy_pass_trailers on; add_trailer X-Added $sent_trailer_x_sum; }
     location /off { ${to} } location /gzip { ${to} proxy_pass_trailers on; gzip on; gzip_min_length 0; gzip_types *; }`,
  )
  const on = await get(server.port, '/on')
  assert.equal(on.text, 'abc')
  assert.deepEqual(on.trailers, [['X-Sum', '1']])
  assert.deepEqual((await get(server.port, '/off')).trailers, [])
  const old = await request({ address: server.port, path: '/on', version: '1.0' })
  assert.equal(old.text, 'abc')
  const zipped = await request({ address: server.port, path: '/gzip', headers: { 'Accept-Encoding': 'gzip' } })
  assert.deepEqual(zipped.trailers, [['X-Sum', '1']])
})

test('an error keeps its Last-Modified, as it is or as a page for another', async t => {
  const date = 'Mon, 02 Jan 2006 15:04:05 GMT'
  const up = await origin(t, reply('x', { 'Last-Modified': date }))
  const server = await serveHttp(
    t,
    `error_page 403 /page; location / { return 403; } location /page { proxy_pass http://${up.path}; }`,
  )
  const response = await get(server.port)
  assert.equal(response.status, 403)
  assert.equal(response.header('last-modified'), date)
})

test('a location within another inherits the default proxy_redirect of the outer proxy_pass', async t => {
  const up = await origin(t, request =>
    reply('', { Location: `http://${request.header('up') ?? request.header('host')}/x` }, '302 Found'),
  )
  const server = await serveHttp(
    t,
    `absolute_redirect off;
     location /a/ { proxy_pass http://${up.path}/; location /a/b/ { proxy_pass http://$http_up; } }
     location /c/ { proxy_pass http://$http_up; }`,
  )
  const location = async (path: string): Promise<string | null> =>
    (await get(server.port, path, { Up: up.path })).header('location')
  assert.equal(await location('/a/'), '/a/x')
  assert.equal(await location('/a/b/'), '/a/x')
  assert.equal(await location('/c/'), `http://${up.path}/x`)
})

test('a name of the server that is asked is made anew for each', async t => {
  const hosts: string[] = []
  const bad = await origin(t, (request, socket) => {
    hosts.push(request.header('x-peer')!)
    socket.end()
  })
  const good = await origin(t, request => reply(request.header('x-peer')!))
  const port = (path: string): string => path.split(':')[1]!
  const server = await serveHttp(
    t,
    'location / { proxy_set_header X-Peer $upstream_last_server_name; proxy_pass http://u; }',
    `upstream u { server 127.0.0.1:${port(bad.path)}; server localhost:${port(good.path)}; }`,
  )
  assert.equal((await get(server.port)).text, 'localhost')
  assert.deepEqual(hosts, ['127.0.0.1'])
})

test('what goes through an upgraded connection is no part of the response: its length is 0', async t => {
  const up = await origin(t, (_, socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nhello')
    socket.end()
  })
  const server = await serveHttp(
    t,
    `access_log access.log length;
     location / { proxy_pass http://${up.path}; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade; }`,
    "log_format length '$status $upstream_response_length';",
  )
  const client = await raw(t, server.port)
  await client.send('GET / HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n')
  await client.until('hello')
  client.end()
  await client.closed()
  await eventually(() => readFileSync(join(server.dir, 'access.log'), 'latin1') === '101 0\n')
})
