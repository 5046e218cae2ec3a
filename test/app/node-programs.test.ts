// Programs of Node as people have them, written for "node FILE", pm2 or node:cluster: how they start, listen, and end.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { get, raw, request } from '../helpers/raw.ts'
import { serve, serveApp, type Server } from '../helpers/serve.ts'

/** `%%PORT_1%%` and on in `app` are further free ports. */
function serveNode(t: TestContext, file: string, source: string, app = 'workers 1;'): Promise<Server> {
  return serve(t, {
    conf: `
events { worker_connections 4096; }
http {
  access_log off;
  app own { directory %%DIR%%; module ${file}; ${app} }
  server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; } }
}`,
    files: { [file]: source },
  })
}

const text = async (server: Server, path = '/'): Promise<string> => (await get(server.port, path)).text

// ── how it starts ────────────────────────────────────────────────────────────────────────────────────────────────────

test('node programs: the file finds itself the program that runs, be it CommonJS or ESM', async t => {
  const common = await serveNode(
    t,
    'main.cjs',
    `const http = require('node:http')
if (require.main === module && process.argv[1] === __filename) http.createServer((q, s) => s.end('main')).listen(3000)`,
  )
  assert.equal(await text(common), 'main')
  const esm = await serveNode(
    t,
    'main.mts',
    `import http from 'node:http'
if (import.meta.main && process.argv[1] === import.meta.filename) {
  http.createServer((q: http.IncomingMessage, s: http.ServerResponse) => { s.end('main') }).listen(3000)
}`,
  )
  assert.equal(await text(esm), 'main')
})

for (const exported of ['', 'module.exports = ']) {
  test(`node programs: what hooks of require make of the file is what runs (${exported || 'it listens'})`, async t => {
    const listening = exported === '' ? '.listen(3000)' : ''
    const server = await serve(t, {
      conf: `
events { }
http {
  access_log off;
  app own { directory %%DIR%%; kind node; module a.coffee; node_options --require=./hook.cjs; workers 1; }
  server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; } }
}`,
      files: {
        'a.coffee': `${exported}require('node:http').createServer (q, s) -> s.end 'own'`,
        'hook.cjs': `const { readFileSync } = require('node:fs')
require.extensions['.coffee'] = (module, name) => {
  const source = readFileSync(name, 'latin1').replace(/createServer (.*) -> s.end (.*)/, 'createServer($1 => s.end($2))${listening}')
  module._compile(source, name)
}`,
      },
    })
    assert.equal(await text(server), 'own')
  })
}

for (const [what, file, source] of [
  ['a promise of a handler', 'a.mjs', `export default Promise.resolve((q, s) => s.end('own'))`],
  [
    'a server that does not listen yet',
    'a.mjs',
    `import http from 'node:http'\nexport default http.createServer((q, s) => s.end('own'))`,
  ],
  ['a handler under the name "app"', 'a.cjs', `exports.app = (q, s) => s.end('own')`],
  [
    'what a compiler makes of "export default"',
    'a.cjs',
    `exports.__esModule = true\nexports.default = (q, s) => s.end('own')`,
  ],
  [
    'a fetch function that takes bindings',
    'a.mjs',
    `export function fetch(r, { incoming }) { return new Response('own' + incoming.url.slice(1)) }`,
  ],
  [
    'a Response of a class of its own',
    'a.mjs',
    `class Own { status = 200; statusText = ''; headers = new Map([['x-a', 'b']]); body = new Blob(['own']).stream() }
    export default { fetch: () => new Own() }`,
  ],
] as const) {
  test(`node programs: ${what} may be exported`, async t => {
    assert.equal(await text(await serveNode(t, file, source)), 'own')
  })
}

