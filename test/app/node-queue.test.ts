// What waits for the first worker of kind node.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import { eventually } from '../helpers/eventually.ts'
import { get, raw } from '../helpers/raw.ts'
import { serve, type Server } from '../helpers/serve.ts'

const startsLate = `import { existsSync } from 'node:fs'
while (!existsSync(process.cwd() + '/go')) await new Promise(resolve => setTimeout(resolve, 20))
export default (request, response) => response.end('here')`

function serveLate(t: TestContext, queue: string): Promise<Server> {
  return serve(t, {
    conf: `
http {
  app own { directory %%DIR%%; module ./late.mjs; workers 1; queue ${queue}; }
  server {
    listen 127.0.0.1:%%PORT_0%%;
    location / { app_pass own; }
    location = /status { app_status; }
  }
}`,
    files: { 'late.mjs': startsLate },
  })
}

async function own(server: Server): Promise<{ waiting: number; counters: Record<string, number> }> {
  return JSON.parse((await get(server.port, '/status')).text).apps.own
}

async function waiting(server: Server, count: number): Promise<void> {
  await eventually(async () => (await own(server)).waiting === count)
}

test('node: a client that has left while no worker is there makes room in the queue', async t => {
  const server = await serveLate(t, '1 timeout=10m')
  const first = await raw(t, server.port)
  await first.send('GET /first HTTP/1.1\r\nHost: a\r\n\r\n')
  await waiting(server, 1)
  const refused = await get(server.port, '/refused')
  assert.deepEqual([refused.status, refused.header('retry-after')], [503, '1'])
  first.destroy()
  await waiting(server, 0)
  const second = get(server.port, '/second')
  await waiting(server, 1)
  writeFileSync(join(server.dir, 'go'), '')
  assert.equal((await second).text, 'here')
  const { queue_ms: ms, ...counters } = (await own(server)).counters
  assert.deepEqual(counters, { requests: 1, queued: 2, queue_full: 1, queue_timeouts: 0, timeouts: 0 })
  assert.ok(ms! > 0)
})

test('node: each request waits for the first worker for as long as it may, and no longer', async t => {
  const server = await serveLate(t, '9 timeout=2s')
  const ask = async (): Promise<readonly [number, string | null, number]> => {
    const begun = performance.now()
    const answer = await get(server.port, '/')
    return [answer.status, answer.header('retry-after'), performance.now() - begun]
  }
  const first = ask()
  await new Promise(resolve => setTimeout(resolve, 1000))
  for (const [status, retryAfter, ms] of await Promise.all([first, ask()])) {
    assert.deepEqual([status, retryAfter], [503, '1'])
    assert.ok(ms >= 1990 && ms < 5000, `${ms} ms`)
  }
  assert.match(server.errorLog(), /app "own": no worker became free in time/)
  const { queued, queue_timeouts } = (await own(server)).counters
  assert.deepEqual([queued, queue_timeouts], [2, 2])
})
