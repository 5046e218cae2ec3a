import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, origin, raw } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'

const HINT =
  'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nX-Accel-Expires: 5\r\nContent-Length: 9\r\n\r\n'
const ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const ALL = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n'

async function ask(t: test.TestContext, from: string, directive: string, version = '1.1'): Promise<string> {
  const up = await origin(t, () => from)
  const server = await serveHttp(t, `${directive} location / { proxy_pass http://${up.path}; }`)
  const client = await raw(t, server.port)
  await client.send(`GET / HTTP/${version}\r\nHost: h\r\nConnection: close\r\n\r\n`)
  const received = await client.closed()
  assert.match(received, /HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nok$/)
  return received.slice(0, received.indexOf('HTTP/1.1 200'))
}

test('early_hints: 103 goes on where a condition says so, without fields of this hop', async t => {
  assert.equal(await ask(t, HINT + ANSWER, 'early_hints 1;'), ALL)
  assert.equal(await ask(t, HINT + HINT + ANSWER, 'early_hints "" $host;'), ALL + ALL)
})

test('early_hints: without a condition, and for HTTP/1.0, the client hears the answer alone', async t => {
  assert.equal(await ask(t, HINT + ANSWER, ''), '')
  assert.equal(await ask(t, HINT + ANSWER, 'early_hints 0 "" $arg_x;'), '')
  assert.equal(await ask(t, HINT + ANSWER, 'early_hints 1;', '1.0'), '')
})

test('$upstream_status is that of an upstream’s first head, early hints included', async t => {
  const up = await origin(t, [HINT + ANSWER, ANSWER])
  const server = await serveHttp(
    t,
    `access_log lines t; location / { proxy_pass http://${up.path}; }`,
    "log_format t '$status $upstream_status';",
  )
  for (let i = 0; i < 2; i++) {
    const client = await raw(t, server.port)
    await client.send('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
    await client.closed()
  }
  await eventually(() => readFileSync(join(server.dir, 'lines'), 'latin1') === '200 103\n200 200\n')
})

test('early_hints: more than proxy_buffer_size of them stays here', async t => {
  const long = `HTTP/1.1 103 Early Hints\r\nLink: ${'x'.repeat(3000)}\r\n\r\n`
  const hints = await ask(t, long + long + ANSWER, 'early_hints 1;')
  assert.equal(hints.match(/103 Early Hints/g)!.length, 1)
})
