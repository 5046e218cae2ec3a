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
