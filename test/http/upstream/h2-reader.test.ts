import assert from 'node:assert/strict'
import test from 'node:test'
import type { Attempt } from '../../../src/http/upstream/attempt.ts'
import { ASKING, RELAYING } from '../../../src/http/upstream/exchange-state.ts'
import type { Exchange } from '../../../src/http/upstream/exchange.ts'
import { http2 } from '../../../src/http/upstream/h2/protocol.ts'
import { bytes, mutate, Random, seed as newSeed } from '../../codec/h1/feeding.ts'
import { END_HEADERS, headers, settings } from '../../helpers/http2.ts'

/** What the reader sees of an exchange. */
function exchange(): { x: Exchange; body: () => string; sent: () => string } {
  let body = ''
  let sent = ''
  let chunk = bytes('')
  const connection = { pending: 0, writeText: (text: string) => void (sent += text) }
  const x = {
    state: ASKING,
    attempt: {} as Attempt,
    settings: { headLimits: { headMax: 4096 } },
    link: { connection },
    reader: null,
    r: { head: {}, done: true },
    method: 'GET',
    status: 0,
    problem: '',
    names: [],
    values: [],
    trailers: [],
    bodyLeft: -1,
    bodyDone: false,
    bodySent: true,
    deliver: (start: number, end: number) => void (body += chunk.toString('latin1', start, end)),
  } as unknown as Exchange
  Object.defineProperty(x, 'chunk', {
    set(value: Buffer) {
      chunk = value
    },
  })
  return { x, body: () => body, sent: () => sent }
}

/** Feeds the pieces as relay.ts does; answers all that came of it. */
function read(wire: Buffer, ends: readonly number[]): unknown {
  const { x, body, sent } = exchange()
  http2.beginResponse(x)
  let failed = false
  let start = 0
  for (const end of ends) {
    let at = start
    start = end
    while (at < end && !failed && !x.bodyDone) {
      x.chunk = wire
      if (x.state === ASKING) {
        const taken = http2.readHead(x, wire, at, end)
        failed = taken < 0
        at += taken
        if (x.status >= 200) {
          x.state = RELAYING
          http2.beginBody(x)
        } else if (x.status !== 0) {
          x.status = 0
          http2.beginResponse(x)
        }
      } else {
        at = http2.readBody(x, wire, at, end)
        failed = at < 0
      }
    }
  }
  // What has come together with a fault is not delivered: how much that is depends on how it came.
  const delivered = failed ? '' : body()
  return { failed, problem: x.problem, status: x.status, names: x.names, values: x.values, delivered, sent: sent() }
}

const HEADS = [
  '000000040000000000000001050000000188',
  '0000000400000000000000010400000001880000030001000000016162630000000001000000010000',
  '00000604000000000000040000000a00000806000000000001020304050607080000010104000000018800000201050000000140016100',
  '0000050104000000010803313033000005010400000001080334303400000509000000000102616200',
  '000004080000000000000000050000040800000000010000000500000401240000000102000000000010880000',
].map(hex => Buffer.from(hex, 'hex'))

test('what is wrong with a length is told with the whole line', () => {
  const problem = (...lengths: string[]): unknown => {
    const fields = lengths.map(length => ['content-length', length] as const)
    const wire = Buffer.concat([settings(), headers(1, [[':status', '200'], ...fields], END_HEADERS)])
    return (read(wire, [wire.length]) as { problem: string }).problem
  }
  assert.equal(problem('x'), 'upstream sent invalid "Content-Length" header: "content-length: x"')
  assert.equal(
    problem('2', '3'),
    'upstream sent duplicate header line: "content-length: 3", previous value: "content-length: 2"',
  )
})

test(`any frames are read alike whole and byte by byte`, t => {
  const seed = newSeed()
  t.diagnostic(`FUZZ_SEED=${seed}`)
  const random = new Random(seed)
  for (let i = 0; i < 4000; i++) {
    const wire = mutate(HEADS[i % HEADS.length]!, HEADS[random.below(HEADS.length)]!, random)
    if (wire.length === 0) continue
    const each = Array.from({ length: wire.length }, (_, n) => n + 1)
    const whole = read(wire, [wire.length]) as { failed: boolean }
    const bytewise = read(wire, each) as { failed: boolean }
    // What stands behind the end of an answer is only looked at when it comes with it.
    if (whole.failed === bytewise.failed) assert.deepEqual(bytewise, whole, wire.toString('hex'))
  }
})

test('what is wrong behind a head that is all of the answer is not held against it', () => {
  const hex =
    '00000604000000000000040000000a00000806000000000001020304050607080000010105000000018800000201050000000140016100'
  const wire = Buffer.from(hex, 'hex')
  const whole = read(wire, [wire.length]) as { failed: boolean; problem: string; status: number }
  assert.deepEqual([whole.failed, whole.problem, whole.status], [false, '', 200])
})

test('a peer that asks and asks and does not read the answers is given up', () => {
  const { x } = exchange()
  http2.beginResponse(x)
  ;(x.link!.connection as unknown as { pending: number }).pending = 1
  const ping = Buffer.from('0000080600000000000102030405060708', 'hex')
  let pings = 0
  while (http2.readHead(x, ping, 0, ping.length) >= 0 && pings < 5000) pings++
  assert.equal(x.problem, 'upstream sent too many ping frames')
  assert.ok(pings >= 1000 && pings < 1100)
})
