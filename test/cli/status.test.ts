// `portico status` of a running program: numbers that must be right, and how it ends.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { parseStatus, socketOf } from '../../src/cli/status-options.ts'
import { accepts, eventually, get, needs, PORTICO, PYTHON, serve, tempDir } from '../helpers/index.ts'
import type { Scope, Server } from '../helpers/index.ts'

const APP = `import os, time
def application(environ, start_response):
    if environ['PATH_INFO'] == '/slow':
        open('begun', 'w').close()
        while not os.path.exists('go'):
            time.sleep(0.02)
    start_response('200 OK', [])
    return [b'done']
`

const CONF = `
worker_processes 2;
control_socket run/portico.ctl;
http {
    app one { directory %%DIR%%; module site_app; workers 1; queue 7; prefetch off; }
    app two { directory %%DIR%%; module site_app; workers 2; }
    server {
        listen 127.0.0.1:%%PORT_0%%;
        location /     { app_pass one; }
        location /two/ { app_pass two; }
    }
}
`

/** With all its workers. */
async function started(t: Scope): Promise<Server> {
  const files = { 'site_app.py': APP }
  const server = await serve(t, { conf: CONF, files, env: { PORTICO_PYTHON: PYTHON } })
  await eventually(() => accepts(join(server.dir, 'run/portico.ctl')))
  await eventually(async () => {
    const { apps } = await json(t, server)
    return apps[0].workers.idle === 1 && apps[1].workers.idle === 2
  })
  return server
}

class Command {
  stdout = ''
  stderr = ''
  readonly child: ChildProcess
  readonly ended: Promise<number | null>

