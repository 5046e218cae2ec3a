import assert from 'node:assert/strict'
import test from 'node:test'
import { KeyTable } from '../../src/zone/key-table.ts'
import { ABOVE, account, check, excess, release, WITHIN } from '../../src/zone/request-rate.ts'

const RATE = 2000

function table(bytes = 32768): KeyTable {
  return new KeyTable(new SharedArrayBuffer(bytes))
}

test('the bucket fills by a request and leaks with time', () => {
  const t = table()
  const now = 1_800_000_000_000
  assert.equal(check(t, 'k', RATE, 1000, now, true), WITHIN)
  assert.equal(check(t, 'k', RATE, 1000, now, true), WITHIN)
  assert.equal(excess, 1000)
  assert.equal(check(t, 'k', RATE, 1000, now, true), ABOVE)
  assert.equal(check(t, 'other', RATE, 1000, now, true), WITHIN)
  assert.equal(check(t, 'k', RATE, 1000, now + 400, true), ABOVE)
  assert.equal(excess, 1200)
  assert.equal(check(t, 'k', RATE, 1000, now + 500, true), WITHIN)
  assert.equal(excess, 1000)
})

test('a request that another limit refuses does not count', () => {
  const t = table()
  const now = 1_800_000_000_000
  assert.equal(check(t, 'k', RATE, 0, now, false), WITHIN)
  release(t, 'k')
  assert.equal(check(t, 'k', RATE, 0, now, false), WITHIN)
  account(t, 'k', RATE, now)
  assert.equal(check(t, 'k', RATE, 0, now, false), ABOVE)
})

test('a clock set back far does not lock anybody out', () => {
  const t = table()
  const now = 1_800_000_000_000
  check(t, 'k', RATE, 5000, now, true)
  assert.equal(check(t, 'k', RATE, 5000, now - 3_600_000, true), WITHIN)
  assert.equal(check(t, 'k', RATE, 5000, now - 3_599_000, true), WITHIN)
  assert.equal(excess, 0)
})

test('memory is bounded: the least recently used key goes', () => {
  const t = table()
  const now = 1_800_000_000_000
  for (let i = 0; i < t.capacity * 3; i++) assert.equal(check(t, `k${i}`, RATE, 0, now + i, true), WITHIN)
  t.lock()
  assert.equal(t.size, t.capacity)
  t.unlock()
})
