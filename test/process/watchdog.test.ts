// Which threads are asked whether the front lives (service-manager.ts, WatchdogSec=).

import assert from 'node:assert/strict'
import test from 'node:test'
import { Generation, toAsk, type Surroundings } from '../../src/process/generation.ts'
import type { FromFront } from '../../src/process/messages.ts'
import type { ThreadHandle } from '../../src/process/thread-handle.ts'

const around: Surroundings = {
  log: () => {},
  tell: (_message: FromFront) => {},
  thread: () => ({ id: 1, start() {}, retire() {}, send() {} }) as unknown as ThreadHandle,
  ended: () => {},
}

function generation(number: number): Generation {
  const settings = { number, threads: 1, shutdownTimeout: 0, data: null, sockets: [], memory: [] }
  return new Generation(settings, around)
}

test('while new threads load what a reload has brought, those that serve are asked', () => {
  assert.equal(toAsk([]), undefined)
  const [old, fresh] = [generation(1), generation(2)]
  assert.equal(toAsk([old]), old, 'the first one is all there is')
  old.listening()
  assert.equal(toAsk([old, fresh]), old)
  fresh.listening()
  assert.equal(toAsk([old, fresh]), fresh)
  old.retire(true)
  assert.equal(toAsk([old, fresh]), fresh)
})
