// `portico serve` under Gunicorn's signals: TTIN, TTOU, USR2.

import assert from 'node:assert/strict'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get, load, needs, PYTHON, serveApp, signalTo } from '../helpers/index.ts'
import type { Server } from '../helpers/index.ts'

const files = {
  'pid.py': `import os
def application(environ, start_response):
    start_response('200 OK', [])
    return [str(os.getpid()).encode()]
`,
}
const env = { PORTICO_PYTHON: PYTHON }

/** Workers are the zygote's children: those of a process that is itself a child of the master. */
function workers(server: Server): number {
  const python = server.processes().filter(one => one.command.includes('portico_bridge'))
  return python.filter(one => python.some(other => other.pid === one.parent)).length
}

test('TTIN starts a worker more and TTOU ends one, down to one; no request is lost', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['-w', '2', '--log-level', 'info', 'pid'], { files, env })
  await eventually(() => workers(server) === 2)
  const working = load(server.port, { connections: 4, seconds: 3 })
  server.signal('SIGTTIN')
  await eventually(() => workers(server) === 3)
  server.signal('SIGTTOU')
  await eventually(() => workers(server) === 2)
  server.signal('SIGTTOU')
  await eventually(() => workers(server) === 1)
  server.signal('SIGTTOU')
  await eventually(() => /the number of workers stays 1/.test(server.output))
  const { lost, errors, statuses } = await working
  assert.equal(lost, 0)
  assert.deepEqual(errors, {})
  assert.deepEqual(Object.keys(statuses), ['200'])
  server.signal('SIGHUP')
  await eventually(() => workers(server) === 2, 10_000)
})

test('USR2 starts a second master, and TERM ends the first', async t => {
  if (!needs(t, 'python3')) return
  const dir = { args: ['-w', '1', '--daemon', '--pid', '%%DIR%%/a.pid', '--error-logfile', '%%DIR%%/e.log'] }
  const server = await serveApp(t, [...dir.args, '-b', '127.0.0.1:%%PORT_0%%', '-b', 'unix:%%DIR%%/a.sock', 'pid'], {
    files,
    env,
  })
  await eventually(() => server.file('a.pid') !== '', 10_000)
  const old = Number(server.file('a.pid'))
  const worker = (await get(server.port)).text
  signalTo(old, 'SIGUSR2')
  await eventually(() => !['', `${old}\n`].includes(server.file('a.pid')), 10_000)
  const fresh = Number(server.file('a.pid'))
  assert.equal(server.file('a.pid.oldbin'), `${old}\n`)
  signalTo(old, 'SIGTERM')
  await eventually(() => !server.processes().some(one => one.pid === old), 10_000)
  assert.equal(server.file('a.pid.oldbin'), '')
  assert.notEqual((await get(server.port)).text, worker)
  assert.equal((await get(join(server.dir, 'a.sock'))).status, 200)
  signalTo(fresh, 'SIGTERM')
  await eventually(() => server.processes().length === 0, 10_000)
  assert.equal(server.file('a.pid'), '')
})
