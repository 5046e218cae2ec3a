import assert from 'node:assert/strict'
import test from 'node:test'
import * as ws from '../../src/codec/ws.ts'
import { Random, seed } from './h1/feeding.ts'

/** Writes down what it is told. */
class Recorder implements ws.MessageSink {
  readonly told: unknown[][] = []
  onWsMessage(isText: boolean, bytes: Buffer): void {
    this.told.push([isText ? 'text' : 'binary', bytes.toString('latin1')])
  }
  onWsPing(payload: Buffer): void {
    this.told.push(['ping', payload.toString('latin1')])
  }
  onWsPong(payload: Buffer): void {
    this.told.push(['pong', payload.toString('latin1')])
  }
  onWsClose(code: number, reason: Buffer): void {
    this.told.push(['close', code, reason.toString('latin1')])
  }
}

const MAX = 200_000

/** A client's frame. */
function frame(
  opcode: number,
  payload: string | Buffer,
  { final = true, mask = [1, 2, 3, 4] as readonly number[] } = {},
): Buffer {
  const bytes = typeof payload === 'string' ? Buffer.from(payload, 'utf8') : payload
  const header = ws.frameHeader(opcode, bytes.length)
  header[0] = (final ? 0x80 : 0) | opcode
  header[1]! |= 0x80
  return Buffer.concat([header, Buffer.from(mask), bytes.map((byte, i) => byte ^ mask[i & 3]!)])
}

interface Outcome {
  readonly told: unknown[][]
  readonly error: number
}

function read(bytes: Buffer, pieceSize: () => number = () => bytes.length || 1): Outcome {
  const sink = new Recorder()
  const reader = new ws.MessageReader(sink, MAX)
  for (let at = 0; at < bytes.length;) {
    const size = pieceSize()
    if (!reader.push(bytes.subarray(at, at + size))) break
    at += size
  }
  return { told: sink.told, error: reader.error }
}

/** Whole and byte by byte must be the same. */
function readBoth(bytes: Buffer): Outcome {
  const whole = read(bytes)
  assert.deepEqual(
    read(bytes, () => 1),
    whole,
  )
  return whole
}

test('ws: the accept key is RFC 6455’s', () => {
  assert.equal(ws.acceptKey('dGhlIHNhbXBsZSBub25jZQ=='), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=')
  assert.ok(ws.isKey('dGhlIHNhbXBsZSBub25jZQ=='))
  assert.ok(!ws.isKey('dGhlIHNhbXBsZQ=='))
})

test('ws: messages of every size come whole', () => {
  for (const size of [0, 1, 125, 126, 65535, 65536, 100_000]) {
    assert.deepEqual(read(frame(ws.BINARY, Buffer.alloc(size, 'x'))).told, [['binary', 'x'.repeat(size)]])
  }
  assert.deepEqual(readBoth(frame(ws.TEXT, 'grüße')).told, [['text', Buffer.from('grüße').toString('latin1')]])
})

test('ws: a message in parts is one, with control frames in between', () => {
  const parts = [
    frame(ws.TEXT, 'one ', { final: false }),
    frame(ws.PING, 'are you there'),
    frame(ws.CONTINUATION, 'two ', { final: false }),
    frame(ws.PONG, ''),
    frame(ws.CONTINUATION, 'three'),
    frame(ws.BINARY, 'next'),
  ]
  const { told, error } = readBoth(Buffer.concat(parts))
  assert.equal(error, 0)
  assert.deepEqual(told, [
    ['ping', 'are you there'],
    ['pong', ''],
    ['text', 'one two three'],
    ['binary', 'next'],
  ])
})

test('ws: a message may come in as many parts as it has bytes, but not in ever more empty ones', () => {
  const size = 100_000
  const parts = Buffer.concat(Array.from({ length: size }, () => frame(ws.CONTINUATION, 'x', { final: false })))
  parts[0]! |= ws.BINARY
  const whole = Buffer.concat([parts, frame(ws.CONTINUATION, '')])
  assert.deepEqual(read(whole), { told: [['binary', 'x'.repeat(size)]], error: 0 })
  const empty = Buffer.concat(Array.from({ length: size }, () => frame(ws.CONTINUATION, '', { final: false })))
  const endless = Buffer.concat([frame(ws.BINARY, 'x', { final: false }), empty])
  assert.deepEqual(read(endless), { told: [], error: ws.TOO_BIG })
})

test('ws: a close frame ends the reading', () => {
  const payload = Buffer.from([0x03, 0xe8, 0x62, 0x79, 0x65])
  assert.deepEqual(readBoth(Buffer.concat([frame(ws.CLOSE, payload), frame(ws.TEXT, 'late')])).told, [
    ['close', 1000, 'bye'],
  ])
  assert.deepEqual(readBoth(frame(ws.CLOSE, '')).told, [['close', ws.NO_STATUS, '']])
})

const unmasked = Buffer.concat([ws.frameHeader(ws.TEXT, 2), Buffer.from('hi')])
const reserved = frame(ws.TEXT, 'x')
reserved[0]! |= 0x40
const endless = Buffer.from([0x82, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4])
const huge = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0xff, 0, 0, 0, 1, 2, 3, 4])

