// What a front thread's dispatcher does about workers that break the protocol or do not come back, about threads that have died in
// the line, about a table that is full, and what it says of workers that have nothing to do.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { AppRequest, AppSettings } from '../../src/app/app.ts'
import { QUEUE_TIMEOUT, WORKER_LOST } from '../../src/app/dispatch/call.ts'
import { Dispatcher } from '../../src/app/dispatch/dispatcher.ts'
import { SeatTable } from '../../src/app/dispatch/seats.ts'
import { BYE, DATA, encodeFrame, END, FAIL, HELLO, INTERIM } from '../../src/codec/frames.ts'
import { atEnd, eventually, tempDir } from '../helpers/index.ts'
import { head, Request, SETTINGS } from './calls.ts'

const PID = 4_000_000
const EMPTY = Buffer.alloc(0)
interface Thread {
  readonly dispatcher: Dispatcher
  /** What the master was asked for. */
  readonly asked: AppRequest[]
  readonly log: string[]
}

interface Options {
  readonly memory?: SharedArrayBuffer
  readonly owner?: number
}

function start(t: TestContext, more: Partial<AppSettings> = {}, { memory, owner = 0 }: Options = {}): Thread {
  const asked: AppRequest[] = []
  const log: string[] = []
  const settings = { ...SETTINGS, ...more }
  const dispatcher = new Dispatcher(settings, {
    memory: memory ?? new SharedArrayBuffer(SeatTable.bytes(4)),
    owner,
    toMaster: request => void asked.push(request),
    log: (_level, text) => void log.push(text),
    plain() {},
  })
  atEnd(t, () => dispatcher.stop())
  return { dispatcher, asked, log }
}

type Act = (socket: net.Socket, stream: number, connection: number) => void

/** A worker that greets each connection but those after the first `greets`, and does `act` when something is sent to it. */
async function worker(t: TestContext, path: string, pid: number, act: Act, greets = Infinity): Promise<void> {
  let connections = 0
  const server = net.createServer(socket => {
    const connection = ++connections
    socket.on('error', () => {})
    const hello = JSON.stringify({ pid, slot: 0, thread: 0, kind: 'sync', generation: 1, link: 0 })
    if (connection <= greets) socket.write(encodeFrame(HELLO, 0, 0, Buffer.from(hello)))
    socket.on('data', (chunk: Buffer) => act(socket, chunk.readUInt32LE(4), connection))
  })
  server.listen(path)
  await once(server, 'listening')
  atEnd(t, () => void server.close())
}

function admit({ dispatcher }: Thread, path: string, pid = PID): void {
  dispatcher.notice({ type: 'worker', app: 'test', slot: 0, place: 0, pid, path })
}

function send({ dispatcher }: Thread): Request {
  const request = new Request()
  dispatcher.dispatch(request)
  return request
}

const isHung = ({ asked }: Thread, pid = PID): boolean => asked.some(one => one.type === 'hung' && one.pid === pid)

const nonsense: Readonly<Record<string, (stream: number) => Buffer>> = {
  'a response nobody asked for': stream => head(stream + 1, END),
  'the end of a response nobody asked for': stream => encodeFrame(FAIL, stream + 1, 0, EMPTY),
  'an interim response nobody asked for': stream =>
    encodeFrame(INTERIM, stream + 1, 0, Buffer.from('\x03\0\0\x00103', 'latin1')),
  'a frame of unknown type 99': () => encodeFrame(99, 1, 0, EMPTY),
}

for (const [what, bytes] of Object.entries(nonsense)) {
  test(`dispatcher: a worker that sends ${what} is given up, and its request fails`, async t => {
    const thread = start(t)
    const path = join(tempDir(t), 'worker.sock')
    await worker(t, path, PID, (socket, stream) => socket.write(bytes(stream)))
    admit(thread, path)
    const request = send(thread)
    await eventually(() => isHung(thread))
    await eventually(() => request.outcome === `failed ${WORKER_LOST}`)
    assert.ok(
      thread.log.some(line => line.includes(`worker process ${PID} sent `)),
      thread.log.join('\n'),
    )
    assert.equal(thread.dispatcher.snapshot().workers.length, 0)
  })
}

test('dispatcher: a body that goes on behind its end is nonsense, too: no other request gets it', async t => {
  const thread = start(t)
  const path = join(tempDir(t), 'worker.sock')
  await worker(t, path, PID, socket =>
    socket.write(Buffer.concat([head(1, END), encodeFrame(DATA, 1, END, Buffer.from('more'))])),
  )
  admit(thread, path)
  const request = send(thread)
  await eventually(() => isHung(thread))
  assert.equal(request.outcome, 'answered')
})

