// What fetch handlers answer in pieces: bodies that break off, that nobody wants any more, or that come faster than they leave.

import assert from 'node:assert/strict'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { get, raw, request } from '../helpers/raw.ts'
import type { Scope } from '../helpers/scope.ts'
import type { Server } from '../helpers/serve.ts'
import { serveNode } from './node-file.ts'
import { shared } from './things.ts'

const SOURCE = `import { writeFileSync } from 'node:fs'
const say = word => console.error('said: ' + word)
const bytes = text => new TextEncoder().encode(text)
function endless(name, first) {
  let timer
  return new ReadableStream({
    start: controller => {
      if (first) controller.enqueue(bytes(first))
      timer = setInterval(() => controller.enqueue(bytes('.')), 5)
    },
    cancel: () => { clearInterval(timer); say(name + ' cancelled') },
  })
}
const answers = {
  '/pid': () => new Response(String(process.pid)),
  '/breaks': () => new Response(new ReadableStream({
    start: controller => controller.enqueue(bytes('begun')),
    pull: () => new Promise((_, reject) => setTimeout(reject, 5, new Error('broken off'))),
  })),
  '/breaks-at-once': () => new Response(new ReadableStream({ pull: () => { throw new Error('never begun') } })),
  '/endless': () => new Response(endless('endless', 'begun')),
  '/head': () => new Response(endless('head'), { headers: { 'x-name': 'v' } }),
  '/words': () => new Response('x', { status: 299, statusText: 'Own Words' }),
  '/large': () => {
    let left = 8
    return new Response(new ReadableStream({
      pull: controller => left-- > 0 ? controller.enqueue(new Uint8Array(4_000_000).fill(65 + left)) : controller.close(),
    }))
  },
  '/file': () => { writeFileSync(process.env.FILE, ''); return new Response('written') },
}
export default request => answers[new URL(request.url).pathname]()
`

function serveFetch(t: Scope): Promise<Server> {
  return serveNode(t, 'app.mjs', SOURCE, 'workers 1; umask 027; environment FILE=%%DIR%%/made;')
}

const usual = shared(serveFetch)

async function said(word: string): Promise<void> {
  const server = await usual()
  await eventually(() => server.output.includes(`said: ${word}`))
}

test('fetch: a body that breaks off cuts the response, one that never began is a 500, and the worker goes on', async () => {
  const server = await usual()
  const { text: pid } = await get(server.port, '/pid')
  await assert.rejects(get(server.port, '/breaks'))
  await eventually(() => server.output.includes('Error: broken off'))
  assert.equal((await get(server.port, '/breaks-at-once')).status, 500)
  assert.equal((await get(server.port, '/pid')).text, pid)
})

test('fetch: a body whose client has left is cancelled, so that nobody goes on making it', async t => {
  const server = await usual()
  const client = await raw(t, server.port)
  await client.send('GET /endless HTTP/1.1\r\nHost: x\r\n\r\n')
  await client.until('begun')
  client.destroy()
  await said('endless cancelled')
})

test('fetch: HEAD has the head of the answer, whose body is cancelled', async () => {
  const server = await usual()
  const answer = await request({ address: server.port, method: 'HEAD', path: '/head' })
  assert.deepEqual([answer.status, answer.header('x-name'), answer.body.length], [200, 'v', 0])
  await said('head cancelled')
  await get(server.port, '/pid')
  assert.doesNotMatch(server.output, /TypeError|ERR_HTTP_HEADERS_SENT/)
})

test('fetch: the answer’s own words for its status are sent', async t => {
  const server = await usual()
  const client = await raw(t, server.port)
  await client.send('GET /words HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.match(await client.until('\r\n\r\n'), /^HTTP\/1\.1 299 Own Words\r\n/)
})

test('fetch: pieces larger than the socket takes come whole and in order', async () => {
  const server = await usual()
  const { body } = await get(server.port, '/large')
  const letters = Array.from({ length: 8 }, (_, i) => String.fromCharCode(body[i * 4_000_000]!))
  assert.deepEqual([body.length, letters.join('')], [32_000_000, 'HGFEDCBA'])
})

test('fetch: files that the application makes have the mask of its block', async () => {
  const server = await usual()
  assert.equal((await get(server.port, '/file')).text, 'written')
  assert.equal(statSync(join(server.dir, 'made')).mode & 0o777, 0o640)
})
