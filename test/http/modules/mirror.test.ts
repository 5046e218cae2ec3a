import assert from 'node:assert/strict'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { eventually, get, origin, raw, reply, request } from '../../helpers/index.ts'

test('mirrored requests carry method, arguments and body, and what is answered to them is dropped', async t => {
  const copy = await origin(t, reply('mirrored'))
  const server = await serveHttp(
    t,
    `
    root html;
    location / { mirror /copy; mirror /copy/2; }
    location /bodiless { mirror /copy; mirror_request_body off; }
    location /copy { internal; proxy_pass http://127.0.0.1:${copy.port}; }
    `,
    '',
    { files: { 'html/page': 'page' } },
  )
  const path = '/page?a=1'
  assert.equal((await request({ address: server.port, path, method: 'PUT', body: 'abc' })).status, 405)
  await eventually(() => copy.requests.length === 2)
  const seen = copy.requests.map(({ method, target, body }) => `${method} ${target} ${body.toString()}`)
  assert.deepEqual(seen.sort(), ['PUT /copy/2?a=1 abc', 'PUT /copy?a=1 abc'])
  await request({ address: server.port, path: '/bodiless', method: 'POST', body: 'abc' })
  await eventually(() => copy.requests.length === 3)
  assert.equal(copy.requests[2]!.body.toString(), '')
  assert.equal((await get(server.port, '/page')).text, 'page')
})

test('nobody waits for a mirror that does not answer', async t => {
  const copy = await origin(t, () => {})
  const server = await serveHttp(
    t,
    `
    location / { mirror /copy; return 404; }
    location /page { mirror /copy; alias html/page; }
    location /copy { internal; proxy_pass http://127.0.0.1:${copy.port}; }
    `,
    '',
    { files: { 'html/page': 'page' } },
  )
  for (let i = 0; i < 3; i++) assert.equal((await get(server.port, '/page')).text, 'page')
  await eventually(() => copy.requests.length === 3)
})

test('a mirror that hangs up ends the connection', async t => {
  const body = 'location / { mirror /end; empty_gif; } location /end { internal; return 444; }'
  const { port } = await serveHttp(t, body)
  const client = await raw(t, port)
  await client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal(await client.closed(), '')
  assert.equal((await get(port, '/end')).status, 404)
})

test('a body that is too large for the location of the mirror is not mirrored', async t => {
  const copy = await origin(t, reply('mirrored'))
  const server = await serveHttp(
    t,
    `location / { mirror /copy; proxy_pass http://%PORT%/page; }
     location = /page { return 200 page; }
     location /copy { internal; client_max_body_size 4; proxy_pass http://127.0.0.1:${copy.port}; }`,
  )
  const client = await raw(t, server.port)
  const sizes = '8\r\ntoo much\r\n0\r\n\r\n'
  await client.send(`POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${sizes}`)
  assert.equal((await client.response()).text, 'page')
  for (const body of ['too much', 'fits'])
    assert.equal((await client.request({ path: '/', method: 'POST', body })).text, 'page')
  await eventually(() => copy.requests.length > 0)
  assert.deepEqual(
    copy.requests.map(({ body }) => body.toString()),
    ['fits'],
  )
  assert.equal(server.errorLog().match(/too large body: 8 bytes/g)?.length, 2)
})
