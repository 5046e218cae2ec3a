// Lines of servers: whatever is written is read or refused, and what was read is written so that it reads the same.

import assert from 'node:assert/strict'
import test from 'node:test'
import { addressOf, peerName, readServer, serverLine } from '../../src/upstream/server.ts'
import { mutate, Random, seed } from '../codec/h1/feeding.ts'

class Refused extends Error {}
const refusal = {
  fail(problem: string): never {
    throw new Refused(problem)
  },
}

test('a line that was read is written so that it reads the same', () => {
  for (const line of [
    'server 127.0.0.1:80;',
    'server [::1]:80 weight=3 max_conns=4 max_fails=0 fail_timeout=60s slow_start=1500ms route=a down;',
    'server unix:/run/a.sock backup drain;',
    'server a.example service=http resolve backup;',
  ]) {
    const words = line.slice(7, -1).split(' ')
    const once = readServer(words, [], refusal)
    const again = readServer(serverLine(once).slice(7, -1).split(' '), [], refusal)
    assert.deepEqual(again, once)
  }
})

test('a peer’s name is its address', () => {
  assert.deepEqual(addressOf('127.0.0.1:80'), { host: '127.0.0.1', port: 80 })
  assert.deepEqual(addressOf(peerName('::1', 81)), { host: '::1', port: 81 })
  assert.deepEqual(addressOf('unix:/run/a'), { path: '/run/a' })
})

const start = seed()

test(`any words are a server or refused (FUZZ_SEED=${start})`, () => {
  const random = new Random(start)
  const line = Buffer.from(
    'a.example:80 weight=3 max_conns=4 fail_timeout=5s slow_start=1s route=a service=x resolve backup drain',
  )
  let read = 0
  for (let i = 0; i < 3000; i++) {
    const words = mutate(line, line, random).toString('latin1').split(' ')
    try {
      const declaration = readServer(words, [], refusal)
      assert.ok(declaration.options.weight > 0 && declaration.options.route.length <= 32)
      read++
    } catch (error) {
      assert.ok(error instanceof Refused, String(error))
    }
  }
  assert.ok(read < 3000)
})
