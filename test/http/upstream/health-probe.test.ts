// A health check's request to servers that answer anything at all: there is one verdict each time, and no connection left.

import assert from 'node:assert/strict'
import net from 'node:net'
import test from 'node:test'
import { Group } from '../../../src/upstream/group.ts'
import { Peer } from '../../../src/upstream/peer.ts'
import { Match, USUAL } from '../../../src/http/upstream/health-match.ts'
import { getQuestion, grpcMatch, grpcQuestion, Http2HealthProbe } from '../../../src/http/upstream/h2/health-probe.ts'
import { GatewayHealthProbe } from '../../../src/http/upstream/gateway-health-probe.ts'
import { HealthProbe } from '../../../src/http/upstream/health-probe.ts'
import { recordHead, STDOUT } from '../../../src/codec/fastcgi.ts'
import type { Probe } from '../../../src/upstream/health-checks.ts'
import type { Passed } from '../../../src/http/upstream/passed.ts'
import { mutate, Random, seed } from '../../codec/h1/feeding.ts'
import { END_HEADERS, END_STREAM, frame, headers, settings } from '../../helpers/http2.ts'
import { atEnd, eventually, origin, reply } from '../../helpers/index.ts'
import type { Origin } from '../../helpers/index.ts'

const passed: Passed = {
  group: new Group('g', []),
  tls: null,
  tlsNamesServer: false,
  host: 'h',
  fields: [],
  http2: false,
  connectTimeout: 1000,
  readTimeout: 200,
}

function peerOf(one: Origin): Peer {
  return new Peer(one.path, { host: '127.0.0.1', port: one.port })
}

function ask(probe: Probe, peer: Peer): Promise<string> {
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

test(`whatever comes, there is one verdict (FUZZ_SEED=${start})`, { timeout: 150_000 }, async t => {
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

test(`whatever comes over HTTP/2, too (FUZZ_SEED=${start})`, { timeout: 150_000 }, async t => {
  const random = new Random(start)
  const answers = [
    [settings(), headers(1, [[':status', '200']], END_HEADERS), frame(0, END_STREAM, 1, 'fine')],
    [
      settings(),
      headers(1, [
        [':status', '204'],
        ['x', 'y'],
      ]),
      frame(6, 0, 0, '12345678'),
    ],
    [
      settings(3, 1),
      headers(1, [[':status', '103']], END_HEADERS),
      headers(1, [[':status', '200']], END_HEADERS),
      frame(0, 8, 1, '\x02fine\0\0'),
      headers(1, [['grpc-status', '0']]),
    ],
    [settings(), headers(1, [[':status', '200']], 0), frame(9, END_HEADERS, 1), frame(3, 0, 1, '\0\0\0\x08')],
  ].map(frames => Buffer.concat(frames))
  const server = net.createServer(socket => {
    socket.on('error', () => {})
    const bytes = mutate(answers[random.below(answers.length)]!, answers[0]!, random)
    const cut = random.below(bytes.length + 1)
    socket.write(bytes.subarray(0, cut))
    setImmediate(() => void socket.end(bytes.subarray(cut)))
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  atEnd(t, () => void server.close())
  const { port } = server.address() as net.AddressInfo
  const peer = new Peer(`127.0.0.1:${port}`, { host: '127.0.0.1', port })
  for (const [match, question] of [
    [USUAL, getQuestion('/')],
    [grpcMatch(12), grpcQuestion('a.B')],
  ] as const) {
    const probe = new Http2HealthProbe({ uri: '/', match, port: 0, keepaliveMs: 0 }, question, passed)
    for (let i = 0; i < 200; i++) assert.equal(typeof (await ask(probe, peer)), 'string')
    probe.stop()
  }
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

test(`whatever comes in a gateway's protocol, too (FUZZ_SEED=${start})`, { timeout: 150_000 }, async t => {
  const random = new Random(start)
  const stdout = (text: string): string => recordHead(STDOUT, text.length) + text
  const answers = {
    cgi: 'Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\nfine',
    fastcgi: `${stdout('Content-Type: text/plain\r\n\r\nfi')}${stdout('ne')}${recordHead(STDOUT, 0)}${recordHead(3, 8)}\0\0\0\0\0\0\0\0`,
    memcached: 'VALUE /k 0 4\r\nfine\r\nEND\r\n',
  }
  const body = new Match([answer => (answer.body.includes('fine') ? '' : 'not fine')], true)
  for (const kind of ['cgi', 'fastcgi', 'memcached'] as const) {
    const bytes = Buffer.from(answers[kind], 'latin1')
    let mutates = false
    const server = net.createServer(socket => {
      socket.on('error', () => {})
      const all = mutates ? mutate(bytes, bytes, random) : bytes
      const cut = random.below(all.length + 1)
      socket.write(all.subarray(0, cut))
      setImmediate(() => void socket.end(all.subarray(cut)))
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    atEnd(t, () => void server.close())
    const { port } = server.address() as net.AddressInfo
    const peer = new Peer(`127.0.0.1:${port}`, { host: '127.0.0.1', port })
    const question = { answers: kind, request: () => 'how are you\r\n' }
    const probe = new GatewayHealthProbe({ uri: '/k', match: body, port: 0, keepaliveMs: 0 }, question, passed)
    for (let i = 0; i < 20; i++) assert.equal(await ask(probe, peer), '', kind)
    mutates = true
    for (let i = 0; i < 120; i++) assert.equal(typeof (await ask(probe, peer)), 'string')
    probe.stop()
  }
})
