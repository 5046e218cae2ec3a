// A pool whose start fails for reasons that are not the application's, and what it does until it can.

import assert from 'node:assert/strict'
import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import test from '../helpers/python-test.ts'
import { eventually } from '../helpers/eventually.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { run, serving } from './pools.ts'

const NO_FOLDER = /no folder for sockets can be made in ".*not-yet" \(.*\); TMPDIR names another$/

test('pool: where no folder for sockets can be made the front is told, and it is tried again until one can', async t => {
  const dir = join(tempDir(t), 'not-yet')
  const { pool, notices, log } = run(t, {}, 1, dir)
  assert.match(log.join('\n'), NO_FOLDER)
  assert.match(await pool.loaded, NO_FOLDER)
  assert.deepEqual(
    notices.map(one => one.type),
    ['failed'],
  )
  // Who comes later hears of it too.
  assert.equal(pool.current()[0]?.type, 'failed')
  mkdirSync(dir)
  await serving(pool, 2)
  await eventually(() => notices.filter(one => one.type === 'worker').length === 2)
  assert.equal(log.filter(line => NO_FOLDER.test(line)).length, 1)
})

test('pool: one that could not start and is stopped starts no more', async t => {
  const dir = join(tempDir(t), 'not-yet')
  const { pool, log } = run(t, {}, 1, dir)
  const before = log.length
  mkdirSync(dir)
  await pool.stop(true, 1000)
  pool.start()
  assert.deepEqual([readdirSync(dir), log.length], [[], before])
})
