// permessage-deflate as the Autobahn suite's categories 12 and 13 try it: what is offered and agreed on, messages of all sizes
// whole and in parts, and what only claims to be compressed.

import assert from 'node:assert/strict'
import test from 'node:test'
import { constants, deflateRawSync } from 'node:zlib'
import { BINARY, broken, bye, converse, frame, good, nonsense, PING, TEXT } from './websocket-client.ts'

const MB = 1 << 20
const compress = (bytes: Buffer, windowBits = 15): Buffer =>
  deflateRawSync(bytes, { windowBits, finishFlush: constants.Z_SYNC_FLUSH }).subarray(0, -4)
const prose = (size: number): string =>
  'The quick brown fox jumps over the lazy dog. '.repeat(size / 45 + 1).slice(0, size)

for (const offer of [
  'permessage-deflate',
  'permessage-deflate; client_no_context_takeover; client_max_window_bits',
  'permessage-deflate; server_no_context_takeover; server_max_window_bits=9',
  'permessage-deflate; client_max_window_bits=9; server_max_window_bits="15"',
  'permessage-deflate; server_max_window_bits=8, permessage-deflate; client_max_window_bits',
]) {
  for (const size of [0, 16, 1024, 8192, 131072]) {
    test(`websocket case 12/13 ${size} bytes, "${offer}"`, async () => {
      const text = prose(size)
      const bits = offer.includes('client_max_window_bits=9') ? 9 : 15
      const whole = compress(Buffer.from(text), bits)
      const half = Math.ceil(whole.length / 2)
      const messages = [
        frame(TEXT, whole, { rsv: 4 }),
        Buffer.concat([
          frame(TEXT, whole.subarray(0, half), { rsv: 4, fin: false }),
          frame(PING, 'p'),
          frame(0, whole.subarray(half)),
        ]),
        frame(TEXT, text),
      ]
      const { said, head } = await converse(
        [Buffer.concat([...messages, bye])],
        `Sec-WebSocket-Extensions: ${offer}\r\n`,
      )
      assert.match(
        head,
        /^sec-websocket-extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover/im,
      )
      assert.equal(/server_max_window_bits=9/.test(head), offer.includes('server_max_window_bits=9'))
      const echoed = said.filter(one => one[0] === TEXT).map(one => (one[1] as Buffer).toString())
      assert.deepEqual(echoed, [text, text, text])
      assert.deepEqual(said.at(-1), good)
    })
  }
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
  test(`websocket case 13 an offer that cannot be accepted: "${offer}"`, async () => {
    const { said, head } = await converse([frame(TEXT, 'x', { rsv: 4 })], `Sec-WebSocket-Extensions: ${offer}\r\n`)
    assert.doesNotMatch(head, /extensions/i)
    assert.deepEqual(said, [broken])
  })
}
const DEFLATE = 'Sec-WebSocket-Extensions: permessage-deflate\r\n'
test('websocket case 12 what is no deflate is refused', async () => {
  assert.deepEqual((await converse([frame(TEXT, Buffer.alloc(100, 0xff), { rsv: 4 })], DEFLATE)).said, [nonsense])
})
test('websocket case 12 compressed text that is not UTF-8 is refused', async () => {
  const { said } = await converse([frame(TEXT, compress(Buffer.from('ff', 'hex')), { rsv: 4 })], DEFLATE)
  assert.deepEqual(said, [nonsense])
})
test('websocket case 12 a continuation that says it is compressed is refused', async () => {
  const bytes = compress(Buffer.from('hello'))
  const frames = [frame(TEXT, bytes.subarray(0, 3), { rsv: 4, fin: false }), frame(0, bytes.subarray(3), { rsv: 4 })]
  assert.deepEqual((await converse(frames, DEFLATE)).said, [broken])
})
test('websocket case 12 what becomes more than 16 MB is refused, small as it is', async () => {
  const bomb = compress(Buffer.alloc(20 * MB))
  assert.ok(bomb.length < 32768)
  assert.deepEqual((await converse([frame(BINARY, bomb, { rsv: 4 })], DEFLATE)).said, [['close', 1009]])
})
test('websocket case 12 100 compressed messages in one write come back in order', async () => {
  const texts = Array.from({ length: 100 }, (_, i) => prose(3000 + i) + i)
  const frames = texts.map(text => frame(TEXT, compress(Buffer.from(text)), { rsv: 4 }))
  const { said } = await converse([Buffer.concat([...frames, bye])], DEFLATE)
  assert.deepEqual(
    said.slice(0, -1).map(one => (one[1] as Buffer).toString()),
    texts,
  )
})
