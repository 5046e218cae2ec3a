// What a preloaded application leaves in the zygote is no reason to wait for ever, and ends with it.

import assert from 'node:assert/strict'
import test from '../helpers/python-test.ts'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { eventually } from '../helpers/eventually.ts'
import { needs, PYTHON } from '../helpers/needs.ts'
import { processTree, signalTo } from '../helpers/processes.ts'
import { get } from '../helpers/raw.ts'
import { serve, type Server } from '../helpers/serve.ts'

const apps = fileURLToPath(new URL('./apps', import.meta.url))

function serveApp(t: TestContext, app: string): Promise<Server> {
  return serve(t, {
    conf: `
worker_processes 1;
http {
  access_log off;
  app odd { directory "${apps}"; ${app} }
  server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass odd; } }
}`,
  })
}

const isThere = (pid: number): boolean => processTree(pid).length > 0

test('preloaded: processes the application has started do not keep the zygote’s end from being noticed', async t => {
  const server = await serveApp(t, 'module forks:application; workers 1;')
  const started: number[] = []
  // A stop looks for what is left.
  t.after(() => started.forEach(pid => signalTo(pid, 'SIGKILL')))
  const ask = async (): Promise<number[]> => {
    const answer = await get(server.port, '/')
    assert.equal(answer.status, 200)
    const [worker = 0, child = 0, manager = 0] = answer.text.split(' ').map(Number)
    started.push(child)
    return [worker, child, manager]
  }
  const [, , first] = await ask()
  // It has to have lived for a while, as it would.
  await new Promise(resolve => setTimeout(resolve, 1100))
  signalTo(Number(/loading on Python [\d.]+, process (\d+)/.exec(server.errorLog())![1]), 'SIGKILL')
  await eventually(() => /the process that forks its workers exited on SIGKILL/.test(server.errorLog()))
  const [, child, second] = await ask()
  assert.notEqual(second, first)
  assert.ok(isThere(child!))
  // Nobody but whoever has killed its parent can end this one.
  signalTo(first!, 'SIGKILL')

  // Reloaded, the old zygote ends, and with it what multiprocessing has registered for the end; a plain child is its own affair.
  signalTo(server.pid, 'SIGHUP')
  await eventually(() => !isThere(second!))
  assert.ok(isThere(child!))
  const [, , third] = await ask()
  for (const pid of started) signalTo(pid, 'SIGKILL')
  assert.equal(await server.stop(), 0)
  await eventually(() => !isThere(third!))
})

test('preloaded: a request that kills its worker again and again leaves the others a worker', async t => {
  const server = await serveApp(t, 'module faults:application; workers 1; environment PYTHONDONTWRITEBYTECODE=1;')
  await get(server.port, '/ok')
  const begun = performance.now()
  for (let i = 0; i < 7; i++) {
    assert.equal((await get(server.port, '/core')).status, 502)
    assert.equal((await get(server.port, '/ok')).status, 200)
  }
  const took = performance.now() - begun
  t.diagnostic(`seven deaths: ${took.toFixed(0)} ms`)
  // With pauses that double from a second on it would be half a minute.
  assert.ok(took < 15_000)
})

test('preloaded: in a worker of kind gevent an error that cannot be told ends its request', async t => {
  if (!needs(t, 'gevent')) return
  const server = await serveApp(t, `module faults:application; workers 1; kind gevent; python ${PYTHON}; timeout 20s;`)
  await get(server.port, '/ok')
  const begun = performance.now()
  const answer = await get(server.port, '/riddle').catch(() => null)
  assert.notEqual(answer?.status, 504)
  assert.ok(performance.now() - begun < 15_000)
  assert.equal((await get(server.port, '/ok')).status, 200)
})
