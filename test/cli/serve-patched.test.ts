// An application that has a library of greenlets patch Python's own modules when it is loaded.

import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually, get, needs, serveApp } from '../helpers/index.ts'
import { env, runServe } from './serve-command.ts'

// What eventlet.monkey_patch() does to `select`: it has no poll() then.
const PATCHED = `import select
del select.poll
def application(environ, start_response):
    pass
`

for (const args of [[], ['--preload']]) {
  test(`one of eventlet is refused by name ${args.join(' ')}`, t => {
    if (!needs(t, 'python3')) return
    const { status, stderr } = runServe(t, ['-b', '127.0.0.1:0', ...args, 'patched'], { 'patched.py': PATCHED })
    assert.equal(status, 3, stderr)
    assert.match(stderr, /cannot load "patched": it lets eventlet patch the standard library, and only gevent may/)
    assert.doesNotMatch(stderr, /Traceback/)
  })
}

const GREEN = `from gevent import monkey
monkey.patch_all()
import os
def application(environ, start_response):
    start_response('200 OK', [])
    return [b'%d' % os.getpid()]
`

test('one that gevent patches is preloaded, its workers are replaced, and it stops', async t => {
  if (!needs(t, 'gevent')) return
  const files = { 'green.py': GREEN }
  const server = await serveApp(t, ['--preload', '--graceful-timeout', '600', 'green'], { files, env })
  const pid = (await get(server.port, '/')).body.toString()
  process.kill(Number(pid), 'SIGKILL')
  await eventually(async () => (await get(server.port, '/')).body.toString() !== pid)
  assert.equal(await server.stop(), 0)
})
