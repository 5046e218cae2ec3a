import assert from 'node:assert/strict'
import test from 'node:test'
import { TICK, Timer, TimerWheel } from '../../src/lib/timer-wheel.ts'

interface Alarm {
  firedAt: number
}

function alarm(): { owner: Alarm; timer: Timer<Alarm>; rung: Promise<void> } {
  const owner: Alarm = { firedAt: 0 }
  let ring: () => void
  const rung = new Promise<void>(resolve => {
    ring = resolve
  })
  const timer = new Timer(owner, alarm => {
    alarm.firedAt = performance.now()
    ring()
  })
  return { owner, timer, rung }
}

/** Keeps the process alive while the wheel's own clock, which does not, is awaited. */
const awake = setInterval(() => {}, 1000)
test.after(() => clearInterval(awake))

test('a timer is never early, and late by little', async () => {
  const wheel = new TimerWheel()
  for (const ms of [0, 1, 60, 130]) {
    const { owner, timer, rung } = alarm()
    const start = performance.now()
    wheel.arm(timer, ms)
    await rung
    assert.ok(owner.firedAt - start >= ms, `${ms} ms: fired after ${owner.firedAt - start}`)
    assert.ok(owner.firedAt - start < ms + 10 * TICK)
  }
  wheel.stop()
})

test('re-arming moves a timer later or earlier; disarming silences it', async () => {
  const wheel = new TimerWheel()
  const later = alarm()
  const earlier = alarm()
  const never = alarm()
  const start = performance.now()
  wheel.arm(later.timer, 50)
  wheel.arm(later.timer, 250)
  wheel.arm(earlier.timer, 60_000)
  wheel.arm(earlier.timer, 50)
  wheel.arm(never.timer, 50)
  wheel.disarm(never.timer)
  await earlier.rung
  assert.ok(earlier.owner.firedAt - start < 200)
  await later.rung
  assert.ok(later.owner.firedAt - start >= 250)
  assert.equal(never.owner.firedAt, 0)
  wheel.stop()
})

test('a timer may arm itself and others while it fires', async () => {
  const wheel = new TimerWheel()
  let turns = 0
  await new Promise<void>(resolve => {
    const timer = new Timer(null, () => {
      if (++turns === 3) resolve()
      else wheel.arm(timer, 1)
    })
    wheel.arm(timer, 1)
  })
  assert.equal(turns, 3)
  wheel.stop()
})
