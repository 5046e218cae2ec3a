// The cases of Autobahn|Testsuite about limits (its families 9 and 10): messages of up to 16 MB, in parts, in chops, and a
// thousand one after the other. The last part of a message in parts of its size is empty there, as it is here.

import assert from 'node:assert/strict'
import test from '../helpers/python-test.ts'
import { BINARY, bye, chopped, frame, good, inFrames, talk, TEXT } from './websocket-client.ts'

const KB = 1 << 10
const MB = 1 << 20
const names = ['text', 'bytes'] as const
const opcodes = [TEXT, BINARY] as const

/** What repeats itself, in so many bytes. */
const filled = (size: number, kind: number): Buffer =>
  Buffer.alloc(size, kind === 0 ? 'BAsd7&jh23' : Buffer.from('00fe23faf0', 'hex'))

async function echoes(opcode: number, message: Buffer, send: readonly Buffer[]): Promise<void> {
  const it = await talk()
  await it.send(...send)
  const said = await it.next()
  assert.equal(said[0], opcode)
  assert.ok(message.equals(said[1] as Buffer), 'what comes back is what was sent')
  await it.send(bye)
  assert.deepEqual(await it.rest(), [good])
}

for (const [kind, opcode] of opcodes.entries()) {
  for (const [i, size] of [64 * KB, 256 * KB, MB, 4 * MB, 8 * MB, 16 * MB].entries()) {
    test(`websocket case 9.${kind + 1}.${i + 1}: ${names[kind]} of ${size / KB} kB`, () => {
      const message = filled(size, kind)
      return echoes(opcode, message, [frame(opcode, message)])
    })
  }
  for (const [i, size] of [64, 256, KB, 4 * KB, 16 * KB, 64 * KB, 256 * KB, MB, 4 * MB].entries()) {
    test(`websocket case 9.${kind + 3}.${i + 1}: 4 MB of ${names[kind]} in parts of ${size} bytes`, () => {
      const message = Buffer.alloc(4 * MB, kind === 0 || i > 0 ? '*' : 0xfe)
      return echoes(opcode, message, [inFrames(opcode, message, size, { trailing: size < 4 * MB })])
    })
  }
  for (const [i, size] of [64, 128, 256, 512, 1024, 2048].entries()) {
    test(`websocket case 9.${kind + 5}.${i + 1}: 1 MB of ${names[kind]} in chops of ${size} bytes`, () => {
      const message = filled(MB, kind)
      return echoes(opcode, message, chopped(frame(opcode, message), size))
    })
  }
  for (const [i, size] of [0, 16, 64, 256, 1024, 4096].entries()) {
    test(`websocket case 9.${kind + 7}.${i + 1}: 1000 times ${names[kind]} of ${size} bytes, there and back`, async () => {
      const it = await talk()
      const message = Buffer.alloc(size, kind === 0 ? '*' : 0xfe)
      for (let n = 0; n < 1000; n++) {
        await it.send(frame(opcode, message))
        assert.deepEqual(await it.next(), [opcode, message])
      }
      await it.send(bye)
      assert.deepEqual(await it.rest(), [good])
    })
  }
}
test('websocket case 10.1.1: text of 65536 bytes in parts of 1300', () => {
  const message = Buffer.alloc(65536, '*')
  return echoes(TEXT, message, [inFrames(TEXT, message, 1300)])
})

// Beyond the suite
test('websocket: a message beyond 16 MB is refused', async () => {
  const it = await talk()
  await it.send(frame(BINARY, 'x', { length: 16 * MB + 1 }))
  assert.deepEqual(await it.rest(), [['close', 1009]])
})
test('websocket: a megabyte in parts of a byte is one message', () => {
  const message = filled(MB, 1)
  return echoes(BINARY, message, [inFrames(BINARY, message, 1)])
})
for (const size of [0, 16, 256, 4096]) {
  test(`websocket: 1000 messages of ${size} bytes in one write come back in order`, async () => {
    const it = await talk()
    const messages = Array.from({ length: 1000 }, (_, i) => Buffer.from(`${i}`.padEnd(size, '*').slice(0, size)))
    await it.send(Buffer.concat(messages.map(text => frame(TEXT, text))))
    for (const message of messages) assert.deepEqual(await it.next(), [TEXT, message])
    await it.send(bye)
    assert.deepEqual(await it.rest(), [good])
  })
}
