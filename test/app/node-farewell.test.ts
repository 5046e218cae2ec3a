// What applications of kind node do at SIGTERM, and when: those that a websocket or a stream of events is open to have something
// to tell their clients, and nobody else may be hurt by it.

import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { accepts } from '../helpers/ports.ts'
import { get, raw, type RawClient } from '../helpers/raw.ts'
import { serve, type Server } from '../helpers/serve.ts'

/** `/until` is answered when `/go` has been asked, or something is said behind an upgrade. */
const SOURCE = `import http from 'node:http'
const talks = new Set(), waiting = new Set()
const server = http.createServer((request, response) => {
  if (request.url === '/events') {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' }).write('data: ' + process.pid + '\\n\\n')
    talks.add(response)
  } else if (request.url === '/until') waiting.add(response)
  else {
    if (request.url === '/go') go()
    response.end(String(process.pid))
  }
})
const go = () => {
  for (const one of waiting) one.end('done')
}
server.on('upgrade', (request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: upgrade\\r\\nUpgrade: talk\\r\\n\\r\\n' + process.pid + '\\n')
  talks.add(socket.on('data', go))
})
process.on('SIGTERM', () => {
  if (process.argv[2] === 'exits') process.exit(0)
  for (const one of talks) one.end('goodbye')
  server.close(() => {
    console.error('closed, ' + process.pid)
    process.exit(0)
  })
})
server.listen(3000)
`

function serveTalks(t: TestContext, main = '', app = ''): Promise<Server> {
  return serve(t, {
    conf: `
worker_processes 2;
${main}
events { }
http {
  access_log off;
  app own { directory %%DIR%%; module own.mjs; workers 1; ${app} }
  server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; } location = /here { return 200 here; } }
}`,
    files: { 'own.mjs': SOURCE },
  })
}

const UPGRADE = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: talk\r\n\r\n'

async function talk(t: TestContext, server: Server): Promise<RawClient> {
  const client = await raw(t, server.port)
  await client.send(UPGRADE)
  await client.until('\r\n\r\n')
  await client.until('\n')
  return client
}

async function events(t: TestContext, server: Server): Promise<RawClient> {
  const client = await raw(t, server.port)
  await client.send('GET /events HTTP/1.1\r\nHost: a\r\n\r\n')
  await client.until('\n\n')
  return client
}

/** A request that the application is at. */
async function pending(t: TestContext, server: Server): Promise<RawClient> {
  const client = await raw(t, server.port)
  await client.send('GET /until HTTP/1.1\r\nHost: a\r\n\r\n')
  return client
}

test('node: a stop lets the application take leave of its websockets and events, once requests are answered', async t => {
  const server = await serveTalks(t)
  const clients = [await talk(t, server), await events(t, server)]
  const late = await raw(t, server.port)
  await late.send('GET / HTTP/1.1\r\nHost: a\r\n')
  server.signal('SIGQUIT')
  await eventually(async () => !(await accepts(server.port)))
  await late.send('\r\n')
  assert.equal((await late.response()).status, 200)
  for (const client of clients) {
    assert.match(await client.closed(), /goodbye/)
    client.end()
  }
  assert.equal(await server.exited, 0)
  assert.match(server.output, /closed, \d+/)
})

test('node: a reload does so too, and a client that hears the end of its events finds the new workers', async t => {
  const server = await serveTalks(t)
  const before = (await get(server.port, '/')).text
  const clients = [await talk(t, server), await events(t, server)]
  server.signal('SIGHUP')
  for (const client of clients) {
    await client.until('goodbye')
    // What browsers would do on a connection that stays: ask those that have just gone.
    await client.send('GET / HTTP/1.1\r\nHost: a\r\n\r\n').catch(() => {})
    assert.doesNotMatch(await client.closed(), /HTTP/)
    client.end()
  }
  await eventually(() => server.output.includes(`closed, ${before}`))
  assert.notEqual((await get(server.port, '/')).text, before)
})

test('node: an application that exits at SIGTERM is not told while a request is under way', async t => {
  const server = await serveTalks(t, '', 'arguments exits;')
  const before = (await get(server.port, '/')).text
  const cut = await talk(t, server)
  const first = await pending(t, server)
  const last = await raw(t, server.port)
  await last.send('GET /go HTTP/1.1\r\nHost: a\r\n')
  server.signal('SIGHUP')
  await eventually(async () => (await get(server.port, '/')).text !== before)
  await last.send('\r\n')
  assert.equal((await last.response()).status, 200)
  assert.equal((await first.response()).text, 'done')
  assert.equal(await cut.closed(), '')
})

test('node: where connections are cut after a time, it is told a little before, whatever is under way', async t => {
  const server = await serveTalks(t, 'worker_shutdown_timeout 3s;')
  const client = await talk(t, server)
  await pending(t, server)
  server.signal('SIGQUIT')
  assert.equal(await client.closed(), 'goodbye')
  assert.equal(await server.exited, 0)
})

test('node: a worker whose place another takes hears SIGTERM when it has answered', async t => {
  const server = await serveTalks(t, '', 'max_requests 3; arguments exits;')
  const before = (await get(server.port, '/')).text
  const client = await talk(t, server)
  const first = await pending(t, server)
  await eventually(async () => (await get(server.port, '/')).text !== before)
  // It would have been told by then.
  await new Promise(resolve => setTimeout(resolve, 500))
  await client.send('go')
  assert.equal((await first.response()).text, 'done')
  assert.equal(await client.closed(), '')
})
