// What dies is replaced while traffic goes on: a worker costs at most the request it was serving, a front at most the
// connections it had, and nobody notices afterwards.

import assert from 'node:assert/strict'
import test from '../helpers/python-test.ts'
import { eventually, get, load, processTree, serve, type Server } from '../helpers/index.ts'

const application = `
import os
def application(environ, start_response):
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'%d' % os.getpid()]
`

const conf = `
worker_processes 2;
events { }
http {
  access_log off;
  app steady { directory %%DIR%%; module application:application; workers 3; }
  server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass steady; } }
}`

const start = (t: Parameters<typeof serve>[0]): Promise<Server> =>
  serve(t, { conf, files: { 'application.py': application } })

test('workers killed one after the other under load cost at most a request each, and are replaced', async t => {
  const server = await start(t)
  const killed = new Set<number>()
  const running = load(server.port, { connections: 8, seconds: 3 })
  for (let i = 0; i < 5; i++) {
    const pid = await eventually(async () => {
      const answer = Number((await get(server.port)).text)
      return Number.isInteger(answer) && answer > 0 && !killed.has(answer) ? answer : 0
    })
    process.kill(pid, 'SIGKILL')
    killed.add(pid)
  }
  const result = await running
  const { 200: good = 0, 502: broken = 0, ...others } = result.statuses
  assert.deepEqual([result.lost, result.errors, others], [0, {}, {}])
  assert.ok(broken <= killed.size, `${broken} requests were answered with 502 for ${killed.size} workers`)
  assert.ok(good > 100)
  assert.deepEqual((await load(server.port, { requests: 300 })).statuses, { 200: 300 })
  await eventually(() => !processTree(server.pid).some(one => killed.has(one.pid)))
})

test('a front killed under load is replaced, with the same workers behind the new one', async t => {
  const server = await start(t)
  const before = Number((await get(server.port)).text)
  const workers = new Set([before])
  while (workers.size < 3) {
    for (const one of await Promise.all([1, 2, 3, 4].map(() => get(server.port)))) workers.add(Number(one.text))
  }
  const running = load(server.port, { connections: 8, seconds: 3 })
  const front = await eventually(() => frontOf(server))
  process.kill(front, 'SIGKILL')
  await eventually(() => frontOf(server) !== 0 && frontOf(server) !== front)
  const result = await running
  // Connections of the front that died are gone with it; each of the eight clients had one request on its own.
  assert.ok(result.lost <= 8, `${result.lost} requests were lost`)
  assert.deepEqual(Object.keys(result.statuses), ['200'])
  const after = await load(server.port, {
    requests: 300,
    check: response => (workers.has(Number(response.text)) ? null : 'another worker'),
  })
  assert.deepEqual([after.statuses, after.wrong], [{ 200: 300 }, {}])
})

/** 0 while there is none. */
function frontOf(server: Server): number {
  const match = [...server.errorLog().matchAll(/ (\d+)#\d+: start worker process 1\n/g)].at(-1)
  return match === undefined ? 0 : Number(match[1])
}
