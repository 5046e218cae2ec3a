// What an application has left when its worker ends: files that it has not closed, threads, libraries that do not come to an end.

import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually, get, needs, PYTHON, serveApp } from '../helpers/index.ts'
import type { Peer } from '../helpers/needs.ts'

const env = { PORTICO_PYTHON: PYTHON }

/** A file that nobody closes, and an object that wants to hear of its end. */
const WRITES = `import os
class Last:
    def __del__(self, write=os.write):
        write(2, b'the last\\n')
last = Last()
file = open('written', 'a')

def application(environ, start_response):
    file.write('a line')
    start_response('200 OK', [])
    return [b'ok']

async def asgi(scope, receive, send):
    if scope['type'] == 'lifespan':
        return
    file.write('a line')
    await send({'type': 'http.response.start', 'status': 200, 'headers': []})
    await send({'type': 'http.response.body', 'body': b'ok'})
`

const WORKERS: [readonly string[], Peer][] = [
  [['writes'], 'python3'],
  [['--preload', 'writes'], 'python3'],
  [['--reload', 'writes'], 'python3'],
  [['--threads', '2', '--preload', 'writes'], 'python3'],
  [['-k', 'asgi', 'writes:asgi'], 'python3'],
  [['-k', 'asgi', '--preload', 'writes:asgi'], 'python3'],
  [['-k', 'gevent', 'writes'], 'gevent'],
]

for (const [args, peer] of WORKERS) {
  test(`what a worker has not written out yet is in its file when it has ended: ${args.join(' ')}`, async t => {
    if (!needs(t, peer)) return
    const server = await serveApp(t, args, { files: { 'writes.py': WRITES }, env })
    assert.equal((await get(server.port, '/')).body.toString(), 'ok')
    assert.equal(await server.stop(), 0)
    assert.equal(server.file('written'), 'a line')
    assert.match(server.output, /^the last$/m)
  })
}

const OK = `
def application(environ, start_response):
    if environ['PATH_INFO'] == '/hangs':
        time.sleep(30)
    start_response('200 OK', [])
    return [b'%d' % os.getpid()]
`

/** Serves what begins in this way. */
async function left(t: Parameters<typeof serveApp>[0], begin: string, args: readonly string[]) {
  const files = { 'left.py': `import ctypes, os, signal, threading, time\n${begin}${OK}` }
  const server = await serveApp(t, [...args, 'left'], { files, env })
  const first = (await get(server.port, '/')).body.toString()
  return { server, first }
}

test('an application that blocks signals when it is loaded does not hold up a reload nor a stop', async t => {
  if (!needs(t, 'python3')) return
  const block = 'signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())'
  const { server, first } = await left(t, block, ['--graceful-timeout', '600'])
  server.signal('SIGHUP')
  await eventually(async () => (await get(server.port, '/')).body.toString() !== first)
  assert.equal(await server.stop(), 0)
})

test('a library that hangs at the very end does not hold up a stop', async t => {
  if (!needs(t, 'python3')) return
  const hang = 'libc = ctypes.CDLL(None)\nlibc.__cxa_atexit(libc.pause, None, None)'
  const { server } = await left(t, hang, ['--graceful-timeout', '600'])
  assert.equal(await server.stop(), 0)
})

test('a worker that does not end in time is told of', async t => {
  if (!needs(t, 'python3')) return
  const { server } = await left(t, 'threading.Thread(target=time.sleep, args=(600,)).start()', [
    '--graceful-timeout',
    '1',
  ])
  assert.equal(await server.stop(), 0)
  assert.match(server.output, /\[warn\] .* worker process \d+ has not ended within 1 seconds and is killed/)
})

test('a worker that hangs where libraries have lost their threads: the log says what may be the reason', async t => {
  if (!needs(t, 'python3')) return
  const thread = 'libc = ctypes.CDLL(None)\nlibc.pthread_create(ctypes.byref(ctypes.c_ulong()), None, libc.pause, None)'
  const { server } = await left(t, thread, ['--preload', '-t', '1'])
  assert.equal((await get(server.port, '/hangs')).status, 504)
  await eventually(() => /preloaded, and workers do not have the threads of its libraries, 1: /.test(server.output))
})
