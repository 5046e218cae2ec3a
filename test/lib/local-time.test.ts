import assert from 'node:assert/strict'
import test from 'node:test'
import { commonLogTime, isoLogTime } from '../../src/lib/local-time.ts'

test('log times are those of now, in local time with its offset', () => {
  const before = Math.floor(Date.now() / 1000)
  assert.match(commonLogTime(), /^\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}$/)
  const seconds = new Date(isoLogTime()).getTime() / 1000
  assert.ok(seconds >= before && seconds <= Date.now() / 1000)
})
