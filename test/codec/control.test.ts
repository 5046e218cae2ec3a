// Messages of the control interface: whole, in pieces, several at once, and broken.

import assert from 'node:assert/strict'
import test from 'node:test'
import { encodeMessage, MessageReader } from '../../src/codec/control.ts'
import type { Message } from '../../src/codec/control.ts'

function all(reader: MessageReader): Message[] {
  const messages: Message[] = []
  for (let one = reader.next(); one !== null; one = reader.next()) messages.push(one)
  return messages
}

function framed(json: string): Buffer {
  const text = Buffer.from(json)
  const head = Buffer.alloc(4)
  head.writeUInt32BE(text.length)
  return Buffer.concat([head, text])
}

const SOME = [{ id: 1, command: 'show', args: ['workers'] }, { id: 2, text: 'ä€𝄞\0' }, {}]

test('a message is a length, big endian, and JSON in UTF-8', () => {
  assert.equal(encodeMessage({ a: 'ä' }).toString('latin1'), '\0\0\0\x0a{"a":"\xc3\xa4"}')
})

test('messages are read whole, several at once and byte by byte', () => {
  const bytes = Buffer.concat(SOME.map(encodeMessage))
  const whole = new MessageReader(1000)
  whole.push(bytes)
  assert.deepEqual(all(whole), SOME)
  assert.equal(whole.isWithin, false)
  const slowly = new MessageReader(1000)
  const read: Message[] = []
  for (const byte of bytes) {
    slowly.push(Buffer.from([byte]))
    read.push(...all(slowly))
  }
  assert.deepEqual(read, SOME)
})

test('a message that has begun is known to be on its way', () => {
  const reader = new MessageReader(100)
  assert.equal(reader.isWithin, false)
  for (const byte of encodeMessage({}).subarray(0, -1)) {
    reader.push(Buffer.from([byte]))
    assert.equal(reader.next(), null)
    assert.equal(reader.isWithin, true)
  }
})

test('a message that is too long is refused by its length, before its first byte', () => {
  const reader = new MessageReader(10)
  reader.push(Buffer.from([0, 0, 0, 11]))
  assert.equal(reader.next(), null)
  assert.match(reader.problem, /11 bytes is longer than 10/)
  reader.push(encodeMessage({}))
  assert.equal(reader.next(), null, 'nothing more is read')
})

test('what is no JSON, no UTF-8 or no object is refused; what came before it is read', () => {
  for (const broken of ['', '{', '[1]', '1', 'null', '"x"', '{"a":1}}']) {
    const reader = new MessageReader(100)
    reader.push(Buffer.concat([encodeMessage({ id: 1 }), framed(broken)]))
    assert.deepEqual(all(reader), [{ id: 1 }], broken)
    assert.notEqual(reader.problem, '', broken)
  }
  const reader = new MessageReader(100)
  reader.push(Buffer.from('\0\0\0\x09{"a":"\xff"}', 'latin1'))
  assert.equal(reader.next(), null)
  assert.match(reader.problem, /no JSON/)
})

test('fuzz: any bytes in any pieces give the same messages or the same refusal, and the reader holds no more than it may', t => {
  const seed = Number(process.env['FUZZ_SEED'] ?? Math.trunc(Math.random() * 2 ** 31))
  t.diagnostic(`FUZZ_SEED=${seed}`)
  let state = seed
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  for (let round = 0; round < 2000; round++) {
    const parts: Buffer[] = []
    for (let i = random(5); i >= 0; i--) {
      const message = encodeMessage(SOME[random(SOME.length)]!)
      const kind = random(6)
      if (kind === 0) message[random(message.length)] = random(256)
      parts.push(kind === 1 ? message.subarray(0, random(message.length)) : message)
    }
    const bytes = Buffer.concat(parts)
    const whole = new MessageReader(64)
    whole.push(bytes)
    const expected = all(whole)
    const pieces = new MessageReader(64)
    const read: Message[] = []
    for (let at = 0; at < bytes.length;) {
      const end = at + 1 + random(9)
      pieces.push(bytes.subarray(at, end))
      read.push(...all(pieces))
      at = end
    }
    assert.deepEqual(read, expected)
    assert.equal(pieces.problem, whole.problem)
    assert.equal(pieces.isWithin, whole.isWithin)
  }
})
