// How `portico serve` ends where its user's code has a word in it: sys.exit() in the configuration file and in hooks, the exit codes by
// which workers end the server, what is done at a worker's exit; and that nothing is left.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import {
  eventually,
  get,
  needs,
  PORTICO,
  processTree,
  serveApp,
  tempDir,
  within,
  writeFiles,
} from '../helpers/index.ts'
import { env, HELLO, runServe } from './serve-command.ts'

test('sys.exit() in the configuration file is the exit code, and what it says is all that is said', t => {
  if (!needs(t, 'python3')) return
  const coded = runServe(t, ['hello'], { 'gunicorn.conf.py': 'import sys\nsys.exit(7)\n' })
  assert.equal(coded.status, 7)
  const told = runServe(t, ['hello'], { 'gunicorn.conf.py': 'import sys\nsys.exit("DATABASE_URL is missing")\n' })
  assert.equal(told.status, 1)
  assert.match(told.stderr, /^DATABASE_URL is missing$/m)
  assert.doesNotMatch(told.stderr, /Traceback/)
})

for (const hook of ['on_starting', 'when_ready', 'nworkers_changed']) {
  test(`sys.exit() in ${hook} ends the server with its code`, t => {
    if (!needs(t, 'python3')) return
    const conf = `import sys\ndef ${hook}(${hook === 'nworkers_changed' ? 'server, new, old' : 'server'}): sys.exit(5)\n`
    const ended = runServe(t, ['-b', '127.0.0.1:0', 'hello'], { 'gunicorn.conf.py': conf })
    assert.equal(ended.status, 5, ended.stderr)
    assert.match(ended.stderr, new RegExp(`${hook} has ended the server with exit code 5`))
  })
}

test('a worker that leaves its start with code 3 or 4 ends the server with the same', t => {
  if (!needs(t, 'python3')) return
  for (const [hook, code] of [
    ['post_fork(server, worker)', 3],
    ['post_worker_init(worker)', 4],
  ] as const) {
    const conf = `import sys\ndef ${hook}: sys.exit(${code})\ndef worker_exit(server, worker): open('left', 'w').close()\n`
    const dir = tempDir(t)
    const ended = runServe(t, ['-b', '127.0.0.1:0', 'hello'], { 'gunicorn.conf.py': conf }, {}, dir)
    assert.equal(ended.status, code, ended.stderr)
    assert.ok(existsSync(join(dir, 'left')))
  }
})

const LEAVES = `import os
def application(environ, start_response):
    if environ['PATH_INFO'] != '/':
        os._exit(int(environ['PATH_INFO'][1:]))
    start_response('200 OK', [])
    return [b'here']
`

test('a worker that leaves with code 3 while it serves ends the server; with another it is replaced', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['leaves'], { files: { 'leaves.py': LEAVES }, env })
  await get(server.port, '/5')
  assert.equal((await get(server.port)).text, 'here')
  await get(server.port, '/3').catch(() => null)
  assert.equal(await within(server.exited, 60_000, () => server.output), 3)
})

test('a hook may halt the arbiter, with a reason and a code', async t => {
  if (!needs(t, 'python3')) return
  const conf = "def child_exit(server, worker): server.halt('one has gone', 9)\n"
  const server = await serveApp(t, ['leaves'], { files: { 'leaves.py': LEAVES, 'gunicorn.conf.py': conf }, env })
  await get(server.port, '/1').catch(() => null)
  assert.equal(await within(server.exited, 60_000, () => server.output), 9)
  assert.match(server.output, /\[ERROR\] Reason: one has gone/)
})

test('one of a reload leaves the old workers where they are', async t => {
  if (!needs(t, 'python3')) return
  const conf = `import os, sys
def post_fork(server, worker):
    if os.path.exists('again'):
        sys.exit(4)
`
  const files = { 'hello.py': HELLO, 'gunicorn.conf.py': conf }
  const server = await serveApp(t, ['--log-level', 'info', 'hello'], { files, env })
  assert.equal((await get(server.port)).text, 'hello')
  writeFileSync(join(server.dir, 'again'), '')
  server.signal('SIGHUP')
  await eventually(() => /the old configuration stays/.test(server.output))
  assert.equal((await get(server.port)).text, 'hello')
})

