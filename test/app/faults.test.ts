// What applications do that they should not, and what kill -9 does: the request that did it pays, and nobody else notices.

import assert from 'node:assert/strict'
import test from '../helpers/python-test.ts'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually } from '../helpers/eventually.ts'
import { load } from '../helpers/load.ts'
import { get, raw, request } from '../helpers/raw.ts'
import { serve, type Server } from '../helpers/serve.ts'

const apps = fileURLToPath(new URL('./apps', import.meta.url))

function serveFaults(t: TestContext, app: string): Promise<Server> {
  return serve(t, {
    conf: `
worker_processes 1;
http {
  access_log off;
  app faults { directory "${apps}"; module faults:application; environment PYTHONDONTWRITEBYTECODE=1; ${app} }
  server { listen 127.0.0.1:%%PORT_0%%; client_max_body_size 100m; location / { app_pass faults; }
    location = /status { app_status; } }
}`,
  })
}

const pidOf = (text: string): number => Number(text.split(' ')[0])

for (const kind of ['sync', 'threads']) {
  test(`faults (${kind}): whatever one request does, its client is told and the next one is served`, async t => {
    const server = await serveFaults(t, `workers 1; kind ${kind}; timeout 1500ms;`)
    await get(server.port, '/ok')
    const ask = async (path: string): Promise<number | 'cut'> => {
      try {
        return (await get(server.port, path)).status
      } catch {
        return 'cut'
      }
    }
    for (const [path, outcome] of [
      ['/exit', 502],
      ['/core', 502],
      ['/sys-exit', 500],
      ['/riddle', 500],
      ['/exit-in-close', 500],
      ['/for-ever', 504],
      ['/busy-for-ever', 504],
      ['/fork', 200],
      ['/wrong-body', 500],
      ['/wrong-status', 500],
      ['/nothing', 500],
      ['/lies-short', 'cut'],
      ['/exit-inside', 'cut'],
      ['/print', 200],
    ] as const) {
      assert.equal(await ask(path), outcome, path)
      const after = await get(server.port, '/ok')
      assert.match(after.text, /^\d+ \/ok$/, `after ${path}`)
    }
    assert.equal((await get(server.port, '/lies-long')).text, 'right')
    for (const said of [
      /exited with code 3/,
      /exited on signal 11/,
      /did not answer in time and is aborted/,
      /declared a Content-Length of 1000 and sent 995 bytes less/,
    ])
      await eventually(() => said.test(server.errorLog()))
    await eventually(() => server.output.includes('not a response'))
  })
}

test('faults: a body that is not read, read past its end, or closed, leaves the next request whole', async t => {
  const server = await serveFaults(t, 'workers 1;')
  for (const size of [10, 3_000_000]) {
    for (const path of ['/ok', '/read-past', '/close-input']) {
      const answer = await request({ address: server.port, method: 'POST', path, body: Buffer.alloc(size, 'x') })
      assert.match(answer.text, new RegExp(`^\\d+ ${path}$`))
    }
  }
})

test('faults: a worker that has grown beyond max_memory is replaced, and no request is lost', async t => {
  const server = await serveFaults(t, 'workers 1; max_memory 100m;')
  const first = pidOf((await get(server.port, '/ok')).text)
  for (let i = 0; i < 4; i++) await get(server.port, '/leak')
  const running = load(server.port, { connections: 4, seconds: 4 })
  await eventually(async () => pidOf((await get(server.port, '/ok')).text) !== first)
  const result = await running
  assert.deepEqual([Object.keys(result.statuses), result.lost, result.errors], [['200'], 0, {}])
  await eventually(() => /has more than 104857600 bytes of memory to itself: it is replaced/.test(server.errorLog()))
})

test('faults: a zygote killed under load costs the requests its workers had, and a moment', async t => {
  const server = await serveFaults(t, 'workers 3;')
  await get(server.port, '/ok')
  // It has to have lived for a while, as it would.
  await new Promise(resolve => setTimeout(resolve, 1200))
  const zygote = Number(/loading on Python [\d.]+, process (\d+)/.exec(server.errorLog())![1])
  const running = load(server.port, { connections: 12, requests: 60, path: '/slow' })
  await eventually(async () => Number((await get(server.port, '/status')).text.match(/"in_flight": 1/g)?.length) === 3)
  const killed = performance.now()
  process.kill(zygote, 'SIGKILL')
  await eventually(async () => (await get(server.port, '/ok')).status === 200)
  const back = performance.now() - killed
  t.diagnostic(`served again after ${back.toFixed(0)} ms`)
  const result = await running
  const { 200: good = 0, 502: broken = 0, ...others } = result.statuses
  assert.deepEqual([others, result.lost, result.errors], [{}, 0, {}])
  assert.ok(broken <= 3, `${broken} requests were answered with 502`)
  assert.equal(good + broken, 60)
})

test('faults: replacing a worker takes milliseconds', async t => {
  const server = await serveFaults(t, 'workers 1;')
  const times: number[] = []
  // What others do on the machine is not ours: the best of a few counts.
  for (let i = 0; i < 6 && !times.some(one => one < 300); i++) {
    // Deaths at once are made good without a pause only a few times.
    if (i > 0) await new Promise(resolve => setTimeout(resolve, 1100))
    const pid = pidOf((await get(server.port, '/ok')).text)
    const client = await raw(t, server.port)
    const begun = performance.now()
    process.kill(pid, 'SIGKILL')
    await client.send('GET /ok HTTP/1.1\r\nHost: x\r\n\r\n')
    const answer = await client.response()
    times.push(performance.now() - begun)
    assert.notEqual(pidOf(answer.text), pid)
  }
  t.diagnostic(`from kill -9 to an answer: ${times.map(one => one.toFixed(1)).join(', ')} ms`)
  assert.ok(Math.min(...times) < 300)
})
