import assert from 'node:assert/strict'
import test from 'node:test'
import { keep, READ_SIZE, readBuffer, readChunk } from '../../src/net/read-buffer.ts'

test('a chunk has the length that was read, whichever came before', () => {
  // Several that share a place, and the longest.
  for (const size of [1, 255, 256, 257, 512, 513, 1, 256, READ_SIZE - 1, READ_SIZE, 512]) {
    const chunk = readChunk(size)
    assert.equal(chunk.length, size)
    assert.equal(chunk.buffer, readBuffer().buffer)
    assert.equal(chunk.byteOffset, readBuffer().byteOffset)
  }
})

test('what is kept of a chunk outlives the next read of that length', () => {
  readBuffer().write('first', 'latin1')
  const kept = keep(readChunk(5))
  readBuffer().write('other', 'latin1')
  assert.equal(readChunk(5).toString('latin1'), 'other')
  assert.equal(kept.toString('latin1'), 'first')
})
