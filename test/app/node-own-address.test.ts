// What a Node program finds at the address it has asked for: itself, though Portico has given its server a socket instead.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { get } from '../helpers/raw.ts'
import { serve, type Server } from '../helpers/serve.ts'

/** `%%PORT_1%%` in `app` is a further free port. */
function serveNode(t: TestContext, source: string, app = 'workers 1;'): Promise<Server> {
  return serve(t, {
    conf: `
events { }
http {
  access_log off;
  app own { directory %%DIR%%; module a.mjs; ${app} }
  server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; } }
}`,
    files: { 'a.mjs': source },
  })
}

const text = async (server: Server, path = '/'): Promise<string> => (await get(server.port, path)).text

test('node own address: a server says that it is where it asked to be', async t => {
  for (const [listen, address] of [
    ['3456', { address: '::', family: 'IPv6', port: 3456 }],
    [`'3456', '127.0.0.9'`, { address: '127.0.0.9', family: 'IPv4', port: 3456 }],
    [`{ port: 3456, host: 'localhost' }`, { address: '127.0.0.1', family: 'IPv4', port: 3456 }],
  ] as const) {
    const server = await serveNode(
      t,
      `import http from 'node:http'
const server = http.createServer((q, s) => s.end(before + JSON.stringify(server.address())))
const before = String(server.address())
server.listen(${listen})`,
    )
    assert.equal(await text(server), `null${JSON.stringify(address)}`)
  }
})

test('node own address: what the program asks of its own port it is asked itself, however it connects', async t => {
  const server = await serveNode(
    t,
    `import http from 'node:http'
import net from 'node:net'
const read = async stream => { let all = ''; for await (const part of stream) all += part; return all }
const port = Number(process.env.OWN)
const asked = options => new Promise((resolve, reject) => http.get(options, resolve).on('error', reject)).then(read)
const raw = () => {
  const socket = net.connect(port, 'localhost').setEncoding('latin1')
  socket.write('GET /raw HTTP/1.1\\r\\nHost: own\\r\\nConnection: close\\r\\n\\r\\n')
  return read(socket).then(answer => answer.split('\\r\\n\\r\\n')[1])
}
const all = () => Promise.all([
  ...['localhost', '127.0.0.1', '0.0.0.0', '[::1]'].map(async host => (await fetch('http://' + host + ':' + port + '/fetch')).text()),
  asked('http://127.0.0.1:' + port + '/get'),
  asked({ port, path: '/options', agent: false }),
  raw(),
])
http.createServer(async (q, s) => {
  if (q.url === '/all') s.end(JSON.stringify(await all().catch(error => String(error.cause ?? error))))
  else s.end(q.url + ' ' + q.socket.remoteAddress)
}).listen(port)`,
    'workers 1; environment OWN=%%PORT_1%%;',
  )
  const own = ['/fetch', '/fetch', '/fetch', '/fetch', '/get', '/options', '/raw'].map(path => `${path} 127.0.0.1`)
  assert.deepEqual(JSON.parse(await text(server, '/all')), own)
  // Nobody else finds anything there.
  await assert.rejects(get(server.ports[1]!, '/'), { code: 'ECONNREFUSED' })
})

test('node own address: one that asked for any port is told one, at which it finds itself', async t => {
  for (const listen of ['0', '', `{ port: 0, host: 'localhost' }`, `process.env.PORT ?? 0, '127.0.0.1'`]) {
    const server = await serveNode(
      t,
      `import http from 'node:http'
const server = http.createServer(async (q, s) => {
  if (q.url !== '/self') return s.end('own')
  const found = 'http://localhost:' + port + '/'
  s.end(await fetch(found).then(answer => answer.text(), error => String(error.cause)) + (port === server.address().port))
})
server.listen(${listen})
const { port } = server.address()`,
    )
    assert.equal(await text(server, '/self'), 'owntrue', listen)
  }
})

test('node own address: a further server at any port has one, with the handler that is exported too', async t => {
  for (const main of [`http.createServer(app).listen(3456)`, `export default app`]) {
    const server = await serveNode(
      t,
      `import http from 'node:http'
const closed = one => new Promise(resolve => one.close(resolve))
const app = async (q, s) => {
  if (q.url !== '/test') return s.end('own')
  const one = http.createServer(app).listen(0)
  const answer = await fetch('http://localhost:' + one.address().port + '/', { headers: { connection: 'close' } })
  await closed(one)
  s.end(await answer.text() + ' ' + one.listening)
}
${main}`,
    )
    for (let i = 0; i < 2; i++) assert.equal(await text(server, '/test'), 'own false')
  }
})

test('node own address: what a leaving worker finishes may still ask it', async t => {
  const server = await serveNode(
    t,
    `import http from 'node:http'
let leaving = () => {}
const left = new Promise(resolve => { leaving = resolve })
process.on('SIGTERM', () => setImmediate(leaving))
const server = http.createServer(async (q, s) => {
  if (q.url !== '/slow') return s.end('own')
  s.writeHead(200).write('begun ')
  await left
  s.end(await fetch('http://localhost:3456/').then(answer => answer.text(), error => String(error.cause)))
  s.once('close', () => process.exit(0))
})
server.listen(3456)`,
    'workers 1; max_requests 1;',
  )
  assert.equal(await text(server, '/slow'), 'begun own')
})

test('node own address: a further server on another address of "localhost" is the same application, and opens no port', async t => {
  const server = await serveNode(
    t,
    `import http from 'node:http'
const port = Number(process.env.OWN)
const seen = []
const first = http.createServer((q, s) => s.end(seen.join(' ')))
const second = http.createServer((q, s) => s.end('second'))
first.listen({ port, host: 'localhost' }, () => second.listen({ port, host: '127.0.0.1' }, () => {
  seen.push(second.address().port === port, second.listening)
  second.close(() => seen.push(second.address(), second.listening, first.listening))
}))`,
    'workers 1; environment OWN=%%PORT_1%%;',
  )
  await eventually(async () => (await text(server)) === 'true true  false true')
  await assert.rejects(get(server.ports[1]!, '/'), { code: 'ECONNREFUSED' })
})

test('node own address: a PORT that is none says nothing about which server is the application', async t => {
  const source = `import http from 'node:http'\nhttp.createServer((q, s) => s.end('own')).listen(3456)`
  for (const port of ['0', '/run/own.sock'])
    assert.equal(await text(await serveNode(t, source, `workers 1; environment PORT=${port};`)), 'own')
})

test('node own address: the field that names the client is in none of the views of a request’s fields', async t => {
  const server = await serveNode(
    t,
    `import http from 'node:http'
http.createServer((q, s) => {
  const { headers, headersDistinct, rawHeaders } = q
  const views = [Object.keys(headers), Object.keys(headersDistinct), rawHeaders.filter((_, i) => i % 2 === 0)]
  s.end(JSON.stringify(views.map(names => names.map(name => name.toLowerCase()).sort().join(' '))))
}).listen(3456)`,
  )
  const names = 'connection host x-forwarded-for x-forwarded-proto'
  assert.deepEqual(JSON.parse(await text(server)), [names, names, names])
})
