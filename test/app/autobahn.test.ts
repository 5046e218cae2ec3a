// The categories of cases that the Autobahn test suite puts to websocket servers, against an ASGI application that echoes: what
// is sent and what must come back, byte for byte, at once and cleanly closed. Expectations are the strict ones. Compression
// (its categories 12 and 13) is in autobahn-deflate.test.ts.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import test from 'node:test'
import {
  BINARY,
  broken,
  bye,
  CLOSE,
  closing,
  converse,
  echoes,
  frame,
  good,
  nonsense,
  PING,
  plain,
  PONG,
  type Said,
  TEXT,
} from './websocket-client.ts'

interface Case {
  readonly name: string
  readonly send: readonly Buffer[]
  readonly expect: readonly Said[]
  readonly pauseMs?: number
}

const cases: Case[] = []
function add(name: string, send: readonly Buffer[], expect: readonly Said[], pauseMs?: number): void {
  cases.push({ name, send, expect, ...(pauseMs === undefined ? {} : { pauseMs }) })
}

/** The bytes one by one. */
const chopped = (bytes: Buffer): Buffer[] => Array.from(bytes, byte => Buffer.from([byte]))

// 1: framing
for (const size of [0, 125, 126, 127, 128, 65535, 65536]) {
  add(`1.1 text of ${size} bytes`, [frame(TEXT, '*'.repeat(size)), bye], [[TEXT, '*'.repeat(size)], good])
  const bytes = Buffer.alloc(size, 0xfe)
  add(`1.2 binary of ${size} bytes`, [frame(BINARY, bytes), bye], [[BINARY, bytes], good])
}
for (const size of [997, 65536]) {
  const all = frame(TEXT, '*'.repeat(size))
  const pieces = Array.from({ length: Math.ceil(all.length / 997) }, (_, i) => all.subarray(i * 997, (i + 1) * 997))
  add(`1.1.8 text of ${size} bytes in chops`, [...pieces, bye], [[TEXT, '*'.repeat(size)], good])
}

// 2: pings and pongs
for (const payload of ['', 'Hello', Buffer.from('00fffefdfcfb00ff', 'hex'), Buffer.alloc(125, 0xfe)])
  add(`2 ping with ${payload.length} bytes`, [frame(PING, payload), bye], [[PONG, payload], good])
add('2.5 ping of 126 bytes', [frame(PING, Buffer.alloc(126, 0xfe))], [broken])
add(
  '2.6 ping in single bytes',
  [...chopped(frame(PING, Buffer.alloc(125, 0xfe))), bye],
  [[PONG, Buffer.alloc(125, 0xfe)], good],
)
add('2.7 unasked pongs', [frame(PONG), frame(PONG, 'x'), frame(PING, 'p'), bye], [[PONG, 'p'], good])
add(
  '2.10 ten pings',
  [...Array.from({ length: 10 }, (_, i) => frame(PING, `${i}`)), bye],
  [...Array.from({ length: 10 }, (_, i) => [PONG, `${i}`] as const), good],
)
add(
  '2.11 ten pings in single bytes',
  [...chopped(Buffer.concat(Array.from({ length: 10 }, (_, i) => frame(PING, `${i}`)))), bye],
  [...Array.from({ length: 10 }, (_, i) => [PONG, `${i}`] as const), good],
)

// 3: reserved bits
for (let rsv = 1; rsv < 8; rsv++) {
  add(`3 reserved bits ${rsv} on text`, [frame(TEXT, 'x', { rsv }), frame(PING)], [broken])
  add(`3 reserved bits ${rsv} on a ping`, [frame(PING, 'x', { rsv })], [broken])
  add(`3 reserved bits ${rsv} on a close`, [frame(CLOSE, '', { rsv })], [broken])
}

// 4: opcodes
for (const opcode of [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]) {
  add(`4 opcode ${opcode}`, [frame(opcode)], [broken])
  add(`4 opcode ${opcode} with payload`, [frame(opcode, 'reserved'), frame(PING)], [broken])
}

