// The control interface of a running program: what commands show and do, and whose the socket is.

import assert from 'node:assert/strict'
import { existsSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { ControlClient } from '../../src/control/client.ts'
import { accepts, eventually, get, needs, PYTHON, serve, serveApp, signalTo, tempDir } from '../helpers/index.ts'
import type { Scope, Server } from '../helpers/index.ts'

const files = {
  'pid.py': `import os, time
def application(environ, start_response):
    if environ['PATH_INFO'] == '/slow':
        open('begun', 'w').close()
        while not os.path.exists('go'):
            time.sleep(0.02)
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]
`,
}
const env = { PORTICO_PYTHON: PYTHON }

/** The default, as the helpers start servers. */
function place(server: Server): string {
  return join(server.dir, 'tmp', 'gunicorn.ctl')
}

async function ask(path: string, ...words: string[]): Promise<any> {
  const client = new ControlClient(path)
  try {
    return await client.ask(words)
  } finally {
    client.close()
  }
}

async function pids(path: string, state = 'serving'): Promise<number[]> {
  const { workers } = await ask(path, 'show', 'workers')
  return workers.filter((one: any) => one.state === state).map((one: any) => one.pid)
}

/** A server whose socket is there. */
async function controlled(t: Scope, args: readonly string[], path = ''): Promise<{ server: Server; path: string }> {
  const server = await serveApp(t, [...args, 'pid'], { files, env })
  const socket = path === '' ? place(server) : join(server.dir, path)
  await eventually(() => accepts(socket))
  return { server, path: socket }
}

test('serve: workers are added, removed and replaced by command; a reload brings back the number configured', async t => {
  if (!needs(t, 'python3')) return
  const { server, path } = await controlled(t, ['-w', '2'])
  await eventually(async () => (await pids(path)).length === 2)
  assert.deepEqual(await ask(path, 'worker', 'add', '2'), { added: 2, previous: 2, total: 4 })
  await eventually(async () => (await pids(path)).length === 4)
  assert.deepEqual(await ask(path, 'worker', 'remove', '3'), { removed: 3, previous: 4, total: 1 })
  await eventually(async () => (await ask(path, 'show', 'workers')).count === 1)
  const [only] = await pids(path)
  assert.equal((await get(server.port)).text, `${only}`)
  await eventually(async () => (await ask(path, 'show', 'workers')).workers[0].requests === 1)
  assert.deepEqual(await ask(path, 'worker', 'kill', `${only}`), { success: true, killed: only })
  await eventually(async () => !(await pids(path)).includes(only!) && (await pids(path)).length === 1)
  await eventually(() => !server.processes().some(one => one.pid === only))
  const [next] = await pids(path)
  assert.equal((await get(server.port)).text, `${next}`)
  assert.equal((await ask(path, 'worker', 'kill', `${only}`)).success, false)
  assert.deepEqual(await ask(path, 'reload'), { status: 'reloading' })
  await eventually(async () => (await ask(path, 'show', 'stats')).workers_target === 2)
  await eventually(async () => (await ask(path, 'show', 'workers')).count === 2)
  const stats = await ask(path, 'show', 'stats')
  assert.deepEqual([stats.pid, stats.workers_current, stats.reloads], [server.pid, 2, 1])
  assert.ok(stats.workers_spawned >= 6 && stats.workers_killed >= 4, JSON.stringify(stats))
})

test('serve: a worker that is killed by command finishes what it serves', async t => {
  if (!needs(t, 'python3')) return
  const { server, path } = await controlled(t, ['-w', '1'])
  const slow = get(server.port, '/slow')
  await eventually(() => existsSync(join(server.dir, 'begun')))
  const [pid] = await pids(path)
  await ask(path, 'worker', 'kill', `${pid}`)
  assert.deepEqual(await pids(path, 'leaving'), [pid])
  await eventually(async () => (await pids(path)).length === 1)
  assert.notEqual((await get(server.port)).text, `${pid}`)
  writeFileSync(join(server.dir, 'go'), '')
  assert.equal((await slow).text, `${pid}`)
  await eventually(async () => (await pids(path, 'leaving')).length === 0)
})

test('serve: a worker that still loads is shown, and killed by command as well', async t => {
  if (!needs(t, 'python3')) return
  const slow = `import os, time
time.sleep(0 if os.path.exists('quick') else 60)
from pid import application
`
  const server = await serveApp(t, ['-w', '1', 'slow'], { files: { ...files, 'slow.py': slow }, env })
  const path = place(server)
  await eventually(async () => (await accepts(path)) && (await pids(path, 'starting')).length === 1)
  const [pid] = await pids(path, 'starting')
  assert.equal((await ask(path, 'show', 'workers')).workers[0].booted, false)
  writeFileSync(join(server.dir, 'quick'), '')
  assert.deepEqual(await ask(path, 'worker', 'kill', `${pid}`), { success: true, killed: pid })
  await eventually(async () => (await pids(path)).length === 1)
  await eventually(() => !server.processes().some(one => one.pid === pid))
  assert.notDeepEqual(await pids(path), [pid])
})

test('serve: what is shown', async t => {
  if (!needs(t, 'python3')) return
  const args = ['-w', '1', '--threads', '3', '-b', 'unix:%%DIR%%/a.sock', '-b', '127.0.0.1:%%PORT_0%%']
  const { server, path } = await controlled(t, args)
  const { listeners } = await ask(path, 'show', 'listeners')
  assert.deepEqual(
    listeners.map(({ address, type }: any) => [address, type]),
    [
      [`unix:${server.dir}/a.sock`, 'unix'],
      [`http://127.0.0.1:${server.port}`, 'tcp'],
    ],
  )
  assert.ok(listeners.every(({ fd }: any) => fd > 2))
  const config = await ask(path, 'show', 'config')
  assert.equal(config.workers, 1)
  assert.equal(config.worker_class, 'gthread')
  assert.equal(config.control_socket, path)
  const all = await ask(path, 'show', 'all')
  assert.equal(all.arbiter.pid, server.pid)
  assert.ok(server.processes().some(one => one.pid === all.front.pid))
})

test('serve: shutdown by command, and nothing is left', async t => {
  if (!needs(t, 'python3')) return
  for (const mode of ['graceful', 'quick']) {
    const { server, path } = await controlled(t, ['-w', '1', '--control-socket', 'x/y.ctl'], 'x/y.ctl')
    assert.equal(statSync(path).mode & 0o777, 0o600)
    assert.equal(statSync(join(server.dir, 'x')).mode & 0o777, 0o700)
    assert.deepEqual(await ask(path, 'shutdown', mode), { status: 'shutting_down', mode })
    assert.equal(await server.exited, 0)
    assert.equal(existsSync(join(server.dir, 'x')), false)
  }
})

test('serve: the mode that is asked for, and no socket where none is wanted', async t => {
  if (!needs(t, 'python3')) return
  const { path } = await controlled(t, ['--control-socket', 'a.ctl', '--control-socket-mode', '0660'], 'a.ctl')
  assert.equal(statSync(path).mode & 0o777, 0o660)
  const without = await serveApp(t, ['--no-control-socket', 'pid'], { files, env })
  assert.equal((await get(without.port)).status, 200)
  await without.stop()
  assert.doesNotMatch(without.output, /control/)
  assert.equal(existsSync(place(without)), false)
})

test('serve: two servers of one user both start, and the socket is the first one’s', async t => {
  if (!needs(t, 'python3')) return
  const { server, path } = await controlled(t, ['-w', '1'])
  const more = { XDG_RUNTIME_DIR: join(server.dir, 'tmp') }
  const second = await serveApp(t, ['--log-level', 'info', 'pid'], { files, env: { ...env, ...more } })
  await eventually(() => /\[notice\] .*no control socket: another server listens on/.test(second.output))
  assert.equal((await get(second.port)).status, 200)
  assert.equal((await ask(path, 'show', 'stats')).pid, server.pid)
  await second.stop()
  assert.equal(existsSync(path), true, 'who has lost removes nothing')
  const asked = await serveApp(t, ['--control-socket', path, 'pid'], { files, env })
  await eventually(() => /\[error\] .*no control socket: another server listens on/.test(asked.output))
  assert.equal((await get(asked.port)).status, 200)
  await server.stop()
  signalTo(asked.pid, 'SIGHUP')
  await eventually(() => accepts(path))
  assert.equal((await ask(path, 'show', 'stats')).pid, asked.pid)
})

test('serve: a socket that a killed server has left is replaced', async t => {
  if (!needs(t, 'python3')) return
  const dir = tempDir(t)
  const path = join(dir, 'a.ctl')
  const first = await serveApp(t, ['--control-socket', path, 'pid'], { files, env })
  await eventually(() => accepts(path))
  signalTo(first.pid, 'SIGKILL')
  await first.exited
  assert.equal(existsSync(path), true)
  const second = await serveApp(t, ['--control-socket', path, 'pid'], { files, env })
  await eventually(() => accepts(path))
  assert.equal((await ask(path, 'show', 'stats')).pid, second.pid)
})

test('serve: without a place for the default there is no socket, and that is all', async t => {
  if (!needs(t, 'python3')) return
  const none = { HOME: '/proc/none', XDG_RUNTIME_DIR: '' }
  const server = await serveApp(t, ['pid'], { files, env: { ...env, ...none } })
  assert.equal((await get(server.port)).status, 200)
  await server.stop()
  assert.doesNotMatch(server.output, /control socket/)
})

test('serve: without XDG_RUNTIME_DIR it is in the home, and its folder goes with it', async t => {
  if (!needs(t, 'python3')) return
  const home = tempDir(t)
  const server = await serveApp(t, ['pid'], { files, env: { ...env, HOME: home, XDG_RUNTIME_DIR: '' } })
  const path = join(home, '.gunicorn', 'gunicorn.ctl')
  await eventually(() => accepts(path))
  await server.stop()
  assert.deepEqual(readdirSync(home), [])
})

test('serve: a reload moves the socket to where the configuration file has it now', async t => {
  if (!needs(t, 'python3')) return
  const conf = { 'gunicorn.conf.py': 'control_socket = "a.ctl"\nworkers = 1\n' }
  const server = await serveApp(t, ['pid'], { files: { ...files, ...conf }, env })
  await eventually(() => accepts(join(server.dir, 'a.ctl')))
  writeFileSync(join(server.dir, 'gunicorn.conf.py'), 'control_socket = "b.ctl"\ncontrol_socket_mode = 0o640\n')
  await ask(join(server.dir, 'a.ctl'), 'reload')
  await eventually(() => accepts(join(server.dir, 'b.ctl')))
  assert.equal(statSync(join(server.dir, 'b.ctl')).mode & 0o777, 0o640)
  assert.equal(existsSync(join(server.dir, 'a.ctl')), false)
  writeFileSync(join(server.dir, 'gunicorn.conf.py'), 'control_socket_disable = True\n')
  signalTo(server.pid, 'SIGHUP')
  await eventually(() => !existsSync(join(server.dir, 'b.ctl')))
})

test('serve: a daemon takes commands once its start has ended', async t => {
  if (!needs(t, 'python3')) return
  const args = ['-w', '1', '--daemon', '--pid', '%%DIR%%/a.pid', '--control-socket', '%%DIR%%/a.ctl', 'pid']
  const server = await serveApp(t, args, { files, env })
  assert.equal(await server.exited, 0)
  const { pid } = await ask(join(server.dir, 'a.ctl'), 'show', 'stats')
  assert.equal(server.file('a.pid'), `${pid}\n`)
  await ask(join(server.dir, 'a.ctl'), 'shutdown')
  await eventually(() => server.processes().length === 0)
  assert.equal(existsSync(join(server.dir, 'a.ctl')), false)
})

test('serve: USR2: the new master has the socket, and the old one again when the new one has gone', async t => {
  if (!needs(t, 'python3')) return
  const args = ['-w', '1', '--pid', '%%DIR%%/a.pid']
  const { server, path } = await controlled(t, args)
  const old = server.pid
  const owner = async (): Promise<number> => (await ask(path, 'show', 'stats').catch(() => ({ pid: 0 }))).pid
  signalTo(old, 'SIGUSR2')
  await eventually(async () => ![0, old].includes(await owner()))
  signalTo(await owner(), 'SIGTERM')
  await eventually(async () => (await owner()) === old)
  signalTo(old, 'SIGUSR2')
  await eventually(async () => ![0, old].includes(await owner()))
  const fresh = await owner()
  signalTo(old, 'SIGTERM')
  await eventually(() => !server.processes().some(one => one.pid === old))
  assert.equal(await owner(), fresh)
  signalTo(fresh, 'SIGTERM')
  await eventually(() => server.processes().length === 0)
  assert.equal(existsSync(path), false)
})

const TWO_APPS = `control_socket a.ctl;
http {
    app one { directory %%DIR%%; module pid:application; workers 1; python ${PYTHON}; }
    app two { directory %%DIR%%; module pid:application; workers 2; python ${PYTHON}; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location / { app_pass one; }
        location /two { app_pass two; }
    }
}
`

test('a configuration with several applications: workers are shown and changed by their name', async t => {
  if (!needs(t, 'python3')) return
  const server = await serve(t, { conf: TWO_APPS, files })
  const path = join(server.dir, 'a.ctl')
  await eventually(async () => (await accepts(path)) && (await pids(path)).length === 3)
  const { workers } = await ask(path, 'show', 'workers')
  assert.deepEqual(workers.map((one: any) => one.app).sort(), ['one', 'two', 'two'])
  await assert.rejects(ask(path, 'worker', 'add'), /there are several applications, name one: "one", "two"/)
  assert.deepEqual(await ask(path, 'worker', 'add', '1', 'one'), { added: 1, previous: 1, total: 2 })
  await eventually(async () => (await pids(path)).length === 4)
  const config = await ask(path, 'show', 'config')
  assert.equal(config['two.workers'], 2)
  assert.deepEqual(config.bind, [`http://127.0.0.1:${server.port}`])
  await server.reload()
  await eventually(async () => (await ask(path, 'show', 'workers')).count === 3)
})

test('a configuration without applications: listeners are shown, and shutdown works', async t => {
  const server = await serve(
    t,
    `control_socket %%DIR%%/a.ctl mode=0666;
http { server { listen 127.0.0.1:%%PORT_0%%; listen unix:%%DIR%%/b.sock; return 204; } }
stream { server { listen 127.0.0.1:%%PORT_1%%; return x; } server { listen 127.0.0.1:%%PORT_2%% udp; return x; } }`,
  )
  const path = join(server.dir, 'a.ctl')
  await eventually(() => accepts(path))
  assert.equal(statSync(path).mode & 0o777, 0o666)
  const { listeners, count } = await ask(path, 'show', 'listeners')
  assert.equal(count, 4)
  const [first, second, third] = server.ports
  assert.deepEqual(listeners.map((one: any) => one.address).sort(), [
    `http://127.0.0.1:${first}`,
    `tcp://127.0.0.1:${second}`,
    `udp://127.0.0.1:${third}`,
    `unix:${server.dir}/b.sock`,
  ])
  assert.deepEqual((await ask(path, 'show', 'workers')).workers, [])
  await assert.rejects(ask(path, 'worker', 'add'), /there is no application/)
  assert.equal((await ask(path, 'show', 'config')).control_socket, path)
  await ask(path, 'shutdown')
  assert.equal(await server.exited, 0)
})

test('wrong words of the directive are told with their place', async t => {
  const conf = (words: string): string => `control_socket ${words};\nhttp { server { listen 127.0.0.1:%%PORT_0%%; } }`
  for (const [words, problem] of [
    ['a mode=9', /invalid mode "9" .*portico\.conf:1/],
    ['a mode=0600 b', /invalid parameter "b"/],
    ['""', /needs a path/],
    ['', /invalid number of arguments/],
  ] as const) {
    await assert.rejects(serve(t, conf(words)), problem)
  }
})
