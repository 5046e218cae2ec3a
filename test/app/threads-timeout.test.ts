// A request that takes too long in one of several threads: it alone is given up.

import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { setTimeout as after } from 'node:timers/promises'
import { eventually, get, needs, serve } from '../helpers/index.ts'

const SOURCE = `import os, threading, time

def application(environ, start_response):
    path = environ['PATH_INFO']
    if path == '/hang':
        threading.Event().wait()
    while path == '/neighbour' and not os.path.exists('open'):
        time.sleep(0.01)
    start_response('200 OK', [('Content-Type', 'text/plain')])
    return [b'%d' % os.getpid()]
`

test('threads: what hangs in one thread is given up, what other threads serve is not', async t => {
  if (!needs(t, 'python3')) return
  const server = await serve(t, {
    conf: `http { app own { directory %%DIR%%; module own:application; kind threads; threads 3; workers 1; timeout 4s;
        graceful_timeout 1s; }
      server { listen 127.0.0.1:%%PORT_0%%; location / { app_pass own; } } }`,
    files: { 'own.py': SOURCE },
  })
  const { text: first } = await get(server.port, '/')
  const hung = get(server.port, '/hang')
  // It has time left when the other has none.
  await after(2000)
  const neighbour = get(server.port, '/neighbour')
  assert.equal((await hung).status, 504)
  await eventually(() => server.errorLog().includes(`worker process ${first} did not answer in time and is replaced`))
  writeFileSync(join(server.dir, 'open'), '')
  assert.deepEqual([(await neighbour).status, (await neighbour).text], [200, first])
  assert.notEqual((await get(server.port, '/')).text, first)
  await eventually(() => server.errorLog().includes(`worker process ${first} exited on signal 6`))
})
