// permessage-deflate as Autobahn|Testsuite tries it (its families 12 and 13): kinds of data, what is offered and agreed on, and
// messages of all sizes, whole and in parts, one after the other. There are a thousand of each in the suite, a few here. Without
// a number stands what it does not ask: several messages at once, offers nobody can accept, and what only claims to be compressed.

import assert from 'node:assert/strict'
import test from '../helpers/python-test.ts'
import { constants, deflateRawSync } from 'node:zlib'
import {
  BINARY,
  broken,
  bye,
  frame,
  good,
  inFrames,
  nonsense,
  PING,
  PONG,
  play,
  talk,
  TEXT,
} from './websocket-client.ts'

const MB = 1 << 20
const TIMES = 4
const compress = (bytes: Buffer, windowBits = 15): Buffer =>
  deflateRawSync(bytes, { windowBits, finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4)
const offering = (offers: string): string => `Sec-WebSocket-Extensions: ${offers}\r\n`
const AGREED = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'

/** Sizes of messages, and of the parts they are sent in, 0 for whole. */
const sizes = [
  ...[16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072].map(size => [size, 0] as const),
  ...[8192, 16384, 32768, 65536, 131072].map(size => [size, 256] as const),
  ...[1024, 4096, 32768].map(part => [131072, part] as const),
]

/** Numbers that look like chance, always the same ones. */
function noise(length: number): Buffer {
  let state = 1
  const numbers = Buffer.alloc(length)
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    numbers[i] = state >>> 24
  }
  return numbers
}
const grains = noise(200_000)
const json = JSON.stringify(
  Array.from({ length: 2500 }, (_, i) => ({
    id: `${i}.${grains[i]}`,
    behavior: 'OK',
    duration: i % 97,
    file: `case_${i}.json`,
  })),
)
const kinds: [what: string, opcode: number, data: Buffer][] = [
  ['JSON', TEXT, Buffer.from(json)],
  ['a picture', BINARY, Buffer.from(grains.map((grain, i) => ((i >> 6) + (grain >> 4)) & 0xff))],
  ['prose', BINARY, Buffer.from('Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. '.repeat(3000))],
  [
    'HTML',
    TEXT,
    Buffer.from(Array.from({ length: 4000 }, (_, i) => `<tr><td class="ok">${i}</td><td>Übung</td></tr>\n`).join('')),
  ],
  ['what is compressed already', BINARY, grains],
]

/** Messages of that size, each from where the last one ended. */
function* messages(data: Buffer, opcode: number, size: number): Generator<Buffer> {
  const units: Buffer | string = opcode === TEXT ? data.toString() : data
  for (let n = 0, at = 0; n < TIMES; n++, at = (at + size) % (units.length - size))
    yield Buffer.from(units.slice(at, at + size) as string)
}

function deflates(name: string, offers: string, agreed: string, kind: number): void {
  const [what, opcode, data] = kinds[kind]!
  for (const [i, [size, part]] of sizes.entries()) {
    test(`websocket case ${name}.${i + 1}: ${what}, ${size} at a time, ${part === 0 ? 'whole' : `in parts of ${part}`}`, async () => {
      const it = await talk(offering(offers))
      assert.match(it.head, new RegExp(`^sec-websocket-extensions: ${agreed}\r$`, 'im'))
      for (const message of messages(data, opcode, size)) {
        const bytes = compress(message)
        await it.send(part === 0 ? frame(opcode, bytes, { rsv: 4 }) : inFrames(opcode, bytes, part, { rsv: 4 }))
        const said = await it.next()
        assert.equal(said[0], opcode)
        assert.ok(message.equals(said[1] as Buffer), 'what comes back is what was sent')
      }
      await it.send(bye)
      assert.deepEqual(await it.rest(), [good])
    })
  }
}

const ANY = 'permessage-deflate; client_no_context_takeover; client_max_window_bits'
for (let kind = 0; kind < kinds.length; kind++) deflates(`12.${kind + 1}`, ANY, AGREED, kind)
const NONE_KEPT = `${ANY}; server_no_context_takeover`
for (const [i, [offers, window]] of [
  [ANY, ''],
  [NONE_KEPT, ''],
  [`${ANY}; server_max_window_bits=9`, '; server_max_window_bits=9'],
  [`${ANY}; server_max_window_bits=15`, '; server_max_window_bits=15'],
  [`${NONE_KEPT}; server_max_window_bits=9`, '; server_max_window_bits=9'],
  [`${NONE_KEPT}; server_max_window_bits=15`, '; server_max_window_bits=15'],
  [`${NONE_KEPT}; server_max_window_bits=9, ${NONE_KEPT}, ${ANY}`, '; server_max_window_bits=9'],
].entries()) {
  deflates(`13.${i + 1}`, offers!, AGREED + window!, 0)
}

