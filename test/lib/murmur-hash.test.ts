import assert from 'node:assert/strict'
import test from 'node:test'
import { murmurHash2 } from '../../src/lib/murmur-hash.ts'

test('murmurHash2: as other implementations have it', () => {
  for (const [text, hash] of [
    ['', 0],
    ['1', 1228156847],
    ['hello world', 1151865881],
    ['abc\xff', 633659886],
    ['abcdefg', 4188131059],
  ] as const) {
    assert.equal(murmurHash2(text), hash)
  }
})