test('a worker that cannot load the application has its worker_exit', t => {
  if (!needs(t, 'python3')) return
  const dir = tempDir(t)
  const conf = "def worker_exit(server, worker): open('left', 'w').write(str(worker.booted))\n"
  const files = { 'wrong.py': 'raise ValueError("no")\n', 'gunicorn.conf.py': conf }
  assert.equal(runServe(t, ['-b', '127.0.0.1:0', 'wrong'], files, {}, dir).status, 3)
  assert.equal(readFileSync(join(dir, 'left'), 'utf8'), 'False')
})

const AT_EXIT = `import atexit, os
atexit.register(lambda: open('left', 'a').write('x'))
def application(environ, start_response):
    start_response('200 OK', [])
    return [b'here']
async def asgi(scope, receive, send):
    if scope['type'] == 'http':
        await send({'type': 'http.response.start', 'status': 200, 'headers': []})
        await send({'type': 'http.response.body', 'body': b'here'})
`

for (const kind of ['sync', 'gthread', 'gevent', 'asgi']) {
  test(`what the application does at its exit is done when it has to go at once, in workers of kind ${kind}`, async t => {
    if (!needs(t, 'python3') || (kind === 'gevent' && !needs(t, 'gevent'))) return
    const conf = "def worker_int(worker): open('interrupted', 'w').close()\n"
    const files = { 'told.py': AT_EXIT, 'gunicorn.conf.py': conf }
    const server = await serveApp(t, ['-k', kind, kind === 'asgi' ? 'told:asgi' : 'told'], { files, env })
    assert.equal((await get(server.port)).text, 'here')
    assert.equal(await server.stop('SIGINT'), 0)
    assert.equal(server.file('left'), 'x')
    assert.ok(existsSync(join(server.dir, 'interrupted')))
  })
}

const HANGS = `import os, time
if os.path.exists('hang'):
    with open('pid.new', 'w') as file:
        file.write(str(os.getpid()))
    os.rename('pid.new', 'pid')
    time.sleep(600)
`

test('a configuration file that hangs goes with the server', async t => {
  if (!needs(t, 'python3')) return
  const dir = tempDir(t)
  writeFiles(dir, { 'hello.py': HELLO, 'gunicorn.conf.py': HANGS, hang: '', 'tmp/x': '' })
  const child = spawn(PORTICO, ['serve', '-b', '127.0.0.1:0', 'hello'], {
    cwd: dir,
    stdio: 'ignore',
    env: { ...process.env, ...env, TMPDIR: join(dir, 'tmp') },
  })
  const exited = new Promise(resolve => child.once('exit', resolve))
  await eventually(() => existsSync(join(dir, 'pid')))
  const python = Number(readFileSync(join(dir, 'pid'), 'utf8'))
  assert.equal(processTree(python).length, 1)
  child.kill('SIGTERM')
  await exited
  await eventually(() => processTree(python).length === 0)
})

test('one that hangs at a reload too', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['hello'], { files: { 'hello.py': HELLO, 'gunicorn.conf.py': HANGS }, env })
  assert.equal((await get(server.port)).text, 'hello')
  writeFileSync(join(server.dir, 'hang'), '')
  server.signal('SIGHUP')
  await eventually(() => server.file('pid') !== '')
  const python = Number(server.file('pid'))
  assert.equal((await get(server.port)).text, 'hello')
  assert.equal(await server.stop('SIGTERM'), 0)
  await eventually(() => processTree(python).length === 0)
})

test('graceful_timeout 0 waits for nobody', async t => {
  if (!needs(t, 'python3')) return
  const slow = `import time
def application(environ, start_response):
    open('begun', 'w').close()
    time.sleep(600)
`
  const server = await serveApp(t, ['--graceful-timeout', '0', '-t', '900', 'slow'], {
    files: { 'slow.py': slow },
    env,
  })
  const answer = get(server.port).catch(() => null)
  await eventually(() => existsSync(join(server.dir, 'begun')))
  assert.equal(await server.stop('SIGTERM'), 0)
  await answer
})

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  test(`${signal} while a Node program is still loading is an ending, not a failure`, async t => {
    const slow = `import { writeFileSync } from 'node:fs'
writeFileSync('begun', '')
await new Promise(resolve => setTimeout(resolve, 600_000))
`
    const server = await serveApp(t, ['-k', 'node', 'slow.mjs'], { files: { 'slow.mjs': slow } })
    await eventually(() => existsSync(join(server.dir, 'begun')))
    assert.equal(await server.stop(signal), 0)
    assert.doesNotMatch(server.output, /failed/)
  })
}