  constructor(t: Scope, args: readonly string[], cwd = tempDir(t)) {
    const env = { ...process.env, HOME: cwd, XDG_RUNTIME_DIR: cwd }
    this.child = spawn(PORTICO, ['status', ...args], { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
    this.child.stdout!.on('data', bytes => (this.stdout += bytes))
    this.child.stderr!.on('data', bytes => (this.stderr += bytes))
    this.ended = new Promise(resolve => this.child.once('close', resolve))
    t.after(async () => void this.child.kill('SIGKILL'))
  }
}

async function status(t: Scope, args: readonly string[], cwd?: string): Promise<[number | null, string, string]> {
  const command = new Command(t, args, cwd)
  const code = await command.ended
  return [code, command.stdout, command.stderr]
}

function configured({ dir }: Server): string[] {
  return ['-p', dir, '-c', 'portico.conf']
}

async function json(t: Scope, server: Server): Promise<any> {
  const [code, stdout, stderr] = await status(t, [...configured(server), '--json'])
  assert.deepEqual([code, stderr], [0, ''])
  return JSON.parse(stdout)
}

test('portico status: requests, connections, workers and who waits are right, with two threads and two apps', async t => {
  if (!needs(t, 'python3')) return
  const server = await started(t)
  const first = await json(t, server)
  for (let i = 0; i < 5; i++) assert.equal((await get(server.port, '/two/')).status, 200)
  const slow = [get(server.port, '/slow')]
  await eventually(() => existsSync(join(server.dir, 'begun')))
  slow.push(get(server.port, '/slow'), get(server.port, '/slow'))
  await eventually(async () => (await json(t, server)).apps[0].queue.waiting === 2)
  const idle = connect(server.port, '127.0.0.1')
  t.after(() => void idle.destroy())
  await eventually(async () => (await json(t, server)).connections.active === 4)
  const now = await json(t, server)
  assert.deepEqual([now.pid, now.threads, now.threads_silent, now.reloads], [server.pid, 2, 0, 0])
  assert.ok(server.processes().some(one => one.pid === now.front))
  assert.equal(now.requests - first.requests, 8)
  assert.equal(now.connections.writing, 3)
  // What looked whether the port accepts may have been counted late.
  assert.ok(now.connections.accepted - first.connections.accepted >= 9)
  const [one, two] = now.apps
  assert.deepEqual([one.name, one.kind, one.queue], ['one', 'sync', { waiting: 2, limit: 7 }])
  assert.deepEqual(one.workers, { wanted: 1, starting: 0, idle: 0, busy: 1, leaving: 0 })
  assert.deepEqual([one.counters.requests, one.counters.queued, two.counters.requests], [1, 2, 5])
  assert.deepEqual(two.workers, { wanted: 2, starting: 0, idle: 2, busy: 0, leaving: 0 })
  const [code, page] = await status(t, ['-s', join(server.dir, 'run/portico.ctl')])
  assert.equal(code, 0)
  assert.match(page, /^connections {2}4 active, \d+ reading, 3 writing, /m)
  assert.match(page, /^one +sync +1 +1 +0 +2\/7 +1 /m)
  writeFileSync(join(server.dir, 'go'), '')
  for (const answer of slow) assert.equal((await answer).text, 'done')
  await eventually(async () => (await json(t, server)).apps[0].queue.waiting === 0)
  assert.equal((await json(t, server)).apps[0].workers.idle, 1)
})

test('a program without an http block counts its connections as well, those of all threads', async t => {
  const conf = `
worker_processes 2;
control_socket run/portico.ctl;
stream { server { listen 127.0.0.1:%%PORT_0%%; return x; } }
`
  const server = await serve(t, conf)
  await eventually(() => accepts(join(server.dir, 'run/portico.ctl')))
  const before = (await json(t, server)).connections.accepted
  for (let i = 0; i < 6; i++) assert.equal(await accepts(server.port), true)
  await eventually(async () => (await json(t, server)).connections.accepted >= before + 6)
  assert.deepEqual((await json(t, server)).apps, [])
})

test('portico status --watch: page after page, with rates, until the server goes', async t => {
  if (!needs(t, 'python3')) return
  const server = await started(t)
  const watch = new Command(t, [...configured(server), '--watch=0.2'])
  const other = new Command(t, [...configured(server), '--watch=0.2', '-j'])
  await eventually(() => /requests +\d+\n/.test(watch.stdout) && other.stdout.includes('\n'))
  // However long a look takes, there is one with requests since the last.
  await eventually(async () => {
    await get(server.port, '/two/')
    return /requests +\d+, (?!0\.0)\d+\.\d\/s\n[^]*PER S[^]*\ntwo .*\n\nportico /.test(watch.stdout)
  })
  await eventually(() => other.stdout.split('\n').length > 3)
  assert.ok(JSON.parse(other.stdout.split('\n')[1]!).uptime > JSON.parse(other.stdout.split('\n')[0]!).uptime)
  other.child.kill('SIGINT')
  assert.equal(await other.ended, 130)
  assert.equal(await server.stop(), 0)
  assert.equal(await watch.ended, 1)
  assert.match(watch.stderr, /^Error: the server has gone: .+\n$/)
})

test('portico status: without a server, without a socket, with wrong options it says what is wrong', async t => {
  const dir = tempDir(t)
  assert.match((await status(t, ['-s', 'a.ctl'], dir))[2], /^Error: no server takes commands at ".*\/a\.ctl": .*\n$/)
  const [code, , stderr] = await status(t, [], dir)
  assert.equal(code, 1)
  assert.match(stderr, /^Error: no server .*gunicorn\.ctl.*\n.*control_socket \/run\/.*\n.*portico status -c FILE\n$/)
  writeFileSync(join(dir, 'none.conf'), 'events { }\n')
  const [none, , advice] = await status(t, ['-c', 'none.conf'], dir)
  assert.equal(none, 1)
  assert.match(advice, /^Error: ".*\/none\.conf" has no control socket\. At its top level .* control_socket .*\n$/)
  writeFileSync(join(dir, 'bad.conf'), 'events {\n')
  assert.match((await status(t, ['-c', 'bad.conf'], dir))[2], /^Error: .* in .*\/bad\.conf:2\n$/)
  assert.match((await status(t, ['-c', 'absent.conf'], dir))[2], /^Error: .*absent\.conf.*No such file/)
  for (const args of [['--bogus'], ['-s'], ['--watch=x'], ['--watch=0'], ['--json=1'], ['word']]) {
    const [wrong, stdout, problem] = await status(t, args, dir)
    assert.deepEqual([wrong, stdout], [2, ''], args.join(' '))
    assert.match(problem, /^portico status: .+\n$/)
  }
  const [fine, help] = await status(t, ['--help'], dir)
  assert.equal(fine, 0)
  assert.match(help, /^Usage: portico status .*\n/)
})

test('portico status: options, and which socket they mean', t => {
  const { watch, json: asJson, file, prefix } = parseStatus(['-jw', '-c', 'ä.conf', '--prefix=/srv'])
  assert.deepEqual([watch, asJson, file, prefix], [1, true, '\xc3\xa4.conf', '/srv'])
  assert.equal(parseStatus(['--watch']).watch, 1)
  assert.equal(parseStatus(['--watch=2.5']).watch, 2.5)
  assert.equal(parseStatus(['-w3']).watch, 3)
  const dir = tempDir(t)
  writeFileSync(join(dir, 'a.conf'), 'include b.conf; events { }')
  writeFileSync(join(dir, 'b.conf'), 'control_socket "run/é.ctl" mode=0660;')
  assert.equal(socketOf(parseStatus(['-p', dir, '-c', 'a.conf'])), join(dir, 'run/é.ctl'))
  assert.equal(socketOf(parseStatus(['-c', join(dir, 'a.conf'), '-s', '/x/y'])), '/x/y')
})
