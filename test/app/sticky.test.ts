// `sticky` in an app block, for the kinds whose workers serve many requests at a time.

import assert from 'node:assert/strict'
import test, { type TestContext } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import type { Response } from '../helpers/message.ts'
import { needs, PYTHON } from '../helpers/needs.ts'
import { get, raw } from '../helpers/raw.ts'
import { serve, serveApp, type Server } from '../helpers/serve.ts'
import { serveNode } from './node-file.ts'

const SOURCE = 'export default (request, response) => response.end(String(process.pid))'

const PYTHON_SOURCE = `import os
def application(environ, start_response):
    start_response('200 OK', [])
    return [b'%d' % os.getpid()]
async def asgi(scope, receive, send):
    if scope['type'] == 'websocket':
        await send({'type': 'websocket.accept', 'headers': [(b'x-pid', b'%d' % os.getpid())]})
        while (await receive())['type'] != 'websocket.disconnect':
            pass
    if scope['type'] == 'http':
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
        await send({'type': 'http.response.body', 'body': b'%d' % os.getpid()})
`

type Kind = 'node' | 'asgi' | 'gevent'

function serveSticky(t: TestContext, kind: Kind, app: string): Promise<Server> {
  if (kind === 'node') return serveNode(t, 'own.mjs', SOURCE, app)
  return serve(t, {
    conf: `
worker_processes 2;
http {
  access_log off;
  app own { directory %%DIR%%; module ${kind === 'asgi' ? 'own:asgi' : 'own'}; kind ${kind}; python ${PYTHON}; ${app} }
  server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; } }
}`,
    files: { 'own.py': PYTHON_SOURCE },
  })
}

function ask(server: Server, headers: Record<string, string>): Promise<Response> {
  return get(server.port, '/', headers)
}

/** By which worker each is served, asked again and again. */
async function pidsOf(server: Server, clients: readonly Record<string, string>[]): Promise<string[]> {
  const rounds = []
  for (let round = 0; round < 3; round++)
    rounds.push(await Promise.all(clients.map(async headers => (await ask(server, headers)).text)))
  for (const round of rounds) assert.deepEqual(round, rounds[0])
  return rounds[0]!
}

/** One worker dies: its clients come to its successor, and nobody else's go elsewhere. */
async function outliveOne(server: Server, clients: readonly Record<string, string>[]): Promise<void> {
  const before = await pidsOf(server, clients)
  const victim = before[0]!
  process.kill(Number(victim), 'SIGKILL')
  const successor = await eventually(async () => {
    const { status, text } = await ask(server, clients[0]!)
    return status === 200 && !before.includes(text) ? text : ''
  })
  assert.deepEqual(
    await pidsOf(server, clients),
    before.map(pid => (pid === victim ? successor : pid)),
  )
}

/** Who is with whom: for each the first one that has the same worker. */
function together(pids: readonly string[]): number[] {
  return pids.map(pid => pids.indexOf(pid))
}

const users = Array.from({ length: 20 }, (_, i) => ({ 'X-User': `user ${i}` }))

for (const kind of ['node', 'asgi', 'gevent'] as const) {
  test(`${kind}: sticky hash sends what has the same text to the same worker`, async t => {
    if (kind === 'gevent' && !needs(t, 'gevent')) return
    const server = await serveSticky(t, kind, 'workers 4; sticky hash $http_x_user;')
    await eventually(async () => new Set(await pidsOf(server, users)).size === 4)
    await outliveOne(server, users)
  })

  test(`${kind}: sticky cookie gives each client a worker, with the parameters of an upstream`, async t => {
    if (kind === 'gevent' && !needs(t, 'gevent')) return
    const server = await serveSticky(t, kind, 'workers 3; sticky cookie mine path=/ httponly;')
    const pids = new Map<string, string>()
    await eventually(async () => {
      const answer = await get(server.port, '/')
      const [, cookie] = /^(mine=\w+); httponly; path=\/$/.exec(answer.header('set-cookie') ?? '')!
      pids.set(cookie!, answer.text)
      return pids.size === 3
    })
    const clients = [...pids.keys()].map(Cookie => ({ Cookie }))
    assert.deepEqual(await pidsOf(server, clients), [...pids.values()])
    await outliveOne(server, clients)
  })

  test(`${kind}: a worker that is replaced while it serves hands its clients on`, async t => {
    if (kind === 'gevent' && !needs(t, 'gevent')) return
    const server = await serveSticky(t, kind, 'workers 3; max_requests 400; sticky hash $http_x_user;')
    await eventually(async () => new Set(await pidsOf(server, users)).size === 3)
    const before = await pidsOf(server, users)
    await eventually(async () => {
      const answers = await Promise.all(Array.from({ length: 20 }, () => ask(server, users[0]!)))
      return answers.some(({ text }) => text !== before[0])
    })
    // Another thread may hear of it a little later, and the other workers come to their ends, too.
    await eventually(
      async () => assert.deepEqual(together(await pidsOf(server, users)), together(before)) === undefined,
    )
  })
}