/** Its client has, and the worker has a moment to come to the end of its response. */
function leave({ dispatcher }: Thread, request: Request): void {
  Object.assign(dispatcher, { timeout: 300 })
  dispatcher.forget(request)
}

test('dispatcher: a worker whose response stands still when its client has left is cut off, and serves on when it comes back', async t => {
  const thread = start(t)
  const path = join(tempDir(t), 'worker.sock')
  await worker(t, path, PID, (socket, stream, connection) => socket.write(head(stream, connection === 1 ? 0 : END)))
  admit(thread, path)
  const request = send(thread)
  await eventually(() => request.outcome === 'answered')
  leave(thread, request)
  // Those to come have all the time.
  Object.assign(thread.dispatcher, { timeout: 60_000 })
  const next = send(thread)
  assert.ok(next.queued)
  await eventually(() => next.outcome === 'answered')
  assert.deepEqual([next.worker, next.attempts, isHung(thread)], [PID, 1, false])
})

test('dispatcher: a worker that does not come back from what nobody wants is given up', async t => {
  const thread = start(t)
  const path = join(tempDir(t), 'worker.sock')
  await worker(t, path, PID, (socket, stream) => socket.write(head(stream, 0)), 1)
  admit(thread, path)
  const request = send(thread)
  await eventually(() => request.outcome === 'answered')
  leave(thread, request)
  await eventually(() => isHung(thread) && thread.dispatcher.snapshot().workers.length === 0)
})

test('dispatcher: where there is no room in the table of workers one is left out, with a word', async t => {
  const thread = start(t)
  const dir = tempDir(t)
  // Ours lives: nobody is thrown out for another one.
  for (let seat = 0; thread.log.length === 0 && seat < 200; seat++) {
    const path = join(dir, `test-1-${process.pid}-${seat}.sock`)
    await worker(t, path, process.pid, socket => socket.write(head(1, END)))
    admit(thread, path, process.pid)
  }
  assert.match(thread.log.join('\n'), new RegExp(`no room for worker process ${process.pid} `))
  const request = send(thread)
  await eventually(() => request.outcome === 'answered')
})

test('dispatcher: a call that comes back from one worker after the other is not tried for ever', async t => {
  const thread = start(t)
  const dir = tempDir(t)
  const request = send(thread)
  for (let i = 0; request.outcome === '' && i < 20; i++) {
    const path = join(dir, `worker-${i}.sock`)
    const attempts = i + 1
    await worker(t, path, PID + i, socket => socket.end(encodeFrame(BYE, 0, 0, EMPTY)))
    admit(thread, path, PID + i)
    await eventually(() => request.outcome !== '' || (request.attempts === attempts && request.queued))
  }
  assert.equal(request.outcome, `failed ${WORKER_LOST}`)
  // Three, and as many as there may be workers: those may all have been killed together.
  assert.equal(request.attempts, 4)
})

test('dispatcher: a call whose thread has died holds up those of others only for a moment', async t => {
  const memory = new SharedArrayBuffer(SeatTable.bytes(4))
  const dead = start(t, {}, { memory, owner: 0 })
  const alive = start(t, {}, { memory, owner: 1 })
  const dir = tempDir(t)
  admit(dead, join(dir, 'nobody.sock'), PID + 1)
  const first = send(dead)
  await eventually(() => first.queued)
  // From now on it does nothing any more.
  const line = Reflect.get(dead.dispatcher, 'line') as object
  Reflect.set(line, 'serving', true)

  const path = join(dir, 'worker.sock')
  await worker(t, path, PID, socket => socket.write(head(1, END)))
  admit(alive, path)
  const second = send(alive)
  assert.ok(second.queued, 'the oldest call of all is next')
  await eventually(() => second.outcome === 'answered')
  assert.equal(first.outcome, '')
})

test('dispatcher: calls that wait when the thread stops are told', async t => {
  const { dispatcher } = start(t)
  const request = new Request()
  dispatcher.dispatch(request)
  dispatcher.stop()
  assert.equal(request.outcome, `failed ${QUEUE_TIMEOUT}`)
})

