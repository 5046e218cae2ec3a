// Gunicorn's "dirty arbiters" under `portico serve`: its settings, its hooks, its commands, and its own client where the package is
// installed.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get, needs, PORTICO, serveApp, signalTo } from '../helpers/index.ts'
import { hasPython } from '../helpers/needs.ts'
import type { Server } from '../helpers/index.ts'
import { env, HELLO, runServe } from './serve-command.ts'

const TASKS = `from gunicorn.dirty import DirtyApp
class Adder(DirtyApp):
    def init(self):
        self.sum = 0
    def add(self, number):
        self.sum += number
        return self.sum
    def fail(self):
        raise ValueError('not today')
`

const WEB = `import json, os
from gunicorn.dirty import get_dirty_client, DirtyError, stash
import gunicorn.dirty.errors, gunicorn.dirty.protocol
def application(environ, start_response):
    path = environ['PATH_INFO'][1:]
    try:
        if path == 'values':
            client = get_dirty_client()
            values = [None, True, -3, 1.5, 'ü', [1, [2]], {'a': {'b': b'c'}}]
            stash.put('t', 'k', values)
            answer = [stash.get('t', 'k') == values, stash.get('t', 'none', 7), gunicorn.dirty.__file__]
        else:
            answer = get_dirty_client().execute('tasks:Adder', *json.loads(path))
    except DirtyError as error:
        answer = [type(error).__name__, error.message]
    start_response('200 OK', [])
    return [json.dumps(answer).encode()]
`

const HOOKS = `import os
from gunicorn.dirty import DirtyApp
dirty_apps = ['tasks:Adder']
dirty_workers = 1
loglevel = 'info'
def note(*words):
    with open('hooks.log', 'a') as file:
        print(os.getpid(), *words, file=file)
def on_dirty_starting(arbiter):
    note('on_dirty_starting', arbiter.pid == os.getpid(), arbiter.num_workers, arbiter.cfg.dirty_apps)
    arbiter.log.info('tasks begin')
def dirty_post_fork(arbiter, worker):
    note('dirty_post_fork', worker.age, worker.app_paths, arbiter.workers[worker.pid] is worker, worker.pid)
def dirty_worker_init(worker):
    note('dirty_worker_init', worker.pid == os.getpid(), list(worker.apps), worker.booted)
def dirty_worker_exit(arbiter, worker):
    note('dirty_worker_exit', worker.pid, worker.alive, len(arbiter.workers))
`

async function ask(server: Server, ...what: readonly unknown[]): Promise<any> {
  return JSON.parse((await get(server.port, `/${encodeURIComponent(JSON.stringify(what))}`)).text)
}

function hooks(server: Server): string[][] {
  const lines = server.file('hooks.log').split('\n').slice(0, -1)
  return lines.map(line => /^(\d+) (\w+) (.*)$/.exec(line)!.slice(1))
}

test('settings are those of the configuration, and what is wrong in them is told', t => {
  const args = ['--dirty-app', 'tasks:Adder', '--dirty-app', 'b:C:2', '--dirty-timeout', '0', 'hello']
  const printed = runServe(t, ['--print-config', '--dirty-workers', '3', '--dirty-threads', '4', ...args]).stdout
  assert.match(
    printed,
    /dirty_app tasks:Adder;\n +dirty_app b:C:2;\n +dirty_workers 3;\n +dirty_threads 4;\n +dirty_timeout 0s;\n +dirty_graceful_timeout 30s;/,
  )
  // Without processes there is no pool, as with Gunicorn.
  assert.doesNotMatch(runServe(t, ['--print-config', ...args]).stdout, /^ +dirty/m)
  const wrong = runServe(t, ['--dirty-workers', '1', '--dirty-app', 'tasks', 'hello'])
  assert.match(
    wrong.stderr,
    /^portico serve: invalid value "tasks" for --dirty-app: a class is needed, as in module:Class/,
  )
})

test('hooks are called in the process they belong to, with what they may ask for', async t => {
  if (!needs(t, 'python3')) return
  const files = { 'tasks.py': TASKS, 'web.py': WEB, 'gunicorn.conf.py': HOOKS }
  const server = await serveApp(t, ['web'], { files, env })
  assert.equal(await ask(server, 'add', 2), 2)
  const worker = hooks(server).find(([, name]) => name === 'dirty_worker_init')![0]!
  const arbiter = hooks(server)[0]![0]!
  assert.deepEqual(
    hooks(server).toSorted((a, b) => a[1]!.length - b[1]!.length),
    [
      [arbiter, 'dirty_post_fork', `1 ['tasks:Adder'] True ${worker}`],
      [arbiter, 'on_dirty_starting', "True 1 ['tasks:Adder']"],
      [worker, 'dirty_worker_init', "True ['tasks:Adder'] False"],
    ],
  )
  await eventually(() => /\[INFO\] tasks begin/.test(server.output))
  signalTo(Number(worker), 'SIGKILL')
  await eventually(() =>
    hooks(server).some(([pid, ...rest]) => pid === arbiter && rest.join(' ') === `dirty_worker_exit ${worker} False 0`),
  )
  assert.equal(await ask(server, 'add', 2), 2)
  await server.stop()
  assert.equal(hooks(server).at(-1)![1], 'dirty_worker_exit')
})

