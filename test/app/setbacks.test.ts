// What is made good at once, and what has to wait: processes that are killed while they load the application, and after.

import assert from 'node:assert/strict'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import nodeTest from 'node:test'
import { PoolWorker } from '../../src/app/pool/roster.ts'
import { Setbacks } from '../../src/app/pool/setbacks.ts'
import { eventually } from '../helpers/eventually.ts'
import test from '../helpers/python-test.ts'
import { tempDir, writeFiles } from '../helpers/temp-dir.ts'
import { isAlive, run, serving } from './pools.ts'

nodeTest('setbacks: workers that are killed together while they load are one accident', t => {
  let now = 0
  t.mock.method(performance, 'now', () => now)
  const setbacks = new Setbacks()
  for (let round = 0; round < 3; round++) {
    assert.equal(setbacks.pause, 0)
    const together = [0, 1, 2, 3].map(slot => new PoolWorker(slot, slot, slot))
    now++
    for (const one of together) setbacks.died(one, false)
  }
  assert.equal(setbacks.pause, 1000)
  assert.ok(setbacks.isMortal)
  setbacks.serves()
  assert.equal(setbacks.pause, 0)
})

nodeTest('setbacks: a worker that dies before it serves has done no better for having taken long', t => {
  let now = 0
  t.mock.method(performance, 'now', () => now)
  const setbacks = new Setbacks()
  for (let i = 0; i < 3; i++) {
    assert.equal(setbacks.pause, 0)
    const one = new PoolWorker(0, 0, i)
    now += 60_000
    setbacks.died(one, false)
  }
  assert.ok(setbacks.isMortal)
})

nodeTest(
  'setbacks: the process that forks them is started again at once, and in a growing while if it keeps dying',
  () => {
    const setbacks = new Setbacks()
    // None has ever served: it may well be the application.
    assert.equal(setbacks.forkerFell(), false)
    setbacks.serves()
    assert.deepEqual([setbacks.forkerFell(), setbacks.forkerFell(), setbacks.forkerFell()], [true, true, false])
    setbacks.serves()
    const pauses: number[] = []
    for (let i = 0; i < 8; i++) {
      setbacks.forkerDied(performance.now(), true)
      pauses.push(setbacks.loadPause)
    }
    assert.deepEqual(pauses, [0, 0, 50, 100, 200, 400, 800, 800])
    setbacks.forkerDied(performance.now() - 60_000, true)
    assert.equal(setbacks.loadPause, 0)
  },
)

test('pool: a zygote that is killed while it loads what it has loaded before fails no request', async t => {
  const dir = tempDir(t)
  const [hold, pid] = [join(dir, 'hold'), join(dir, 'pid')]
  writeFiles(dir, {
    'held.py': [
      'import os, time',
      `with open(${JSON.stringify(pid)} + '.new', 'w') as file: file.write(str(os.getpid()))`,
      `os.rename(${JSON.stringify(pid)} + '.new', ${JSON.stringify(pid)})`,
      `while os.path.exists(${JSON.stringify(hold)}): time.sleep(0.01)`,
      'def application(e, s): pass',
      '',
    ].join('\n'),
  })
  const loading = async (): Promise<number> => {
    await eventually(() => existsSync(pid))
    const number = Number(readFileSync(pid, 'latin1'))
    rmSync(pid)
    return number
  }
  const { pool, notices, log } = run(t, { directory: dir, module: 'held:application' })
  const before = await serving(pool, 2)
  const failures = (): number => notices.filter(one => one.type === 'failed').length
  writeFileSync(hold, '')
  process.kill(await loading(), 'SIGKILL')
  for (let i = 0; i < 2; i++) process.kill(await loading(), 'SIGKILL')
  const last = await loading()
  assert.equal(log.filter(line => line.includes('cannot load "held:application": its process exited')).length, 2)
  assert.equal(failures(), 0)
  await eventually(() => !before.some(isAlive))
  rmSync(hold)
  await serving(pool, 2)
  // Once more they are accidents; the third in a row is told to those who wait.
  writeFileSync(hold, '')
  process.kill(last, 'SIGKILL')
  for (let i = 0; i < 3; i++) {
    assert.equal(failures(), 0)
    process.kill(await loading(), 'SIGKILL')
  }
  await eventually(() => failures() === 1)
  rmSync(hold)
  await serving(pool, 2)
})