// 5: fragments
add('5.1 ping in parts', [frame(PING, 'a', { fin: false }), frame(0, 'b')], [broken])
add('5.2 pong in parts', [frame(PONG, 'a', { fin: false }), frame(0, 'b')], [broken])
add('5.3 text in two', [frame(TEXT, 'frag1', { fin: false }), frame(0, 'frag2'), bye], [[TEXT, 'frag1frag2'], good])
add(
  '5.5 text in two, in single bytes',
  [...chopped(Buffer.concat([frame(TEXT, 'a', { fin: false }), frame(0, 'b')])), bye],
  [[TEXT, 'ab'], good],
)
add(
  '5.6 ping between parts',
  [frame(TEXT, 'a', { fin: false }), frame(PING, 'p'), frame(0, 'b'), bye],
  [[PONG, 'p'], [TEXT, 'ab'], good],
)
for (const fin of [true, false]) {
  add(`5.9 continuation of nothing (fin ${fin})`, [frame(0, 'x', { fin }), frame(TEXT, 'y')], [broken])
  add(
    `5.15 continuation behind a whole message (fin ${fin})`,
    [frame(TEXT, 'a', { fin: false }), frame(0, 'b'), frame(0, 'c', { fin })],
    [[TEXT, 'ab'], broken],
  )
  add(`5.18 text inside text (fin ${fin})`, [frame(TEXT, 'a', { fin: false }), frame(TEXT, 'b', { fin })], [broken])
}
add(
  '5.19 five parts with pings between',
  [
    frame(TEXT, '1', { fin: false }),
    frame(0, '2', { fin: false }),
    frame(PING, 'p1'),
    frame(0, '3', { fin: false }),
    frame(0, '4', { fin: false }),
    frame(PING, 'p2'),
    frame(0, '5'),
    bye,
  ],
  [[PONG, 'p1'], [PONG, 'p2'], [TEXT, '12345'], good],
  20,
)
add(
  '5.x empty parts',
  [frame(TEXT, '', { fin: false }), frame(0, '', { fin: false }), frame(0, ''), bye],
  [[TEXT, ''], good],
)

// 6: UTF-8
const greek = Buffer.from('κόσμε')
add(
  '6.2 UTF-8 in parts inside a character',
  [frame(TEXT, greek.subarray(0, 1), { fin: false }), frame(0, greek.subarray(1)), bye],
  [[TEXT, greek], good],
)
add(
  '6.2.3 UTF-8, a byte a part',
  [
    ...Array.from(greek, (byte, i) => frame(i === 0 ? TEXT : 0, Buffer.from([byte]), { fin: i === greek.length - 1 })),
    bye,
  ],
  [[TEXT, greek], good],
)
const valid = [
  'cea9',
  'c280',
  'dfbf',
  'e0a080',
  'ed9fbf',
  'ee8080',
  'efbfbd',
  'efbfbf',
  'f0908080',
  'f48fbfbf',
  '00',
  '7f',
  'efbfbe',
  'f09fbfbe',
  'f3bfbfbf',
]
for (const hex of valid)
  add(`6 valid ${hex}`, [frame(TEXT, Buffer.from(hex, 'hex')), bye], [[TEXT, Buffer.from(hex, 'hex')], good])
const invalid = [
  '80',
  'bf',
  '8080',
  'c0',
  'c0af',
  'c1bf',
  'c220',
  'e0',
  'e080af',
  'e09fbf',
  'eda080',
  'edbfbf',
  'eda080edb080',
  'f0',
  'f08080af',
  'f08fbfbf',
  'f4908080',
  'f5808080',
  'f888808080',
  'fc8480808080',
  'fe',
  'ff',
  'fefeffff',
  'cebae1bdb9cf83cebcceb5eda080656469746564',
  'e282',
]
for (const hex of invalid) {
  const bytes = Buffer.from(hex, 'hex')
  add(`6 invalid ${hex}`, [frame(TEXT, bytes)], [nonsense])
  add(
    `6 invalid ${hex} in parts`,
    Array.from(bytes, (byte, i) => frame(i === 0 ? TEXT : 0, Buffer.from([byte]), { fin: i === bytes.length - 1 })),
    [nonsense],
  )
}
// Fail-fast: the server says so before the message is complete, indeed before its frame is.
add(
  '6.4.1 invalid in the second of three parts, which never ends',
  [frame(TEXT, 'κόσμε', { fin: false }), frame(0, Buffer.from('f4908080', 'hex'), { fin: false })],
  [nonsense],
)
add(
  '6.4.2 invalid at the second byte of a character',
  [
    frame(TEXT, Buffer.concat([greek, Buffer.from('f4', 'hex')]), { fin: false }),
    frame(0, Buffer.from('90', 'hex'), { fin: false }),
  ],
  [nonsense],
)
add(
  '6.4.3 invalid inside a frame that never ends',
  [frame(TEXT, Buffer.from('cebaf4908080', 'hex'), { length: 100 })],
  [nonsense],
)
add(
  '6.4.4 the same, in single bytes',
  [...chopped(frame(TEXT, Buffer.from('cebaf490', 'hex'), { length: 100 }))],
  [nonsense],
)

