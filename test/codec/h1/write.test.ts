import test from 'node:test'
import assert from 'node:assert/strict'
import { chunkLine, httpDate, reason, statusLine } from '../../../src/codec/h1/write.ts'

test('write: status lines have the phrases of nginx', () => {
  assert.equal(statusLine(200), 'HTTP/1.1 200 OK\r\n')
  assert.equal(statusLine(302), 'HTTP/1.1 302 Moved Temporarily\r\n')
  assert.equal(statusLine(503), 'HTTP/1.1 503 Service Temporarily Unavailable\r\n')
  assert.equal(reason(405), 'Not Allowed')
})

test('write: a status without a phrase keeps the space before it', () => {
  assert.equal(statusLine(599), 'HTTP/1.1 599 \r\n')
  assert.equal(statusLine(1234), 'HTTP/1.1 1234 \r\n')
  assert.equal(statusLine(7), 'HTTP/1.1 007 \r\n')
})

test('write: a date is an IMF-fixdate, and changes with the second', () => {
  assert.equal(httpDate(784111777), 'Sun, 06 Nov 1994 08:49:37 GMT')
  assert.equal(httpDate(784111777), 'Sun, 06 Nov 1994 08:49:37 GMT')
  assert.equal(httpDate(784111778), 'Sun, 06 Nov 1994 08:49:38 GMT')
})

test('write: a chunk begins with its size in hexadecimal digits', () => {
  assert.equal(chunkLine(16384), '4000\r\n')
  assert.equal(chunkLine(2 ** 40), '10000000000\r\n')
})
