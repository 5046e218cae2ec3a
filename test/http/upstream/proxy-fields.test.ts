// Fields of an upstream's response in the cases that are easily forgotten: empty ones, ones said twice or not at all, those of
// a response whose body nobody wants, and what the variables then show.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get, origin, reply, request, serve } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'

const OK = 'HTTP/1.1 200 OK\r\n'
const CHUNKS = 'Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n'

test('empty ETag and Last-Modified go on like other empty fields', async t => {
  const up = await origin(t, `${OK}ETag: \r\nLast-Modified:\r\nX-Empty:\r\nContent-Length: 0\r\n\r\n`)
  const { port } = await serveHttp(t, `location / { proxy_pass http://${up.path}; }`)
  const response = await get(port)
  for (const name of ['etag', 'last-modified', 'x-empty']) assert.equal(response.header(name), '', name)
})

test('variables show what was sent of an upstream’s fields', async t => {
  const up = await origin(t, `HTTP/1.1 302 Found\r\nLocation: http://x/\r\n${CHUNKS}X-Sum: 1\r\nX-Sum: 2\r\n\r\n`)
  const server = await serve(
    t,
    `http { log_format sent "$sent_http_location|$sent_http_transfer_encoding|$sent_trailer_x_sum";
       server { listen 127.0.0.1:%%PORT_0%%; access_log access.log sent; proxy_pass_trailers on;
         location / { proxy_pass http://${up.path}; }
         location /whole { proxy_pass http://${up.path}; chunked_transfer_encoding off; } } }`,
  )
  await get(server.port)
  await get(server.port, '/whole')
  await eventually(() => server.accessLog().split('\n').length === 3)
  assert.deepEqual(server.accessLog().split('\n').slice(0, 2), ['http://x/|chunked|1, 2', 'http://x/|-|-'])
})

