// Streams of events, as sse-starlette and the servers of MCP that build on it make them: how they hear that their worker leaves,
// and what they do when their client has left.

import assert from 'node:assert/strict'
import test from '../helpers/python-test.ts'
import type { TestContext } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { get, raw } from '../helpers/raw.ts'
import type { Server } from '../helpers/serve.ts'
import { serveThings } from './things.ts'

function serveFarewell(t: TestContext, app = 'workers 1;'): Promise<Server> {
  return serveThings(t, { module: 'farewell:application', app: `kind asgi; ${app}` })
}

test('asgi: the server behind the handler of SIGTERM says should_exit when its worker is replaced', async t => {
  const server = await serveFarewell(t, 'workers 1; max_requests 1;')
  const response = await get(server.port, '/until')
  assert.match(response.text, /^\d+\nover$/)
})

test('asgi: it says so behind a SIGTERM, which the worker hears as before', async t => {
  const server = await serveFarewell(t)
  const client = await raw(t, server.port)
  await client.send('GET /until HTTP/1.0\r\n\r\n')
  const pid = await eventually(() => Number(/\r\n\r\n(\d+)\n/.exec(client.received.toString())?.[1]))
  process.kill(pid, 'SIGTERM')
  const response = await client.response()
  assert.equal(response.text, `${pid}\nover`)
})

test('asgi: it says so as soon as the server stops', async t => {
  const server = await serveFarewell(t)
  const client = await raw(t, server.port)
  await client.send('GET /until HTTP/1.0\r\n\r\n')
  await eventually(() => /\r\n\r\n\d+\n/.test(client.received.toString()))
  server.signal('SIGQUIT')
  assert.match((await client.response()).text, /^\d+\nover$/)
  assert.equal(await server.exited, 0)
})

test('asgi: an application that begins another response for a client that has left gets an OSError', async t => {
  const server = await serveFarewell(t)
  const client = await raw(t, server.port)
  await client.send('GET /again HTTP/1.1\r\nHost: a\r\n\r\n')
  await eventually(() => client.received.includes('begun'))
  client.destroy()
  await eventually(async () => (await get(server.port, '/')).text === 'an OSError')
  assert.doesNotMatch(server.errorLog(), /OSError|sent already/)
})
