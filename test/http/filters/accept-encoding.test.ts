import assert from 'node:assert/strict'
import test from 'node:test'
import { codingQuality } from '../../../src/http/filters/accept-encoding.ts'

test('a coding is taken when it is named and its quality is not zero', () => {
  const cases: readonly (readonly [string | null, number])[] = [
    [null, 0],
    ['', 0],
    ['gzip', 1],
    ['gzip, deflate, br', 1],
    ['deflate,gzip', 1],
    ['deflate, GZIP ', 1],
    ['gzip;q=0.5', 0.5],
    ['br;q=1, gzip ; q=0.25 , x', 0.25],
    ['gzip;q=0', 0],
    ['gzip;q=0.000', 0],
    ['gzip;q=1.5', 0],
    ['gzip;q=x', 0],
    ['gzip;x=1', 0],
    ['x-gzip', 0],
    ['gzipped', 0],
    ['*', 0],
  ]
  for (const [accepted, quality] of cases) assert.equal(codingQuality(accepted, 'gzip'), quality, `"${accepted}"`)
})
