// Programs of Node that close their server on a decision of their own: to end, to leave as a worker of node:cluster does, or to
// listen anew.

import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { get, raw } from '../helpers/raw.ts'
import { serveNode } from './node-file.ts'

test('node: a server that its program closes answers what it is at, and is closed then, whatever the front would keep', async t => {
  const server = await serveNode(
    t,
    'a.cjs',
    `const waiting = []
const server = require('node:http').createServer((request, response) => {
  if (request.url === '/close') server.close(() => console.error('closed, ' + process.pid))
  if (request.url === '/begun') response.write('begun, ')
  if (request.url === '/pid') response.end(String(process.pid))
  else if (request.url === '/close') { for (const one of waiting) one.end('done'); response.end() }
  else waiting.push(response)
}).listen(3000)`,
    'workers 1; graceful_timeout 20s;',
  )
  const before = (await get(server.port, '/pid')).text
  const clients = [await raw(t, server.port), await raw(t, server.port)]
  await clients[0]!.send('GET /begun HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  await clients[0]!.until('begun, ')
  await clients[1]!.send('GET /silent HTTP/1.1\r\nHost: a\r\n\r\n')
  assert.equal((await get(server.port, '/close')).status, 200)
  assert.equal((await clients[1]!.response()).text, 'done')
  assert.match(await clients[0]!.closed(), /done/)
  await eventually(() => server.output.includes(`closed, ${before}`), 10_000)
  assert.notEqual((await get(server.port, '/pid')).text, before)
})

const CLUSTER = `import cluster from 'node:cluster'
import http from 'node:http'
if (cluster.isPrimary) cluster.fork()
else {
  cluster.worker.on('disconnect', () => console.error('disconnected, ' + process.pid))
  http.createServer((q, s) => s.end()).listen(Number(process.env.METRICS), '127.0.0.1')
  http.createServer((request, response) => {
    response.end(String(process.pid))
    if (request.url === '/disconnect') cluster.worker.disconnect()
    if (request.url === '/kill') cluster.worker.kill()
  }).listen(Number(process.env.PORT))
}`

test('node: a cluster worker that disconnects or kills itself ends, and another takes its place', async t => {
  const server = await serveNode(
    t,
    'a.mjs',
    CLUSTER,
    'workers 1; graceful_timeout 20s; environment PORT=3000; environment METRICS=%%PORT_1%%;',
  )
  const first = (await get(server.port, '/disconnect')).text
  await eventually(() => server.output.includes(`disconnected, ${first}`), 10_000)
  const second = (await get(server.port, '/kill')).text
  assert.notEqual(second, first)
  await eventually(async () => !['', second].includes((await get(server.port, '/')).text), 10_000)
  assert.doesNotMatch(server.output, /TypeError/)
})

for (const [what, next] of [
  ['another server', `http.createServer((q, s) => answer(q, s, 'real'))`],
  ['the same server', 'first'],
] as const) {
  test(`node: a program that is set up first closes its server and listens anew, with ${what}`, async t => {
    const server = await serveNode(
      t,
      'a.cjs',
      `const http = require('node:http')
let said = 'setup'
const answer = (request, response, text) => {
  // Longer than it would have had to end.
  if (request.url === '/later') setTimeout(() => response.end(text), 1200)
  else response.end(text + ' ' + process.pid)
  if (request.url === '/go') first.close(begin)
}
const first = http.createServer((q, s) => answer(q, s, said)).listen(3000)
const begin = () => {
  said = 'real'
  ${next}.listen(3000, () => console.error('listens anew'))
}`,
      'workers 1; graceful_timeout 1s;',
    )
    const setup = (await get(server.port, '/go')).text
    assert.match(setup, /^setup \d+$/)
    await eventually(() => server.output.includes('listens anew'), 10_000)
    for (let i = 0; i < 2; i++) assert.equal((await get(server.port, '/')).text, setup.replace('setup', 'real'))
    assert.equal((await get(server.port, '/later')).text, 'real')
  })
}
