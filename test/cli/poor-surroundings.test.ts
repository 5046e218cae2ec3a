// Where the program is started with less than a user at a terminal has: containers without rights, names, devices or /proc, and
// supervisors that speak to every process of a service.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import {
  accepts,
  atEnd,
  eventually,
  findCommand,
  freePort,
  get,
  needs,
  needsOtherUsers,
  PORTICO,
  PYTHON,
} from '../helpers/index.ts'
import { serve, serveApp, signalTo, tempDir, writeFiles } from '../helpers/index.ts'
import type { Scope } from '../helpers/index.ts'

const TOLD = `import os, time
def application(environ, start_response):
    if environ['PATH_INFO'] == '/slow':
        open('begun', 'w').close()
        while not os.path.exists('go'):
            time.sleep(0.01)
    start_response('200 OK', [])
    return [b'here']
`

/** Whether a command with these arguments may be run here; else the test is skipped. */
function may(t: TestContext, command: string, ...args: string[]): boolean {
  const path = findCommand(command)
  const isPossible = process.geteuid!() === 0 && path !== null && spawnSync(path, [...args, 'true']).status === 0
  if (!isPossible) t.skip(`root missing, or what it needs for "${command} ${args.join(' ')}"`)
  return isPossible
}

interface Started {
  readonly port: number
  readonly dir: string
  readonly output: () => string
  readonly exited: Promise<unknown[]>
}

/** `portico serve` by way of another command. */
async function startBy(t: Scope, words: readonly string[], options: object = {}): Promise<Started> {
  const dir = tempDir(t)
  writeFiles(dir, { 'told.py': TOLD, 'tmp/x': '' })
  const port = await freePort()
  const args = [...words, PORTICO, 'serve', '--python', PYTHON, '-b', `127.0.0.1:${port}`, 'told']
  const env = { PATH: process.env['PATH'], TMPDIR: join(dir, 'tmp'), PYTHONDONTWRITEBYTECODE: '1' }
  for (const name of ['.', 'tmp']) chownSync(join(dir, name), (options as { uid?: number }).uid ?? process.getuid!(), 0)
  const child = spawn(args[0]!, args.slice(1), { cwd: dir, stdio: ['ignore', 'pipe', 'pipe'], env, ...options })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', bytes => (output += bytes))
  const exited = once(child, 'close')
  atEnd(t, async () => {
    child.kill('SIGTERM')
    await exited
  })
  return { port, dir, output: () => output, exited }
}

async function serves({ port, output }: Started): Promise<void> {
  await eventually(async () => (await get(port).catch(() => null))?.text === 'here').catch(error => {
    throw new Error(output(), { cause: error })
  })
}

test('a user without a name and without HOME', async t => {
  if (!needs(t, 'python3') || !may(t, 'setpriv', '--reuid', '54321', '--clear-groups')) return
  if (spawnSync(PORTICO, ['-v'], { uid: 54321 }).status !== 0) {
    t.skip('this checkout is closed to other users')
    return
  }
  await serves(await startBy(t, [], { uid: 54321, gid: 54321 }))
})

test('root without any of its rights stays root', async t => {
  const words = ['setpriv', '--bounding-set=-all', '--inh-caps=-all']
  if (!needs(t, 'python3') || !may(t, 'setpriv', ...words.slice(1))) return
  await serves(await startBy(t, words))
})

