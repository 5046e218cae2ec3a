import test from 'node:test'
import assert from 'node:assert/strict'
import { ChunkedDecoder } from '../../../src/codec/h1/chunked.ts'
import { arrivals, bytes, feedChunks, STRANGER } from './feeding.ts'

function decode(text: string, side: 'request' | 'response' = 'request') {
  const wire = bytes(text)
  const whole = feedChunks(wire, [wire.length], side)
  for (const arrival of arrivals(wire.length)) {
    const piece = feedChunks(wire, arrival, side)
    if (whole.answer === -1) assert.deepEqual([piece.answer, piece.error], [-1, whole.error])
    else assert.deepEqual(piece, whole)
  }
  return whole
}

test('chunked: a body comes out whole, and what follows it is left alone', () => {
  const text = '5\r\nhello\r\n6;x=y\r\n world\r\n0\r\n\r\n'
  const { body, answer, done } = decode(text + STRANGER.toString('latin1'))
  assert.deepEqual([body, answer, done], ['hello world', text.length, true])
})

test('chunked: trailers are given out as spelled, but for those that would change the message', () => {
  const text = '1\r\nx\r\n0;last\r\nX-Sum: 1\r\ncontent-length: 9\r\nHost: h\r\nAUTHORIZATION: b\r\nx-two:\t2 \r\n\r\n'
  const { trailers, answer } = decode(`${text}GET / HTTP/1.1\r\n\r\n`)
  assert.deepEqual(trailers, ['X-Sum', '1', 'x-two', '2'])
  assert.equal(answer, text.length)
})

test('chunked: a size may be padded by an upstream, not by a client', () => {
  assert.equal(decode('5  \r\nhello\r\n0 \r\n\r\n', 'response').body, 'hello')
  assert.equal(decode('5  \r\nhello\r\n0 \r\n\r\n').answer, -1)
  assert.equal(decode('5 ;x\r\nhello\r\n0\r\n\r\n').body, 'hello')
})

test('chunked: zeros before a size are read over, but not without end', () => {
  const zeros = '0'.repeat(40)
  assert.equal(decode(`${zeros}5\r\nhello\r\n${zeros}\r\n\r\n`).body, 'hello')
  assert.equal(decode(`${zeros}1fffffffffffff\r\n`).answer, 60 - 4)
  assert.equal(decode(`${zeros}20000000000000\r\n`).answer, -1)
  assert.equal(decode('0'.repeat(4096) + '1\r\nx\r\n').body, 'x')
  assert.equal(decode('0'.repeat(4098)).answer, -1)
  assert.equal(decode(`${'0'.repeat(200)}1\r\nx\r\n`.repeat(30)).answer, -1)
})

test('chunked: an error is worded for the side it came from', () => {
  assert.equal(decode('x').error, 'client sent invalid chunked body')
  assert.equal(decode('x', 'response').error, 'upstream sent invalid chunked response')
  assert.match(decode('0\r\na b: c\r\n\r\n').error, /^client sent invalid trailer: "a\\x20\.\.\."$/)
})

test('chunked: a failed decoder stays failed, and a restarted one is new', () => {
  const decoder = new ChunkedDecoder('request')
  const sink = { onBody: () => {} }
  assert.equal(decoder.feed(bytes('x'), 0, 1, sink), -1)
  assert.equal(decoder.feed(bytes('0\r\n\r\n'), 0, 5, sink), -1)
  decoder.restart()
  assert.equal(decoder.feed(bytes('0\r\n\r\n'), 0, 5, sink), 5)
  assert.equal(decoder.done, true)
  assert.equal(decoder.feed(bytes('more'), 0, 4, sink), 0)
})

test('chunked: extensions that outweigh the body are refused, ordinary ones in a long body are not', () => {
  assert.equal(decode(`1;${'e'.repeat(200)}\r\nx\r\n`.repeat(30) + '0\r\n\r\n').answer, -1)
  assert.equal(decode(`100;${'e'.repeat(60)}\r\n${'x'.repeat(256)}\r\n`.repeat(100) + '0\r\n\r\n').done, true)
})
