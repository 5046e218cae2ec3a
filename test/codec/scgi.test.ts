import assert from 'node:assert/strict'
import test from 'node:test'
import { encodeHeader, requestNetstring } from '../../src/codec/scgi.ts'

test('a request is one netstring, CONTENT_LENGTH first', () => {
  assert.equal(requestNetstring(27, encodeHeader('SCGI', '1')), '25:CONTENT_LENGTH\x0027\x00SCGI\x001\x00,')
  assert.equal(requestNetstring(0, ''), '17:CONTENT_LENGTH\x000\x00,')
})