// Beyond the suite
for (const [offers, window] of [
  ['permessage-deflate', ''],
  ['permessage-deflate; client_max_window_bits=9; server_max_window_bits="15"', '; server_max_window_bits=15'],
  [
    'x-webkit-deflate-frame, permessage-deflate; server_max_window_bits=8, permessage-deflate; client_max_window_bits',
    '',
  ],
]) {
  test(`websocket: messages at once, compressed and not, and a ping between parts, "${offers}"`, async () => {
    const it = await talk(offering(offers!))
    assert.match(it.head, new RegExp(`^sec-websocket-extensions: ${AGREED}${window}\r$`, 'im'))
    const text = json.slice(0, 8192)
    const whole = compress(Buffer.from(text), 9)
    const parts = [
      frame(TEXT, whole.subarray(0, 99), { rsv: 4, fin: false }),
      frame(PING, 'p'),
      frame(0, whole.subarray(99)),
    ]
    await it.send(Buffer.concat([frame(TEXT, whole, { rsv: 4 }), ...parts, frame(TEXT, text)]))
    // The pong comes when the ping has been read, the echoes when the application has seen to them.
    const said = [await it.next(), await it.next(), await it.next(), await it.next()]
    const of = (opcode: number): string[] =>
      said.filter(one => one[0] === opcode).map(one => (one[1] as Buffer).toString())
    assert.deepEqual([of(TEXT), of(PONG)], [[text, text, text], ['p']])
    await it.send(bye)
    assert.deepEqual(await it.rest(), [good])
  })
}
for (const offer of [
  'permessage-deflate; server_max_window_bits=8',
  'permessage-deflate; server_max_window_bits',
  'permessage-deflate; client_max_window_bits=16',
  'permessage-deflate; client_no_context_takeover=1',
  'permessage-deflate; unknown',
  'permessage-deflate; server_no_context_takeover; server_no_context_takeover',
  'x-webkit-deflate-frame',
]) {
  test(`websocket: an offer that cannot be accepted: "${offer}"`, async () => {
    const it = await talk(offering(offer))
    assert.doesNotMatch(it.head, /extensions/i)
    await it.send(frame(TEXT, 'x', { rsv: 4 }))
    assert.deepEqual(await it.rest(), [broken])
  })
}
const DEFLATE = offering('permessage-deflate')
test('websocket: what is no deflate is refused', () =>
  play([[[frame(TEXT, Buffer.alloc(100, 0xff), { rsv: 4 })], [nonsense]]], DEFLATE))
test('websocket: compressed text that is not UTF-8 is refused', () =>
  play([[[frame(TEXT, compress(Buffer.from('ff', 'hex')), { rsv: 4 })], [nonsense]]], DEFLATE))
test('websocket: a continuation that says it is compressed is refused', () => {
  const bytes = compress(Buffer.from('hello'))
  const frames = [frame(TEXT, bytes.subarray(0, 3), { rsv: 4, fin: false }), frame(0, bytes.subarray(3), { rsv: 4 })]
  return play([[frames, [broken]]], DEFLATE)
})
test('websocket: what becomes more than 16 MB is refused, small as it is', () => {
  const bomb = compress(Buffer.alloc(20 * MB))
  assert.ok(bomb.length < 32768)
  return play([[[frame(BINARY, bomb, { rsv: 4 })], [['close', 1009]]]], DEFLATE)
})
test('websocket: 100 compressed messages in one write come back in order', async () => {
  const it = await talk(DEFLATE)
  const texts = Array.from({ length: 100 }, (_, i) => json.slice(i, i + 3000 + i))
  await it.send(Buffer.concat(texts.map(text => frame(TEXT, compress(Buffer.from(text)), { rsv: 4 }))))
  for (const text of texts) assert.deepEqual(await it.next(), [TEXT, Buffer.from(text)])
  await it.send(bye)
  assert.deepEqual(await it.rest(), [good])
})
