// A worker that answers and goes, while the front, which has not had the time to hear of it, sends it more: what was answered
// arrives, and what was not begun is for others.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import test from 'node:test'
import { Worker } from 'node:worker_threads'
import { Call, type Carrier } from '../../src/app/dispatch/call.ts'
import type { Dispatcher } from '../../src/app/dispatch/dispatcher.ts'
import { StreamsLink } from '../../src/app/dispatch/streams-link.ts'
import { WorkerLink } from '../../src/app/dispatch/worker-link.ts'
import { encodeFrame, encodeRequest, END, HEAD, HELLO } from '../../src/codec/frames.ts'
import { atEnd, tempDir } from '../helpers/index.ts'

const PATIENCE_MS = 60_000

/** Plays the worker: says hello, answers its first request, writes down that it has begun that one, and is gone. */
const PEER = `
import fs from 'node:fs'
import net from 'node:net'
import { parentPort, workerData } from 'node:worker_threads'
const { path, hello, answer, gone } = workerData
const begun = fs.openSync(path + '.begun', 'w')
fs.ftruncateSync(begun, 4096)
const claims = fs.openSync(path + '.claims', fs.constants.O_RDWR | fs.constants.O_NONBLOCK)
const server = net.createServer(socket => {
  socket.write(hello)
  socket.once('data', () => {
    fs.writeSync(begun, new Uint8Array([1, 0, 0, 0]), 0, 4, 4)
    try { fs.readSync(claims, new Uint8Array(8)) } catch {}
    socket.end(answer, () => socket.destroy())
  })
  socket.on('close', () => {
    Atomics.store(gone, 0, 1)
    Atomics.notify(gone, 0)
  })
})
server.listen(path, () => parentPort.postMessage('listens'))
`

class Asked extends Call {
  readonly name: string
  readonly heard: string[]
  constructor(name: string, heard: string[]) {
    super()
    this.name = name
    this.heard = heard
  }
  override get inOnePiece(): boolean {
    return true
  }
  send(link: Carrier): void {
    link.write(encodeRequest(link.stream, ['REQUEST_METHOD', 'GET'], null, link.flags))
  }
  onHead(fields: string[]): void {
    this.heard.push(`${this.name}: ${fields[0]}`)
  }
  onData(): void {}
  onFile(): void {}
  onLog(): void {}
  onWritable(): void {}
  onFailure(): void {}
}

for (const kind of ['sync', 'asgi'] as const) {
  test(`a worker (${kind}) that has answered and gone loses nothing, though it is sent more before it is heard`, async t => {
    const path = join(tempDir(t), 'worker.sock')
    execFileSync('mkfifo', [`${path}.claims`])
    const gone = new Int32Array(new SharedArrayBuffer(4))
    const about = { pid: 1, slot: 0, thread: 0, kind, generation: 1, link: 1 }
    const head = Buffer.from('\x06\0\0\x00200 OK', 'latin1')
    const peer = new Worker(PEER, {
      eval: true,
      workerData: {
        path,
        gone,
        hello: encodeFrame(HELLO, 0, 0, Buffer.from(JSON.stringify(about))),
        answer: encodeFrame(HEAD, 1, END, head),
      },
    })
    atEnd(t, async () => void (await peer.terminate()))
    await new Promise(resolve => peer.once('message', resolve))

    const heard: string[] = []
    const ready = Promise.withResolvers<void>()
    const closed = Promise.withResolvers<void>()
    const dispatcher = {
      timeout: PATIENCE_MS,
      timesWholeRequest: true,
      prefetch: { active: true, ahead: 0, countRead() {} },
      linkReady: () => ready.resolve(),
      linkIdle() {},
      linkDone() {},
      linkLeaves: () => heard.push('it leaves'),
      linkClosed() {
        // Calls hear of it when the link has.
        setImmediate(closed.resolve)
      },
      promoted() {},
      restore: (call: Asked) => heard.push(`${call.name}: restored`),
      again(call: Asked) {
        heard.push(`${call.name}: again`)
        return true
      },
      spent() {},
      log() {},
      giveUp() {},
      fail: (call: Asked, why: number) => heard.push(`${call.name}: failed ${why}`),
    } as unknown as Dispatcher
    const worker = { slot: 0, place: 0, pid: 1, path }
    const link = kind === 'sync' ? new WorkerLink(dispatcher, worker, 0) : new StreamsLink(dispatcher, worker, 0)
    atEnd(t, () => link.destroy())
    await ready.promise

    link.serve(new Asked('one', heard))
    // Nothing is heard of the answer meanwhile.
    assert.notEqual(Atomics.wait(gone, 0, 0, PATIENCE_MS), 'timed-out')
    const two = new Asked('two', heard)
    if (link instanceof StreamsLink) {
      link.serve(two)
      await new Promise(setImmediate)
    } else {
      assert.ok(link.takesAhead)
      link.prepare(two)
      link.sendAhead()
    }
    await closed.promise
    assert.deepEqual(heard, ['it leaves', 'one: 200 OK', 'two: again'])
  })
}
