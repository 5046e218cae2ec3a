// What of HTTP/2 nginx leaves as it begins: who may speak it without TLS, how long frames may be, and how large a head.

import assert from 'node:assert/strict'
import test from 'node:test'
import { get as getHttp1, raw } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'
import { END_HEADERS, END_STREAM, frame, get, headers, http2, post, PREFACE, type Fields } from '../../helpers/http2.ts'

const PLAIN = 'http2 on; location / { return 200 "$http2 $server_protocol $request"; }'

test('http2: without TLS it is for those who may speak it, and to others it is as if it were off', async t => {
  for (const [from, may] of [
    ['127.0.0.0/8', true],
    ['*', true],
    ['10.0.0.0/8 ::1', false],
    ['none', false],
  ] as const) {
    const { port } = await serveHttp(t, `http2_cleartext_from ${from}; ${PLAIN}`)
    if (may) {
      const client = await http2(t, port)
      client.send(headers(1, get()))
      assert.equal((await client.response(1)).status, 200)
    } else {
      const client = await raw(t, port)
      await client.send(PREFACE)
      const { status, head } = await client.response()
      assert.deepEqual([status, head.startsWith('HTTP/1.1 400 ')], [400, true], from)
    }
    assert.match((await getHttp1(port, '/x')).text, /^ HTTP\/1\.1 GET/)
  }
})

test('http2: frames may be as long as was said, and no longer', async t => {
  const { port } = await serveHttp(t, 'http2 on; http2_max_frame_size 40000; location / { return 200; }')
  const client = await http2(t, port)
  const { payload } = await client.frame('SETTINGS')
  const told = new Map<number, number>()
  for (let i = 0; i < payload.length; i += 6) told.set(payload.readUInt16BE(i), payload.readUInt32BE(i + 2))
  assert.equal(told.get(5), 40000)
  client.send(headers(1, post(), END_HEADERS), frame(0, END_STREAM, 1, Buffer.alloc(40000)))
  assert.equal((await client.response(1)).status, 200)
  client.send(headers(3, post(), END_HEADERS), frame(0, END_STREAM, 3, Buffer.alloc(40001)))
  assert.equal((await client.frame('GOAWAY')).code, 6)
})

test('http2: where frames may be very long, only bodies come in them', async t => {
  const { port } = await serveHttp(t, 'http2 on; http2_max_frame_size 16777215; location / { return 200; }')
  const client = await http2(t, port)
  client.send(headers(1, post('/', [['x-a', 'b']]), END_HEADERS), frame(0, END_STREAM, 1, Buffer.alloc(60000)))
  assert.equal((await client.response(1)).status, 200)
  // The frame's header is enough: nothing of it is kept.
  client.send(frame(1, END_HEADERS | END_STREAM, 3, Buffer.alloc(200000)).subarray(0, 9))
  assert.equal((await client.frame('GOAWAY')).code, 11)
})

test('http2: a head that is larger than was said is answered with 431, and the connection goes on', async t => {
  const { port } = await serveHttp(t, 'http2 on; http2_max_header_list_size 2000; location / { return 200 $http_x_a; }')
  const client = await http2(t, port)
  const { payload } = await client.frame('SETTINGS')
  assert.ok(payload.includes(Buffer.from([0, 6, 0, 0, 7, 208])))
  const own = get().reduce((size, [name, value]) => size + name.length + value.length + 32, 0)
  const left = 2000 - own - 'x-a'.length - 32
  client.send(headers(1, get('/', [['x-a', 'x'.repeat(left)]])))
  assert.deepEqual([(await client.response(1)).status, (await client.response(1)).body.length], [200, left])
  client.send(headers(3, get('/', [['x-a', 'x'.repeat(left + 1)]])))
  assert.equal((await client.response(3)).status, 431)
  // More than is kept, too.
  const many: Fields = Array.from({ length: 20 }, (_, i) => [`x-${i}`, 'x'.repeat(400)])
  client.send(headers(5, get('/', many)))
  assert.equal((await client.response(5)).status, 431)
  client.send(headers(7, get('/')))
  assert.equal((await client.response(7)).status, 200)
})
