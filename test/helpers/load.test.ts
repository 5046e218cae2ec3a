// The load generator must tell a lost request from one that was never read, or the tests of reload and restart prove nothing.

import assert from 'node:assert/strict'
import net from 'node:net'
import test from 'node:test'
import { freePort, load, origin, reply } from './index.ts'

test('load: every request is answered and counted by status', async t => {
  let turn = 0
  const server = await origin(t, () => (turn++ % 4 === 0 ? reply('no', {}, '503 Unavailable') : reply('yes')))
  const result = await load(server.port, {
    connections: 4,
    requests: 200,
    check: r => (r.text === 'no' ? 'refused' : null),
  })
  assert.deepEqual(result.statuses, { 200: 150, 503: 50 })
  assert.deepEqual(result.wrong, { refused: 50 })
  assert.equal(result.requests, 200)
  assert.equal(result.lost + result.retried, 0)
  assert.equal(server.accepted, 4)
  assert.ok(result.p50 > 0 && result.p50 <= result.p99 && result.p99 <= result.max)
})

test('load: it ends by the clock, and without keep-alive each request has a connection', async t => {
  const server = await origin(t, () => reply('x', { Connection: 'close' }), { requestsPerConnection: 1 })
  const result = await load(server.port, { connections: 2, seconds: 0.2, keepAlive: false })
  assert.ok(result.seconds < 2)
  assert.equal(result.answered, result.requests)
  assert.equal(server.accepted, result.requests)
})

test('load: a request that was read and not answered is lost', async t => {
  const server = await origin(t, (r, socket) => (r.turn === 2 ? void socket.end() : reply()))
  const result = await load(server.port, { connections: 1, requests: 9 })
  assert.deepEqual([result.answered, result.lost, result.retried], [6, 3, 0])
})

test('load: half an answer is a lost request', async t => {
  const server = await origin(t, (_, socket) => void socket.end('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf'))
  const result = await load(server.port, { connections: 1, requests: 3 })
  assert.deepEqual([result.answered, result.lost, result.retried], [0, 3, 0])
})

test('load: a request that met an idle connection being closed is sent again, once', async t => {
  // The close is in the same turn as the answer, so that the client sends its next request into a socket already closed.
  const server = await origin(t, (r, socket) => {
    socket.write(reply())
    if (r.turn > 0) socket.destroySoon()
  })
  const result = await load(server.port, { connections: 3, requests: 60 })
  assert.equal(result.answered, 60)
  assert.equal(result.lost, 0)
})

test('load: a reset with the request unread is not a lost request', async t => {
  let connection = 0
  const server = net.createServer(socket => {
    socket.on('error', () => {})
    const first = connection++ === 0
    socket.once('data', () => {
      socket.write(reply())
      socket.on('data', () => socket.write(reply()))
      if (!first) return
      // Nothing is read any more: the next request stays in the kernel, and closing then sends a reset.
      ;(socket as unknown as { _handle: { readStop(): void } })._handle.readStop()
      setTimeout(() => socket.destroy(), 50)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const result = await load((server.address() as net.AddressInfo).port, { connections: 1, requests: 5 })
  assert.deepEqual([result.answered, result.lost, result.retried], [5, 0, 1])
})

test('load: a port where nobody listens, and a server that says nothing, are errors by name', async t => {
  const nobody = await load(await freePort(), { connections: 1, requests: 2 })
  assert.deepEqual(nobody.errors, { ECONNREFUSED: 2 })
  const server = await origin(t, () => {})
  const silent = await load(server.port, { connections: 1, requests: 1, timeoutMs: 50 })
  assert.deepEqual(silent.errors, { timeout: 1 })
})