for (const [what, source, why] of [
  [
    'throws later, which nobody catches',
    `const main = async () => { await 0; throw new Error('no database') }\nmain()`,
    /Error: no database/,
  ],
  ['exits', `process.exit(1)`, /cannot load "a\.cjs": it exited with code 1 before it served/],
  [
    'says what is wrong and ends',
    `Promise.reject(1).catch(() => { process.exitCode = 3 })`,
    /cannot load "a\.cjs": it exited with code 3 before it served/,
  ],
  ['has nothing to do', `exports.x = 1`, /"a\.cjs" neither exports a handler nor listens/],
] as const) {
  test(`node programs: one that ${what} cannot be loaded, which the log and the client are told at once`, async t => {
    const server = await serveNode(t, 'a.cjs', source)
    assert.equal((await get(server.port, '/')).status, 502)
    assert.match(server.errorLog(), why)
  })
}

// ── where it listens ─────────────────────────────────────────────────────────────────────────────────────────────────

test('node programs: a server of node:net that looks for a free port is not taken for the application', async t => {
  const server = await serveNode(
    t,
    'a.mjs',
    `import http from 'node:http'
import net from 'node:net'
const port = await new Promise(resolve => {
  const probe = net.createServer().listen(0, () => { const { port } = probe.address(); probe.close(() => resolve(port)) })
})
http.createServer((q, s) => s.end('own')).listen(port)`,
  )
  assert.equal(await text(server), 'own')
})

test('node programs: PORT names the server that is the application; others are shared by workers, and across a reload', async t => {
  const server = await serveNode(
    t,
    'a.mjs',
    `import http from 'node:http'
http.createServer((q, s) => s.end('metrics')).listen({ port: Number(process.env.METRICS), host: '127.0.0.1' })
http.createServer((q, s) => s.end('more')).listen(process.env.MORE, '127.0.0.1')
http.createServer((q, s) => s.end(String(process.pid))).listen(process.env.PORT)`,
    'workers 2; environment PORT=3000; environment METRICS=%%PORT_1%%; environment MORE=%%PORT_2%%;',
  )
  const seen = async (): Promise<Set<string>> => {
    const pids = new Set<string>()
    await eventually(async () => pids.add(await text(server)).size === 2)
    return pids
  }
  const before = await seen()
  assert.ok(!before.has('metrics'))
  assert.equal((await get(server.ports[1]!, '/')).text, 'metrics')
  assert.equal((await get(server.ports[2]!, '/')).text, 'more')
  await server.reload()
  await eventually(async () => !before.has(await text(server)))
  assert.doesNotMatch(server.errorLog(), /EADDRINUSE|cannot load/)
})

for (const [what, exported] of [
  ['a server', `export default http.createServer((q, s) => s.end('own'))`],
  [
    'an object that is told to listen',
    `const server = http.createServer((q, s) => s.end('own'))
export default { server, listen: options => { metrics.listen(0); server.listen(options) } }`,
  ],
  [
    'an object that listens where it was told',
    `const listener = http.createServer((q, s) => s.end('own'))
export default { listener, start: () => { metrics.listen(0); listener.listen(Number(process.env.ELSEWHERE)) } }`,
  ],
] as const) {
  test(`node programs: ${what} may be exported where PORT is in its environment`, async t => {
    const source = `import http from 'node:http'\nconst metrics = http.createServer((q, s) => s.end('metrics'))\n${exported}`
    const app = 'workers 1; environment PORT=3000; environment ELSEWHERE=%%PORT_1%%;'
    assert.equal(await text(await serveNode(t, 'a.mjs', source, app)), 'own')
  })
}

test('node programs: TypeScript whose types cannot just be dropped says what runs it', async t => {
  const server = await serveNode(
    t,
    'a.mts',
    `enum Kind { One }\nexport default (q: unknown, s: any) => s.end('' + Kind.One)`,
  )
  assert.equal((await get(server.port, '/')).status, 502)
  assert.match(
    server.errorLog(),
    /cannot load "a\.mts": .*enum is not supported.*; with the package tsx "node_options --import=tsx" /,
  )
})

test('node programs: what has been closed is not told as what listens', async t => {
  const server = await serveNode(
    t,
    'a.cjs',
    `const one = require('node:net').createServer().listen(0, () => one.close())`,
  )
  assert.equal((await get(server.port, '/')).status, 502)
  assert.match(server.errorLog(), /"a\.cjs" neither exports a handler nor listens$/m)
  assert.doesNotMatch(server.errorLog(), /traceback/)
})

