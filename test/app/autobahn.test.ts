// The cases of Autobahn|Testsuite for websocket servers, by their numbers, against an ASGI application that echoes: what is sent
// and what must come back, byte for byte and cleanly closed. Expectations are the strict ones. Here are framing, pings, reserved
// bits, opcodes, fragments and closing (its families 1 to 5 and 7) and, without a number, what the suite does not ask; text is
// in autobahn-text.test.ts, limits are in autobahn-limits.test.ts, compression is in autobahn-deflate.test.ts.

import test from '../helpers/python-test.ts'
import {
  BINARY,
  broken,
  bye,
  chopped,
  CLOSE,
  closing,
  frame,
  good,
  nonsense,
  PING,
  play,
  PONG,
  type Round,
  type Said,
  TEXT,
} from './websocket-client.ts'

function add(name: string, ...rounds: Round[]): void {
  test(`websocket case ${name}`, () => play(rounds))
}

/** What is sent is answered, and then the client closes. */
function answered(name: string, send: readonly Buffer[], expect: readonly Said[]): void {
  add(name, [send, expect], [[bye], [good]])
}

/**
 * What is sent is one mistake at least; what came before is answered. The application has half a second for that, so a machine
 * that stands still for as long may try again.
 */
function refused(name: string, send: readonly Buffer[], ...answers: Said[]): void {
  answeredFirst(name, [send, [...answers, broken]])
}

function answeredFirst(name: string, round: Round): void {
  test(`websocket case ${name}`, () => tried(round, round[1].length > 1 ? 3 : 1))
}

async function tried(round: Round, times: number): Promise<void> {
  try {
    await play([round])
  } catch (error) {
    if (times === 1) throw error
    await tried(round, times - 1)
  }
}

const hello = 'Hello, world!'
const noText = Buffer.from('00fffefdfcfb00ff', 'hex')

// 1: framing
const sizes = [0, 125, 126, 127, 128, 65535, 65536]
for (const [i, size] of sizes.entries()) {
  const text = '*'.repeat(size)
  const bytes = Buffer.alloc(size, 0xfe)
  answered(`1.1.${i + 1}: text of ${size} bytes`, [frame(TEXT, text)], [[TEXT, text]])
  answered(`1.2.${i + 1}: ${size} bytes`, [frame(BINARY, bytes)], [[BINARY, bytes]])
}
const long = Buffer.alloc(65536, 0xfe)
answered('1.1.8: text in chops', chopped(frame(TEXT, '*'.repeat(65536)), 997), [[TEXT, '*'.repeat(65536)]])
answered('1.2.8: bytes in chops', chopped(frame(BINARY, long), 997), [[BINARY, long]])

// 2: pings and pongs
const longest = Buffer.alloc(125, 0xfe)
for (const [i, payload] of ['', hello, noText, longest].entries())
  answered(`2.${i + 1}: a ping with ${payload.length} bytes`, [frame(PING, payload)], [[PONG, payload]])
refused('2.5: a ping of 126 bytes', [frame(PING, Buffer.alloc(126, 0xfe))])
answered('2.6: a ping in single bytes', chopped(frame(PING, longest)), [[PONG, longest]])
add('2.7: a pong nobody asked for', [[frame(PONG), bye], [good]])
add('2.8: a pong with payload', [[frame(PONG, 'unasked'), bye], [good]])
answered('2.9: a pong, and a ping', [frame(PONG, 'unasked'), frame(PING, 'ping')], [[PONG, 'ping']])
const pings = Array.from({ length: 10 }, (_, i) => `payload-${i}`)
const pongs = pings.map(payload => [PONG, payload] as const)
answered(
  '2.10: ten pings',
  pings.map(payload => frame(PING, payload)),
  pongs,
)
answered('2.11: ten pings in single bytes', chopped(Buffer.concat(pings.map(payload => frame(PING, payload)))), pongs)

// 3: reserved bits
const echo: Said = [TEXT, hello]
refused('3.1: bits 1 on text', [frame(TEXT, hello, { rsv: 1 })])
refused('3.2: bits 2', [Buffer.concat([frame(TEXT, hello), frame(TEXT, hello, { rsv: 2 }), frame(PING)])], echo)
refused('3.3: bits 3, by frames', [frame(TEXT, hello), frame(TEXT, hello, { rsv: 3 }), frame(PING)], echo)
refused(
  '3.4: bits 4, in single bytes',
  chopped(Buffer.concat([frame(TEXT, hello), frame(TEXT, hello, { rsv: 4 }), frame(PING)])),
  echo,
)
refused('3.5: bits 5 on binary', [frame(BINARY, noText, { rsv: 5 })])
refused('3.6: bits 6', [frame(BINARY, hello, { rsv: 6 })])
refused('3.7: bits 7 on a close', [frame(CLOSE, '', { rsv: 7 })])
for (let rsv = 1; rsv < 8; rsv++) {
  for (const opcode of [TEXT, BINARY, PING, PONG, CLOSE])
    refused(`reserved bits ${rsv} on opcode ${opcode}`, [frame(opcode, '', { rsv })])
}

// 4: opcodes
for (const [family, first] of [
  ['4.1', 3],
  ['4.2', 11],
] as const) {
  refused(`${family}.1: opcode ${first}`, [frame(first)])
  refused(`${family}.2: opcode ${first + 1} with payload`, [frame(first + 1, 'reserved')])
  const behind = (opcode: number, payload: string): Buffer =>
    Buffer.concat([frame(TEXT, hello), frame(opcode, payload), frame(PING)])
  refused(`${family}.3: opcode ${first + 2} behind text`, [behind(first + 2, '')], echo)
  refused(`${family}.4: opcode ${first + 3} with payload behind text`, [behind(first + 3, hello)], echo)
  refused(`${family}.5: opcode ${first + 4} in single bytes`, chopped(behind(first + 4, hello)), echo)
}

