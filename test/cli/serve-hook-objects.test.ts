// What the hooks of a gunicorn.conf.py are given and may do with it under `portico serve`: workers that are counted, the arbiter, `cfg`,
// and the logger with those that are derived from it.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import test from 'node:test'
import { fileURLToPath } from 'node:url'
import { atEnd, eventually, get, needs, PYTHON, serveApp } from '../helpers/index.ts'
import type { Server } from '../helpers/index.ts'
import { env, HELLO } from './serve-command.ts'

/** Numbers for workers, each free again when its worker has gone: `alive` says which those are. */
const NUMBERS = `import os
workers = 2
max_requests = 3
def note(*words):
    with open('numbers', 'a') as file:
        print(*words, file=file)
def on_starting(server):
    server.spare = set()
def nworkers_changed(server, new_value, old_value):
    server.wanted = new_value
def on_reload(server):
    server.spare = set(range(1, server.wanted + 1))
def next_number(server):
    if server.spare:
        return server.spare.pop()
    used = set(worker.number for worker in server.WORKERS.values() if worker.alive)
    return (set(range(1, server.wanted + 1)) - used).pop()
def pre_fork(server, worker):
    worker.number = next_number(server)
    note(worker.age, worker.number)
def post_fork(server, worker):
    os.environ['NUMBER'] = str(worker.number)
`

const numbers = (server: Server): string[][] =>
  server
    .file('numbers')
    .split('\n')
    .slice(0, -1)
    .map(line => line.split(' '))

test('a worker that is about to go is not alive any more when another is made in its place', async t => {
  if (!needs(t, 'python3')) return
  const files = { 'hello.py': HELLO, 'gunicorn.conf.py': NUMBERS }
  const server = await serveApp(t, ['hello'], { files, env })
  await eventually(async () => {
    assert.equal((await get(server.port)).status, 200)
    return numbers(server).length >= 6
  })
  const before = numbers(server).length
  server.signal('SIGHUP')
  await eventually(() => numbers(server).length >= before + 2)
  assert.doesNotMatch(server.output, /pre_fork failed/)
  const all = numbers(server)
  assert.ok(all.every(([, number]) => number === '1' || number === '2'))
  // The how many-th of all, whatever reload it comes with.
  const ages = all.map(([age]) => Number(age)).sort((a, b) => a - b)
  assert.deepEqual(
    ages,
    ages.map((_, i) => i + 1),
  )
})

const LOOKS = `import json, os
chdir = 'sub'
def when_ready(server):
    cfg = server.cfg
    told = {
        'user': [cfg.user == cfg.uid == os.geteuid(), cfg.group == cfg.gid == os.getegid()],
        'chdir': cfg.chdir,
        'setting': cfg.settings['workers'].get(),
        'codes': [server.WORKER_BOOT_ERROR, server.APP_LOAD_ERROR],
        'listeners': [[str(one), one.getsockname()] for one in server.LISTENERS],
    }
    with open('looked.new', 'w') as file:
        json.dump(told, file)
    os.rename('looked.new', 'looked')
`

test("the arbiter and its cfg have what people look at in Gunicorn's", async t => {
  if (!needs(t, 'python3')) return
  const files = { 'sub/hello.py': HELLO, 'gunicorn.conf.py': LOOKS }
  const server = await serveApp(t, ['-w', '2', 'hello'], { files, env })
  await eventually(() => server.file('sub/looked') !== '')
  assert.deepEqual(JSON.parse(server.file('sub/looked')), {
    user: [true, true],
    chdir: `${server.dir}/sub`,
    setting: 2,
    codes: [3, 4],
    listeners: [[`http://127.0.0.1:${server.port}`, ['127.0.0.1', server.port]]],
  })
})

/** Derived from the one that stands for Gunicorn's where that is not installed. */
const OWN_LOGGER = `import logging
from portico_bridge.logger import Logger
class Own(Logger):
    def setup(self, cfg):
        super().setup(cfg)
        assert self.cfg is cfg and self.access_log_enabled
        self._set_handler(self.error_log, cfg.errorlog, fmt=logging.Formatter('OWN %(message)s'))
        self._set_handler(self.access_log, cfg.accesslog, fmt=logging.Formatter('SEEN %(message)s'), stream=None)
accesslog = '-'
logger_class = Own
def when_ready(server):
    server.log.info('ready')
`