test('node programs: an exported handler that listens later goes on where it is, and opens no port', async t => {
  const server = await serveNode(
    t,
    'a.cjs',
    `const http = require('node:http')
const handler = (q, s) => q.url === '/listen' ? listen(s) : s.end(String(made?.listening ?? 'exported'))
let made
function listen(response) {
  made = http.createServer(handler)
  made.listen(Number(process.env.ELSEWHERE), () => response.end(typeof made.address()))
}
module.exports = handler`,
    'workers 1; environment ELSEWHERE=%%PORT_1%%;',
  )
  assert.equal(await text(server), 'exported')
  assert.equal(await text(server, '/listen'), 'object')
  assert.equal(await text(server), 'true')
  await assert.rejects(get(server.ports[1]!, '/'), { code: 'ECONNREFUSED' })
})

test('node programs: what node:cluster would have forked are the workers there are, each with its environment', async t => {
  const server = await serveNode(
    t,
    'a.mjs',
    `import cluster, { isPrimary } from 'node:cluster'
import http from 'node:http'
if (isPrimary) {
  const all = Array.from({ length: 8 }, (_, i) => cluster.fork({ NAME: 'worker ' + i }))
  for (const one of all) console.log(one.process.stdout.fd)
  cluster.on('exit', () => cluster.fork())
} else {
  http.createServer((q, s) => s.end(process.env.NAME + ' is ' + cluster.worker.id)).listen(3000)
  http.createServer((q, s) => s.end('metrics')).listen(Number(process.env.METRICS), '127.0.0.1')
}`,
    'workers 2; environment METRICS=%%PORT_1%%;',
  )
  const ids = new Set<string>()
  await eventually(async () => ids.add(await text(server)).size === 2)
  assert.deepEqual([...ids].sort(), ['worker 0 is 1', 'worker 1 is 2'])
  assert.equal((await get(server.ports[1]!, '/')).text, 'metrics')
  assert.doesNotMatch(server.errorLog(), /cannot load/)
})

test('node programs: a burst of connections beyond Node’s own backlog waits for a loop that is busy', async t => {
  const server = await serveNode(
    t,
    'a.mjs',
    `import http from 'node:http'
const busy = ms => { for (const end = Date.now() + ms; Date.now() < end; ); }
http.createServer((q, s) => { if (q.url === '/busy') busy(3000); s.end('own') }).listen(3000)`,
  )
  assert.equal(await text(server), 'own')
  const first = text(server, '/busy')
  const many = await Promise.all(Array.from({ length: 900 }, () => get(server.port, '/')))
  assert.deepEqual([...new Set(many.map(answer => answer.status))], [200])
  assert.equal(await first, 'own')
})

// ── what it sees ─────────────────────────────────────────────────────────────────────────────────────────────────────

test('node programs: a request’s socket tells the client’s address and scheme, which no client can invent', async t => {
  const server = await serveNode(
    t,
    'a.mjs',
    `export default (q, s) => {
  const { remoteAddress, remotePort, remoteFamily } = q.socket
  const isTls = 'encrypted' in q.socket
  s.end(JSON.stringify([remoteAddress, typeof remotePort, remoteFamily, isTls, q.headers['x-portico-client'] ?? null]))
}`,
  )
  const headers = { 'X-Portico-Client': '9.9.9.9 9 https' }
  const answer = await request({ address: server.port, headers })
  assert.deepEqual(JSON.parse(answer.text), ['127.0.0.1', 'number', 'IPv4', false, null])
})

test('node programs: a request by TLS, or one that a trusted proxy says was, finds its socket encrypted', async t => {
  const files = { 'a.mjs': `export default (q, s) => s.end(q.socket.encrypted + ' ' + ('encrypted' in q.socket))` }
  const server = await serveApp(t, ['-w', '1', 'a.mjs'], { files })
  const proto = (value: string) => request({ address: server.port, headers: { 'X-Forwarded-Proto': value } })
  // All on one connection to the worker. AdonisJS asks whether there is such a property.
  for (let i = 0; i < 2; i++) {
    assert.equal((await proto('https')).text, 'true true')
    assert.equal((await proto('http')).text, 'undefined false')
  }
})

