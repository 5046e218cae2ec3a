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

async function waiting(server: Server, count: number): Promise<void> {
  await eventually(async () => JSON.parse((await get(server.port, '/status')).text).apps.own.waiting === count)
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
})