test('asgi: a WebSocket belongs to the worker of its client, and the first one is told which that is', async t => {
  const server = await serveSticky(t, 'asgi', 'workers 3; sticky cookie mine path=/;')
  const open = async (headers: Record<string, string>): Promise<Response> => {
    const client = await raw(t, server.port)
    const key = { Upgrade: 'websocket', Connection: 'upgrade', 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==' }
    const answer = await client.request({ headers: { ...key, 'Sec-WebSocket-Version': '13', ...headers } })
    client.destroy()
    return answer
  }
  const first = await open({})
  assert.equal(first.status, 101)
  const pid = first.header('x-pid')
  const [, cookie] = /^(mine=\d+); path=\/$/.exec(first.header('set-cookie') ?? '')!
  for (let i = 0; i < 5; i++) assert.equal((await open({ Cookie: cookie! })).header('x-pid'), pid)
  assert.equal((await get(server.port, '/', { Cookie: cookie! })).text, pid)
})

const SESSIONS = `import os
sessions = set()
async def app(scope, receive, send):
    if scope['type'] == 'lifespan':
        return
    given = dict(scope['headers']).get(b'mcp-session-id')
    fields = []
    if given is None:
        session = os.urandom(8).hex().encode()
        sessions.add(session)
        fields.append((b'mcp-session-id', session))
    status = 200 if given is None or given in sessions else 404
    await send({'type': 'http.response.start', 'status': status, 'headers': fields})
    await send({'type': 'http.response.body', 'body': b'%d' % os.getpid()})
`

test('a session that a field of a response has named stays with its worker, until that has gone', async t => {
  const options = ['-k', 'asgi', '-w', '4', '--sticky', 'header:Mcp-Session-Id', 'sessions:app']
  const server = await serveApp(t, options, { files: { 'sessions.py': SESSIONS } })
  const begin = async (): Promise<readonly [string, string]> => {
    const answer = await get(server.port, '/')
    return [answer.header('mcp-session-id')!, answer.text]
  }
  const clients = new Map<string, string>()
  await eventually(async () => {
    clients.set(...(await begin()))
    return new Set(clients.values()).size === 4
  })
  for (let round = 0; round < 3; round++)
    for (const [session, pid] of clients) {
      const { status, text } = await get(server.port, '/', { 'Mcp-Session-Id': session })
      assert.deepEqual([status, text], [200, pid])
    }
  const [[session, pid] = ['', '']] = clients
  process.kill(Number(pid), 'SIGKILL')
  const lost = await eventually(async () => {
    const answer = await get(server.port, '/', { 'Mcp-Session-Id': session })
    return answer.status === 404 ? answer.text : null
  })
  assert.notEqual(lost, pid)
  clients.delete(session)
  for (const [other, home] of clients) {
    if (home === pid) continue
    assert.equal((await get(server.port, '/', { 'Mcp-Session-Id': other })).text, home, 'those of others stay')
  }
})

test('a worker that has all it may take leaves a client to another, who comes back', async t => {
  const server = await serveSticky(t, 'asgi', 'workers 2; worker_connections 1; sticky cookie mine path=/;')
  const clients = new Map<string, string>()
  await eventually(async () => {
    const answer = await get(server.port)
    clients.set(answer.text, (answer.header('set-cookie') ?? '').replace(/;.*/, ''))
    return clients.size === 2
  })
  const [[pid, cookie] = ['', '']] = clients
  // It holds a WebSocket, and has room for nothing else.
  const holder = await raw(t, server.port)
  const key = { Upgrade: 'websocket', Connection: 'upgrade', 'Sec-WebSocket-Key': 'AAAAAAAAAAAAAAAAAAAAAA==' }
  const held = await holder.request({ headers: { ...key, 'Sec-WebSocket-Version': '13', Cookie: cookie } })
  assert.deepEqual([held.status, held.header('x-pid')], [101, pid])
  const away = await get(server.port, '/', { Cookie: cookie })
  assert.notEqual(away.text, pid)
  assert.equal(away.header('set-cookie'), null)
  holder.destroy()
  await eventually(async () => (await get(server.port, '/', { Cookie: cookie })).text === pid)
})

test('serve --sticky: clients come to the same worker by their addresses or by a cookie', async t => {
  const files = { 'own.mjs': SOURCE }
  const server = await serveApp(t, ['-w', '3', '--sticky', 'address', 'own.mjs'], { files })
  await eventually(async () => (await get(server.port, '/')).status === 200)
  await new Promise(resolve => setTimeout(resolve, 300))
  await pidsOf(server, [{}, {}, {}, {}])
  const other = await serveApp(t, ['-w', '3', '--sticky', 'cookie', 'own.mjs'], { files })
  const cookie = await eventually(async () => (await get(other.port, '/')).header('set-cookie') ?? '')
  assert.match(cookie, /^portico_worker=\w+; httponly; path=\/$/)
  await pidsOf(other, [{ Cookie: cookie.replace(/;.*/, '') }])
  await assert.rejects(
    serveApp(t, ['--sticky', 'cookie', 'a:b']),
    /--sticky is for workers of kind asgi, gevent or node/,
  )
})
