// The hook `when_ready` under `portico serve`: what it has begun is there after a reload, too, and at no time twice.

import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get, needs, serveApp, writeFiles } from '../helpers/index.ts'
import type { Server } from '../helpers/index.ts'
import { env } from './serve-command.ts'

/** A request that lasts until there is a file, and the process that forked the worker. */
const APP = `import os, time
def application(environ, start_response):
    if environ['PATH_INFO'] == '/slow':
        open('slow', 'w').close()
        while not os.path.exists('go'):
            time.sleep(.01)
    start_response('200 OK', [])
    return [b'%d' % os.getppid()]
`

/** As a port would be, the lock is the process's own: a second one cannot have it until the first has ended. */
const CONF = `import fcntl, os
def note(*words):
    with open('notes', 'a') as file:
        print(*words, file=file)
def when_ready(server):
    server.lock = open('lock', 'w')
    fcntl.lockf(server.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    note('ready', os.getpid())
def on_exit(server):
    note('exit', os.getpid(), server.lock.closed)
`

const FILES = { 'app.py': APP, 'gunicorn.conf.py': CONF }

test('after a reload it is called once the process before has gone', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['-w', '2', 'app'], { files: FILES, env })
  const first = await arbiter(server)
  const slow = get(server.port, '/slow')
  await eventually(() => existsSync(join(server.dir, 'slow')))
  server.signal('SIGHUP')
  const second = await eventually(() => another(server, first))
  assert.equal(server.file('notes'), `ready ${first}\n`)
  writeFiles(server.dir, { go: '' })
  assert.equal((await slow).text, first)
  await eventually(() => server.file('notes') === `ready ${first}\nready ${second}\n`)
  await server.stop('SIGTERM')
  assert.equal(server.file('notes'), `ready ${first}\nready ${second}\nexit ${second} False\n`)
})

test('so it is with --reload', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['--reload', 'app'], { files: FILES, env })
  const first = await arbiter(server)
  writeFiles(server.dir, { 'app.py': `${APP}# changed\n` })
  const second = await eventually(() => another(server, first))
  await eventually(() => server.file('notes') === `ready ${first}\nready ${second}\n`)
})

test('one that fails then is told of, and the server goes on', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['app'], { files: FILES, env })
  const first = await arbiter(server)
  writeFiles(server.dir, { 'gunicorn.conf.py': 'def when_ready(server):\n    raise OSError("taken")\n' })
  server.signal('SIGHUP')
  const second = await eventually(() => another(server, first))
  await eventually(() => /when_ready failed: OSError: taken\nTraceback /.test(server.output))
  assert.equal(await arbiter(server), second)
})

async function arbiter(server: Server): Promise<string> {
  return (await get(server.port)).text
}

async function another(server: Server, former: string): Promise<string> {
  const now = await arbiter(server)
  assert.notEqual(now, former)
  return now
}
