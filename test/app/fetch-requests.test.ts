// What a fetch handler is asked: requests no Request can be made of, and clients that leave.

import assert from 'node:assert/strict'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { get, raw, request } from '../helpers/raw.ts'
import { serveApp, type Server } from '../helpers/serve.ts'

function serveFetch(t: TestContext, source: string): Promise<Server> {
  return serveApp(t, ['-w', '1', 'a.mjs'], { files: { 'a.mjs': source } })
}

test('fetch requests: one that no Request can be made of is answered 400, and the application is not asked', async t => {
  const server = await serveFetch(
    t,
    `let asked = 0
export default { fetch(request) { return Response.json([++asked, request.method, request.url]) } }`,
  )
  const { port } = server
  for (const headers of [{ Host: 'a:99999' }, { Host: 'a%zz' }])
    assert.equal((await request({ address: port, headers })).status, 400, JSON.stringify(headers))
  assert.equal((await request({ address: port, method: 'TRACK' })).status, 400)
  const client = await raw(t, port)
  await client.send('OPTIONS * HTTP/1.1\r\nHost: own\r\n\r\n')
  assert.deepEqual(JSON.parse((await client.response()).text), [1, 'OPTIONS', 'http://own/'])
  assert.doesNotMatch(server.output, /TypeError|Failed to parse/)
})

test('fetch requests: a request tells the client’s address, as h3 reads it', async t => {
  const { port } = await serveFetch(t, `export default { fetch: ({ ip }) => Response.json([ip]) }`)
  const headers = { 'X-Forwarded-For': '192.0.2.7' }
  assert.equal((await request({ address: port, headers })).text, '["127.0.0.1"]')
})

test('fetch requests: a client that leaves aborts the signal, and cancels the body that is on its way', async t => {
  const { port } = await serveFetch(
    t,
    `const seen = []
export default { async fetch(request) {
  const { pathname } = new URL(request.url)
  if (pathname === '/seen') return Response.json(seen)
  if (pathname === '/begun') {
    const cancel = () => void seen.push('cancelled')
    return new Response(new ReadableStream({ start: to => to.enqueue(new TextEncoder().encode('first')), cancel }))
  }
  seen.push('asked')
  await new Promise(resolve => request.signal.addEventListener('abort', resolve))
  seen.push('aborted')
} }`,
  )
  const seen = async (): Promise<string[]> => JSON.parse((await get(port, '/seen')).text)
  const waiting = await raw(t, port)
  await waiting.send('GET / HTTP/1.1\r\nHost: own\r\n\r\n')
  await eventually(async () => (await seen()).includes('asked'))
  waiting.destroy()
  await eventually(async () => (await seen()).includes('aborted'))
  const begun = await raw(t, port)
  await begun.send('GET /begun HTTP/1.1\r\nHost: own\r\n\r\n')
  await begun.until('\r\n\r\n')
  begun.destroy()
  await eventually(async () => (await seen()).includes('cancelled'))
})
