// Applications of Node behind app_pass.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import test from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { get, raw, request } from '../helpers/raw.ts'
import { serve } from '../helpers/serve.ts'
import { serveThings } from './things.ts'

test('app_pass: a fetch handler of Node is asked over HTTP, bodies stream and a client that leaves is noticed', async t => {
  const server = await serveThings(t, { module: './fetch.ts', app: 'workers 1;' })
  const body = randomBytes(300_000)
  const echo = await request({ address: server.port, method: 'POST', path: '/echo', body })
  assert.ok(echo.body.equals(body))
  assert.equal(echo.header('x-method'), 'POST')
  assert.equal((await get(server.port, '/boom')).status, 500)
  assert.equal((await get(server.port, '/cookies')).header('set-cookie'), 'a=1, b=2')
  assert.match((await get(server.port, '/')).text, /^\d+ 127\.0\.0\.1 /)
  const leaver = await raw(t, server.port)
  await leaver.send('GET /forever HTTP/1.1\r\nHost: x\r\n\r\n')
  await eventually(() => leaver.received.includes('begun'))
  leaver.destroy()
  await eventually(async () => (await get(server.port, '/aborted')).text === '1')
})

for (const [what, file, source] of [
  [
    'that listens itself',
    'server.mjs',
    `import http from 'node:http'\nhttp.createServer((q, s) => s.end('own ' + q.url)).listen(1)`,
  ],
  ['(req, res)', 'handler.mjs', `export default (q, s) => s.end('own ' + q.url)`],
  ['of CommonJS', 'handler.cjs', `module.exports = (q, s, next) => s.end('own ' + q.url)`],
  ['an object with handle', 'object.mjs', `export default { handle: (q, s) => s.end('own ' + q.url) }`],
] as const) {
  test(`app_pass: a Node application ${what} is served`, async t => {
    const server = await serve(t, {
      conf: `http { app own { directory %%DIR%%; module ./${file}; kind node; workers 1; }
        server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; } } }`,
      files: { [file]: source },
    })
    assert.equal((await get(server.port, '/x?y')).text, 'own /x?y')
  })
}

test('app_pass: a Node application’s X-Accel- fields are for us, or with app_accel off for the server before us', async t => {
  const server = await serve(t, {
    conf: `http { app own { directory %%DIR%%; module ./accel.mjs; workers 1; }
      server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; } location /off/ { app_pass own; app_accel off; }
        location = /file { internal; return 200 file; } } }`,
    files: {
      'accel.mjs': `export default (q, s) => {
        if (q.url.endsWith('/go')) s.setHeader('X-Accel-Redirect', '/file')
        s.setHeader('X-Accel-Buffering', 'no').setHeader('X-Accel-Expires', '1').end('own')
      }`,
    },
  })
  const ours = await get(server.port, '/x')
  assert.deepEqual([ours.header('x-accel-buffering'), ours.header('x-accel-expires')], [null, null])
  assert.equal((await get(server.port, '/go')).text, 'file')
  const off = await get(server.port, '/off/go')
  assert.equal(off.text, 'own')
  assert.deepEqual([off.header('x-accel-redirect'), off.header('x-accel-buffering')], ['/file', 'no'])
})

test('app_pass: behind an upgrade that a Node application did not take, what it cannot read is refused all the same', async t => {
  const server = await serve(t, {
    conf: `http { app own { directory %%DIR%%; module ./own.mjs; workers 1; }
      server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; } } }`,
    files: { 'own.mjs': `export default (q, s) => s.end('own')` },
  })
  const headers = { Connection: 'upgrade', Upgrade: 'other/1.0' }
  assert.equal((await request({ address: server.port, headers })).text, 'own')
  // Node's parser knows no such method.
  const answer = await request({ address: server.port, method: 'POPOST' })
  assert.equal(answer.status, 400)
  assert.equal((await get(server.port, '/')).text, 'own')
})

test('app_pass: a Node application may take a connection over (WebSocket and other upgrades)', async t => {
  const server = await serve(t, {
    conf: `http { app own { directory %%DIR%%; module ./up.mjs; workers 1; }
      server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; } } }`,
    files: {
      'up.mjs': `import http from 'node:http'
        const server = http.createServer()
        server.on('upgrade', (request, socket) => {
          socket.write('HTTP/1.1 101 Switching Protocols\\r\\nConnection: upgrade\\r\\nUpgrade: echo\\r\\n\\r\\n')
          socket.pipe(socket)
        })
        server.listen(0)`,
    },
  })
  const client = await raw(t, server.port)
  await client.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n')
  await eventually(() => client.received.includes('\r\n\r\n'))
  assert.match(client.received.toString('latin1'), /^HTTP\/1\.1 101 /)
  await client.send('over the tunnel')
  await eventually(() => client.received.includes('over the tunnel'))
  client.destroy()
})