test('dispatcher: a call that is bound to a worker which has yet to greet, or is to go, is another one’s', async t => {
  const thread = start(t, { kind: 'asgi', workers: 2, workersMax: 2 })
  const dir = tempDir(t)
  const held: number[] = []
  const act: Act = (socket, stream, pid) => void (pid === 1 ? held.push(stream) : socket.write(head(stream, END)))
  const bound = (place: number): Request => {
    const request = new Request()
    request.bond = { place, hash: 0 }
    thread.dispatcher.dispatch(request)
    return request
  }
  await worker(t, join(dir, '0'), PID, (socket, stream) => act(socket, stream, 0))
  await worker(t, join(dir, '1'), PID + 1, (socket, stream) => act(socket, stream, 1))
  await worker(t, join(dir, '2'), PID + 2, (socket, stream) => act(socket, stream, 1), 0)
  for (const place of [0, 1, 2]) {
    const path = join(dir, `${place}`)
    thread.dispatcher.notice({ type: 'worker', app: 'test', slot: place, place, pid: PID + place, path })
  }
  const first = bound(0)
  await eventually(() => first.outcome === 'answered')
  const silent = bound(2)
  await eventually(() => silent.worker !== 0)
  assert.notEqual(silent.worker, PID + 2)

  // It has a request and is to go: whoever is at home there is given to the one that stays.
  await eventually(() => bound(1).worker === PID + 1)
  await eventually(() => held.length > 0)
  thread.dispatcher.notice({ type: 'gone', app: 'test', slot: 1, pid: PID + 1 })
  const moved = bound(1)
  await eventually(() => moved.outcome === 'answered')
  assert.deepEqual([moved.worker, moved.isGuest], [PID, false])
})

const grows = ({ asked }: Thread): number => asked.filter(one => one.type === 'grow').length

test('dispatcher: requests that wait ask for more workers, but for as many as compute all the time', async t => {
  const loops = start(t, { kind: 'asgi', workersMax: 2 })
  send(loops)
  await eventually(() => grows(loops) > 1)

  const computing = start(t, { prefetch: 5, workersMax: 9 })
  const { pace } = computing.dispatcher.prefetch!
  const path = join(tempDir(t), 'worker.sock')
  await worker(t, path, PID, () => {})
  admit(computing, path)
  const request = send(computing)
  await eventually(() => request.worker === PID)
  pace.most = 1
  const waiting = send(computing)
  await eventually(() => load(computing).length === 2)
  assert.deepEqual([waiting.queued, grows(computing)], [true, 0])
  pace.most = 2
  await eventually(() => grows(computing) > 0)
})

const load = ({ asked }: Thread): (readonly number[])[] =>
  asked.flatMap(one => (one.type === 'load' ? [one.idle.toSorted((a, b) => a - b)] : []))

/** Two workers that may become fewer; what they are sent goes to `act`. */
async function elastic(t: TestContext, kind: AppSettings['kind'], act: Act): Promise<[Thread, Thread]> {
  const memory = new SharedArrayBuffer(SeatTable.bytes(4))
  const settings = { kind, workers: 1, workersMax: 2 }
  const threads: [Thread, Thread] = [start(t, settings, { memory, owner: 0 }), start(t, settings, { memory, owner: 1 })]
  const dir = tempDir(t)
  for (const pid of [PID, PID + 1]) {
    const path = join(dir, `${pid}.sock`)
    await worker(t, path, pid, act)
    for (const thread of threads) admit(thread, path, pid)
  }
  return threads
}

test('dispatcher: the master hears which workers had nothing to do since it was told last', async t => {
  const [thread, other] = await elastic(t, 'sync', (socket, stream) => socket.write(head(stream, END)))
  await eventually(() => load(thread).length === 1)
  const request = send(thread)
  await eventually(() => request.outcome === 'answered' && load(thread).length >= 2)
  const both = [PID, PID + 1]
  assert.deepEqual(
    load(thread)[1],
    both.filter(pid => pid !== request.worker),
  )
  await eventually(() => load(thread).at(-1)!.length === 2)
  assert.deepEqual(load(thread).at(-1), both)
  assert.deepEqual(load(other), [], 'one thread tells for all')
})

test('dispatcher: of workers with many requests at a time as many are spared as leaves twice the room that is needed', async t => {
  const [thread] = await elastic(t, 'asgi', () => {})
  await eventually(() => load(thread).at(-1)?.length === 2)
  for (let i = 0; i < 5; i++) send(thread)
  await eventually(() => load(thread).at(-1)!.length === 1)
  send(thread)
  await eventually(() => load(thread).at(-1)!.length === 0)
})
