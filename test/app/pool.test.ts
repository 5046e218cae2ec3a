import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from '../helpers/python-test.ts'
import { eventually, within } from '../helpers/eventually.ts'
import { tempDir, writeFiles } from '../helpers/temp-dir.ts'
import { apps, gone, isAlive, run, serving } from './pools.ts'

for (const [kind, module] of [
  ['sync', 'things:application'],
  ['node', './fetch.ts'],
] as const) {
  test(`pool (${kind}): the workers asked for serve on sockets that are gone after a stop`, async t => {
    const { pool, dir } = run(t, { kind, module })
    assert.equal(await pool.loaded, '')
    const pids = await serving(pool, 2)
    assert.equal(pool.current().length, 2)
    for (const notice of pool.current()) assert.ok(notice.type === 'worker' && existsSync(notice.path))
    await pool.stop(true, 5000)
    assert.deepEqual(readdirSync(dir), [])
    assert.ok(!pids.some(isAlive))
  })

  test(`pool (${kind}): a worker that is killed is replaced`, async t => {
    const { pool, notices, dir } = run(t, { kind, module })
    const [first] = await serving(pool, 2)
    process.kill(first!, 'SIGKILL')
    await eventually(() => gone(notices, first!) && pool.pids().length === 2)
    assert.ok(!pool.pids().includes(first!))
    // Nor does it leave anything: each has a socket, and in Python a pipe and a file beside it.
    const folder = join(dir, readdirSync(dir)[0]!)
    await eventually(() => readdirSync(folder).length === (kind === 'sync' ? 6 : 2))
  })

  test(`pool (${kind}): a worker that hangs is aborted, and another takes its place at once`, async t => {
    const { pool, notices } = run(t, { kind, module })
    const [first] = await serving(pool, 2)
    pool.request({ type: 'hung', app: 'test', slot: 0, pid: first! })
    assert.ok(gone(notices, first!))
    await eventually(() => pool.pids().length === 2 && !isAlive(first!))
  })

  test(`pool (${kind}): what cannot be loaded is reported once, with its place, and tried again`, async t => {
    const dir = tempDir(t)
    writeFiles(dir, { 'bad.py': 'import nothing_of_that_name\n', 'bad.ts': "import './nothing-of-that-name.ts'\n" })
    const bad = kind === 'node' ? './bad.ts' : 'bad:application'
    const { pool, notices, log } = run(t, { kind, module: bad, directory: dir, workers: 1 })
    assert.match(await pool.loaded, /nothing.of.that.name/)
    await eventually(() => notices.filter(one => one.type === 'failed').length >= 2)
    assert.equal(log.filter(line => line.includes('cannot load')).length, 1)
    await pool.stop(true, 1000)
  })

  test(`pool (${kind}): what the system does not start is told, and tried again`, async t => {
    // More than execve() takes: spawn() throws, as where there is no memory.
    const environment = { MUCH: 'x'.repeat(200_000) }
    const { pool, notices, log } = run(t, { kind, module, workers: 1, environment })
    assert.match(await pool.loaded, /E2BIG/)
    await eventually(() => notices.filter(one => one.type === 'failed').length >= 2)
    assert.equal(log.filter(line => line.includes('E2BIG')).length, 1)
  })
}

test('pool: an application that is repaired is loaded without a restart', async t => {
  const dir = tempDir(t)
  writeFiles(dir, { 'broken.py': readFileSync(join(apps, 'broken.py')) })
  const { pool, notices } = run(t, { directory: dir, module: 'broken:application', workers: 1 })
  assert.match(await pool.loaded, /not repaired yet/)
  writeFileSync(join(dir, 'repaired'), '')
  await eventually(() => notices.some(one => one.type === 'worker'))
})

test('pool: with preload off a worker that cannot load the application is reported too', async t => {
  const dir = tempDir(t)
  const { pool, log } = run(t, { directory: dir, module: 'nowhere:application', preload: false, workers: 1 })
  assert.match(await pool.loaded, /nowhere/)
  assert.ok(log.some(line => line.includes('nowhere')))
})

test('pool: a retired worker serves until its replacement does', async t => {
  const { pool, notices } = run(t, { workers: 1 })
  const [first] = await serving(pool, 1)
  pool.request({ type: 'retire', app: 'test', slot: 0, pid: first! })
  await eventually(() => gone(notices, first!))
  const kinds = notices.map(one => one.type)
  assert.deepEqual(kinds, ['worker', 'worker', 'gone'])
})

test('pool: workers are added while requests wait, and spared when they have had nothing to do for a while', async t => {
  let now = performance.now()
  t.mock.method(performance, 'now', () => now)
  const { pool, notices } = run(t, { workers: 1, workersMax: 3 })
  const [first] = await serving(pool, 1)
  const request = { app: 'test', slot: 0, pid: 0 } as const
  for (const count of [2, 3]) {
    pool.request({ ...request, type: 'grow' })
    pool.request({ ...request, type: 'grow' })
    await serving(pool, count)
  }
  pool.request({ ...request, type: 'grow' })
  const idle = pool.pids().filter(pid => pid !== first)
  pool.request({ ...request, type: 'load', idle })
  now += 5000
  pool.request({ ...request, type: 'load', idle: [] })
  pool.request({ ...request, type: 'load', idle })
  now += 9000
  pool.request({ ...request, type: 'load', idle })
  assert.equal(pool.pids().length, 3)
  now += 2000
  for (let i = 0; i < 3; i++) pool.request({ ...request, type: 'load', idle })
  assert.deepEqual(pool.pids(), [first])
  assert.ok(idle.every(pid => gone(notices, pid)))
})