for (const [what, bytes, code] of [
  ['an unmasked frame', unmasked, ws.PROTOCOL_ERROR],
  ['a reserved bit', reserved, ws.PROTOCOL_ERROR],
  ['an unknown opcode', frame(3, 'x'), ws.PROTOCOL_ERROR],
  ['an unknown control opcode', frame(11, 'x'), ws.PROTOCOL_ERROR],
  ['a control frame in parts', frame(ws.PING, 'x', { final: false }), ws.PROTOCOL_ERROR],
  ['a long control frame', frame(ws.PING, 'x'.repeat(126)), ws.PROTOCOL_ERROR],
  ['a continuation of nothing', frame(ws.CONTINUATION, 'x'), ws.PROTOCOL_ERROR],
  [
    'a message in a message',
    Buffer.concat([frame(ws.TEXT, 'a', { final: false }), frame(ws.TEXT, 'b')]),
    ws.PROTOCOL_ERROR,
  ],
  ['half a close code', frame(ws.CLOSE, 'x'), ws.PROTOCOL_ERROR],
  ['a close code nobody may send', frame(ws.CLOSE, Buffer.from([0x03, 0xee])), ws.PROTOCOL_ERROR],
  ['a length with its highest bit set', endless, ws.PROTOCOL_ERROR],
  ['text that is not UTF-8', frame(ws.TEXT, Buffer.from([0xc3, 0x28])), ws.INVALID_DATA],
  ['a close reason that is not UTF-8', frame(ws.CLOSE, Buffer.from([0x03, 0xe8, 0xff])), ws.INVALID_DATA],
  ['a message too big', huge, ws.TOO_BIG],
  [
    'parts that are too big together',
    Buffer.concat([
      frame(ws.BINARY, Buffer.alloc(150_000), { final: false }),
      frame(ws.CONTINUATION, Buffer.alloc(60_000)),
    ]),
    ws.TOO_BIG,
  ],
] as const) {
  test(`ws: ${what} ends with ${code}`, () => {
    const { told, error } = readBoth(bytes)
    assert.equal(error, code)
    assert.deepEqual(told, [])
  })
}

test('ws: frames for a client are read back as they were, close frames with their code', () => {
  assert.equal(ws.closeFrame(1001, Buffer.from('away')).toString('hex'), '880603e961776179')
  assert.equal(ws.closeFrame(ws.NO_STATUS, Buffer.alloc(0)).toString('hex'), '8800')
  assert.equal(ws.closeFrame(1000, Buffer.alloc(300)).length, 2 + 125)
  assert.equal(ws.frameHeader(ws.TEXT, 126).toString('hex'), '817e007e')
  assert.equal(ws.frameHeader(ws.BINARY, 65536).toString('hex'), '827f0000000000010000')
})

test('ws: any input is read or fails with a close code, and alike in any split', t => {
  const start = seed()
  t.diagnostic(`FUZZ_SEED=${start}`)
  const random = new Random(start)
  const below = (n: number): number => random.below(n)
  const opcodes = [0, 1, 2, 8, 9, 10]
  for (let i = 0; i < 3000; i++) {
    const parts: Buffer[] = []
    for (let n = below(6); n >= 0; n--) {
      const payload = Buffer.from(
        Array.from({ length: below(40) === 0 ? 300 : below(20) }, () => below(below(4) === 0 ? 256 : 128)),
      )
      parts.push(
        frame(opcodes[below(opcodes.length)]!, payload, { final: below(3) !== 0, mask: [below(256), 0, 7, 255] }),
      )
    }
    const bytes = Buffer.concat(parts)
    for (let n = below(3); n > 0; n--) bytes[below(bytes.length)] = below(256)
    const whole = read(bytes)
    assert.ok([0, ws.PROTOCOL_ERROR, ws.INVALID_DATA, ws.TOO_BIG].includes(whole.error))
    assert.deepEqual(
      read(bytes, () => 1),
      whole,
    )
    assert.deepEqual(
      read(bytes, () => 1 + below(9)),
      whole,
    )
  }
})