// 7: closing
add('7.1.1 message, then close', [frame(TEXT, 'Hello'), bye], [[TEXT, 'Hello'], good])
add('7.1.2 two closes', [bye, bye], [good])
add('7.1.3 ping behind the close', [bye, frame(PING)], [good])
add('7.1.4 text behind the close', [bye, frame(TEXT, 'x')], [good])
add('7.1.5 close inside a message', [frame(TEXT, 'a', { fin: false }), bye, frame(0, 'b')], [good])
add(
  '7.1.6 a big message, then close and ping',
  [frame(TEXT, 'b'.repeat(262144)), frame(TEXT, 'Hello'), bye],
  [[TEXT, 'b'.repeat(262144)], [TEXT, 'Hello'], good],
  100,
)
add('7.3.1 close without a code', [closing(null)], [['close', null]])
add('7.3.2 close of one byte', [frame(CLOSE, 'x')], [broken])
add('7.3.4 close with a reason', [closing(1000, 'Hello World!')], [good])
add('7.3.5 the longest reason', [closing(1000, '*'.repeat(123))], [good])
add('7.3.6 a reason too long', [closing(1000, '*'.repeat(124))], [broken])
add('7.5.1 a reason that is not UTF-8', [closing(1000, Buffer.from('cebaedbfbf', 'hex'))], [nonsense])
for (const code of [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999])
  add(`7.7 close code ${code}`, [closing(code)], [['close', code]])
for (const code of [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535])
  add(`7.9 close code ${code}`, [closing(code)], [broken])

// Of the RFC itself: masks and lengths.
add('5.1 of the RFC: a frame without mask', [frame(TEXT, 'x', { masked: false })], [broken])
add(
  '5.2 of the RFC: a length with its highest bit',
  [Buffer.from('82ff8000000000000000', 'hex'), Buffer.alloc(4)],
  [broken],
)

for (const { name, send, expect, pauseMs } of cases) {
  test(`websocket case ${name}`, async () => {
    assert.deepEqual(plain((await converse(send, '', pauseMs)).said), plain(expect))
  })
}

// 9 and 10: limits, many parts, many messages
const MB = 1 << 20
for (const [size, step] of [
  [MB, MB],
  [4 * MB, 4096],
  [4 * MB, 64],
  [16 * MB, 16 * MB],
  [65536, 1300],
] as const) {
  test(`websocket case 9 a message of ${size} bytes in parts of ${step}`, async () => {
    const message = randomBytes(size)
    const frames: Buffer[] = []
    for (let at = 0; at < size; at += step)
      frames.push(frame(at === 0 ? BINARY : 0, message.subarray(at, at + step), { fin: at + step >= size }))
    const { said } = await echoes([Buffer.concat(frames)], 1, size)
    assert.ok(message.equals(said[0]![1] as Buffer))
    assert.deepEqual(said[1], good)
  })
}
test('websocket case 9 a message beyond 16 MB is refused', async () => {
  const { said } = await converse([frame(BINARY, 'x', { length: 16 * MB + 1 })])
  assert.deepEqual(said, [['close', 1009]])
})
for (const size of [0, 16, 256, 4096]) {
  test(`websocket case 9.7 1000 messages of ${size} bytes`, async () => {
    const messages = Array.from({ length: 1000 }, (_, i) => `${i}`.padEnd(size, '*').slice(0, size))
    const { said } = await echoes([Buffer.concat(messages.map(text => frame(TEXT, text)))], 1000, 1000 * (size + 2))
    assert.deepEqual(
      said.slice(0, -1).map(one => (one[1] as Buffer).toString()),
      messages,
    )
  })
}
