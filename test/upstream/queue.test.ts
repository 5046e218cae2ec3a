// The queue of a group: who is admitted, who waits and for how long, and threads that count together (two queues on the
// same memory).

import assert from 'node:assert/strict'
import test from 'node:test'
import { ADMITTED, FULL, Queue, QUEUE_BYTES, WAITS } from '../../src/upstream/queue.ts'
import type { QueueUser } from '../../src/upstream/queue.ts'
import { eventually } from '../helpers/index.ts'

class User implements QueueUser {
  turns = 0
  timeouts = 0
  takes = true
  onTurn(): boolean {
    if (this.takes) this.turns++
    return this.takes
  }
  onQueueTimeout(): void {
    this.timeouts++
  }
}

function queues(count: number, size: number, concurrency: number, timeoutMs = 10_000): Queue[] {
  const memory = new SharedArrayBuffer(QUEUE_BYTES)
  return Array.from({ length: count }, () => {
    const queue = new Queue({ size, concurrency, timeoutMs })
    queue.share(memory)
    return queue
  })
}

test('so many at a time, so many waiting, the rest is refused; who waits goes on in order', () => {
  const [queue] = queues(1, 2, 1) as [Queue]
  const users = Array.from({ length: 4 }, () => new User())
  assert.deepEqual(
    users.map(user => queue.enter(user)),
    [ADMITTED, WAITS, WAITS, FULL],
  )
  assert.deepEqual([queue.active, queue.length, queue.overflows], [1, 2, 1])
  queue.exit()
  assert.deepEqual(
    users.map(user => user.turns),
    [0, 1, 0, 0],
  )
  queue.exit()
  queue.exit()
  assert.deepEqual([users[2]!.turns, queue.active, queue.length], [1, 0, 0])
})

test('a newcomer does not overtake those who wait', () => {
  const [queue] = queues(1, 5, 1) as [Queue]
  const [first, second, third] = [new User(), new User(), new User()]
  queue.enter(first)
  queue.enter(second)
  assert.equal(queue.enter(third), WAITS)
  queue.exit()
  assert.deepEqual([second.turns, third.turns], [1, 0])
})

test('who gives up frees its place in the queue; who waits too long is told', async () => {
  const [queue] = queues(1, 1, 1, 60) as [Queue]
  const [first, second, third] = [new User(), new User(), new User()]
  queue.enter(first)
  queue.enter(second)
  queue.leave(second)
  assert.equal(queue.enter(third), WAITS)
  await eventually(() => third.timeouts === 1)
  assert.deepEqual([queue.length, second.timeouts, third.turns], [0, 0, 0])
})

test('one who finds no peer on its turn keeps waiting, and is asked again', async () => {
  const [queue] = queues(1, 1, 0) as [Queue]
  const user = new User()
  user.takes = false
  assert.equal(queue.hold(user), WAITS)
  queue.peerFreed()
  assert.equal(queue.length, 1)
  user.takes = true
  // Nobody says when fail_timeout is over: it is looked.
  await eventually(() => user.turns === 1)
  assert.equal(queue.length, 0)
})

test('threads count together, and a place freed in one wakes who waits in another', async () => {
  const [here, there] = queues(2, 4, 1) as [Queue, Queue]
  const [first, second, third] = [new User(), new User(), new User()]
  assert.equal(here.enter(first), ADMITTED)
  assert.equal(there.enter(second), WAITS)
  assert.equal(there.enter(third), WAITS)
  assert.equal(here.length, 2)
  here.exit()
  await eventually(() => second.turns === 1)
  assert.equal(third.turns, 0)
  there.exit()
  await eventually(() => third.turns === 1)
  assert.deepEqual([here.active, here.length], [1, 0])
})

test('what a thread holds when it ends is the others’', async () => {
  const [here, there] = queues(2, 4, 1) as [Queue, Queue]
  const waits = new User()
  here.enter(new User())
  here.enter(new User())
  there.enter(waits)
  here.stop()
  await eventually(() => waits.turns === 1)
  assert.deepEqual([there.active, there.length], [1, 0])
})

test('whoever comes and goes, the counts come out even', async () => {
  const all = queues(3, 8, 3, 50)
  const inside: Queue[] = []
  let admitted = 0
  let refused = 0
  let late = 0
  const random = (n: number): number => Math.floor(Math.random() * n)
  for (let i = 0; i < 3000; i++) {
    const queue = all[random(3)]!
    const user: QueueUser = {
      onTurn: () => {
        inside.push(queue)
        admitted++
        return true
      },
      onQueueTimeout: () => void late++,
    }
    const answer = queue.enter(user)
    if (answer === ADMITTED) user.onTurn()
    else if (answer === FULL) refused++
    assert.ok(queue.active <= 3 + 1)
    while (inside.length > random(4)) inside.splice(random(inside.length), 1)[0]!.exit()
    if (i % 100 === 0) await new Promise(setImmediate)
  }
  await eventually(() => {
    while (inside.length > 0) inside.pop()!.exit()
    return all[0]!.length === 0
  })
  while (inside.length > 0) inside.pop()!.exit()
  assert.equal(admitted + refused + late, 3000)
  assert.deepEqual([all[0]!.active, all[0]!.length], [0, 0])
})