test('node programs: the server’s own wish to close idle connections is not heeded', async t => {
  const server = await serveNode(
    t,
    'a.cjs',
    `const server = require('node:http').createServer((q, s) => s.end(server.keepAliveTimeout + ' ' + server.maxRequestsPerSocket))
server.listen(3000)
server.keepAliveTimeout = 1
server.maxRequestsPerSocket = 1`,
  )
  for (let i = 0; i < 3; i++) assert.equal(await text(server), '0 0')
})

test('node programs: messages it sends are nobody’s, and of the master’s it is told nothing', async t => {
  const server = await serveNode(
    t,
    'a.cjs',
    `process.send('ready')
process.send(null)
process.send({ event: 'failed' })
const heard = []
process.on('message', message => heard.push(message))
require('node:http').createServer((q, s) => { if (q.url !== '/slow') s.end(JSON.stringify([process.pid, heard])) }).listen(3000)`,
    'workers 1; timeout 1s;',
  )
  const before = await text(server)
  assert.match(before, /^\[\d+,\[\]\]$/)
  // The master asks whether it hangs.
  assert.equal((await get(server.port, '/slow')).status, 504)
  assert.equal((await get(server.port, '/slow')).status, 504)
  assert.equal(await text(server), before)
})

// ── how it ends ──────────────────────────────────────────────────────────────────────────────────────────────────────

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`node programs: one that listens to ${signal} closes its server and finishes what it has to`, async t => {
    const server = await serveNode(
      t,
      'a.cjs',
      `const { writeFileSync } = require('node:fs')
const server = require('node:http').createServer((q, s) => s.end('own')).listen(3000)
const open = setInterval(() => {}, 1000)
process.on('${signal}', () => server.close(error => {
  setTimeout(() => { writeFileSync('ended', String(error ?? 'well')); clearInterval(open) }, 100)
}))`,
      'workers 1; graceful_timeout 20s;',
    )
    assert.equal(await text(server), 'own')
    await server.stop()
    assert.equal(server.file('ended'), 'well')
  })
}

// ── what a fetch handler answers ─────────────────────────────────────────────────────────────────────────────────────

test('node programs: of a Response, what is all there goes with its length, and what comes later is not waited for', async t => {
  const server = await serveNode(
    t,
    'a.mjs',
    `const parts = (...given) => new ReadableStream({ start(to) { given.forEach(part => to.enqueue(part)); to.close() } })
const bytes = new TextEncoder()
let go = () => {}
const kinds = {
  '/text': () => new Response('own'),
  '/empty': () => new Response(''),
  '/one': () => new Response(parts(bytes.encode('own'))),
  '/two': () => new Response(parts(bytes.encode('own'), bytes.encode('own'))),
  '/go': () => (go(), new Response('gone')),
  '/later': () => new Response(new ReadableStream({ start(to) { go = () => { to.enqueue(bytes.encode('own')); to.close() } } })),
}
export default { fetch: request => kinds[new URL(request.url).pathname]() }`,
  )
  const framed = async (path: string): Promise<unknown[]> => {
    const answer = await get(server.port, path)
    return [answer.text, answer.header('content-length')]
  }
  assert.deepEqual(await framed('/text'), ['own', '3'])
  assert.deepEqual(await framed('/empty'), ['', '0'])
  assert.deepEqual(await framed('/one'), ['own', '3'])
  assert.deepEqual(await framed('/two'), ['ownown', null])
  const late = await raw(t, server.port)
  await late.send('GET /later HTTP/1.1\r\nHost: x\r\n\r\n')
  // Its head is here before there is any of its body.
  await late.until('\r\n\r\n')
  assert.equal(await text(server, '/go'), 'gone')
  await late.until('own')
})
