// A front thread's dispatcher and workers that behave as the test wants: what it does about those it cannot reach, or loses.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import type { TestContext } from 'node:test'
import type { AppRequest, AppSettings } from '../../src/app/app.ts'
import { type Carrier, WORKER_LOST } from '../../src/app/dispatch/call.ts'
import { Dispatcher } from '../../src/app/dispatch/dispatcher.ts'
import { SeatTable } from '../../src/app/dispatch/seats.ts'
import { monotonic } from '../../src/lib/clock.ts'
import { BODY, BYE, DATA, encodeFrame, END, HELLO } from '../../src/codec/frames.ts'
import { atEnd, eventually, tempDir } from '../helpers/index.ts'
import { head, Request, SETTINGS } from './calls.ts'

const PID = 4_000_000
const hello = encodeFrame(
  HELLO,
  0,
  0,
  Buffer.from(JSON.stringify({ pid: PID, slot: 0, thread: 0, kind: 'sync', generation: 1, link: 0 })),
)
/** With a body in frames of its own, of which the socket takes a part. */
class Upload extends Request {
  override send(link: Carrier): void {
    super.send(link)
    for (let i = 0; i < 64; i++) link.write(Buffer.alloc(65536))
  }
}

/** With a body in one frame of its own. */
class Short extends Request {
  override send(link: Carrier): void {
    super.send(link)
    link.write(encodeFrame(BODY, link.stream, END, Buffer.from('hello')))
  }
}

interface Setting {
  readonly dispatcher: Dispatcher
  /** What the master was asked for. */
  readonly asked: AppRequest[]
  readonly path: string
}

function start(t: TestContext, kind: AppSettings['kind']): Setting {
  const asked: AppRequest[] = []
  const settings = { ...SETTINGS, kind }
  const dispatcher = new Dispatcher(settings, {
    memory: new SharedArrayBuffer(SeatTable.bytes(4)),
    owner: 0,
    toMaster: request => void asked.push(request),
    log() {},
    plain() {},
  })
  atEnd(t, () => dispatcher.stop())
  const path = join(tempDir(t), 'worker.sock')
  return { dispatcher, asked, path }
}

/** A worker that greets, and does `act` when something is sent to it. */
async function listen(t: TestContext, path: string, act: (socket: net.Socket) => void): Promise<net.Server> {
  const worker = net.createServer(socket => {
    socket.on('error', () => {})
    socket.write(hello)
    socket.on('data', () => act(socket))
  })
  worker.listen(path)
  await once(worker, 'listening')
  atEnd(t, () => void worker.close())
  return worker
}

/** The sizes of what is written to the only worker from now on. */
function writesOf(dispatcher: Dispatcher): number[] {
  const { all } = Reflect.get(dispatcher, 'links') as { all: { connection: { write(bytes: Buffer): boolean } }[] }
  const { connection } = all[0]!
  const write = connection.write.bind(connection)
  const sizes: number[] = []
  connection.write = bytes => {
    sizes.push(bytes.length)
    return write(bytes)
  }
  return sizes
}

const retires = (asked: readonly AppRequest[]): boolean => asked.some(one => one.type === 'retire' && one.pid === PID)

for (const kind of ['sync', 'asgi'] as const) {
  test(`dispatcher (${kind}): a worker that could not be connected to is tried again`, async t => {
    const { dispatcher, path, asked } = start(t, kind)
    dispatcher.notice({ type: 'worker', app: 'test', slot: 0, place: 0, pid: PID, path })
    await eventually(() => dispatcher.snapshot().workers.length === 0)
    const request = new Request()
    dispatcher.dispatch(request)
    await listen(t, path, socket => socket.write(head(1, END)))
    await eventually(() => request.outcome === 'answered')
    // It may be that we have no descriptors: that is none of the worker's fault.
    assert.deepEqual(asked, [])
  })

  test(`dispatcher (${kind}): one that is gone is tried no more`, async t => {
    const { dispatcher, path } = start(t, kind)
    dispatcher.notice({ type: 'worker', app: 'test', slot: 0, place: 0, pid: PID, path })
    await eventually(() => dispatcher.snapshot().workers.length === 0)
    dispatcher.notice({ type: 'gone', app: 'test', slot: 0, pid: PID })
    let connected = false
    const worker = await listen(t, path, () => {})
    worker.on('connection', () => (connected = true))
    // Another one is connected to later than this one would have been.
    const other = join(tempDir(t), 'other.sock')
    dispatcher.notice({ type: 'worker', app: 'test', slot: 0, place: 0, pid: PID + 1, path: other })
    await eventually(() => dispatcher.snapshot().workers.length === 0)
    const request = new Request()
    dispatcher.dispatch(request)
    await listen(t, other, socket => socket.write(head(1, END)))
    await eventually(() => request.outcome === 'answered')
    assert.ok(!connected)
  })

  test(`dispatcher (${kind}): a worker that closes a connection is replaced`, async t => {
    const { dispatcher, path, asked } = start(t, kind)
    await listen(t, path, socket => socket.destroy())
    dispatcher.notice({ type: 'worker', app: 'test', slot: 0, place: 0, pid: PID, path })
    dispatcher.dispatch(new Request())
    await eventually(() => retires(asked))
  })
}

