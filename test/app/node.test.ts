// Workers of kind node: what they are given, how they are replaced, and the frameworks people write for them.

import assert from 'node:assert/strict'
import { existsSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually } from '../helpers/eventually.ts'
import { load } from '../helpers/load.ts'
import { get, raw, request } from '../helpers/raw.ts'
import { serve, serveApp, type Server } from '../helpers/serve.ts'
import { tempDir } from '../helpers/temp-dir.ts'

const handler = `export default (request, response) => {
  const url = new URL(request.url, 'http://x')
  const ms = Number(url.searchParams.get('ms') ?? 0)
  const answer = () => response.end(process.pid + ' ' + url.pathname)
  if (url.pathname === '/hang') for (;;);
  if (url.pathname === '/crash') process.kill(process.pid, 'SIGKILL')
  setTimeout(answer, ms)
}`

function serveNode(t: TestContext, app: string, source = handler, file = 'server.mjs', threads = 1): Promise<Server> {
  return serve(t, {
    conf: `
worker_processes ${threads};
http {
  access_log off;
  app own { directory %%DIR%%; module ./${file}; ${app} }
  server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; } }
}`,
    files: { [file]: source },
  })
}

const pidOf = (text: string): number => Number(text.split(' ')[0])

for (const threads of [1, 2]) {
  test(`node: after max_requests a worker makes room for another, and no request is lost (${threads} threads)`, async t => {
    const server = await serveNode(t, 'workers 2; max_requests 200 jitter=50;', handler, 'server.mjs', threads)
    const pids = new Set<number>()
    // A worker serves on until its replacement has started, which may take long.
    for (let round = 0; round < 50 && pids.size < 4; round++) {
      const result = await load(server.port, {
        connections: 8,
        requests: 500,
        check: response => (pids.add(pidOf(response.text)), null),
      })
      assert.deepEqual([result.statuses, result.lost, result.errors], [{ 200: 500 }, 0, {}])
    }
    assert.ok(pids.size >= 4, `${pids.size} workers served`)
  })
}

test('node: a worker whose loop hangs costs its requests a 504, is killed and replaced; a slow one lives', async t => {
  const server = await serveNode(t, 'workers 1; timeout 1s;')
  const first = pidOf((await get(server.port, '/')).text)
  assert.equal((await get(server.port, '/slow?ms=5000')).status, 504)
  await new Promise(resolve => setTimeout(resolve, 2500))
  assert.equal(pidOf((await get(server.port, '/')).text), first)
  assert.equal((await get(server.port, '/hang')).status, 504)
  const second = await eventually(async () => {
    const answer = await get(server.port, '/')
    return answer.status === 200 && pidOf(answer.text) !== first ? pidOf(answer.text) : 0
  })
  assert.ok(second > 0)
  await eventually(() => server.errorLog().includes(`worker process ${first} did not answer in time and is aborted`))
  await eventually(() => !existsSync(`/proc/${first}`))
})

test('node: a worker that crashes costs its request a 502, and is replaced; the request is not tried on others', async t => {
  const server = await serveNode(t, 'workers 2;')
  await get(server.port, '/')
  assert.equal((await get(server.port, '/crash')).status, 502)
  const died = (): number => server.errorLog().split('exited on signal 9').length - 1
  await eventually(() => died() === 1)
  for (let i = 0; i < 8; i++) assert.equal((await get(server.port, '/')).status, 200)
  assert.equal(died(), 1)
})

test('node: a reload finishes what the old workers serve', async t => {
  const server = await serveNode(t, 'workers 2; graceful_timeout 10s;')
  const slow = await raw(t, server.port)
  await slow.send('GET /slow?ms=1500 HTTP/1.1\r\nHost: x\r\n\r\n')
  await eventually(async () => (await get(server.port, '/')).status === 200)
  await server.reload()
  assert.equal((await slow.response()).status, 200)
})

test('node: TypeScript runs as it is, through "serve" too', async t => {
  const files = {
    'app.ts': `interface Answer { readonly path: string }
      const answer = (path: string): Answer => ({ path })
      export default { fetch(request: Request): Response { return Response.json(answer(new URL(request.url).pathname)) } }`,
  }
  const server = await serveApp(t, ['-w', '1', './app.ts'], { files })
  assert.equal((await get(server.port, '/typed')).text, '{"path":"/typed"}')
})

test('node: events and upgraded connections may be silent for longer than the timeout', async t => {
  const source = `import http from 'node:http'
const server = http.createServer((request, response) => {
  if (request.url === '/hang') for (;;);
  if (request.url !== '/events') return response.end(String(process.pid))
  response.write('first ')
  setTimeout(() => response.end('second'), 5000)
})
server.on('upgrade', (request, socket) => {
  socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: Upgrade\\r\\nUpgrade: own\\r\\n\\r\\n')
  socket.on('data', bytes => socket.write(bytes))
})
server.listen(0)`
  const server = await serveNode(t, 'workers 1; timeout 3s;', source)
  const first = (await get(server.port, '/')).text
  const upgrade = 'Connection: Upgrade\r\nUpgrade: own\r\n'
  const tunnel = await raw(t, server.port)
  await tunnel.send(`GET /tunnel HTTP/1.1\r\nHost: x\r\n${upgrade}\r\n`)
  await tunnel.until('\r\n\r\n')
  assert.equal((await get(server.port, '/events')).text, 'first second')
  await tunnel.send('still here')
  await tunnel.until('still here')
  assert.equal((await get(server.port, '/')).text, first)
  // A worker that hangs and is killed takes with it what it had begun.
  assert.equal((await get(server.port, '/hang')).status, 504)
  await tunnel.closed()
})

