import assert from 'node:assert/strict'
import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { atEnd, eventually, type Scope } from '../../helpers/index.ts'
import {
  connectHttp2,
  frame,
  get,
  headers,
  http2,
  PREFACE,
  windowUpdate,
  type Http2Client,
} from '../../helpers/http2.ts'

const LINES = "log_format t '$status|$request|$request_length';"
const TIMED_OUT = /client timed out \(110: Connection timed out\) while /

/** Sends something now and then, for as long as it is taken: far fewer frames than a flood. */
function keepSending(t: Scope, client: Http2Client, next: () => Buffer): void {
  const timer = setInterval(() => client.send(next()), 50)
  atEnd(t, () => clearInterval(timer))
}

const ping = (): Buffer => frame(6, 0, 0, '12345678')

test('http2 timers: pings keep no idle connection open', async t => {
  const { port } = await serveHttp(t, 'http2 on; keepalive_timeout 300ms; return 200 ok;')
  const client = await http2(t, port)
  client.send(headers(1, get()))
  await client.response(1)
  keepSending(t, client, ping)
  assert.equal(await client.goodbye(), 0)
})

test('http2 timers: nor one on which nothing was ever asked', async t => {
  const { port } = await serveHttp(t, 'http2 on; client_header_timeout 300ms; return 200 ok;')
  const client = await http2(t, port)
  keepSending(t, client, ping)
  assert.equal(await client.goodbye(), 0)
})

test('http2 timers: a head that comes byte by byte has no more time than any other', async t => {
  const server = await serveHttp(
    t,
    'http2 on; client_header_timeout 300ms; keepalive_timeout 300ms; access_log lines t; return 200 ok;',
    LINES,
  )
  const client = await http2(t, server.port)
  const head = headers(1, get('/', [['x-long', 'x'.repeat(2000)]]))
  let at = 30
  client.send(head.subarray(0, at))
  keepSending(t, client, () => head.subarray(at, ++at))
  assert.equal((await client.frame('RST_STREAM')).code, 1)
  await eventually(() => readFileSync(join(server.dir, 'lines'), 'latin1') === `408|-|${head.length - 9}\n`)
  assert.match(server.errorLog(), new RegExp(`${TIMED_OUT.source}reading client request headers`))
  // What is left of the frame is awaited no longer than a request would be, and is still a fault.
  assert.equal(await client.goodbye(), 1)
  assert.match(server.errorLog(), new RegExp(`${TIMED_OUT.source}processing HTTP/2 connection`))
})

test('http2 timers: who says hello and no more is told that this is no way', async t => {
  const server = await serveHttp(t, 'http2 on; client_header_timeout 100ms; return 200 ok;')
  const client = await connectHttp2(t, server.port)
  client.send(PREFACE)
  assert.equal(await client.goodbye(), 1)
  assert.match(server.errorLog(), TIMED_OUT)
})

test('http2 timers: who opens no window for an answer has send_timeout, anew for each piece', async t => {
  const server = await serveHttp(
    t,
    `http2 on; send_timeout 400ms; access_log lines t; return 200 ${'x'.repeat(3000)};`,
    "log_format t '$status|$body_bytes_sent|$request_completion';",
  )
  const client = await http2(t, server.port, 4, 1000)
  client.send(headers(1, get()))
  const bytes = (): number => client.answer(1).body.length
  for (const size of [1000, 1500, 2000]) {
    await client.until(() => bytes() === size, `${size} bytes`)
    client.send(windowUpdate(1, 500))
  }
  assert.equal((await client.frame('RST_STREAM')).code, 1)
  assert.equal(bytes(), 2500)
  await eventually(() => readFileSync(join(server.dir, 'lines'), 'latin1') === '200|2500|\n')
  assert.match(server.errorLog(), /client timed out \(110: Connection timed out\), client: /)
  client.send(headers(3, get('/'), 5), windowUpdate(3, 5000))
  assert.equal((await client.response(3)).body.length, 3000)
})

test('http2 timers: a client that does not read at all is left after send_timeout, without a word', async t => {
  const server = await serveHttp(
    t,
    'http2 on; send_timeout 300ms; access_log lines t; location / { send_timeout 60s; root .; }',
    "log_format t '$status|$request_completion';",
  )
  writeFileSync(join(server.dir, 'large'), '')
  truncateSync(join(server.dir, 'large'), 64 * 1024 * 1024)
  const client = await http2(t, server.port, 4, 0x7fffffff)
  client.socket.pause()
  client.send(windowUpdate(0, 0x7fff0000), headers(1, get('/large')))
  await eventually(() => readFileSync(join(server.dir, 'lines'), 'latin1') === '200|\n')
  assert.doesNotMatch(server.errorLog(), /timed out|prematurely/)
})

for (const [how, code] of [
  ['return 444;', 1],
  ['return 408;', 2],
] as const)
  test(`http2: ${how} has no answer but a reset of the stream`, async t => {
    const { port } = await serveHttp(t, `http2 on; ${how}`)
    const client = await http2(t, port)
    client.send(headers(1, get()))
    assert.equal((await client.response(1)).reset, code)
  })

for (const [lingers, ends] of [
  ['off', 'closes at once'],
  ['on', 'waits for a moment'],
] as const)
  test(`http2: behind its last answer a server with lingering_close ${lingers} ${ends}`, async t => {
    const { port } = await serveHttp(
      t,
      `http2 on; keepalive_requests 1; lingering_close ${lingers}; lingering_timeout 60s; return 200 ok;`,
    )
    const client = await http2(t, port)
    const broken = new Promise<string>(resolve => client.socket.on('error', ({ message }) => resolve(message)))
    client.send(headers(1, get()))
    assert.equal(await client.goodbye(), 0)
    // To a closed socket a first write is answered by a reset, which a second one finds.
    const writing = setInterval(() => client.socket.write(ping()), 20)
    atEnd(t, () => clearInterval(writing))
    const heard = await Promise.race([broken, new Promise<string>(resolve => setTimeout(resolve, 400, 'nothing'))])
    if (lingers === 'off') assert.match(await broken, /EPIPE|ECONNRESET/)
    else assert.equal(heard, 'nothing')
  })
