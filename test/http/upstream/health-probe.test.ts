// A health check's request to servers that answer anything at all: there is one verdict each time, and no connection left.

import assert from 'node:assert/strict'
import test from 'node:test'
import { Group } from '../../../src/upstream/group.ts'
import { Peer } from '../../../src/upstream/peer.ts'
import { Match, USUAL } from '../../../src/http/upstream/health-match.ts'
import { HealthProbe } from '../../../src/http/upstream/health-probe.ts'
import type { Passed } from '../../../src/http/upstream/passed.ts'
import { mutate, Random, seed } from '../../codec/h1/feeding.ts'
import { eventually, origin, reply } from '../../helpers/index.ts'
import type { Origin } from '../../helpers/index.ts'

const passed: Passed = {
  group: new Group('g', []),
  tls: null,
  host: 'h',
  fields: '',
  http2: false,
  connectTimeout: 1000,
  readTimeout: 200,
}

function peerOf(one: Origin): Peer {
  return new Peer(one.path, { host: '127.0.0.1', port: one.port })
}

function ask(probe: HealthProbe, peer: Peer): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = false
    probe.ask(peer, problem => {
      if (heard) reject(new Error('a second verdict'))
      heard = true
      setImmediate(() => resolve(problem))
    })
  })
}

const start = seed()

test(`whatever comes, there is one verdict (FUZZ_SEED=${start})`, { timeout: 60_000 }, async t => {
  const random = new Random(start)
  const answers = [
    reply('fine'),
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nfine\r\n0\r\n\r\n',
    'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n',
    'HTTP/1.0 200 OK\r\n\r\nuntil the end',
  ].map(text => Buffer.from(text, 'latin1'))
  const one = await origin(t, (_, socket) => {
    const bytes = mutate(answers[random.below(answers.length)]!, answers[0]!, random)
    const cut = random.below(bytes.length + 1)
    socket.write(bytes.subarray(0, cut))
    setImmediate(() => void socket.end(bytes.subarray(cut)))
  })
  const body = new Match([answer => (answer.body.includes('fine') ? '' : 'not fine')], true)
  for (const [match, keepaliveMs] of [
    [USUAL, 0],
    [body, 0],
    [body, 60_000],
  ] as const) {
    const probe = new HealthProbe({ uri: '/', match, port: 0, keepaliveMs }, passed)
    for (let i = 0; i < 120; i++) assert.equal(typeof (await ask(probe, peerOf(one))), 'string')
    probe.stop()
  }
  await eventually(() => one.open.size === 0)
})

test('a probe that is stopped tells nothing', async t => {
  const one = await origin(t, () => {})
  const probe = new HealthProbe({ uri: '/', match: USUAL, port: 0, keepaliveMs: 0 }, passed)
  probe.ask(peerOf(one), () => assert.fail('it was stopped'))
  await eventually(() => one.requests.length === 1)
  probe.stop()
  await eventually(() => one.open.size === 0)
})

test('a kept connection that has ended is replaced by a new one', async t => {
  const one = await origin(t, reply('fine'), { requestsPerConnection: 1 })
  const probe = new HealthProbe({ uri: '/', match: USUAL, port: 0, keepaliveMs: 60_000 }, passed)
  for (let i = 0; i < 3; i++) {
    assert.equal(await ask(probe, peerOf(one)), '')
    await eventually(() => one.open.size === 0)
  }
  probe.stop()
  assert.equal(one.accepted, 3)
})
