// A front thread's connection with a worker, seen from a peer that sends its frames exactly as the test wants them.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { Call, type Carrier } from '../../src/app/dispatch/call.ts'
import type { Dispatcher } from '../../src/app/dispatch/dispatcher.ts'
import { WorkerLink } from '../../src/app/dispatch/worker-link.ts'
import { DATA, encodeFrame, encodeRequest, END, HEAD, HELLO } from '../../src/codec/frames.ts'
import { atEnd, tempDir } from '../helpers/index.ts'

const hello = Buffer.from(JSON.stringify({ pid: 1, slot: 0, thread: 0, kind: 'sync', generation: 1 }))

let link: WorkerLink | null = null

/** A request whose client is slow: the first piece of body is too much for it. */
class SlowCall extends Call {
  body = ''
  ended: (() => void) | null = null
  send(link: Carrier): void {
    link.write(encodeRequest(link.stream, ['REQUEST_METHOD', 'GET'], null))
  }
  onHead(): void {}
  onData(bytes: Buffer, end: boolean): void {
    this.body += bytes.toString('latin1')
    if (end) this.ended?.()
    else this.link?.pause()
  }
  onFile(): void {}
  onLog(): void {}
  onWritable(): void {}
  onFailure(): void {}
}

test('a response whose end comes while its client is slow leaves the connection fit for the next one', async t => {
  const path = join(tempDir(t), 'worker.sock')
  const worker = net.createServer(socket => {
    socket.on('error', () => {})
    socket.write(encodeFrame(HELLO, 0, 0, hello))
    let stream = 0
    socket.on('data', () => {
      stream++
      const head = encodeFrame(HEAD, stream, 0, Buffer.from('\x06\0\0\x00200 OK', 'latin1'))
      socket.write(
        Buffer.concat([
          head,
          encodeFrame(DATA, stream, 0, Buffer.from('one ')),
          encodeFrame(DATA, stream, END, Buffer.from('two')),
        ]),
      )
    })
  })
  worker.listen(path)
  await once(worker, 'listening')
  atEnd(t, () => void worker.close())
  const ready = new Promise<void>(resolve => {
    const dispatcher = {
      timeout: 60_000,
      timesWholeRequest: true,
      linkReady: () => resolve(),
      linkIdle() {},
      spent() {},
      log() {},
      fail() {},
      giveUp() {},
      linkClosed() {},
    }
    link = new WorkerLink(dispatcher as unknown as Dispatcher, { slot: 0, place: 0, pid: 1, path }, 0)
  })
  await ready
  atEnd(t, () => link!.destroy())
  for (let i = 0; i < 3; i++) {
    const call = new SlowCall()
    await new Promise<void>((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`response ${i + 1} was not read`)), 60_000)
      call.ended = () => {
        clearTimeout(late)
        resolve()
      }
      link!.serve(call)
    })
    assert.equal(call.body, 'one two')
  }
})
