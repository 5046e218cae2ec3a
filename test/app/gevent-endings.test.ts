// What a greenlet hears when its request has taken too long, and when its client has left.

import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { needs, PYTHON } from '../helpers/needs.ts'
import { get, raw } from '../helpers/raw.ts'
import type { Scope } from '../helpers/scope.ts'
import type { Server } from '../helpers/serve.ts'
import { serveThings } from './things.ts'

function serveGreenlets(t: Scope, app: string): Promise<Server> {
  return serveThings(t, { module: 'greenlets:application', app: `kind gevent; python ${PYTHON}; workers 1; ${app}` })
}

async function told(server: Server): Promise<string[]> {
  return JSON.parse((await get(server.port, '/told')).text)
}

test('gevent: the greenlet of a request that takes too long is ended, and its worker is not', async t => {
  if (!needs(t, 'gevent')) return
  const server = await serveGreenlets(t, 'timeout 3s;')
  assert.equal((await get(server.port, '/late')).status, 504)
  await eventually(async () => (await told(server)).length > 0)
  assert.deepEqual(await told(server), ['late GreenletExit'])
})

test('gevent: the greenlet of a client that has left comes to its own end', async t => {
  if (!needs(t, 'gevent')) return
  const server = await serveGreenlets(t, 'timeout 60s;')
  const client = await raw(t, server.port)
  await client.send('GET /left HTTP/1.1\r\nHost: x\r\n\r\n')
  await eventually(async () => (await told(server)).includes('left begun'))
  client.destroy()
  // That it has left is heard by a worker before what comes behind it.
  await eventually(() => server.errorLog().includes('prematurely closed') || server.errorLog().includes(' 499 '))
  await get(server.port, '/go')
  await eventually(async () => (await told(server)).length > 1)
  assert.deepEqual(await told(server), ['left begun', 'left went on'])
})
