// What `portico serve` leaves and finds around it: files of sockets and pid files, masks and paths, the folder it was started in, and
// where a daemon writes to. As Gunicorn, but where docs/guides/from-gunicorn.md says otherwise.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, renameSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { atEnd, eventually, get, needs, PORTICO, processTree, PYTHON, serveApp, signalTo } from '../helpers/index.ts'
import { tempDir, writeFiles } from '../helpers/index.ts'
import type { Scope } from '../helpers/index.ts'
import { env, runServe } from './serve-command.ts'

const TOLD = `import json, os, sys
def application(environ, start_response):
    mask = os.umask(0)
    os.umask(mask)
    told = {'mask': mask, 'path': sys.path, 'folder': os.getcwd(), 'pid': os.getpid()}
    start_response('200 OK', [])
    return [json.dumps(told).encode()]
`

test('modules are looked for where Gunicorn looks: pythonpath, chdir, and where it was started', async t => {
  if (!needs(t, 'python3')) return
  const files = { 'sub/told.py': TOLD, 'sub/lib/x': '', 'beside.py': '' }
  const server = await serveApp(t, ['--chdir', 'sub', '--pythonpath', '/first,lib', 'told'], { files, env })
  const { path, folder } = JSON.parse((await get(server.port)).text) as { path: string[]; folder: string }
  const sub = join(server.dir, 'sub')
  assert.equal(folder, sub)
  assert.deepEqual(path.slice(0, 4), [join(sub, 'lib'), '/first', sub, server.dir])
})

test('umask is for sockets, which have their mode before anybody is told of them, and not for what workers write', async t => {
  if (!needs(t, 'python3')) return
  const conf = `import os
umask = 0o077
bind = ['unix:a.sock', 'unix:b.sock'] if os.path.exists('more') else ['unix:a.sock']
def mode(name):
    return '%s %o' % (name, os.stat(name).st_mode & 0o777)
def on_starting(server):
    with open('modes', 'w') as file:
        file.write(mode('a.sock'))
def on_reload(server):
    with open('modes', 'w') as file:
        file.write(mode('b.sock'))
`
  const dir = tempDir(t)
  writeFiles(dir, { 'told.py': TOLD, 'gunicorn.conf.py': conf, 'tmp/x': '' })
  const child = start(t, dir, ['told'])
  const modes = (): string => (existsSync(join(dir, 'modes')) ? readFileSync(join(dir, 'modes'), 'utf8') : '')
  await eventually(() => modes() === 'a.sock 700')
  const { mask } = JSON.parse((await get(join(dir, 'a.sock'))).text) as { mask: number }
  assert.equal(mask, process.umask())
  writeFiles(dir, { more: '' })
  child.kill('SIGHUP')
  await eventually(() => modes() === 'b.sock 700')
  await eventually(async () => (await get(join(dir, 'b.sock')).catch(() => null))?.status === 200)
})

/** Without an address on the command line, which would have the last word. */
function start(t: Scope, dir: string, args: readonly string[], cwd = dir): ChildProcess {
  const child = spawn(PORTICO, ['serve', ...args], {
    cwd,
    stdio: 'ignore',
    env: { ...process.env, ...env, PWD: cwd, TMPDIR: join(dir, 'tmp'), PYTHONDONTWRITEBYTECODE: '1' },
  })
  const gone = new Promise(resolve => child.once('exit', resolve))
  atEnd(t, async () => {
    child.kill('SIGTERM')
    await gone
  })
  return child
}

test('a Unix socket that a killed server has left is replaced, and one that is listened on is not', async t => {
  if (!needs(t, 'python3')) return
  const dir = tempDir(t)
  const path = join(dir, 'a.sock')
  // Bound, and its owner gone without a word.
  const leave = `import socket; socket.socket(socket.AF_UNIX).bind(${JSON.stringify(path)})`
  assert.equal(spawnSync(PYTHON, ['-c', leave]).status, 0)
  assert.ok(statSync(path).isSocket())
  const server = await serveApp(t, ['-b', `unix:${path}`, 'told'], { files: { 'told.py': TOLD }, env, dir })
  await eventually(() => /listening/.test(server.output))
  assert.equal((await get(path)).status, 200)
  const second = runServe(t, ['-b', `unix:${path}`, 'hello'])
  assert.equal(second.status, 1)
  assert.match(second.stderr, /98: Address already in use/)
  assert.equal((await get(path)).status, 200)
  await server.stop('SIGTERM')
  assert.ok(!existsSync(path))
})

