// uwsgi packets as a server reads them: whole, in pieces, broken, and anything at all.

import assert from 'node:assert/strict'
import test from 'node:test'
import {
  BROKEN,
  encodeVariable,
  INCOMPLETE,
  packet,
  packetHead,
  readPacket,
  requestHead,
} from '../../src/codec/uwsgi.ts'
import { Random, seed } from './h1/feeding.ts'

function packetOf(variables: Readonly<Record<string, string>>, modifier = 0): Buffer {
  const text = Object.entries(variables)
    .map(([name, value]) => encodeVariable(name, value))
    .join('')
  return Buffer.from(packetHead(modifier, text.length, 0) + text, 'latin1')
}

function headOf(variables: Readonly<Record<string, string>>): string | null {
  return requestHead(new Map(Object.entries(variables)))
}

test('a packet is read when all of it is there, wherever it is cut', () => {
  const bytes = packetOf({ REQUEST_METHOD: 'GET', PATH_INFO: '/\xe9', EMPTY: '' })
  for (let end = 0; end < bytes.length; end++) assert.equal(readPacket(bytes, 0, end), INCOMPLETE)
  const padded = Buffer.concat([Buffer.from('xx'), bytes, Buffer.from('body')])
  assert.equal(readPacket(padded, 2, padded.length), bytes.length)
  assert.deepEqual(
    [...packet.variables],
    [
      ['REQUEST_METHOD', 'GET'],
      ['PATH_INFO', '/\xe9'],
      ['EMPTY', ''],
    ],
  )
})

test('what is no packet is refused', () => {
  assert.equal(readPacket(packetOf({}, 5), 0, 4), BROKEN)
  assert.match(packet.error, /unsupported modifier 5/)
  const bytes = packetOf({ A: 'b' })
  bytes.writeUInt16LE(9, 4)
  assert.equal(readPacket(bytes, 0, bytes.length), BROKEN)
  assert.match(packet.error, /truncated variable/)
})

test('variables become the head of a request', () => {
  const head = headOf({
    REQUEST_METHOD: 'POST',
    REQUEST_URI: '/a%20b?c',
    PATH_INFO: '/a b',
    QUERY_STRING: 'c',
    CONTENT_TYPE: 'text/plain',
    CONTENT_LENGTH: '3',
    HTTP_HOST: 'example.org',
    HTTP_X_COLOUR: 'blue',
    HTTP_CONNECTION: 'keep-alive',
    HTTP_TRANSFER_ENCODING: 'chunked',
    HTTP_CONTENT_LENGTH: '3',
    UWSGI_SCHEME: 'x',
  })
  assert.equal(
    head,
    'POST /a%20b?c HTTP/1.0\r\nCONTENT-TYPE: text/plain\r\nCONTENT-LENGTH: 3\r\nHOST: example.org\r\nX-COLOUR: blue\r\n\r\n',
  )
  assert.match(headOf({ PATH_INFO: '/a b\xe9?', QUERY_STRING: 'q' })!, /^GET \/a%20b%E9%3F\?q HTTP\/1\.0\r\n/)
  // What the front has rewritten is what is asked for.
  const rewritten = { REQUEST_URI: '/app/a%20b?c', PATH_INFO: '/a b', QUERY_STRING: 'c' }
  assert.match(headOf(rewritten)!, /^GET \/a%20b\?c HTTP/)
  assert.match(headOf({ ...rewritten, REQUEST_URI: '/a%20b?c', QUERY_STRING: 'd' })!, /^GET \/a%20b\?d HTTP/)
  assert.match(headOf({ REQUEST_URI: '/a%20b?c' })!, /^GET \/a%20b\?c HTTP/)
  for (const wrong of [
    { REQUEST_METHOD: 'G T' },
    { REQUEST_URI: '/a b' },
    { HTTP_X: 'a\r\nY: b' },
    { PATH_INFO: 'a' },
  ]) {
    assert.equal(headOf(wrong as Record<string, string>), null)
  }
})

test('any bytes are read, wanted more of, or refused', t => {
  const start = seed()
  t.diagnostic(`FUZZ_SEED=${start}`)
  const random = new Random(start)
  const below = (n: number): number => random.below(n)
  for (let i = 0; i < 20_000; i++) {
    const bytes = packetOf({
      REQUEST_METHOD: 'GET',
      PATH_INFO: '/',
      [`HTTP_${'X'.repeat(below(9))}`]: 'v'.repeat(below(20)),
    })
    for (let k = below(5); k > 0; k--) bytes[below(bytes.length)] = below(256)
    const end = below(2) === 0 ? bytes.length : below(bytes.length + 1)
    const used = readPacket(bytes, 0, end)
    assert.ok(used === BROKEN || used === INCOMPLETE || (used > 0 && used <= end))
    if (used <= 0) continue
    const head = requestHead(packet.variables)
    if (head === null) continue
    assert.ok(head.endsWith('\r\n\r\n'))
    assert.equal(head.indexOf('\r\n\r\n'), head.length - 4)
    assert.doesNotMatch(head, /[^\r]\n|\r[^\n]|\0/)
  }
})