test('pool: a zygote that dies takes its workers with it and is started again', async t => {
  const { pool, notices, log } = run(t, {})
  const before = await serving(pool, 2)
  const zygote = Number(/process (\d+)/.exec(log.find(line => line.includes('loading on'))!)![1])
  process.kill(zygote, 'SIGKILL')
  await eventually(() => before.every(pid => gone(notices, pid)))
  await eventually(() => pool.pids().length === 2)
  await eventually(() => !before.some(isAlive))
})

test('pool: a stop does not wait for an application that is being loaded', async t => {
  const dir = tempDir(t)
  writeFiles(dir, { 'endless.py': "import time\nopen('begun', 'w').close()\ntime.sleep(1000)\n" })
  const { pool } = run(t, { directory: dir, module: 'endless:application', workers: 1 })
  await eventually(() => existsSync(join(dir, 'begun')))
  await within(pool.stop(true, 600_000), 60_000, () => 'the pool did not end')
})

test('pool (asgi): nor for the startup of its lifespan, which comes to its end', async t => {
  const dir = tempDir(t)
  writeFiles(dir, {
    'slow.py': `import asyncio
async def application(scope, receive, send):
    open('begun', 'w').close()
    try:
        await asyncio.sleep(1000)
    finally:
        open('ended', 'w').close()
`,
  })
  const { pool } = run(t, {
    kind: 'asgi',
    directory: dir,
    module: 'slow:application',
    workers: 1,
    gracefulTimeout: 600_000,
  })
  await eventually(() => existsSync(join(dir, 'begun')))
  await within(pool.stop(true, 600_000), 60_000, () => 'the pool did not end')
  assert.ok(existsSync(join(dir, 'ended')))
})

test('pool: times beyond what timers take are as good as for ever', async t => {
  const { pool, log } = run(t, { workers: 1, timeout: 1e10, gracefulTimeout: 1e10 })
  const [first] = await serving(pool, 1)
  await pool.stop(true, 1e10)
  assert.ok(
    log.some(line => line.includes(`worker process ${first} exited with code 0`)),
    log.join('\n'),
  )
  assert.ok(!log.some(line => line.includes('in time')), log.join('\n'))
})

test('pool: workers come even when somebody has removed the folder of their sockets', async t => {
  const { pool, dir } = run(t, { workers: 1 })
  const [first] = await serving(pool, 1)
  for (const name of readdirSync(dir)) rmSync(join(dir, name), { recursive: true })
  process.kill(first!, 'SIGKILL')
  await eventually(() => pool.pids().length === 1 && pool.pids()[0] !== first)
  await pool.stop(true, 5000)
  assert.deepEqual(readdirSync(dir), [])
})

test('pool: no worker makes its socket where somebody else has made a folder of that name', async t => {
  const { pool, dir, log } = run(t, { workers: 1 })
  const [first] = await serving(pool, 1)
  const [name] = readdirSync(dir)
  const [folder, foreign] = [join(dir, name!), tempDir(t)]
  rmSync(folder, { recursive: true })
  symlinkSync(foreign, folder)
  process.kill(first!, 'SIGKILL')
  await eventually(() => log.some(line => line.includes('could not be made again: it was taken by somebody else')))
  assert.deepEqual([pool.pids(), readdirSync(foreign)], [[], []])
  rmSync(folder)
  await serving(pool, 1)
  assert.deepEqual(readdirSync(foreign), [])
})

test('pool: without descriptors for a worker the zygote says so, and lives on', async t => {
  const dir = tempDir(t)
  writeFiles(dir, {
    // Two are left for the zygote itself, and one that is not enough for a pipe.
    'few.py': `import os, resource
def application(environ, start_response): pass
used = {int(name) for name in os.listdir('/proc/self/fd') if os.path.exists('/proc/self/fd/' + name)}
fourth = [number for number in range(256) if number not in used][3]
resource.setrlimit(resource.RLIMIT_NOFILE, (fourth, fourth))
`,
  })
  const { pool, log } = run(t, { directory: dir, module: 'few:application', workers: 1 })
  assert.match(await pool.loaded, /cannot fork: Too many open files/)
  await pool.stop(true, 5000)
  assert.ok(!log.some(line => line.includes('the process that forks')), log.join('\n'))
})

test('pool: a worker of kind threads is told of once for each of its sockets', async t => {
  const { pool, notices } = run(t, { kind: 'threads', threads: 3, workers: 1 })
  assert.equal(await pool.loaded, '')
  const paths = notices.map(one => (one.type === 'worker' ? one.path : ''))
  assert.equal(new Set(paths).size, 3)
})

test('pool: workers that die at once are not forked without a pause', async t => {
  const dir = tempDir(t)
  writeFiles(dir, {
    'dies.py': 'import os\nos.register_at_fork(after_in_child=lambda: os._exit(3))\ndef application(e, s): pass\n',
  })
  const { log } = run(t, { directory: dir, module: 'dies:application', workers: 1 })
  const deaths = (): number => log.filter(line => line.includes('exited with code 3')).length
  await eventually(() => deaths() >= 3)
  await new Promise(resolve => setTimeout(resolve, 500))
  // Without a pause it would be one in a few milliseconds.
  assert.ok(deaths() < 6, `${deaths()} deaths`)
})
