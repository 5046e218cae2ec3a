// A Python without the interpreter's lock: what hangs in a thread is still seen in the stacks.

import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually, get, needs, serve } from '../helpers/index.ts'

// Such a Python writes the stack of one thread alone at SIGABRT; another one can be told that it is of that kind.
const SOURCE = `import faulthandler, sys, threading

sys._is_gil_enabled = lambda: False
faulthandler.disable()
faulthandler.enable = lambda *_: None

def hanging_here():
    threading.Event().wait()

def application(environ, start_response):
    if environ['PATH_INFO'] == '/hang':
        hanging_here()
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'here']
`

test('threads without a lock: the stacks of all are written when a worker is aborted', async t => {
  if (!needs(t, 'python3')) return
  const server = await serve(t, {
    conf: `http { app own { directory %%DIR%%; module own:application; kind threads; threads 2; workers 1; timeout 1s;
        graceful_timeout 1s; }
      server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; } } }`,
    files: { 'own.py': SOURCE },
  })
  assert.equal((await get(server.port, '/hang')).status, 504)
  await eventually(() => /Fatal Python error: Aborted[^]*in hanging_here[^]*in application/.test(server.output))
  await eventually(() => /worker process \d+ exited on signal 6/.test(server.errorLog()))
  assert.equal((await get(server.port, '/')).text, 'here')
})