test('dispatcher: requests of one turn go to a busy asgi worker in one write, and none of their parts is overtaken', async t => {
  const { dispatcher, path } = start(t, 'asgi')
  const chunks: Buffer[] = []
  const worker = await listen(t, path, () => {})
  worker.on('connection', socket => socket.on('data', (chunk: Buffer) => void chunks.push(chunk)))
  dispatcher.notice({ type: 'worker', app: 'test', slot: 0, place: 0, pid: PID, path })
  const first = new Request()
  dispatcher.dispatch(first)
  const sent = (): Buffer => Buffer.concat(chunks)
  await eventually(() => sent().length > 0)
  const writes = writesOf(dispatcher)
  const size = sent().length
  const calls = [new Request(), new Request(), new Short(), new Request(), new Request()]
  for (const call of calls) dispatcher.dispatch(call)
  dispatcher.forget(calls[4]!)
  await eventually(() => sent().length === size * 6 + 12 + 5 + 12)
  const frames: string[] = []
  for (let rest = sent(); rest.length > 0; rest = rest.subarray(12 + rest.readUInt32LE(0)))
    frames.push(`${rest[8]}:${rest.readUInt32LE(4)}`)
  assert.deepEqual(frames, ['2:1', '2:2', '2:3', '2:4', '3:4', '2:5', '2:6', '4:6'])
  // 2 to 4; the body of 4; 5 and 6; the end of 6.
  assert.deepEqual(writes, [size * 3, 12 + 5, size * 2, 12])
})

test('dispatcher: a request whose body a worker was reading when it died is given to no other', async t => {
  const { dispatcher, path, asked } = start(t, 'sync')
  await listen(t, path, socket => {
    if (socket.bytesRead > 1_000_000) socket.destroy()
  })
  dispatcher.notice({ type: 'worker', app: 'test', slot: 0, place: 0, pid: PID, path })
  const request = new Upload()
  dispatcher.dispatch(request)
  await eventually(() => retires(asked))
  assert.deepEqual([request.outcome, request.attempts], [`failed ${WORKER_LOST}`, 1])
})

test('dispatcher: what a request has waited counts once, however many workers went before they read it', async t => {
  const { dispatcher, path } = start(t, 'sync')
  const request = new Request()
  Object.assign(request, { madeMs: monotonic() - 10_000 })
  dispatcher.dispatch(request)
  await listen(t, path, socket => socket.end(encodeFrame(BYE, 0, 0, Buffer.alloc(0))))
  dispatcher.notice({ type: 'worker', app: 'test', slot: 0, place: 0, pid: PID, path })
  await eventually(() => request.attempts === 1 && request.queued)
  const counters = (): Readonly<Record<string, number>> => dispatcher.snapshot().counters
  assert.deepEqual([counters()['requests'], counters()['queued']], [0, 1])
  const other = join(tempDir(t), 'other.sock')
  await listen(t, other, socket => socket.write(head(1, END)))
  dispatcher.notice({ type: 'worker', app: 'test', slot: 0, place: 0, pid: PID + 1, path: other })
  await eventually(() => request.outcome === 'answered')
  const { requests, queued, queue_ms } = counters()
  assert.deepEqual([requests, queued], [1, 1])
  const waited = request.sentMs - request.madeMs
  assert.ok(Math.abs(queue_ms! - waited) <= 1, `${queue_ms} of ${waited}`)
})

test('dispatcher: threads of a worker that has gone are one try, however many it had', async t => {
  const { dispatcher, path } = start(t, 'threads')
  const request = new Request()
  dispatcher.dispatch(request)
  const seats = Array.from({ length: 6 }, (_, i) => join(tempDir(t), `test-1-${PID}-${i}.sock`))
  let gone = 0
  for (const seat of seats) {
    await listen(t, seat, socket => {
      gone++
      socket.end(encodeFrame(BYE, 0, 0, Buffer.alloc(0)))
    })
    dispatcher.notice({ type: 'worker', app: 'test', slot: 0, place: 0, pid: PID, path: seat })
  }
  await eventually(() => gone === seats.length && request.queued)
  await listen(t, path, socket => socket.write(head(1, END)))
  dispatcher.notice({ type: 'worker', app: 'test', slot: 0, place: 0, pid: PID + 1, path })
  await eventually(() => request.outcome === 'answered')
})

test('dispatcher: a worker that is gone when it is to be connected to again is given up', async t => {
  const { dispatcher, path, asked } = start(t, 'sync')
  const worker = await listen(t, path, socket => {
    socket.write(head(1, 0))
    // More than is dropped of what nobody wants: the connection is cut.
    for (let i = 0; i < 64; i++) socket.write(encodeFrame(DATA, 1, 0, Buffer.alloc(65536)))
  })
  dispatcher.notice({ type: 'worker', app: 'test', slot: 0, place: 0, pid: PID, path })
  const request = new Request()
  dispatcher.dispatch(request)
  await eventually(() => request.outcome === 'answered')
  worker.close()
  dispatcher.forget(request)
  await eventually(() => retires(asked) && dispatcher.snapshot().workers.length === 0)
})