test('without /proc', async t => {
  if (!needs(t, 'python3') || !may(t, 'unshare', '-m')) return
  await serves(await startBy(t, ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$0" "$@"']))
})

test('without /dev/null there is a word about it', async t => {
  if (!needs(t, 'python3') || !may(t, 'unshare', '-m')) return
  const { exited, output } = await startBy(t, [
    'unshare',
    '-m',
    'sh',
    '-c',
    'mount -t tmpfs none /dev && exec "$0" "$@"',
  ])
  assert.deepEqual(await exited, [1, null])
  assert.match(output(), /\[emerg\] .*could not be started \("\/dev\/null": 2: No such file or directory\)\n/)
  assert.doesNotMatch(output(), / {4}at /)
})

test('a folder for logs that the front may not enter is named, with who it is that may not', async t => {
  if (!needsOtherUsers(t)) return
  const dir = tempDir(t)
  mkdirSync(join(dir, 'closed'), { mode: 0o700 })
  const conf = 'user "#65534"; error_log closed/error.log; http { server { listen 127.0.0.1:%%PORT_0%%; return 204; } }'
  await assert.rejects(
    serve(t, { conf, dir }),
    /open\(\) ".*closed\/error\.log" failed \(13: Permission denied\): the front runs as user \d+/,
  )
})

test('a checkout that the front may not read is named, with who it is that may not', async t => {
  if (!needsOtherUsers(t)) return
  const dir = tempDir(t)
  const ours = fileURLToPath(new URL('../..', import.meta.url))
  for (const name of ['bin', 'conf', 'package.json', 'src']) {
    cpSync(join(ours, name), join(dir, 'closed', name), { recursive: true })
  }
  symlinkSync(join(ours, 'node_modules'), join(dir, 'closed/node_modules'))
  chmodSync(join(dir, 'closed'), 0o700)
  const conf = 'user "#65534"; error_log stderr; pid p; events {} http { server { listen unix:s; return 204; } }'
  writeFiles(dir, { 'portico.conf': conf })
  const args = ['-p', dir, '-c', 'portico.conf', '-g', 'daemon off;']
  const { status, stderr } = spawnSync(join(dir, 'closed/bin/portico'), args, { encoding: 'utf8', timeout: 60_000 })
  assert.equal(status, 1, stderr)
  assert.match(
    stderr,
    /\[emerg\].* open\(\) ".*\/closed\/src\/.*" failed \(13: Permission denied\): the front runs as user 65534, who must be let into/,
  )
})

test("the default folder for logs is open to the front whatever the starter's mask", async t => {
  // Of root's, the front is nobody's.
  if (process.getuid!() === 0 && !needsOtherUsers(t)) return
  const dir = tempDir(t)
  writeFiles(dir, { 'c.conf': 'daemon off; events { } http { }' })
  const script = 'umask 077; exec "$0" "$@"'
  const child = spawn('sh', ['-c', script, PORTICO, '-p', dir, '-c', 'c.conf'], { stdio: 'ignore' })
  const exited = once(child, 'exit')
  atEnd(t, async () => {
    child.kill('SIGTERM')
    await exited
  })
  await eventually(() => existsSync(join(dir, 'logs/nginx.pid')))
  assert.equal(statSync(join(dir, 'logs')).mode & 0o777, 0o755)
})

test('what may be wanted in the midst of service, and cannot be had then, is there before', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['--python', PYTHON, 'told'], { files: { 'told.py': TOLD } })
  const names = (pid: number): string[] =>
    readdirSync(`/proc/${pid}/task`).map(id => readFileSync(`/proc/${pid}/task/${id}/comm`, 'latin1').trim())
  // Looked for each time: what has just been forked for Python looks like its master until it is Python.
  await eventually(() => {
    const own = server.processes().filter(({ command }) => /master|front/.test(command))
    return own.length === 2 && own.every(({ pid }) => names(pid).includes('libuv-worker'))
  })
})

test('TERM to every process of a service: what is being served is finished', async t => {
  if (!needs(t, 'python3')) return
  const server = await serveApp(t, ['--python', PYTHON, 'told'], { files: { 'told.py': TOLD } })
  const answer = get(server.port, '/slow')
  await eventually(() => existsSync(join(server.dir, 'begun')))
  for (const { pid } of server.processes()) signalTo(pid, 'SIGTERM')
  // Whoever would end at once has done so by the time nobody accepts any more.
  await eventually(async () => !(await accepts(server.port)))
  writeFiles(server.dir, { go: '' })
  assert.equal((await answer).text, 'here')
  assert.equal(await server.exited, 0)
})

test('a reload loads from the release that the link leads to by then, though the old one has gone', async t => {
  if (!needs(t, 'python3')) return
  const dir = tempDir(t)
  const release = (n: number): void => {
    writeFiles(dir, { [`releases/${n}/told.py`]: TOLD.replace('here', `release ${n}`) })
    symlinkSync(`releases/${n}`, join(dir, 'next'))
    renameSync(join(dir, 'next'), join(dir, 'current'))
  }
  release(1)
  mkdirSync(join(dir, 'tmp'))
  const port = await freePort()
  const current = join(dir, 'current')
  const child = spawn(PORTICO, ['serve', '--python', PYTHON, '-b', `127.0.0.1:${port}`, 'told'], {
    cwd: current,
    stdio: 'ignore',
    env: {
      ...process.env,
      PWD: current,
      TMPDIR: join(dir, 'tmp'),
      XDG_RUNTIME_DIR: join(dir, 'tmp'),
      PYTHONDONTWRITEBYTECODE: '1',
    },
  })
  const exited = once(child, 'exit')
  atEnd(t, async () => {
    child.kill('SIGTERM')
    await exited
  })
  const says = (n: number): Promise<boolean> =>
    eventually(async () => (await get(port).catch(() => null))?.text === `release ${n}`)
  await says(1)
  release(2)
  child.kill('SIGHUP')
  await says(2)
  release(3)
  for (const n of [1, 2]) rmSync(join(dir, `releases/${n}`), { recursive: true })
  child.kill('SIGHUP')
  await says(3)
})
