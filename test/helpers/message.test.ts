// The tests' own reader of HTTP messages: whole, byte by byte, and broken.

import assert from 'node:assert/strict'
import test from 'node:test'
import { MessageReader } from './message.ts'

function read(text: string, method = 'GET'): { reader: MessageReader; rest: string } {
  const reader = new MessageReader('response', method)
  return { reader, rest: reader.feed(Buffer.from(text, 'latin1')).toString('latin1') }
}

const CHUNKED =
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 11\r\n\r\n'

test('message: a length is kept to, and what follows is given back', () => {
  const { reader, rest } = read('HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 200')
  const response = reader.response()
  assert.equal(response.status, 404)
  assert.equal(response.reason, 'Not Found')
  assert.equal(response.text, 'abc')
  assert.equal(rest, 'HTTP/1.1 200')
})

test('message: chunks are joined and trailers kept, byte by byte too', () => {
  const reader = new MessageReader('response')
  for (const byte of Buffer.from(CHUNKED)) reader.feed(Buffer.from([byte]))
  assert.ok(reader.done)
  assert.equal(reader.response().text, 'hello world')
  assert.deepEqual(reader.response().trailers, [['X-Sum', '11']])
  assert.equal(read(CHUNKED).reader.response().text, 'hello world')
})

test('message: an answer to HEAD, 204 and 304 have no body whatever their length says', () => {
  assert.ok(read('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n', 'HEAD').reader.done)
  assert.ok(read('HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n').reader.done)
  assert.ok(read('HTTP/1.1 204 No Content\r\n\r\n').reader.done)
})

test('message: a body without a length ends with the connection, a body with one does not', () => {
  const open = read('HTTP/1.0 200 OK\r\n\r\nsome').reader
  assert.ok(!open.done)
  open.end()
  assert.equal(open.response().text, 'some')
  const short = read('HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nsome').reader
  assert.throws(() => short.end(), /closed inside a message/)
})

test('message: what makes no sense is an error', () => {
  assert.throws(() => read('HTTP/1.1 OK\r\n\r\n'), /malformed status line/)
  assert.throws(() => read('HTTP/1.1 200 OK\n\n'), /without a carriage return/)
  assert.throws(() => read('HTTP/1.1 200 OK\r\nno colon\r\n\r\n'), /malformed header line/)
  assert.throws(() => read('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n'), /malformed chunk size/)
  assert.throws(() => read('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n'), /both/)
})

test('message: a request tells its method, target and body', () => {
  const reader = new MessageReader('request')
  reader.feed(Buffer.from('POST /a?b HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nhi'))
  const { method, target, version, text } = reader.request()
  assert.deepEqual(
    { method, target, version, text },
    { method: 'POST', target: '/a?b', version: 'HTTP/1.1', text: 'hi' },
  )
})
