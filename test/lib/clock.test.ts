import assert from 'node:assert/strict'
import test from 'node:test'
import { beginMoment, endMoment, monotonic, unixMs, unixSeconds } from '../../src/lib/clock.ts'

/** Returns when the clock has moved on. */
function pass(): void {
  const start = performance.now()
  while (performance.now() - start < 2);
}

test('time stands still for a moment, and goes on behind it', () => {
  const before = monotonic()
  pass()
  beginMoment()
  const first = monotonic()
  assert.ok(first > before)
  pass()
  assert.equal(monotonic(), first)
  endMoment()
  const after = monotonic()
  assert.ok(after > first)
  pass()
  assert.ok(monotonic() > after)
})

test('what begins and ends within a moment takes no time of day', () => {
  beginMoment()
  const first = unixMs()
  pass()
  assert.equal(unixMs(), first)
  beginMoment()
  assert.ok(unixMs() > first)
  endMoment()
  assert.ok(Math.abs(unixMs() - Date.now()) < 1000)
})

test('a moment has a time of its own', () => {
  beginMoment()
  const first = monotonic()
  pass()
  beginMoment()
  assert.ok(monotonic() > first)
  endMoment()
})

test('within moments, too, a new second is seen when it begins, and a clock that was set soon', t => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_800_000_000_999 })
  const second = (): number => {
    beginMoment()
    try {
      return unixSeconds()
    } finally {
      endMoment()
    }
  }
  assert.equal(second(), 1_800_000_000)
  assert.equal(unixSeconds(), 1_800_000_000)
  t.mock.timers.setTime(1_700_000_000_500)
  assert.equal(unixSeconds(), 1_700_000_000)
  // What is left of the second was 1 ms.
  pass()
  assert.equal(second(), 1_700_000_000)
})