test('two servers share a port when both say so', async t => {
  if (!needs(t, 'python3')) return
  const args = ['--reuse-port', 'told']
  const first = await serveApp(t, args, { files: { 'told.py': TOLD }, env })
  const dir = tempDir(t)
  writeFiles(dir, { 'told.py': TOLD })
  const second = await serveApp(t, ['-b', `127.0.0.1:${first.port}`, ...args], { env, dir })
  await eventually(() => /listening/.test(second.output))
  const folders = new Set<string>()
  await eventually(async () => {
    folders.add((JSON.parse((await get(first.port)).text) as { folder: string }).folder)
    return folders.size === 2
  })
  assert.deepEqual([...folders].sort(), [first.dir, dir].sort())
})

test('a file that is no socket is in the way, and stays', async t => {
  if (!needs(t, 'python3')) return
  const dir = tempDir(t)
  const ended = runServe(t, ['-b', 'unix:a.sock', 'hello'], { 'a.sock': 'mine' }, {}, dir)
  assert.equal(ended.status, 1)
  assert.equal(readFileSync(join(dir, 'a.sock'), 'utf8'), 'mine')
})

test('a pid file that somebody has removed is there again after a reload', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['-p', 'a.pid', 'told'], { files: { 'told.py': TOLD }, env })
  await eventually(() => server.file('a.pid') !== '')
  rmSync(join(server.dir, 'a.pid'))
  server.signal('SIGHUP')
  await eventually(() => server.file('a.pid') === `${server.child.pid}\n`)
  await server.stop('SIGTERM')
  assert.equal(server.file('a.pid'), '')
})

test('a link it was started in leads the next master to what it points at by then', async t => {
  if (!needs(t, 'python3')) return
  const dir = tempDir(t)
  const conf = "bind = 'unix:%s/a.sock' % os.environ['TMPDIR']\npidfile = 'run.pid'\n"
  for (const release of ['one', 'two']) {
    writeFiles(dir, {
      [`${release}/told.py`]: TOLD,
      [`${release}/gunicorn.conf.py`]: `import os\n${conf}`,
      'tmp/x': '',
    })
  }
  symlinkSync('one', join(dir, 'current'))
  const first = start(t, dir, ['told'], join(dir, 'current'))
  const socket = join(dir, 'tmp/a.sock')
  const folder = async (): Promise<string> => {
    const answer = await get(socket).catch(() => null)
    return answer === null ? '' : (JSON.parse(answer.text) as { folder: string }).folder
  }
  await eventually(async () => (await folder()) === join(dir, 'one'))
  symlinkSync('two', join(dir, 'next'))
  renameSync(join(dir, 'next'), join(dir, 'current'))
  first.kill('SIGUSR2')
  await eventually(() => existsSync(join(dir, 'two/run.pid.2')))
  const second = Number(readFileSync(join(dir, 'two/run.pid.2'), 'utf8'))
  const gone = new Promise(resolve => first.once('exit', resolve))
  first.kill('SIGTERM')
  await gone
  atEnd(t, async () => {
    signalTo(second, 'SIGTERM')
    await eventually(() => processTree(second).length === 0)
  })
  await eventually(async () => (await folder()) === join(dir, 'two'))
})

const SPEAKS = `import sys
print('to stdout', flush=True)
print('to stderr', file=sys.stderr, flush=True)
def application(environ, start_response):
    start_response('200 OK', [])
    return [b'here']
`

for (const keeps of [true, false]) {
  test(`a daemon ${keeps ? 'with -R writes on to where its caller did' : 'lets go of the output'}`, async t => {
    if (!needs(t, 'python3')) return
    const dir = tempDir(t)
    writeFiles(dir, { 'speaks.py': SPEAKS, 'tmp/x': '' })
    const [out, err] = ['out', 'err'].map(name => openSync(join(dir, name), 'a'))
    const args = ['-D', ...(keeps ? ['-R'] : []), '-p', 'a.pid', '-b', 'unix:a.sock', '--access-logfile', '-', 'speaks']
    const { status } = spawnSync(PORTICO, ['serve', ...args], {
      cwd: dir,
      stdio: ['ignore', out!, err!],
      env: { ...process.env, ...env, TMPDIR: join(dir, 'tmp'), PYTHONDONTWRITEBYTECODE: '1' },
    })
    for (const fd of [out!, err!]) closeSync(fd)
    assert.equal(status, 0)
    const pid = Number(readFileSync(join(dir, 'a.pid'), 'utf8'))
    const end = async (): Promise<void> => {
      signalTo(pid, 'SIGTERM')
      await eventually(() => processTree(pid).length === 0)
    }
    atEnd(t, end)
    assert.equal((await get(join(dir, 'a.sock'))).text, 'here')
    await end()
    assert.equal(/to stdout/.test(readFileSync(join(dir, 'out'), 'utf8')), keeps)
    assert.equal(/GET \/ HTTP/.test(readFileSync(join(dir, 'out'), 'utf8')), keeps)
    assert.equal(/to stderr/.test(readFileSync(join(dir, 'err'), 'utf8')), keeps)
  })
}
