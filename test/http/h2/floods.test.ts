// What a client can make the server do for nothing, over a real connection: each flood ends with GOAWAY, or costs no more than
// was allowed.

import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually, origin } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'
import { END_HEADERS, frame, get, headers, http2, post, settings, uint32, windowUpdate } from '../../helpers/http2.ts'

const ENHANCE_YOUR_CALM = 11
const CONF = 'http2 on; lingering_time 500ms; lingering_timeout 100ms; location / { return 200 text; }'

for (const [what, frames] of [
  ['pings', () => frame(6, 0, 0, 'portico!')],
  ['settings', () => settings(4, 65535)],
  ['empty DATA', () => frame(0, 0, 1)],
  ['DATA of padding alone', () => frame(0, 8, 1, Buffer.concat([Buffer.from([99]), Buffer.alloc(99)]))],
  ['empty HEADERS without end', (i: number) => frame(i === 0 ? 1 : 9, 0, 3)],
  ['priorities', (i: number) => frame(2, 0, 1001 + 2 * i, Buffer.concat([uint32(0), Buffer.from([1])]))],
  ['windows that grow by one', () => windowUpdate(0, 1)],
  [
    'requests that are reset at once',
    (i: number) => Buffer.concat([headers(3 + 2 * i, post('/slow'), END_HEADERS), frame(3, 0, 3 + 2 * i, uint32(8))]),
  ],
  [
    'requests that make us reset them',
    (i: number) => Buffer.concat([headers(3 + 2 * i, post('/slow'), END_HEADERS), windowUpdate(3 + 2 * i, 0)]),
  ],
  ['bodies in crumbs', () => frame(0, 0, 1, 'x')],
] as const) {
  test(`http2: a flood of ${what} ends the connection`, async t => {
    const back = await origin(t, () => {})
    const { port } = await serveHttp(
      t,
      `${CONF} location /slow { proxy_request_buffering off; proxy_pass http://127.0.0.1:${back.port}; }`,
    )
    const client = await http2(t, port)
    client.send(headers(1, post('/slow'), END_HEADERS))
    let sent = 0
    while (sent < 20_000 && !client.frames.some(({ type }) => type === 'GOAWAY') && !client.ended) {
      const some: Buffer[] = []
      for (let i = 0; i < 50; i++) some.push(frames(sent++))
      client.send(...some)
      await new Promise(setImmediate)
    }
    assert.equal((await client.frame('GOAWAY')).code, ENHANCE_YOUR_CALM)
    client.socket.end()
    await client.closed()
    await eventually(() => back.open.size === 0)
  })
}

test('http2: a client that works hard is not taken for a flood', async t => {
  const { port } = await serveHttp(t, `keepalive_requests 100000; ${CONF}`)
  const client = await http2(t, port)
  for (let i = 0; i < 40; i++) {
    const first = 1 + i * 200
    const batch = Array.from({ length: 100 }, (_, n) => headers(first + 2 * n, get()))
    client.send(...batch, windowUpdate(0, 400), frame(6, 0, 0, 'portico!'))
    await client.response(first + 198)
  }
  assert.equal(client.frames.filter(({ type }) => type === 'GOAWAY').length, 0)
})

test('http2: header blocks are bounded: large ones, and lists that unpack to much, end the connection', async t => {
  const { port } = await serveHttp(t, `large_client_header_buffers 4 1k; ${CONF}`)
  const ending = async (...frames: Buffer[]): Promise<number> => {
    const client = await http2(t, port)
    client.send(...frames)
    return client.goodbye()
  }
  const field = (name: number, value: number) => get('/', [['n'.repeat(name), 'v'.repeat(value)]])
  // One buffer is what a name or a value may have, all of them is what names and values may have together.
  const fitting = await http2(t, port)
  fitting.send(headers(1, field(1024, 1024)))
  assert.equal((await fitting.response(1)).status, 200)
  assert.equal(await ending(headers(1, field(1025, 1))), ENHANCE_YOUR_CALM)
  assert.equal(await ending(headers(1, field(1, 1025))), ENHANCE_YOUR_CALM)
  assert.equal(await ending(headers(1, [...field(1024, 1024), ...field(1024, 1024)])), ENHANCE_YOUR_CALM)
  // An entry of 1000 bytes, and 10,000 references to it.
  const entry = Buffer.concat([Buffer.from([0x40, 1, 97, 127, 1000 - 127 - 128 * 6 + 128, 6]), Buffer.alloc(1000, 'x')])
  assert.equal(await ending(frame(1, 5, 1, Buffer.concat([entry, Buffer.alloc(10_000, 0xbe)]))), ENHANCE_YOUR_CALM)
  const endless = await http2(t, port)
  endless.send(frame(1, 0, 1, Buffer.alloc(16000)))
  for (let i = 0; i < 8; i++) endless.send(frame(9, 0, 1, Buffer.alloc(16000)))
  assert.equal((await endless.frame('GOAWAY')).code, ENHANCE_YOUR_CALM)
})

test('http2: a client that reads nothing is not read from either, and its streams cost no more than their queues', async t => {
  const { port } = await serveHttp(t, 'http2 on; send_timeout 1s; root html;', '', {
    files: { 'html/a': Buffer.alloc(4_000_000, 'portico ') },
  })
  const client = await http2(t, port, 4, 0x7fffffff)
  client.send(windowUpdate(0, 0x7fffffff - 65535))
  client.socket.pause()
  const before = process.memoryUsage.rss()
  for (let i = 0; i < 100; i++) client.send(headers(1 + 2 * i, get('/a')))
  // Acknowledgements it does not read must not gather for ever.
  for (let i = 0; i < 200; i++) client.send(frame(6, 0, 0, 'portico!'))
  await new Promise(resolve => setTimeout(resolve, 1500))
  const grown = (process.memoryUsage.rss() - before) / 1e6
  assert.ok(grown < 100, `${grown} MB for 400 MB of answers`)
  client.socket.resume()
  await client.closed()
})

test('http2: windows of zero hold many streams, which send_timeout ends', async t => {
  const { port } = await serveHttp(t, 'http2 on; send_timeout 200ms; root html;', '', { files: { 'html/a': 'text' } })
  const client = await http2(t, port, 4, 0)
  client.send(...Array.from({ length: 100 }, (_, i) => headers(1 + 2 * i, get('/a'))))
  await client.until(() => client.frames.filter(({ type }) => type === 'RST_STREAM').length === 100, 'resets')
  client.send(settings(4, 100), headers(301, get('/a')))
  assert.equal((await client.response(301)).body, 'text')
})
