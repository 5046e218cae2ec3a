import assert from 'node:assert/strict'
import { createHash, randomBytes } from 'node:crypto'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { needs, PYTHON } from '../helpers/needs.ts'
import { get, raw, request } from '../helpers/raw.ts'
import { runFuzzer } from '../python/fuzzer.ts'
import type { Server } from '../helpers/serve.ts'
import { busy, serveThings } from './things.ts'

function serveGevent(t: TestContext, app = 'workers 1;', location = ''): Promise<Server> {
  return serveThings(t, { threads: 2, app: `kind gevent; python ${PYTHON}; ${app}`, location })
}

test('gevent: 200 requests that sleep are served by one worker at a time', async t => {
  if (!needs(t, 'gevent')) return
  const server = await serveGevent(t)
  await get(server.port, '/pid')
  const begun = performance.now()
  const responses = await Promise.all(Array.from({ length: 200 }, () => get(server.port, '/sleep?0.5')))
  assert.equal(new Set(responses.map(one => one.text)).size, 1)
  // One after another they would take 100 s.
  assert.ok(performance.now() - begun < 60_000)
})

test('gevent: 1,000 requests that wait for news are held by one worker, and all hear them', async t => {
  if (!needs(t, 'gevent')) return
  const server = await serveGevent(t, 'workers 1; worker_connections 1010;')
  await get(server.port, '/pid')
  const waiting = Array.from({ length: 1000 }, () =>
    request({ address: server.port, path: '/wait?60', timeoutMs: 60_000 }),
  )
  await busy(server, 1000)
  await get(server.port, '/tell')
  const answers = await Promise.all(waiting)
  assert.ok(answers.every(one => one.status === 200 && one.text === 'news'))
})

for (const location of ['', 'app_buffering off;']) {
  test(`gevent: bodies go both ways, streams at the client’s pace (${location || 'buffered'})`, async t => {
    if (!needs(t, 'gevent')) return
    const server = await serveGevent(t, 'workers 1;', location)
    for (const size of [10, 3_000_000]) {
      const body = randomBytes(size)
      const sum = await request({ address: server.port, method: 'POST', path: '/sum', body })
      assert.equal(sum.text, `${size} ${createHash('sha256').update(body).digest('hex')}`)
    }
    const slow = await raw(t, server.port)
    slow.socket.pause()
    await slow.send('GET /endless HTTP/1.1\r\nHost: x\r\n\r\n')
    assert.equal((await get(server.port, '/stream?100')).body.length, 6_553_600)
    slow.destroy()
    assert.equal((await get(server.port, '/boom')).status, 500)
    await assert.rejects(get(server.port, '/half'))
  })
}

test('gevent: a request that takes too long is a 504, and the worker lives on', async t => {
  if (!needs(t, 'gevent')) return
  const server = await serveGevent(t, 'workers 1; timeout 2s;')
  const pid = (await get(server.port, '/pid')).text
  assert.equal((await get(server.port, '/sleep?30')).status, 504)
  assert.equal((await get(server.port, '/pid')).text, pid)
})

test('gevent: a reload and max_requests lose no request', async t => {
  if (!needs(t, 'gevent')) return
  const server = await serveGevent(t, 'workers 2; max_requests 50;')
  const before = (await get(server.port, '/pid')).text
  const over = new AbortController()
  const statuses: number[] = []
  const stream = (async () => {
    while (!over.signal.aborted) statuses.push((await get(server.port, '/sleep?0.005')).status)
  })()
  await server.reload()
  await eventually(async () => (await get(server.port, '/pid')).text !== before)
  await eventually(() => statuses.length > 120)
  over.abort()
  await stream
  assert.ok(statuses.every(status => status === 200))
})

test('gevent: greenlets serve one request after another, and those that are not needed end', t => {
  if (needs(t, 'gevent')) runFuzzer(t, 'runners.py', PYTHON)
})

test('gevent: frames of many greenlets stay whole when the front reads slowly', t => {
  if (needs(t, 'gevent')) runFuzzer(t, 'green_sending.py', PYTHON)
})
