import assert from 'node:assert/strict'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { raw, request } from '../../helpers/index.ts'

test('client_body_early_read: rewrite rules see the body where any of the conditions holds', async t => {
  const { port } = await serveHttp(
    t,
    `client_max_body_size 20;
     client_body_early_read $arg_a $arg_b; client_body_early_read $arg_c;
     location / { if ($request_body ~ "name=([a-z]+)") { return 200 "hello $1"; } return 200 "[$request_body]"; }`,
  )
  const post = async (path: string, body: string): Promise<string> => {
    const { status, text } = await request({ address: port, path, method: 'POST', body })
    return status === 200 ? text : `${status}`
  }
  for (const path of ['/?a=1', '/?b=x', '/?c=1&a=0']) assert.equal(await post(path, 'name=you'), 'hello you', path)
  for (const path of ['/', '/?a=0', '/?a=&b=0']) assert.equal(await post(path, 'name=you'), '[]', path)
  assert.equal(await post('/?a=1', 'x'.repeat(21)), '413')
  assert.equal((await request({ address: port, path: '/?a=1' })).text, '[]')
})

test('client_body_early_read: what was read may still be too large for its location', async t => {
  const server = await serveHttp(
    t,
    `client_body_early_read 1; error_page 502 /page;
     location / { return 200 "[$request_body]"; }
     location /small { client_max_body_size 5; return 200 "[$request_body]"; }
     location /fails { return 502; }
     location /page { client_max_body_size 5; return 200 "page"; }`,
  )
  const post = async (path: string, framed: string): Promise<string> => {
    const client = await raw(t, server.port)
    await client.send(`POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${framed}`)
    const answer = await client.closed()
    return answer.startsWith('HTTP/1.1 413 ') ? '413' : answer.slice(answer.indexOf('\r\n\r\n') + 4)
  }
  const counted = (body: string): string => `Content-Length: ${body.length}\r\n\r\n${body}`
  const chunked = (body: string): string => `Transfer-Encoding: chunked\r\n\r\n${body.length}\r\n${body}\r\n0\r\n\r\n`
  for (const framed of [counted, chunked]) {
    assert.equal(await post('/', framed('123456')), '[123456]')
    assert.equal(await post('/small', framed('12345')), '[12345]')
    assert.equal(await post('/small', framed('123456')), '413')
    assert.equal(await post('/fails', framed('123456')), 'page', 'an error page stands for the answer')
  }
  assert.match(server.errorLog(), /client intended to send too large body: 6 bytes/)
})
