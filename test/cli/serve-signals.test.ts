// `portico serve` under Gunicorn's signals: TTIN, TTOU, USR1, USR2, QUIT, INT, WINCH. HUP and TERM are in the tests beside this one.

import assert from 'node:assert/strict'
import { existsSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get, load, needs, PYTHON, request, serveApp, signalTo, tempDir } from '../helpers/index.ts'
import { processesWith } from '../helpers/processes.ts'
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
  const all = server.processes()
  // Theirs is another title where Python has setproctitle.
  const zygotes = all.filter(one => one.command.includes('portico_bridge'))
  return all.filter(one => zygotes.some(zygote => zygote.pid === one.parent)).length
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
  await eventually(() => workers(server) === 2)
})

test('USR2 starts a second master, and TERM ends the first', async t => {
  if (!needs(t, 'python3')) return
  const dir = { args: ['-w', '1', '--daemon', '--pid', '%%DIR%%/a.pid', '--error-logfile', '%%DIR%%/e.log'] }
  const server = await serveApp(t, [...dir.args, '-b', '127.0.0.1:%%PORT_0%%', '-b', 'unix:%%DIR%%/a.sock', 'pid'], {
    files,
    env,
  })
  await eventually(() => server.file('a.pid') !== '')
  const old = Number(server.file('a.pid'))
  const worker = (await get(server.port)).text
  signalTo(old, 'SIGUSR2')
  await eventually(() => server.file('a.pid.2') !== '')
  const fresh = Number(server.file('a.pid.2'))
  assert.equal(server.file('a.pid'), `${old}\n`)
  signalTo(old, 'SIGTERM')
  await eventually(() => !server.processes().some(one => one.pid === old))
  await eventually(() => server.file('a.pid') === `${fresh}\n`)
  await eventually(() => server.file('a.pid.2') === '')
  assert.notEqual((await get(server.port)).text, worker)
  assert.equal((await get(join(server.dir, 'a.sock'))).status, 200)
  signalTo(fresh, 'SIGTERM')
  await eventually(() => server.processes().length === 0)
  assert.equal(server.file('a.pid'), '')
})

test('what asks a running server for something does no harm to one that starts', async t => {
  if (!needs(t, 'python3')) return
  const conf = `import os, time
open('begun', 'w').close()
while not os.path.exists('go'):
    time.sleep(0.05)
`
  const dir = tempDir(t)
  const starting = serveApp(t, ['pid'], { files: { ...files, 'gunicorn.conf.py': conf }, env, dir })
  await eventually(() => existsSync(join(dir, 'begun')))
  const [python] = processesWith('TMPDIR=' + join(dir, 'tmp')).filter(one =>
    one.command.includes('portico_bridge.config'),
  )
  for (const signal of ['SIGUSR1', 'SIGUSR2', 'SIGTTIN', 'SIGTTOU'] as const) signalTo(python!.parent, signal)
  writeFileSync(join(dir, 'go'), '')
  const server = await starting
  assert.equal(server.child.pid, python!.parent)
  assert.equal((await get(server.port)).status, 200)
})

const SLOW = `import time
def application(environ, start_response):
    open('begun', 'w').close()
    time.sleep(60)
    start_response('200 OK', [])
    return [b'late']
`

test('USR1 opens the logs anew, those of the front and those of Python', async t => {
  if (!needs(t, 'python3')) return
  const says = `import logging
def application(environ, start_response):
    logging.getLogger('gunicorn.error').info('asked for %s', environ['PATH_INFO'])
    start_response('200 OK', [])
    return [b'ok']
`
  const args = ['--access-logfile', 'a.log', '--error-logfile', 'e.log', '--log-level', 'info', 'says']
  const server = await serveApp(t, args, { files: { 'says.py': says }, env })
  await get(server.port, '/one')
  await eventually(() => server.file('a.log').includes('/one') && server.file('e.log').includes('asked for /one'))
  for (const name of ['a.log', 'e.log']) renameSync(join(server.dir, name), join(server.dir, `${name}.1`))
  server.signal('SIGUSR1')
  await eventually(() => existsSync(join(server.dir, 'a.log')) && existsSync(join(server.dir, 'e.log')))
  await get(server.port, '/two')
  await eventually(() => server.file('a.log').includes('/two') && server.file('e.log').includes('asked for /two'))
  assert.doesNotMatch(server.file('a.log.1') + server.file('e.log.1'), /two/)
})

for (const name of ['SIGQUIT', 'SIGINT'] as const) {
  test(`${name} ends at once, whatever is being served`, async t => {
    if (!needs(t, 'python3')) return
    const server = await serveApp(t, ['slow'], { files: { 'slow.py': SLOW }, env })
    const answer = get(server.port).catch(() => null)
    await eventually(() => existsSync(join(server.dir, 'begun')))
    assert.equal(await server.stop(name), 0)
    await answer
  })
}

test('WINCH stops what serves of a daemon, and HUP starts it again; others do not care', async t => {
  if (!needs(t, 'python3')) return
  const args = ['--daemon', '--pid', '%%DIR%%/a.pid', '--error-logfile', '%%DIR%%/e.log', 'pid']
  const server = await serveApp(t, args, { files, env })
  await eventually(() => server.file('a.pid') !== '')
  const pid = Number(server.file('a.pid'))
  assert.equal((await get(server.port)).status, 200)
  signalTo(pid, 'SIGWINCH')
  await eventually(async () => !(await answers(server.port)))
  signalTo(pid, 'SIGHUP')
  await eventually(() => answers(server.port))
  signalTo(pid, 'SIGTERM')
  await eventually(() => server.processes().length === 0)
  const foreground = await serveApp(t, ['--log-level', 'info', 'pid'], { files, env })
  foreground.signal('SIGWINCH')
  await eventually(() => /signal 28 \(SIGWINCH\) received, ignored: this is no daemon/.test(foreground.output))
  assert.equal((await get(foreground.port)).status, 200)
})

async function answers(port: number): Promise<boolean> {
  const answer = await request({ address: port, timeoutMs: 2000 }).catch(() => null)
  return answer?.status === 200
}