test('a hook that does not want tasks to begin is told of, and the application is served', async t => {
  if (!needs(t, 'python3')) return
  const conf = `dirty_apps = ['tasks:Adder']\ndirty_workers = 1\ndef on_dirty_starting(arbiter): raise ValueError('no')\n`
  const files = { 'tasks.py': TASKS, 'web.py': WEB, 'hello.py': HELLO, 'gunicorn.conf.py': conf }
  const server = await serveApp(t, ['hello'], { files, env })
  await eventually(() => /tasks: on_dirty_starting failed: ValueError: no/.test(server.output))
  assert.equal((await get(server.port)).text, 'hello')
})

test('without such settings the names can be imported, and say what is missing', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['web'], { files: { 'web.py': WEB }, env })
  const [name, message] = await ask(server, 'add', 2)
  assert.equal(name, 'DirtyError')
  assert.match(message, /^Dirty socket path not configured/)
})

test('errors of tasks are in the log, with their traceback', async t => {
  if (!needs(t, 'python3')) return
  const files = { 'tasks.py': TASKS, 'web.py': WEB }
  const server = await serveApp(t, ['--dirty-app', 'tasks:Adder', '--dirty-workers', '1', 'web'], { files, env })
  assert.deepEqual(await ask(server, 'fail'), ['DirtyAppError', 'not today'])
  await eventually(() =>
    /\[error\] .*tasks:Adder\.fail failed: ValueError: not today\nTraceback[^]*tasks\.py/.test(server.output),
  )
})

test('its processes are shown and their number is changed by commands', async t => {
  if (!needs(t, 'python3')) return
  const files = { 'tasks.py': TASKS, 'web.py': WEB }
  const args = ['--control-socket', 'x.ctl', '--dirty-app', 'tasks:Adder', '--dirty-workers', '1', 'web']
  const server = await serveApp(t, args, { files, env })
  await ask(server, 'add', 1)
  const command = (...words: string[]): any => {
    const run = spawnSync(PORTICO, ['control', '-s', join(server.dir, 'x.ctl'), '-j', '-c', words.join(' ')], {
      encoding: 'utf8',
    })
    return JSON.parse(run.stdout || `"${run.stderr}"`)
  }
  const shown = command('show', 'dirty')
  assert.equal(shown.enabled, true)
  assert.deepEqual(
    shown.workers.map(({ age, apps, booted }: any) => [age, apps, booted]),
    [[1, ['tasks:Adder'], true]],
  )
  assert.equal(shown.apps[0].import_path, 'tasks:Adder')
  assert.deepEqual(command('dirty', 'add', '2'), {
    success: true,
    operation: 'add',
    requested: 2,
    spawned: 2,
    total_workers: 3,
    target_workers: 3,
  })
  await eventually(() => command('show', 'dirty').workers.filter(({ booted }: any) => booted).length === 3)
  assert.equal(command('dirty', 'remove', '5').removed, 2)
  await eventually(() => command('show', 'dirty').workers.length === 1)
})

test('the client of Gunicorn’s own package is served as ours is', async t => {
  if (!needs(t, 'python3')) return
  if (!hasPython('gunicorn.dirty')) return t.skip('no Gunicorn 25 or later is installed')
  const files = { 'tasks.py': TASKS, 'web.py': WEB }
  const server = await serveApp(t, ['--dirty-app', 'tasks:Adder', '--dirty-workers', '1', 'web'], { files, env })
  assert.equal(await ask(server, 'add', 3), 3)
  assert.deepEqual(await ask(server, 'fail'), ['DirtyAppError', 'not today'])
  const [same, missing, file] = JSON.parse((await get(server.port, '/values')).text)
  assert.deepEqual([same, missing], [true, 7])
  assert.doesNotMatch(file, /portico_bridge/)
})

test('with --reload they are replaced when a file has changed that only they load', async t => {
  if (!needs(t, 'python3')) return
  const files = { 'tasks.py': TASKS, 'web.py': WEB }
  const args = ['--reload', '--dirty-app', 'tasks:Adder', '--dirty-workers', '2', 'web']
  const server = await serveApp(t, args, { files, env })
  assert.equal(await ask(server, 'add', 1), 1)
  writeFileSync(join(server.dir, 'tasks.py'), TASKS.replace('self.sum += number', 'self.sum += 100 * number'))
  await eventually(async () => (await ask(server, 'add', 1)) >= 100)
})
