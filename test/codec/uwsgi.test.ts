import assert from 'node:assert/strict'
import test from 'node:test'
import { encodeVariable, packetHead } from '../../src/codec/uwsgi.ts'
import { Random, seed } from './h1/feeding.ts'

const start = seed()

test('a packet: modifiers around its size, lengths before names and values', () => {
  assert.equal(packetHead(5, 0x1234, 6), '\x05\x34\x12\x06')
  assert.equal(encodeVariable('AB', 'c'), '\x02\0AB\x01\0c')
  assert.equal(encodeVariable('A', 'v'.repeat(300)).slice(3, 5), '\x2c\x01')
})

test(`what is written is read again (FUZZ_SEED=${start})`, () => {
  const random = new Random(start)
  const text = (): string => String.fromCharCode(...Array.from({ length: random.below(400) }, () => random.below(256)))
  for (let i = 0; i < 200; i++) {
    const pairs = Array.from({ length: random.below(8) }, () => [text(), text()] as const)
    const wire = Buffer.from(pairs.map(([name, value]) => encodeVariable(name, value)).join(''), 'latin1')
    const found: string[][] = []
    for (let at = 0; at < wire.length;) {
      const name = wire.toString('latin1', at + 2, (at += 2 + wire.readUInt16LE(at)))
      const value = wire.toString('latin1', at + 2, (at += 2 + wire.readUInt16LE(at)))
      found.push([name, value])
    }
    assert.deepEqual(found, pairs)
  }
})
