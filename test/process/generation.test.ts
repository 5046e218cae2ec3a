// Threads that cannot be had, for all that they need may be used up: none of a generation is left behind, and one that has died is
// replaced when there is room again.

import assert from 'node:assert/strict'
import { closeSync, openSync, readdirSync } from 'node:fs'
import test from 'node:test'
import { FrontHandle } from '../../src/process/front-handle.ts'
import { Generation } from '../../src/process/generation.ts'
import type { GenerationSettings } from '../../src/process/generation.ts'
import type { FromFront } from '../../src/process/messages.ts'
import type { ThreadEvents, ThreadHandle } from '../../src/process/thread-handle.ts'
import { eventually } from '../helpers/index.ts'

class FakeThread {
  readonly id: number
  readonly startedAt = -Infinity
  index = -1
  leaving = false
  events: ThreadEvents | null = null

  constructor(id: number) {
    this.id = id
  }

  start(order: { thread: number }, events: ThreadEvents): void {
    this.index = order.thread
    this.events = events
  }

  stop(): void {
    this.leaving = true
  }

  send(): void {}
}

class Around {
  readonly threads: FakeThread[] = []
  readonly said: string[] = []
  readonly ends: Generation[] = []
  room: number

  constructor(room: number) {
    this.room = room
  }

  log(_level: number, message: string): void {
    this.said.push(message)
  }

  tell(_message: FromFront): void {}

  thread(): ThreadHandle {
    if (this.room === 0) throw new Error('EAGAIN')
    this.room--
    const thread = new FakeThread(this.threads.length + 1)
    this.threads.push(thread)
    return thread as unknown as ThreadHandle
  }

  ended(generation: Generation): void {
    this.ends.push(generation)
  }
}

function settings(threads: number, fd: number): GenerationSettings {
  return { number: 1, threads, shutdownTimeout: 0, data: null, sockets: [['a', fd]], memory: [] }
}

function descriptors(): number {
  return readdirSync('/proc/self/fd').length
}

test('where a thread cannot be started, those before it are stopped and no descriptor is left', t => {
  const fd = openSync('/dev/null', 'r')
  t.after(() => closeSync(fd))
  const around = new Around(1)
  const before = descriptors()
  assert.throws(
    () => new Generation(settings(3, fd), around),
    /^Error: a front thread could not be started \(EAGAIN\)$/,
  )
  assert.deepEqual(
    around.threads.map(thread => thread.leaving),
    [true],
  )
  // The first has its own, which ends with it.
  assert.equal(descriptors(), before + 1)
  assert.throws(() => new Generation(settings(1, 2 ** 20), new Around(1)), /dup\(\) .*\(9: bad file descriptor\)$/i)
  assert.equal(descriptors(), before + 1)
})

test('a thread that has died and cannot be replaced is replaced later', async t => {
  const fd = openSync('/dev/null', 'r')
  t.after(() => closeSync(fd))
  const around = new Around(1)
  const generation = new Generation(settings(1, fd), around)
  t.after(() => generation.stop())
  const [first] = around.threads
  first!.events!.listening(first as unknown as ThreadHandle)
  first!.events!.exited(first as unknown as ThreadHandle, 'by a test')
  assert.match(around.said.at(-1)!, /could not be started \(EAGAIN\)/)
  around.room = 1
  await eventually(() => around.threads.length === 2)
  assert.equal(around.threads[1]!.index, 0)
})

test('a front that cannot be started says why', async t => {
  const { execPath } = process
  t.after(() => (process.execPath = execPath))
  process.execPath = '/nonexistent/node'
  const front = new FrontHandle('front.ts', 'ignore')
  const { promise, resolve } = Promise.withResolvers<number | null>()
  front.attach({ message() {}, exited: (_, code) => resolve(code) })
  // What is said to it meanwhile is lost.
  front.send({ type: 'reopen' })
  front.stop('graceful')
  assert.equal(await promise, 1)
  assert.match(front.failure, /^the front process could not be started \(".*": 2: No such file or directory\)$/)
})
