import assert from 'node:assert/strict'
import test from 'node:test'
import { crc32c } from '../../src/lib/crc32c.ts'

test('the sums of RFC 3720, B.4', () => {
  assert.equal(crc32c('123456789'), 0xe3069283)
  assert.equal(crc32c('\0'.repeat(32)), 0x8a9136aa)
  assert.equal(crc32c('\xff'.repeat(32)), 0x62a8ab43)
  assert.equal(crc32c(String.fromCharCode(...Array(32).keys())), 0x46dd794e)
  assert.equal(crc32c(''), 0)
})
