import assert from 'node:assert/strict'
import { once } from 'node:events'
import test from 'node:test'
import { Worker } from 'node:worker_threads'
import { SeatTable } from '../../src/app/dispatch/seats.ts'

const table = (seats: number): SeatTable => new SeatTable(new SharedArrayBuffer(SeatTable.bytes(seats)))

test('seats: a seat is claimed once until it is released', () => {
  const seats = table(4)
  const at = seats.open(100, 0)
  assert.ok(seats.claim(at, 100, 1, 0))
  assert.ok(!seats.claim(at, 100, 1, 0))
  assert.ok(!seats.isFree(at, 100, 1))
  seats.release(at, 100, 0)
  assert.ok(seats.claim(at, 100, 1, 0))
})

test('seats: the same worker is found under the same cell, and its threads under others', () => {
  const seats = table(4)
  assert.equal(seats.open(100, 0), seats.open(100, 0))
  assert.notEqual(seats.open(100, 0), seats.open(100, 1))
  assert.notEqual(seats.open(100, 0), seats.open(101, 0))
})

test('seats: a closed seat cannot be claimed, nor can its cell by the pid it had before', () => {
  const seats = table(4)
  const at = seats.open(100, 0)
  assert.ok(seats.claim(at, 100, 1, 0))
  seats.close(at, 100)
  assert.ok(!seats.claim(at, 100, 1, 0))
  const again = seats.open(101, 0)
  assert.equal(again, at)
  seats.release(again, 100, 0)
  assert.ok(seats.claim(again, 101, 1, 0))
  assert.ok(!seats.claim(again, 100, 1, 0))
})

test('seats: pids that look alike in a word are not taken for each other', () => {
  const seats = table(4)
  const [one, other] = [100, 100 + 65535]
  const at = seats.open(one, 0)
  assert.ok(seats.claim(at, one, 8, 0))
  seats.close(at, one)
  assert.equal(seats.open(other, 0), at)
  assert.ok(!seats.claim(at, one, 8, 0))
  seats.release(at, one, 0)
  seats.close(at, one)
  assert.equal(seats.inFlight(at, other), 0)
  assert.ok(seats.claim(at, other, 8, 0))
  assert.equal(seats.inFlight(at, other), 1)
})

test('seats: one counts tens of thousands of requests at a time', () => {
  const seats = table(1)
  const at = seats.open(4_194_303, 511)
  for (let i = 0; i < 65535; i++) assert.ok(seats.claim(at, 4_194_303, 65535, 0))
  assert.ok(!seats.claim(at, 4_194_303, 65535, 0))
  assert.equal(seats.inFlight(at, 4_194_303), 65535)
})

test('seats: what a thread held that has died is given back by its successor, and nothing else', () => {
  const seats = table(4)
  const at = seats.open(100, 0)
  for (const owner of [0, 1, 1]) assert.ok(seats.claim(at, 100, 8, owner))
  assert.equal(seats.inherit(at, 100, 1), 2)
  assert.equal(seats.inFlight(at, 100), 1)
  assert.equal(seats.inherit(at, 100, 1), 0)
  seats.release(at, 100, 0)
  assert.equal(seats.inFlight(at, 100), 0)
})

test('seats: counters count beyond 32 bits', () => {
  const seats = table(1)
  for (let i = 0; i < 5; i++) seats.count(2, 2 ** 30)
  assert.equal(seats.counted(2), 5 * 2 ** 30)
  assert.equal(seats.counted(1), 0)
})

test('seats: the largest pid and seat keep apart from all others', () => {
  const seats = table(4)
  const at = seats.open(4_194_303, 511)
  assert.ok(seats.claim(at, 4_194_303, 1, 0))
  assert.ok(!seats.claim(at, 4_194_303, 1, 0))
  seats.close(at, 4_194_303)
  assert.equal(seats.open(4_194_302, 511), at)
})

test('seats: workers whose end nobody heard of give their cells back when the table is full', () => {
  const seats = table(1)
  // No process has such numbers: the kernel's highest is below 4194304, and these are not in use.
  let opened = 0
  for (let pid = 4_190_000; pid < 4_190_100; pid++) if (seats.open(pid, 0) >= 0) opened++
  assert.equal(opened, 100)
})

test('seats: tickets tell who has waited longest, within a group and across the wrap', () => {
  const seats = table(1)
  const one = seats.enter(1, 7)
  const other = seats.enter(2, 7)
  const stranger = seats.enter(3, 8)
  seats.show(one, 2_147_483_647, 1)
  seats.show(other, -2_147_483_648, 1)
  seats.show(stranger, 1, 5)
  assert.equal(seats.oldest(7), one)
  assert.equal(seats.oldest(8), stranger)
  assert.equal(seats.waitingElsewhere(7, one), 1)
  seats.leave(one)
  assert.equal(seats.oldest(7), other)
  seats.leave(other)
  assert.ok(!seats.anybodyWaits(7))
})

test('seats: a waker in another thread is heard', async () => {
  const memory = new SharedArrayBuffer(SeatTable.bytes(1))
  const seats = new SeatTable(memory)
  const place = seats.enter(1, 7)
  const woken = seats.sleep(place, seats.signal(place))
  const url = new URL('../../src/app/dispatch/seats.ts', import.meta.url).href
  const code = `import(${JSON.stringify(url)}).then(({ SeatTable }) =>
    new SeatTable(require('node:worker_threads').workerData.memory).wake(require('node:worker_threads').workerData.place))`
  const worker = new Worker(code, { eval: true, workerData: { memory, place } })
  await Promise.all([woken, once(worker, 'exit')])
  assert.equal(seats.sleep(place, 0), null)
})

test('seats: two threads never hold the same seat', async () => {
  const memory = new SharedArrayBuffer(SeatTable.bytes(2))
  const held = new SharedArrayBuffer(8)
  const url = new URL('../../src/app/dispatch/seats.ts', import.meta.url).href
  const code = `const { workerData } = require('node:worker_threads')
    import(${JSON.stringify(url)}).then(({ SeatTable }) => {
      const seats = new SeatTable(workerData.memory)
      const held = new Int32Array(workerData.held)
      const at = seats.open(100, 0)
      for (let i = 0; i < 200000; i++) {
        if (!seats.claim(at, 100, 1, 0)) continue
        if (Atomics.add(held, 0, 1) !== 0) Atomics.add(held, 1, 1)
        Atomics.sub(held, 0, 1)
        seats.release(at, 100, 0)
      }
    })`
  const threads = [0, 1].map(() => new Worker(code, { eval: true, workerData: { memory, held } }))
  await Promise.all(threads.map(thread => once(thread, 'exit')))
  assert.equal(new Int32Array(held)[1], 0)
})
