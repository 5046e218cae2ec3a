import assert from 'node:assert/strict'
import test from 'node:test'
import { beginMoment, endMoment, monotonic } from '../../src/lib/clock.ts'
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
    let best = Infinity
    // What others do on the machine is not ours: of a few it is the best that tells how late it is.
    for (let round = 0; round < 6 && best >= ms + 10 * TICK; round++) {
      const { owner, timer, rung } = alarm()
      const start = performance.now()
      wheel.arm(timer, ms)
      await rung
      best = Math.min(best, owner.firedAt - start)
      assert.ok(owner.firedAt - start >= ms, `${ms} ms: fired after ${owner.firedAt - start}`)
    }
    assert.ok(best < ms + 10 * TICK, `${ms} ms: fired after ${best}`)
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
  // It would be a minute.
  await earlier.rung
  await later.rung
  assert.ok(earlier.owner.firedAt <= later.owner.firedAt)
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

test('a released timer is held no longer, in whichever bucket it waits, and may be armed again', async () => {
  const wheel = new TimerWheel()
  const alarms = Array.from({ length: 5 }, alarm)
  for (const { timer } of alarms) wheel.arm(timer, 100)
  for (const i of [0, 2, 4]) wheel.release(alarms[i]!.timer)
  for (const i of [0, 2, 4]) assert.equal(alarms[i]!.timer.next, null)
  wheel.release(alarms[0]!.timer)
  wheel.arm(alarms[4]!.timer, 150)
  await Promise.all([1, 3, 4].map(i => alarms[i]!.rung))
  assert.deepEqual(
    alarms.map(({ owner }) => owner.firedAt !== 0),
    [false, true, false, true, true],
  )
  wheel.stop()
})

test('one that fires may release others that are due with it', async () => {
  const wheel = new TimerWheel()
  const others = Array.from({ length: 3 }, alarm)
  let fired = 0
  const { timer } = others[1]!
  const first = new Timer(null, () => {
    fired++
    wheel.release(timer)
  })
  for (const other of others) wheel.arm(other.timer, 10)
  wheel.arm(first, 10)
  await Promise.all([others[0]!.rung, others[2]!.rung])
  assert.equal(fired, 1)
  assert.equal(others[1]!.owner.firedAt, 0)
  wheel.stop()
})

test('a timer that is armed at the end of a long moment is not late by a turn of the wheel', async () => {
  const wheel = new TimerWheel()
  const { owner, timer, rung } = alarm()
  beginMoment()
  const start = monotonic()
  while (performance.now() < start + 4 * TICK);
  // By the moment's clock, nothing of that time has passed.
  wheel.arm(timer, 1)
  endMoment()
  const armed = performance.now()
  await rung
  wheel.stop()
  assert.ok(owner.firedAt - armed < 200 * TICK, `fired after ${owner.firedAt - armed}`)
})
