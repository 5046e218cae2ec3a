// Lifespans of ASGI applications that go otherwise than they should; the applications are in apps/lifespans.py.

import assert from 'node:assert/strict'
import test from '../helpers/python-test.ts'
import { eventually } from '../helpers/eventually.ts'
import { get } from '../helpers/raw.ts'
import type { Scope } from '../helpers/scope.ts'
import type { Server } from '../helpers/serve.ts'
import { serveThings } from './things.ts'

function serve(t: Scope, name: string): Promise<Server> {
  return serveThings(t, { module: `lifespans:${name}`, app: 'kind asgi; workers 1;' })
}

async function told(server: Server): Promise<string[]> {
  return JSON.parse((await get(server.port, '/')).text)
}

test('lifespan: an application that raises in its startup is served without, and it is said why', async t => {
  const server = await serve(t, 'raises')
  assert.deepEqual(await told(server), [])
  await eventually(() =>
    /in its lifespan startup and is served without lifespan: RuntimeError: no database/.test(server.output),
  )
})

test('lifespan: one that raises when it has started is told of, and the worker serves on', async t => {
  const server = await serve(t, 'raises_later')
  assert.deepEqual(await told(server), [])
  await eventually(() => /error in the lifespan of .*: RuntimeError: lost the database/.test(server.output))
  assert.deepEqual(await told(server), [])
})

test('lifespan: what is unknown or out of its turn raises, and it is said what the end came to', async t => {
  const server = await serve(t, 'confused')
  assert.deepEqual(await told(server), [
    'ValueError: unknown lifespan message "lifespan.nonsense"',
    'RuntimeError: "lifespan.shutdown.complete" sent although nobody asked for the end',
    '',
    'RuntimeError: "lifespan.startup.failed" sent although the start is over',
    'RuntimeError: "lifespan.shutdown.failed" sent although nobody asked for the end',
  ])
  await server.stop()
  assert.match(server.output, /failed to shut down: cannot close/)
})
