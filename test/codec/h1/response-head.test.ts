import test from 'node:test'
import assert from 'node:assert/strict'
import { INVALID, NOT_HTTP, parseResponseHead, ResponseHead } from '../../../src/codec/h1/response-head.ts'
import { arrivals, bytes, feedResponse, LIMITS, STRANGER } from './feeding.ts'

function read(text: string, limits = LIMITS) {
  const wire = bytes(text)
  const whole = feedResponse(wire, [wire.length], limits)
  for (const arrival of arrivals(wire.length)) assert.deepEqual(feedResponse(wire, arrival, limits), whole)
  return whole
}

function accepted(text: string) {
  const head = read(text)
  if (!('code' in head)) assert.fail(`refused: ${head.error}`)
  assert.equal(head.answer, text.length)
  assert.deepEqual(feedResponse(Buffer.concat([bytes(text), STRANGER]), [text.length + STRANGER.length]), head)
  return head
}

test('response head: the usual answer gives its parts, spelled as sent', () => {
  const head = accepted('HTTP/1.1 404 Not  Found\r\nX-A: 1\r\nx.odd_name: 2\r\nContent-Length: 9\r\n\r\n')
  assert.deepEqual([head.code, head.statusText, head.version], [404, '404 Not  Found', 11])
  assert.deepEqual(head.originals, ['X-A', 'x.odd_name', 'Content-Length'])
  assert.deepEqual([head.contentLength, head.chunked, head.keepAlive], [9, false, true])
})

test('response head: status lines that servers send', () => {
  assert.equal(accepted('HTTP/1.1 200\r\n\r\n').statusText, '200')
  assert.equal(accepted('HTTP/1.1 200 \r\n\r\n').statusText, '200 ')
  assert.equal(accepted('HTTP/1.0 403.7 Forbidden\n\n').statusText, '403 Forbidden')
  assert.equal(accepted('HTTP/1.1 100 Continue\r\n\r\n').code, 100)
  assert.equal(accepted('HTTP/1.1  999 \xe9t\xe9\r\n\r\n').code, 999)
})

test('response head: the connection is kept in HTTP/1.1 alone, unless closed', () => {
  assert.equal(accepted('HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n\r\n').keepAlive, false)
  assert.equal(accepted('HTTP/1.1 200 OK\r\nConnection: x, Close\r\n\r\n').keepAlive, false)
  assert.equal(accepted('HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n').upgrade, true)
  assert.equal(accepted('HTTP/1.1 200 S\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n').upgrade, false)
})

for (const line of [
  'hello',
  'HTTP/2 200',
  'HTTP/22 200 OK',
  'HTTP/1.1200 OK',
  'HTTP/1.1 20',
  'HTTP/1.1 2000',
  'HTTP/1.1 -20',
  'HTTP/1. 200',
  'ICY 200 OK',
  'HTTP/1.1 200 O\0K',
  'HTTP/1.1 200 O\rK',
  'HTTP/1.1 099 X',
  '',
]) {
  test(`response head: ${JSON.stringify(line)} is no HTTP/1.x head`, () => {
    assert.deepEqual(read(`${line}\r\nX: y\r\n\r\n`), {
      answer: NOT_HTTP,
      error: 'upstream sent no valid HTTP/1.0 header',
    })
  })
}

const REFUSED: [fields: string, error: string][] = [
  [
    'Content-Length: 1\r\nContent-Length: 1',
    'upstream sent duplicate header line: "Content-Length: 1", previous value: "Content-Length: 1"',
  ],
  [
    'Content-Length: 1\r\nTransfer-Encoding: chunked',
    'upstream sent "Content-Length" and "Transfer-Encoding" headers at the same time',
  ],
  [
    'Transfer-Encoding: chunked\r\nContent-Length: 1',
    'upstream sent "Content-Length" and "Transfer-Encoding" headers at the same time',
  ],
  ['Content-Length: +1', 'upstream sent invalid "Content-Length" header: "Content-Length: +1"'],
  ['Transfer-Encoding: gzip', 'upstream sent unknown "Transfer-Encoding": "gzip"'],
  [
    'Transfer-Encoding: chunked\r\ntransfer-encoding: chunked',
    'upstream sent duplicate header line: "transfer-encoding: chunked", previous value: "Transfer-Encoding: chunked"',
  ],
  ['A B: c', 'upstream sent invalid header: "A\\x20..."'],
  ['A: b\0', 'upstream sent invalid header: "A: b\\x00..."'],
]
for (const [fields, error] of REFUSED) {
  test(`response head: ${JSON.stringify(fields)} is refused`, () => {
    assert.deepEqual(read(`HTTP/1.1 200 OK\r\n${fields}\r\n\r\n`), { answer: INVALID, error })
  })
}

test('response head: a head past its limits is refused before it is complete', () => {
  const limits = { ...LIMITS, lineMax: 100, fieldMax: 100, headMax: 100 }
  assert.deepEqual(read(`HTTP/1.1 200 OK\r\n${'X: y\r\n'.repeat(20)}`, limits), {
    answer: INVALID,
    error: 'upstream sent too big header',
  })
  assert.deepEqual(read(`HTTP/1.1 200 ${'O'.repeat(100)}`, limits), {
    answer: INVALID,
    error: 'upstream sent too big header',
  })
})

test('response head: what was taken of one stays as it is when the next is read', () => {
  const head = new ResponseHead()
  const read = (text: string): void => {
    const given = Buffer.from(text, 'latin1')
    assert.equal(parseResponseHead(given, 0, given.length, LIMITS, head), given.length)
  }
  read('HTTP/1.1 200 OK\r\nServer: first\r\nContent-Length: 1\r\n\r\n')
  const { names, values } = head
  read('HTTP/1.1 200 OK\r\nServer: other\r\nContent-Length: 2\r\n\r\n')
  assert.deepEqual(
    [names, values],
    [
      ['server', 'content-length'],
      ['first', '1'],
    ],
  )
  assert.deepEqual(
    [head.names, head.values],
    [
      ['server', 'content-length'],
      ['other', '2'],
    ],
  )
})
