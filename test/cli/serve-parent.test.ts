// What an application, or a hook, sends its parent is for the server: with Gunicorn that is the arbiter.

import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually, get, needs, PYTHON, serveApp } from '../helpers/index.ts'
import type { Server } from '../helpers/index.ts'

const env = { PORTICO_PYTHON: PYTHON }
const files = {
  'tell.py': `import os, signal
def application(environ, start_response):
    if environ['QUERY_STRING']:
        os.kill(os.getppid(), getattr(signal, environ['QUERY_STRING']))
    start_response('200 OK', [])
    return [b'%d %d' % (os.getpid(), os.getppid())]
`,
}

function serveTold(t: test.TestContext): Promise<Server> {
  return serveApp(t, ['-w', '2', '--log-level', 'info', 'tell'], { files, env })
}

for (const [name, said] of [
  ['SIGHUP', /reconfiguring/],
  ['SIGUSR1', /reopening logs/],
  ['SIGTTIN', /3 workers from now on/],
  ['SIGTTOU', /1 worker from now on/],
] as const) {
  test(`a worker sends its parent ${name}`, async t => {
    if (!needs(t, 'python3')) return
    const server = await serveTold(t)
    assert.equal((await get(server.port, `/?${name}`)).status, 200)
    await eventually(() => said.test(server.output))
    assert.equal((await get(server.port)).status, 200)
  })
}

for (const name of ['SIGTERM', 'SIGINT', 'SIGQUIT'] as const) {
  test(`a worker sends its parent ${name}`, async t => {
    if (!needs(t, 'python3')) return
    const server = await serveTold(t)
    await get(server.port, `/?${name}`).catch(() => null)
    await eventually(() => server.child.exitCode !== null)
    assert.equal(server.child.exitCode, 0)
    assert.doesNotMatch(server.output, /\[alert\]/)
  })
}
