import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { atEnd, eventually, type Scope } from '../../helpers/index.ts'
import { connectHttp2, frame, get, headers, http2, PREFACE, type Http2Client } from '../../helpers/http2.ts'

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
