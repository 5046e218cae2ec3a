// The pool of idle connections, over real sockets.

import assert from 'node:assert/strict'
import test from 'node:test'
import { KeepalivePool } from '../../src/upstream/keepalive.ts'
import type { KeepaliveOptions } from '../../src/upstream/keepalive.ts'
import { Peer } from '../../src/upstream/peer.ts'
import { PeerConnection } from '../../src/upstream/peer-connection.ts'
import { eventually, origin } from '../helpers/index.ts'
import type { Origin, Scope } from '../helpers/index.ts'

const options: KeepaliveOptions = { max: 2, requests: 10, timeMs: 60_000, timeoutMs: 60_000, local: false }

function connected(peer: Peer): Promise<PeerConnection> {
  return new Promise((resolve, reject) => {
    const one = new PeerConnection(peer, {
      onConnect: () => resolve(one),
      onData() {},
      onEnd() {},
      onDrain() {},
      onTimeout() {},
      onClose: error => reject(error ?? new Error('closed')),
    })
  })
}

async function setUp(t: Scope, changes: Partial<KeepaliveOptions> = {}): Promise<[KeepalivePool, Peer, Origin]> {
  const up = await origin(t)
  const pool = new KeepalivePool({ ...options, ...changes })
  return [pool, new Peer(up.path, { host: '127.0.0.1', port: up.port }), up]
}

test('the connection used last is taken first, and the one idle longest gives way', async t => {
  const [pool, peer, up] = await setUp(t)
  const [a, b, c] = [await connected(peer), await connected(peer), await connected(peer)]
  for (const one of [a, b, c]) pool.put(one, null)
  assert.equal(pool.size, 2)
  await eventually(() => up.open.size === 2)
  assert.equal(pool.take(peer, null), c)
  assert.equal(pool.take(peer, null), b)
  assert.equal(pool.take(peer, null), null)
  b.close()
  c.close()
})

test('a local pool gives a connection only to whom it belongs', async t => {
  const [pool, peer] = await setUp(t, { local: true })
  const one = await connected(peer)
  pool.put(one, 'a')
  assert.equal(pool.take(peer, 'b'), null)
  assert.equal(pool.take(peer, 'a'), one)
  one.close()
})

test('connections of one peer are not given for another', async t => {
  const [pool, peer] = await setUp(t)
  pool.put(await connected(peer), null)
  assert.equal(pool.take(new Peer('other', peer.address), null), null)
  pool.close()
})

test('a spent connection is closed, not kept', async t => {
  const [pool, peer, up] = await setUp(t, { requests: 1 })
  const one = await connected(peer)
  one.requests = 1
  pool.put(one, null)
  assert.equal(pool.size, 0)
  await eventually(() => up.open.size === 0)
})

test('with keepalive_timeout 0 nothing is kept', async t => {
  const [pool, peer, up] = await setUp(t, { timeoutMs: 0 })
  pool.put(await connected(peer), null)
  assert.equal(pool.size, 0)
  await eventually(() => up.open.size === 0)
})

test('a connection the peer closes while it is idle leaves the pool', async t => {
  const [pool, peer, up] = await setUp(t)
  pool.put(await connected(peer), null)
  await eventually(() => up.open.size === 1)
  for (const socket of up.open) socket.end()
  await eventually(() => pool.size === 0)
})

test('a closed pool closes what it has and keeps nothing', async t => {
  const [pool, peer, up] = await setUp(t)
  pool.put(await connected(peer), null)
  pool.close()
  pool.put(await connected(peer), null)
  assert.equal(pool.size, 0)
  await eventually(() => up.open.size === 0)
})
