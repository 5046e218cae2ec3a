// What process 1 of a container owes to others: here a process that orphans are given to as they are to that one (prctl(2),
// PR_SET_CHILD_SUBREAPER).

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, findCommand, get, needs, PORTICO, PYTHON, tempDir, writeFiles } from '../helpers/index.ts'
import { atEnd, freePort } from '../helpers/index.ts'

const REAPER = `
import { spawn, execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { dlopen } from 'node:ffi'
import { setTimeout as sleep } from 'node:timers/promises'
import { adoptOrphans } from '${new URL('../../src/process/first-process.ts', import.meta.url).href}'

const { functions } = dlopen(null, { prctl: { arguments: ['i32', 'u64'], return: 'i32' } })
if (functions.prctl(36, 1n) !== 0) throw new Error('no subreaper')
adoptOrphans()
const codes = []
for (let i = 0; i < 5; i++) {
  // Its child is nobody's when it has gone, and ends a little later; others end at the same time.
  const own = spawn('sh', ['-c', '(sleep 0.1; exit 3) & echo $!; exit ' + i], { stdio: ['ignore', 'pipe', 'ignore'] })
  const other = spawn('sh', ['-c', 'sleep 0.1; exit 7'], { stdio: 'ignore' })
  const missing = spawn('/nonexistent', { stdio: 'ignore' })
  const ends = Promise.all([once(own, 'exit'), once(other, 'exit'), once(missing, 'error')])
  const orphan = Number(await new Promise(resolve => own.stdout.once('data', resolve)))
  const [[code], [later]] = await ends
  codes.push(code, later, execFileSync('sh', ['-c', 'echo done'], { encoding: 'utf8' }).trim())
  while (isThere(orphan)) await sleep(5)
}
console.log(JSON.stringify(codes))

function isThere(pid) {
  try {
    return readFileSync('/proc/' + pid + '/stat', 'latin1') !== ''
  } catch {
    return false
  }
}
`

test('orphans that end are waited for, and children of our own keep their exit codes', t => {
  const file = join(tempDir(t), 'reaper.mjs')
  writeFiles(join(file, '..'), { 'reaper.mjs': REAPER })
  const args = ['--disable-warning=ExperimentalWarning', file]
  const { stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 60_000 })
  const codes = [0, 1, 2, 3, 4].flatMap(i => [i, 7, 'done'])
  assert.deepEqual(JSON.parse(stdout || '[]'), codes, stderr)
})

const ORPHANS = `import subprocess
def application(environ, start_response):
    subprocess.run(['sh', '-c', 'sleep 0 & exit 0'])
    start_response('200 OK', [])
    return [b'left one']
`

test('as process 1 of a container nothing stays of what workers leave behind', async t => {
  if (!needs(t, 'python3')) return
  const unshare = findCommand('unshare')
  const namespace = ['--pid', '--fork', '--kill-child', '--mount-proc']
  if (unshare === null || spawnSync(unshare, [...namespace, 'true']).status !== 0) {
    t.skip('namespaces missing: unshare(1) of util-linux and the rights to use it')
    return
  }
  const dir = tempDir(t)
  writeFiles(dir, { 'orphans.py': ORPHANS, 'tmp/x': '' })
  const port = await freePort()
  const args = ['serve', '--no-control-socket', '--python', PYTHON, '-b', `127.0.0.1:${port}`, 'orphans']
  const child = spawn(unshare, [...namespace, PORTICO, ...args], {
    cwd: dir,
    stdio: 'ignore',
    env: { ...process.env, TMPDIR: join(dir, 'tmp'), PYTHONDONTWRITEBYTECODE: '1' },
  })
  const exited = once(child, 'exit')
  atEnd(t, () => child.kill('SIGKILL'))
  await eventually(async () => (await get(port).catch(() => null))?.status === 200)
  const master = childrenOf(child.pid!)[0]!
  for (let i = 0; i < 5; i++) assert.equal((await get(port)).text, 'left one')
  await eventually(() => childrenOf(master).every(pid => !isZombie(pid)))
  process.kill(master, 'SIGTERM')
  assert.deepEqual(await exited, [0, null])
  assert.equal(existsSync(`/proc/${master}`), false)
})

/** Zombies too. */
function childrenOf(parent: number): number[] {
  const pids = readdirSync('/proc').filter(name => /^\d+$/.test(name))
  return pids.map(Number).filter(pid => statOf(pid)[1] === `${parent}`)
}

function isZombie(pid: number): boolean {
  return statOf(pid)[0] === 'Z'
}

/** From the state on. */
function statOf(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return []
  }
}
