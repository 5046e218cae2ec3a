// Bodies that nobody reads: what there is of them is read and dropped all the same, so that the next request is found
// (ngx_http_discard_request_body).

import assert from 'node:assert/strict'
import test from 'node:test'
import { serveHttp, type HttpServer } from '../../helpers/http.ts'
import { eventually, raw } from '../../helpers/index.ts'
import type { Scope } from '../../helpers/index.ts'

const CHUNKED = 'Host: x\r\nTransfer-Encoding: chunked\r\n\r\n'

function start(t: Scope, server = ''): Promise<HttpServer> {
  return serveHttp(
    t,
    `${server}
     location / { return 200 'hello'; }
     location /moved { return 301 /x; }
     location /gone { return 404; }
     location /page { error_page 403 /; deny all; }
     location /html/ { root .; }`,
    '',
    { files: { 'html/file': 'file', 'html/large': Buffer.alloc(20_000_000) } },
  )
}

for (const [what, chunks] of [
  ['a size', 'zz\r\n'],
  ['a later size', '5\r\nhello\r\nxyz\r\n'],
  ['the end of a chunk', '5\r\nhelloXX'],
] as const) {
  test(`chunks that are broken in what has come with the head (${what}) are the answer: 400`, async t => {
    const server = await start(t)
    for (const path of ['/', '/moved', '/page', '/html/file']) {
      const client = await raw(t, server.port)
      await client.send(`GET ${path} HTTP/1.1\r\n${CHUNKED}${chunks}`)
      const answer = await client.response()
      assert.deepEqual([answer.status, answer.header('connection')], [400, 'close'], path)
      await client.closed()
    }
    assert.equal(server.errorLog().match(/\[error\] .*client sent invalid chunked body, client: /g)?.length, 4)
  })
}

test('broken chunks do not change what was wrong before them, but end the connection', async t => {
  const server = await start(t)
  const client = await raw(t, server.port)
  await client.send(`POST /gone HTTP/1.1\r\n${CHUNKED}zz\r\n`)
  const answer = await client.response()
  assert.deepEqual([answer.status, answer.header('connection')], [404, 'close'])
  await client.closed()
  assert.equal(server.errorLog().match(/invalid chunked body/g)?.length, 1)
})

test('chunks that break behind the answer end the connection', async t => {
  const server = await start(t)
  const client = await raw(t, server.port)
  await client.send(`POST / HTTP/1.1\r\n${CHUNKED}5\r\nhel`)
  const answer = await client.response()
  assert.deepEqual([answer.status, answer.header('connection')], [200, 'keep-alive'])
  await client.send('lo\r\nzz\r\n')
  assert.equal(await client.closed(), '')
  await eventually(() => server.errorLog().includes('client sent invalid chunked body'))
})

test('the rest of a body is waited for, though the connection ends with it', async t => {
  for (const setting of ['', 'lingering_close off;', 'lingering_close always;']) {
    const server = await start(t, `lingering_timeout 1h; lingering_time 1h; client_max_body_size 30; ${setting}`)
    for (const [length, status] of [
      [20, 200],
      [40, 413],
    ] as const) {
      const client = await raw(t, server.port)
      await client.send(`POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: ${length}\r\n\r\nhello`)
      assert.equal((await client.response()).status, status)
      await client.send('hello')
      // What was to come with the answer has come by now.
      const other = await raw(t, server.port)
      await other.request()
      assert.equal(client.ended, false)
      await client.send(Buffer.alloc(length - 10))
      await client.closed()
    }
  }
})

test('the rest of a body is waited for no longer than lingering_timeout', async t => {
  const server = await start(t, 'lingering_timeout 50ms;')
  const client = await raw(t, server.port)
  await client.send('POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 20\r\n\r\nhello')
  assert.equal((await client.response()).status, 200)
  await client.closed()
})

test('client_max_body_size: a body that is dropped while its answer is under way may be of any size', async t => {
  const server = await start(t, 'client_max_body_size 10;')
  const client = await raw(t, server.port)
  await client.send(`GET /html/large HTTP/1.1\r\n${CHUNKED}14\r\n${'x'.repeat(20)}\r\n0\r\n\r\n`)
  assert.equal((await client.response()).body.length, 20_000_000)
  assert.equal((await client.request()).text, 'hello')
})

test('nor longer than lingering_time, when a part of it has come', async t => {
  const server = await start(t, 'lingering_timeout 1h; lingering_time 50ms;')
  for (const connection of ['keep-alive', 'close']) {
    const client = await raw(t, server.port)
    await client.send(`POST /gone HTTP/1.1\r\nHost: x\r\nConnection: ${connection}\r\nContent-Length: 10\r\n\r\n`)
    assert.equal((await client.response()).status, 404)
    await client.send('ab')
    await client.closed()
  }
})
