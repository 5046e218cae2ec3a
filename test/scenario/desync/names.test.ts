// Names that a careless reader takes for those of the fields that frame a message, and fields where they may not stand.

import assert from 'node:assert/strict'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { END_HEADERS, frame, headers, http2, post } from '../../helpers/http2.ts'
import { eventually, origin, raw, reply } from '../../helpers/index.ts'
import { http } from './backends.ts'

const FRAMING = ['Content_Length', 'Transfer_Encoding', 'content.length', 'Transfer-Encoding_', "Transfer'Encoding"]

test('a name that looks like a framing field’s is refused whatever the directives say', async t => {
  const back = await http(t)
  const server = await serveHttp(
    t,
    'http2 on; underscores_in_headers on; ignore_invalid_headers off; location / { proxy_pass http://back; }',
    `upstream back { server 127.0.0.1:${back.port}; }`,
  )
  for (const name of FRAMING) {
    const client = await raw(t, server.port)
    assert.equal((await client.request({ headers: { [name]: '5' } })).status, 400, name)
    assert.equal(await client.closed(), '')
    const other = await http2(t, server.port)
    other.send(headers(1, post('/', [[name.toLowerCase(), '5']])))
    assert.equal((await other.response(1)).status, 400, name)
  }
  assert.deepEqual(back.take(), [])
  const client = await raw(t, server.port)
  assert.equal((await client.request({ headers: { X_Y: '5', 'x.y': '6' } })).status, 200)
  assert.match(back.take()[0]!.head, /X_Y: 5\r\nx\.y: 6\r\n/)
  const other = await http2(t, server.port)
  other.send(headers(1, post('/', [['x(y', '5']])))
  assert.equal((await other.response(1)).status, 400, 'HTTP/1 has no such names')
})

test('trailers that came by HTTP/2 are no fields that frame or route either', async t => {
  const back = await origin(t, reply('fine'))
  const server = await serveHttp(
    t,
    `http2 on; location / { proxy_pass http://${back.path}; proxy_request_buffering off; proxy_pass_trailers on; }`,
  )
  const client = await http2(t, server.port)
  const trailers = [
    ['content-length', '5'],
    ['transfer-encoding', 'chunked'],
    ['host', 'other'],
    ['x-forwarded-for', '::1'],
    ['x"y', 'z'],
    ['x-good', 'yes'],
  ] as const
  client.send(headers(1, post('/'), END_HEADERS), frame(0, 0, 1, 'abc'))
  // By then the request is being passed on.
  await eventually(() => back.open.size === 1)
  client.send(headers(1, trailers))
  assert.equal((await client.response(1)).status, 200)
  const [request] = back.requests
  assert.deepEqual(request!.trailers, [['x-good', 'yes']])
  assert.equal(request!.text, 'abc')
})

test('controls in values are refused over HTTP/2 as over HTTP/1', async t => {
  const server = await serveHttp(t, 'http2 on; location / { return 200 ok; }')
  for (const value of ['a\x01b', '\x0bchunked', 'a\x7f', 'a\0', 'a\r\nb: c']) {
    const client = await http2(t, server.port)
    client.send(headers(1, post('/', [['x', value]])))
    assert.equal((await client.response(1)).status, 400)
  }
  const client = await http2(t, server.port)
  client.send(headers(1, post('/', [['x', 'a\tb\xff']])))
  assert.equal((await client.response(1)).status, 200)
})

test('a HEAD that is refused has no body either', async t => {
  const server = await serveHttp(t, 'location / { return 200 ok; }')
  for (const line of ['HEAD /p\tHTTP/1.1', 'HEAD /p HTTP/1.1x', 'HEAD p q HTTP/1.1', '\r\nHEAD /p HTTP/3.0']) {
    const client = await raw(t, server.port)
    await client.send(`${line}\r\nHost: h\r\n\r\n`)
    assert.match(await client.closed(), /^HTTP\/1\.1 (?:400|505) [^]*\r\n\r\n$/)
  }
})

test('an upstream’s sub-status goes no further', async t => {
  const back = await origin(t, 'HTTP/1.1 403.14 Forbidden\r\nContent-Length: 2\r\n\r\nno')
  const server = await serveHttp(t, `location / { proxy_pass http://${back.path}; }`)
  const client = await raw(t, server.port)
  assert.equal((await client.request()).startLine, 'HTTP/1.1 403 Forbidden')
})