test('node: trailers pass both ways, the Server field is the front’s, and nobody is asked for HTTP/2 past the front', async t => {
  const source = `import http from 'node:http'
const server = http.createServer((request, response) => {
  request.resume().on('end', () => {
    response.writeHead(200, { Trailer: 'X-Sum', Server: 'own' })
    response.write(JSON.stringify([request.headers.upgrade ?? null, request.trailers]))
    response.addTrailers({ 'X-Sum': '42' })
    response.end()
  })
})
server.on('upgrade', (request, socket) => socket.destroy())
server.listen(0)`
  const server = await serve(t, {
    conf: `http { app own { directory %%DIR%%; module ./own.mjs; workers 1; }
      server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; app_request_buffering off; } } }`,
    files: { 'own.mjs': source },
  })
  // While there is no worker a body is awaited as a whole, and has no trailers any more.
  assert.equal((await get(server.port, '/')).status, 200)
  const client = await raw(t, server.port)
  const fields = 'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n'
  await client.send(`POST / HTTP/1.1\r\nHost: x\r\n${fields}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n`)
  await client.send('0\r\nX-Client: 7\r\n\r\n')
  const text = await client.until('X-Sum: 42\r\n\r\n')
  assert.match(text, /^HTTP\/1\.1 200 OK\r\n/)
  assert.ok(text.includes('[null,{"x-client":"7"}]'), text)
  assert.equal(text.match(/^Server: /gim)?.length, 1)
  assert.ok(!text.includes('Server: own'))
})

test('node: a chunked body that is complete before it goes on is framed as one', async t => {
  const source = `export default (request, response) => {
  const parts = []
  request.on('data', part => parts.push(part)).on('end', () => response.end(request.url + ' ' + Buffer.concat(parts)))
}`
  const server = await serve(t, {
    conf: `http { app own { directory %%DIR%%; module ./own.mjs; workers 1; }
      server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; app_request_buffering off; } } }`,
    files: { 'own.mjs': source },
  })
  for (const path of ['/a', '/b', '/c']) {
    const client = await raw(t, server.port)
    const chunks = '3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n'
    await client.send(`POST ${path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`)
    assert.equal((await client.response()).text, `${path} abcde`)
  }
})

test('node: early hints reach the client where early_hints says so', async t => {
  const source = `export default (request, response) => {
  response.writeEarlyHints({ link: '</s.css>; rel=preload' }, () => response.end('late'))
}`
  const server = await serve(t, {
    conf: `http { app own { directory %%DIR%%; module ./own.mjs; workers 1; }
      server { listen 127.0.0.1:%%PORT_0%%; location / { early_hints 1; app_pass own; } } }`,
    files: { 'own.mjs': source },
  })
  const client = await raw(t, server.port)
  await client.send('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  const text = await client.until('late')
  assert.match(text, /^HTTP\/1\.1 103 [^]*rel=preload[^]*HTTP\/1\.1 200 OK/)
})

test('node: a Response without a body has Content-Length 0', async t => {
  const source = `export default { fetch: request => new Response(null, { status: Number(new URL(request.url).pathname.slice(1)) }) }`
  const server = await serveNode(t, 'workers 1;', source)
  assert.equal((await get(server.port, '/200')).header('content-length'), '0')
  assert.equal((await get(server.port, '/404')).header('content-length'), '0')
  assert.equal((await get(server.port, '/204')).header('content-length'), null)
  assert.equal((await get(server.port, '/304')).header('content-length'), null)
  assert.equal((await request({ address: server.port, method: 'HEAD', path: '/200' })).header('content-length'), null)
})

/** The packages themselves: the checkout's own, or where PORTICO_NODE_MODULES says, or Debian's. */
function modulesWith(name: string): string | null {
  const own = fileURLToPath(new URL('../../node_modules', import.meta.url))
  const places = [process.env['PORTICO_NODE_MODULES'] ?? own, '/usr/share/nodejs']
  return places.find(place => existsSync(join(place, name))) ?? null
}

for (const [name, source] of [
  [
    'express',
    `import express from 'express'
     const app = express()
     app.use(express.json())
     app.get('/hello/:name', (q, s) => s.type('text').send('hello ' + q.params.name))
     app.post('/sum', (q, s) => s.json({ sum: q.body.a + q.body.b }))
     export default app`,
  ],
  [
    'fastify',
    `import Fastify from 'fastify'
     const app = Fastify()
     app.get('/hello/:name', async q => 'hello ' + q.params.name)
     app.post('/sum', async q => ({ sum: q.body.a + q.body.b }))
     await app.listen({ port: 3000 })`,
  ],
  [
    'hono',
    `import { Hono } from 'hono'
     const app = new Hono()
     app.get('/hello/:name', c => c.text('hello ' + c.req.param('name')))
     app.post('/sum', async c => { const { a, b } = await c.req.json(); return c.json({ sum: a + b }) })
     export default app`,
  ],
] as const) {
  test(`node: ${name} serves its routes and reads bodies`, async t => {
    const modules = modulesWith(name)
    if (modules === null) {
      t.skip(`the package ${name} is not installed`)
      return
    }
    const dir = tempDir(t)
    symlinkSync(modules, join(dir, 'node_modules'))
    const server = await serve(t, {
      dir,
      conf: `http { app own { directory %%DIR%%; module ./own.mjs; workers 1; }
        server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; } } }`,
      files: { 'own.mjs': source },
    })
    assert.equal((await get(server.port, '/hello/you')).text, 'hello you')
    const answer = await request({
      address: server.port,
      method: 'POST',
      path: '/sum',
      headers: { 'Content-Type': 'application/json' },
      body: '{"a":1,"b":2}',
    })
    assert.deepEqual(JSON.parse(answer.text), { sum: 3 })
  })
}
