// How many requests are sent ahead, and how many workers are kept at work, judged by real processes.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import test from '../helpers/python-test.ts'
import type { TestContext } from 'node:test'
import type { DispatcherLink } from '../../src/app/dispatch/links.ts'
import { Pace } from '../../src/app/dispatch/pace.ts'
import { SeatTable } from '../../src/app/dispatch/seats.ts'
import { atEnd } from '../helpers/index.ts'

const WORKERS = availableParallelism() + 3

/** Workers that are all one process, which runs this program; it has said that it is at it. */
async function workersOf(t: TestContext, program: string): Promise<{ links: DispatcherLink[]; seats: SeatTable }> {
  const child = spawn('python3', ['-c', `import time\nprint(1, flush=True)\n${program}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  atEnd(t, () => void child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  const seats = new SeatTable(new SharedArrayBuffer(SeatTable.bytes(WORKERS)))
  const links = Array.from({ length: WORKERS }, (_, i) => {
    const link = { pid: child.pid!, at: seats.open(child.pid!, i), overdue: false }
    return link as unknown as DispatcherLink
  })
  return { links, seats }
}

/** Between two looks so much time passes, in which each worker is given some requests. */
async function look(pace: Pace, links: readonly DispatcherLink[], seats: SeatTable): Promise<void> {
  pace.look(links)
  await new Promise(resolve => setTimeout(resolve, 300))
  for (const { at } of links) for (let i = 0; i < 10; i++) seats.countServed(at)
  pace.look(links)
}

const pace = (work: number): Pace => new Pace(new SeatTable(new SharedArrayBuffer(SeatTable.bytes(1))), work)

test('pace: as much is sent ahead as the workers do in that time', () => {
  const one = pace(1)
  assert.equal(one.depth, 0, 'nothing is known yet')
  for (let i = 0; i < 500; i++) one.took(0.25)
  assert.equal(one.depth, 4)
  for (let i = 0; i < 500; i++) one.took(0.001)
  assert.equal(one.depth, 16)
  for (let i = 0; i < 500; i++) one.took(2)
  assert.equal(one.depth, 0)
})

test('pace: a slow request among short ones ends it for a while', () => {
  const one = pace(1)
  for (let i = 0; i < 500; i++) one.took(0.1)
  assert.equal(one.depth, 10)
  one.took(100)
  assert.equal(one.depth, 0)
  for (let i = 0; i < 300; i++) one.took(0.1)
  assert.ok(one.depth > 0)
})

test('pace: of workers that only compute no more are at work than there are processors', async t => {
  const { links, seats } = await workersOf(t, 'while True: pass')
  const one = new Pace(seats, 1)
  await look(one, links, seats)
  assert.ok(
    one.most >= availableParallelism() && one.most <= Math.ceil(availableParallelism() / 0.8),
    `${one.most} workers`,
  )
  assert.equal(seats.limit, one.most)
  assert.ok(one.computingMs > 0)
})

test('pace: workers that wait for something else are all at work', async t => {
  const { links, seats } = await workersOf(t, 'time.sleep(60)')
  const one = new Pace(seats, 1)
  seats.limit = 1
  await look(one, links, seats)
  assert.deepEqual([one.most, seats.limit], [0, 0])
})

test('pace: where there are no more workers than that, none is held back', async t => {
  const { links, seats } = await workersOf(t, 'while True: pass')
  const one = new Pace(seats, 1)
  await look(one, links.slice(0, 1), seats)
  assert.equal(seats.limit, 0)
})

test('pace: nothing is concluded from workers that served nothing, or are gone', async t => {
  const { links, seats } = await workersOf(t, 'while True: pass')
  const one = new Pace(seats, 1)
  one.look(links)
  one.look(links)
  assert.deepEqual([one.most, seats.limit], [0, 0])
  const gone = links.map(link => ({ ...link, pid: 2 ** 22 + 1 }))
  await look(one, gone, seats)
  assert.deepEqual([one.most, seats.limit], [0, 0])
})