test("a logger derived from Gunicorn's sets its handlers by the names that they have there", async t => {
  if (!needs(t, 'python3')) return
  const files = { 'hello.py': HELLO, 'gunicorn.conf.py': OWN_LOGGER }
  const server = await serveApp(t, ['hello'], { files, env })
  assert.equal((await get(server.port, '/a')).status, 200)
  await eventually(() => /^OWN ready$/m.test(server.output) && /^SEEN 127\.0\.0\.1 .*GET \/a /m.test(server.output))
})

const METRICS = `def when_ready(server):
    log = server.log
    log.info('', extra={'metric': 'h', 'value': 3, 'mtype': 'histogram'})
    log.info('', extra={'metric': 't', 'value': 4, 'mtype': 'timer'})
    log.timer('own', 5)
    log.histogram('own', 6)
    log.gauge('last', 7)
`

test('StatsD is told of histograms and times as what they are', async t => {
  if (!needs(t, 'python3')) return
  const socket = createSocket('udp4')
  atEnd(t, () => void socket.close())
  const heard: string[] = []
  socket.on('message', bytes => heard.push(...bytes.toString().split('\n')))
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  const files = { 'hello.py': HELLO, 'gunicorn.conf.py': METRICS }
  await serveApp(t, ['--statsd-host', `127.0.0.1:${port}`, 'hello'], { files, env })
  await eventually(() => heard.includes('last:7|g'))
  assert.deepEqual(
    heard.filter(line => /^(?:h|t|own):/.test(line)),
    ['h:3|h', 't:4|ms', 'own:5|ms', 'own:6|h'],
  )
})

test('who is killed without a word may have had too much memory', async t => {
  if (!needs(t, 'python3')) return
  const app = `import os
def application(environ, start_response):
    if environ['PATH_INFO'] == '/kill':
        os.kill(os.getpid(), 9)
    start_response('200 OK', [])
    return [b'here']
`
  const server = await serveApp(t, ['app'], { files: { 'app.py': app }, env })
  await get(server.port, '/kill').catch(() => null)
  await eventually(() => /worker process \d+ exited on signal 9 \(out of memory\?\)/.test(server.output))
  assert.equal((await get(server.port)).text, 'here')
})

test('names that files import from the package are there where it is not installed', t => {
  if (!needs(t, 'python3')) return
  const code = `import sys
from portico_bridge import stand_in
sys.modules['gunicorn'], sys.modules['gunicorn.glogging'] = stand_in.gunicorn_modules()
stand_in.offer_dirty()
from gunicorn.arbiter import Arbiter
from gunicorn.config import Config
from gunicorn.http import Request
from gunicorn.http.wsgi import Response
from gunicorn.instrument.statsd import Statsd
from gunicorn.workers.base import Worker
print(Arbiter.WORKER_BOOT_ERROR, Config.__name__, Request.__name__, Response.__name__, Statsd.timer.__name__, Worker.__name__)
try:
    import gunicorn.nothing
except ImportError as error:
    print(error.name)
`
  const folder = fileURLToPath(new URL('../../python', import.meta.url))
  const { stdout, stderr } = spawnSync(PYTHON, ['-c', code], {
    encoding: 'utf8',
    env: { ...process.env, PYTHONPATH: folder, PYTHONDONTWRITEBYTECODE: '1' },
  })
  assert.equal(stdout, '3 Config Request Response timer Worker\ngunicorn.nothing\n', stderr)
})

test('a sync worker with threads is called gthread, as Gunicorn calls it', async t => {
  if (!needs(t, 'python3')) return
  const conf = `def when_ready(server):
    with open('name', 'w') as file:
        file.write(server.cfg.worker_class_str)
`
  for (const [threads, name] of [
    ['1', 'sync'],
    ['2', 'gthread'],
  ] as const) {
    const files = { 'gunicorn.conf.py': conf, 'hello.py': HELLO }
    const server = await serveApp(t, ['--threads', threads, 'hello'], { files, env })
    await eventually(() => server.file('name') === name)
  }
})
