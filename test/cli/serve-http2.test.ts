// HTTP/2 under `portico serve`: without TLS for trusted proxies alone, and its limits.

import assert from 'node:assert/strict'
import test from 'node:test'
import { get as head, headers, http2, PREFACE } from '../helpers/http2.ts'
import { get, needs, raw, request, serveApp } from '../helpers/index.ts'
import { env, HELLO } from './serve-command.ts'

const files = { 'hello.py': HELLO }

test('a trusted proxy may speak HTTP/2 without TLS, and HTTP/1 too', async t => {
  if (!needs(t, 'python3')) return
  const limits = ['--http2-max-header-list-size', '500', '--http2-max-frame-size', '20000']
  const server = await serveApp(t, ['--http2-cleartext', 'prior-knowledge', ...limits, 'hello'], { files, env })
  const client = await http2(t, server.port)
  client.send(headers(1, head()), headers(3, head('/', [['x-a', 'x'.repeat(500)]])))
  assert.equal((await client.response(1)).body, 'hello')
  assert.equal((await client.response(3)).status, 431)
  assert.equal((await get(server.port)).text, 'hello')
})

test('an upgrade to HTTP/2 is not answered: the request is one of HTTP/1', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['--http2-cleartext', 'both', 'hello'], { files, env })
  const asked = { Connection: 'Upgrade, HTTP2-Settings', Upgrade: 'h2c', 'HTTP2-Settings': 'AAMAAABkAAQAAP__' }
  const { status, text } = await request({ address: server.port, headers: asked })
  assert.deepEqual([status, text], [200, 'hello'])
  assert.match(server.output, /"Upgrade: h2c" is not answered/)
})

test('to others it is as if it were off', async t => {
  if (!needs(t, 'python3')) return
  for (const args of [
    ['--http2-cleartext', 'prior-knowledge', '--forwarded-allow-ips', '10.0.0.1'],
    ['--http2-cleartext', 'prior-knowledge', '--http-protocols', 'h1'],
    ['--http2-cleartext', 'upgrade'],
    [],
  ]) {
    const server = await serveApp(t, [...args, 'hello'], { files, env })
    const client = await raw(t, server.port)
    await client.send(PREFACE)
    assert.equal((await client.response()).status, 400, args.join(' '))
    assert.equal((await get(server.port)).text, 'hello')
  }
})
