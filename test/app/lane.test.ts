// A stream's window, with the worker's side played by the test.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Call, type Carrier } from '../../src/app/dispatch/call.ts'
import { Lane } from '../../src/app/dispatch/lane.ts'
import type { StreamsLink } from '../../src/app/dispatch/streams-link.ts'
import { MESSAGE_COST, WINDOW } from '../../src/codec/frames.ts'

class Listening extends Call {
  readonly needsClient = true
  send(_link: Carrier): void {}
  onWritable(): void {}
  onHead(): void {}
  onData(): void {}
  onFile(): void {}
  onLog(): void {}
  onFailure(): void {}
  override onMessage(): void {}
}

test('lane: empty messages use up the window, and while the client is slow nothing more is granted', () => {
  const written: Buffer[] = []
  const write = (bytes: Buffer): boolean => written.push(bytes) > 0
  const lane = new Lane({ write, dispatcher: { timeout: 0 } } as unknown as StreamsLink)
  lane.begin(new Listening(), 7)
  const messages = 65536 / MESSAGE_COST
  for (let i = 0; i < messages; i++) lane.onMessage(true, 0)
  assert.deepEqual(
    written.map(frame => [frame[8], frame.readUInt32LE(12)]),
    [[WINDOW, 65536]],
  )
  lane.pause()
  for (let i = 0; i < messages * 2; i++) lane.onMessage(true, 0)
  assert.equal(written.length, 1)
  lane.resume()
  assert.equal(written[1]!.readUInt32LE(12), 2 * 65536)
})

test('lane: a head that crosses its client’s leaving changes nothing about the time that the request still has', () => {
  const written: Buffer[] = []
  const write = (bytes: Buffer): boolean => written.push(bytes) > 0
  const lane = new Lane({ write, dispatcher: { timeout: 60_000 } } as unknown as StreamsLink)
  const call = new Listening()
  lane.begin(call, 7)
  lane.abandon(call)
  const { timer } = lane as unknown as { timer: { deadline: number } }
  const { deadline } = timer
  lane.onHead(['200'], Buffer.alloc(0), -1, false)
  assert.equal(timer.deadline, deadline)
  assert.ok(deadline > 0)
})