// 5: fragments
const part = (opcode: number, payload: string | Buffer): Buffer => frame(opcode, payload, { fin: false })
refused('5.1: a ping in parts', [Buffer.concat([part(PING, 'one'), frame(0, 'two')])])
refused('5.2: a pong in parts', [Buffer.concat([part(PONG, 'one'), frame(0, 'two')])])

/** At once, by frames and in single bytes: three cases. */
function threeWays(first: number, name: string, frames: Buffer[], run: (name: string, send: Buffer[]) => void): void {
  run(`5.${first}: ${name}`, [Buffer.concat(frames)])
  run(`5.${first + 1}: ${name}, by frames`, frames)
  run(`5.${first + 2}: ${name}, in single bytes`, chopped(Buffer.concat(frames)))
}
threeWays(3, 'text in two', [part(TEXT, 'one'), frame(0, 'two')], (name, send) =>
  answered(name, send, [[TEXT, 'onetwo']]),
)
threeWays(6, 'a ping between parts', [part(TEXT, 'one'), frame(PING, 'ping'), frame(0, 'two')], (name, send) =>
  answered(name, send, [
    [PONG, 'ping'],
    [TEXT, 'onetwo'],
  ]),
)
threeWays(9, 'a last part of nothing', [frame(0, 'one'), frame(TEXT, hello)], (name, send) => refused(name, send))
threeWays(12, 'a part of nothing', [part(0, 'one'), frame(TEXT, hello)], (name, send) => refused(name, send))
refused(
  '5.15: a part behind a whole message',
  [Buffer.concat([part(TEXT, 'one'), frame(0, 'two'), part(0, 'three'), frame(TEXT, 'four')])],
  [TEXT, 'onetwo'],
)
for (const [i, fin] of [false, true].entries()) {
  const twice = Buffer.concat([frame(0, 'one', { fin }), part(TEXT, 'two'), frame(0, 'three')])
  refused(`5.${16 + i}: twice a part of nothing (FIN ${fin}), then text in two`, [Buffer.concat([twice, twice])])
}
refused('5.18: text inside text', [Buffer.concat([part(TEXT, 'one'), frame(TEXT, 'two')])])
for (const [i, byFrames] of [false, true].entries()) {
  const send = (...frames: Buffer[]): Buffer[] => (byFrames ? frames : [Buffer.concat(frames)])
  add(
    `5.${19 + i}: five parts with pings between${byFrames ? ', by frames' : ''}`,
    [send(part(TEXT, '1'), part(0, '2'), frame(PING, 'pong me 1')), [[PONG, 'pong me 1']]],
    [
      send(part(0, '3'), part(0, '4'), frame(PING, 'pong me 2'), frame(0, '5')),
      [
        [PONG, 'pong me 2'],
        [TEXT, '12345'],
      ],
    ],
    [[bye], [good]],
  )
}

// 7: closing
answered('7.1.1: a message, then a close', [frame(TEXT, hello)], [[TEXT, hello]])
add('7.1.2: two closes', [[Buffer.concat([bye, closing(null)])], [good]])
add('7.1.3: a ping behind the close', [[Buffer.concat([bye, frame(PING)])], [good]])
add('7.1.4: text behind the close', [[Buffer.concat([bye, frame(TEXT, hello)])], [good]])
add('7.1.5: a close inside a message', [[Buffer.concat([part(TEXT, 'one'), bye, frame(0, 'two')])], [good]])
const big = 'BAsd7&jh23'.repeat(26215).slice(0, 262144)
answeredFirst('7.1.6: a big message and another, a close and a ping', [
  [Buffer.concat([frame(TEXT, big), frame(TEXT, hello), bye, frame(PING)])],
  [[TEXT, big], [TEXT, hello], good],
])
add('7.3.1: a close without a code', [[closing(null)], [['close', null]]])
refused('7.3.2: a close of one byte', [frame(CLOSE, 'a')])
add('7.3.3: a close with a code', [[closing(1000)], [good]])
add('7.3.4: a close with a reason', [[closing(1000, 'Hello World!')], [good]])
add('7.3.5: the longest reason', [[closing(1000, '*'.repeat(123))], [good]])
refused('7.3.6: a reason too long', [closing(1000, '*'.repeat(124))])
const surrogate = Buffer.from('cebae1bdb9cf83cebcceb5eda080656469746564', 'hex')
add('7.5.1: a reason that is not UTF-8', [[closing(1000, surrogate)], [nonsense]])
const codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
for (const [i, code] of codes.entries()) add(`7.7.${i + 1}: close code ${code}`, [[closing(code)], [['close', code]]])
for (const [i, code] of [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999].entries())
  refused(`7.9.${i + 1}: close code ${code}`, [closing(code)])
for (const [i, code] of [5000, 65535].entries()) refused(`7.13.${i + 1}: close code ${code}`, [closing(code)])
for (const code of [1012, 1013, 1014]) add(`close code ${code}`, [[closing(code)], [['close', code]]])
refused('close code 1015', [closing(1015)])

// Of the RFC itself: masks and lengths.
refused('5.1 of the RFC: a frame without mask', [frame(TEXT, 'x', { masked: false })])
refused('5.2 of the RFC: a length with its highest bit', [Buffer.from('82ff800000000000000000000000', 'hex')])
