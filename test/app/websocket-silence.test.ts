// When the silence of a websocket's client means that it is gone. The time between pings is the test's.

import assert from 'node:assert/strict'
import test from 'node:test'
import { PING } from '../../src/codec/ws.ts'
import type { AppPass } from '../../src/http/app/pass.ts'
import { WebSocketExchange } from '../../src/http/app/websocket.ts'
import { timers } from '../../src/lib/timer-wheel.ts'
import type { HttpRequest } from '../../src/http/request.ts'
import type { TestContext } from 'node:test'

/** An open one, and what is known of its client's connection. */
function opened(t: TestContext): {
  readonly exchange: WebSocketExchange
  readonly client: { reading: boolean; pending: number; queued: number; pings: number }
  readonly lost: () => boolean
} {
  let finished = false
  const slots: unknown[] = []
  const r = { slots, done: false, log: () => {}, stream: { finish: () => void (finished = true) } }
  const pass = { buffering: true, app: { isSticky: false } } as unknown as AppPass
  const exchange = new WebSocketExchange(r as unknown as HttpRequest, pass)
  const client = {
    reading: true,
    pending: 0,
    queued: 0,
    pings: 0,
    write(bytes: Buffer): boolean {
      if ((bytes[0]! & 0x0f) === PING) client.pings++
      return true
    },
  }
  Object.assign(exchange, { client, state: 1 })
  t.after(() => timers.stop())
  return { exchange, client, lost: () => finished }
}

test('a client that does not answer a ping is gone', t => {
  const { exchange, client, lost } = opened(t)
  exchange.onTimeout()
  assert.deepEqual([client.pings, lost()], [1, false])
  exchange.onTimeout()
  assert.equal(lost(), true)
})

test('one that is not read, because the application takes no more, has not been silent', t => {
  const { exchange, client, lost } = opened(t)
  exchange.onTimeout()
  client.reading = false
  for (let i = 0; i < 5; i++) exchange.onTimeout()
  assert.equal(lost(), false)
  client.reading = true
  exchange.onTimeout()
  assert.deepEqual([client.pings, lost()], [2, false])
  exchange.onTimeout()
  assert.equal(lost(), true)
})

test('one that still takes a long message is there, until it takes no more', t => {
  const { exchange, client, lost } = opened(t)
  exchange.onTimeout()
  client.pending = 1000
  for (client.queued = 900; client.queued > 0; client.queued -= 100) exchange.onTimeout()
  assert.deepEqual([client.pings, lost()], [1, false])
  client.queued = 100
  exchange.onTimeout()
  assert.deepEqual([client.pings, lost()], [2, false])
  exchange.onTimeout()
  assert.equal(lost(), true)
})