test('trailers that are not passed on are not in $upstream_trailer_ either', async t => {
  const up = await origin(t, 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n')
  const server = await serveHttp(
    t,
    `access_log access.log sum; location / { proxy_pass http://${up.path}; }
     location /on { proxy_pass http://${up.path}; proxy_pass_trailers on; }`,
    'log_format sum "$uri $upstream_trailer_x_sum";',
  )
  for (const path of ['/', '/on']) assert.equal((await request({ address: server.port, path })).text, 'ok')
  const lines = await eventually(() => {
    const all = readFileSync(join(server.dir, 'access.log'), 'latin1').trim().split('\n')
    return all.length === 2 ? all : false
  })
  assert.deepEqual(lines, ['/ -', '/on 7'])
})

test('$request_length is known while the request is passed on', async t => {
  const up = await origin(t)
  const { port } = await serveHttp(
    t,
    `location / { proxy_pass http://${up.path}; proxy_set_header X-Length $request_length; }`,
  )
  const response = await request({ address: port, method: 'POST', body: 'x'.repeat(1000) })
  assert.equal(response.status, 200)
  const length = Number(up.requests[0]!.header('x-length'))
  assert.ok(length > 1000 && length < 1200, String(length))
})

test('proxy_method: where variables leave nothing, the method is the client’s', async t => {
  const up = await origin(t)
  const { port } = await serveHttp(t, `location / { proxy_pass http://${up.path}; proxy_method $arg_method; }`)
  await request({ address: port, method: 'PUT', path: '/?method=PATCH' })
  await request({ address: port, method: 'PUT' })
  assert.deepEqual(
    up.requests.map(({ method }) => method),
    ['PATCH', 'PUT'],
  )
})

test('of a field that may be there once, the first counts, for variables too', async t => {
  const up = await origin(
    t,
    `${OK}Content-Type: text/a\r\nContent-Type: text/b\r\nX-Accel-Limit-Rate: 0\r\nX-Accel-Limit-Rate: 1\r\nContent-Length: 2\r\n\r\nok`,
  )
  const server = await serveHttp(
    t,
    `location / { proxy_pass http://${up.path}; add_header X-Type $upstream_http_content_type; }`,
  )
  const response = await get(server.port)
  assert.equal(response.text, 'ok')
  assert.equal(response.header('x-type'), 'text/a')
  await eventually(() => server.errorLog().includes('duplicate header line: "X-Accel-Limit-Rate: 1"'))
})

test('proxy_pass_header Server: an upstream that does not say what it is leaves the response without', async t => {
  const silent = await origin(t, `${OK}Content-Length: 0\r\n\r\n`)
  const telling = await origin(t, `${OK}Server: mine\r\nContent-Length: 0\r\n\r\n`)
  const { port } = await serveHttp(
    t,
    `location / { proxy_pass http://${silent.path}; }
     location /passed { proxy_pass http://${silent.path}; proxy_pass_header Server; add_header X-Sent "<$sent_http_server>"; }
     location /told { proxy_pass http://${telling.path}; proxy_pass_header Server; }`,
  )
  assert.notEqual((await get(port)).header('server'), null)
  const response = await get(port, '/passed')
  assert.equal(response.header('server'), null)
  assert.notEqual(response.header('date'), null)
  assert.equal(response.header('x-sent'), '<>')
  assert.equal((await get(port, '/told')).header('server'), 'mine')
})

test('an error page of an upstream comes with the usual reason of its status', async t => {
  const up = await origin(t, 'HTTP/1.1 404 Weird\r\nContent-Length: 2\r\n\r\nok')
  const { port } = await serveHttp(
    t,
    `location / { proxy_pass http://${up.path}; } location /page { error_page 404 /; return 404; }`,
  )
  assert.equal((await get(port)).reason, 'Weird')
  const page = await get(port, '/page')
  assert.deepEqual([page.status, page.reason, page.text], [404, 'Not Found', 'ok'])
})

test('proxy_force_ranges: what the upstream says of ranges is not passed on', async t => {
  const up = await origin(t, request =>
    reply('ok', { 'Accept-Ranges': 'none' }, request.target === '/found' ? '302 Found' : '200 OK'),
  )
  const { port } = await serveHttp(t, `location / { proxy_pass http://${up.path}; proxy_force_ranges on; }`)
  assert.equal((await get(port)).header('accept-ranges'), 'bytes')
  assert.equal((await get(port, '/found')).header('accept-ranges'), null)
})

for (const [what, sent] of [
  ['X-Accel-Redirect', `${OK}X-Accel-Redirect: /there\r\n`],
  ['an error page instead', 'HTTP/1.1 404 Not Found\r\n'],
] as const) {
  test(`${what}: the connection serves on, unless there is a body that nobody reads`, async t => {
    const empty = await origin(t, `${sent}Content-Length: 0\r\n\r\n`)
    const full = await origin(t, `${sent}Content-Length: 2\r\n\r\nok`)
    const { port } = await serveHttp(
      t,
      `proxy_intercept_errors on; error_page 404 =200 /there; location = /there { internal; return 200 there; }
       location /empty { proxy_pass http://empty; } location /full { proxy_pass http://full; }`,
      `upstream empty { server ${empty.path}; } upstream full { server ${full.path}; }`,
    )
    for (const path of ['/empty', '/empty', '/full', '/full']) assert.equal((await get(port, path)).text, 'there', path)
    assert.equal(empty.accepted, 1)
    assert.equal(full.accepted, 2)
  })
}

test('X-Accel-Redirect: X-Accel-Charset counts for what is sent instead', async t => {
  const up = await origin(t, reply('', { 'X-Accel-Redirect': '/there', 'X-Accel-Charset': 'koi8-r' }))
  const { port } = await serveHttp(
    t,
    `location / { proxy_pass http://${up.path}; } location /known { charset koi8-r; }
     location = /there { internal; default_type text/html; return 200 there; }`,
  )
  assert.equal((await get(port)).header('content-type'), 'text/html; charset=koi8-r')
})

test('X-Accel-Charset counts on the error pages that follow, whatever location has them', async t => {
  const html = 'X-Accel-Charset: koi8-r\r\nContent-Length: 0\r\n\r\n'
  const up = await origin(t, ({ target }) => {
    if (target === '/redirect') return `${OK}X-Accel-Redirect: /static/none\r\n${html}`
    return `HTTP/1.1 404 Not Found\r\n${html}`
  })
  const { port } = await serveHttp(
    t,
    `default_type text/html; proxy_intercept_errors on; error_page 404 502 /page;
     location / { proxy_pass http://${up.path}; }
     location /named { proxy_pass http://${up.path}; error_page 404 = @named; }
     location /static/ { } location @named { return 200 named; } location /page { return 200 page; }
     location /known { charset koi8-r; }`,
  )
  for (const [path, status, text] of [
    ['/missing', 404, 'page'],
    ['/redirect', 404, 'page'],
    ['/named', 200, 'named'],
  ] as const) {
    const answer = await get(port, path)
    assert.deepEqual([answer.status, answer.text], [status, text])
    assert.equal(answer.header('content-type'), 'text/html; charset=koi8-r', path)
  }
  assert.equal((await get(port, '/page')).header('content-type'), 'text/html')
})

test('what follows a response that has no body is told as bytes too many', async t => {
  const up = await origin(t, `HTTP/1.1 304 Not Modified\r\n${CHUNKS}\r\n`)
  const server = await serveHttp(t, `location / { proxy_pass http://${up.path}; }`)
  assert.equal((await get(server.port)).status, 304)
  await eventually(() =>
    server.errorLog().includes('upstream sent more data than specified in "Content-Length" header'),
  )
})
