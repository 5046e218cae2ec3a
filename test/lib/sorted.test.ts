import assert from 'node:assert/strict'
import test from 'node:test'
import { lastAtOrBefore } from '../../src/lib/sorted.ts'

test('what is found is the last value that is not greater', () => {
  assert.equal(lastAtOrBefore([], 1), -1)
  const values = [2, 4, 4, 8]
  assert.deepEqual(
    [1, 2, 3, 4, 5, 8, 9].map(value => lastAtOrBefore(values, value)),
    [-1, 0, 0, 2, 2, 3, 3],
  )
  assert.equal(lastAtOrBefore(['a', 'c'], 'b'), 0)
  assert.equal(lastAtOrBefore(Uint32Array.of(7), 0xffffffff), 0)
})
