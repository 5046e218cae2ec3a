// How many workers a pool is to have.

import assert from 'node:assert/strict'
import test from 'node:test'
import { type AppSettings, SPARE_WORKERS } from '../../src/app/app.ts'
import { Headcount } from '../../src/app/pool/headcount.ts'

const settings = (workers: number, workersMax: number): AppSettings => ({ workers, workersMax }) as AppSettings

test('headcount: waiting requests bring workers one by one, up to workers_max', () => {
  const count = new Headcount(settings(2, 4))
  assert.equal(count.grow(true), false, 'one that starts is waited for')
  assert.deepEqual([count.grow(false), count.grow(false), count.grow(false)], [true, true, false])
  assert.equal(count.wanted, 4)
})

test('headcount: a worker too many goes after ten seconds, then one goes each time', t => {
  let now = 1000
  t.mock.method(performance, 'now', () => now)
  const count = new Headcount(settings(1, 4))
  while (count.grow(false));
  assert.equal(count.shrink(true), false)
  now += 9999
  assert.equal(count.shrink(true), false)
  now += 1
  assert.deepEqual(
    [count.shrink(true), count.shrink(true), count.shrink(true), count.shrink(true)],
    [true, true, true, false],
  )
  assert.equal(count.wanted, 1)
})

test('headcount: work in between starts the ten seconds anew', t => {
  let now = 1000
  t.mock.method(performance, 'now', () => now)
  const count = new Headcount(settings(1, 3))
  count.grow(false)
  count.shrink(true)
  now += 9000
  count.shrink(false)
  count.shrink(true)
  now += 9000
  assert.equal(count.shrink(true), false)
  count.grow(false)
  assert.equal(count.shrink(true), false)
  assert.equal(count.wanted, 3)
})

test('headcount: a signal changes it by one, never to none and never beyond the table of seats', () => {
  const count = new Headcount(settings(1, 1))
  assert.equal(count.resize(-1), false)
  const resized = Array.from({ length: SPARE_WORKERS + 1 }, () => count.resize(1))
  assert.deepEqual([resized.indexOf(false), resized.lastIndexOf(true)], [SPARE_WORKERS, SPARE_WORKERS - 1])
  assert.equal(count.wanted, count.most)
  assert.equal(new Headcount(settings(20, 20)).most, 80)
  assert.equal(count.resize(-1), true)
})
