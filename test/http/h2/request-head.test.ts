import assert from 'node:assert/strict'
import test from 'node:test'
import { RequestHead } from '../../../src/codec/h1/request-head.ts'
import { FieldList, HpackDecoder } from '../../../src/codec/h2/hpack-decoder.ts'
import { takeHead } from '../../../src/http/h2/request-head.ts'
import { LIMITS as HTTP1_LIMITS } from '../../codec/h1/feeding.ts'
import { random } from '../../codec/h2/random.ts'
import { block, get, type Fields } from '../../helpers/http2.ts'

const LIMITS = { ...HTTP1_LIMITS, fieldsMax: 20 }

function take(fields: Fields, ended = true, head = new RequestHead(), limits = LIMITS) {
  const list = new FieldList()
  const bytes = block(fields)
  assert.ok(new HpackDecoder(4096).decode(bytes, 0, bytes.length, list))
  return { head, status: takeHead(head, list, limits, ended) }
}

test('request head: what HTTP/1 would have said is on it', () => {
  const { head, status } = take(
    [
      [':method', 'POST'],
      [':scheme', 'https'],
      [':path', '/a/../b?c'],
      [':authority', 'Example.COM:8443'],
      ['cookie', 'a=1'],
      ['user-agent', 'portico'],
      ['cookie', 'b=2'],
      ['content-length', '12'],
    ],
    false,
  )
  assert.equal(status, 0)
  assert.deepEqual(
    [head.method, head.target, head.requestLine, head.version, head.host, head.port, head.contentLength],
    ['POST', '/a/../b?c', 'POST /a/../b?c HTTP/2.0', 20, 'example.com', 8443, 12],
  )
  assert.deepEqual(head.names, ['user-agent', 'content-length', 'cookie', 'host'])
  assert.deepEqual(head.values, ['portico', '12', 'a=1; b=2', 'Example.COM:8443'])
  assert.equal(head.values[head.userAgentIndex], 'portico')
  assert.equal(head.originalName(0), 'user-agent')
})

test('request head: CONNECT with an authority alone has nothing to be found by', () => {
  const refused = (...fields: [string, string][]) => {
    const { status, head } = take(fields)
    return [status, head.error]
  }
  const authority: [string, string] = [':authority', 'a:1']
  assert.deepEqual(refused([':method', 'CONNECT'], authority), [400, 'client sent no :scheme header'])
  assert.equal(take([[':method', 'OPTIONS'], [':scheme', 'http'], [':path', '*'], authority]).status, 0)
})

test('request head: a body of unknown length is a chunked one', () => {
  assert.deepEqual([take(get(), false).head.chunked, take(get()).head.chunked], [true, false])
  assert.equal(take(get('/', [['content-length', '1']])).status, 400)
})

test('request head: a Host field does without :authority, and must agree with it', () => {
  const bare = get().slice(0, 3)
  assert.equal(take([...bare, ['host', 'a']]).head.host, 'a')
  assert.equal(take([...bare, [':authority', 'a'], ['host', 'a']]).status, 0)
  assert.equal(take([...bare, [':authority', 'a'], ['host', 'b']]).status, 400)
})

test('request head: CONNECT and TRACE are not allowed, too many fields are too large', () => {
  for (const method of ['TRACE', 'CONNECT'])
    assert.equal(take([[':method', method], ...get().slice(1)]).status, 405, method)
  // raw_requests
  assert.equal(take([[':method', 'TRACE'], ...get().slice(1)], true, undefined, { ...LIMITS, raw: true }).status, 0)
  assert.equal(
    take(
      get(
        '/',
        Array.from({ length: 21 }, (_, i) => [`x-${i}`, ''] as const),
      ),
    ).status,
    494,
  )
})

test('request head: any fields make a head or are refused, and nothing stays of the head before (fuzz)', t => {
  const r = random(t)
  const reused = new RequestHead()
  const names = [
    ':method',
    ':scheme',
    ':path',
    ':authority',
    'host',
    'cookie',
    'te',
    'connection',
    'content-length',
    'X',
    'x_y',
    'expect',
    '',
    'range',
  ]
  const values = ['GET', 'http', '/', 'a', 'a:1', 'trailers', '0', '5', '', 'close', '/\u0000', '*', '100-continue']
  for (let round = 0; round < 3000; round++) {
    const fields = r.chance(0.5) ? [...get()] : []
    for (let i = r.below(8); i > 0; i--) {
      fields.splice(r.below(fields.length + 1), 0, [
        r.pick(names),
        r.chance(0.8) ? r.pick(values) : r.text(r.below(20)),
      ])
    }
    const ended = r.chance(0.5)
    const [first, second] = [take(fields, ended, reused), take(fields, ended)]
    assert.equal(first.status, second.status)
    assert.ok([0, 400, 405, 494].includes(first.status))
    assert.deepEqual(
      [first.head.names, first.head.values, first.head.requestLine, first.head.host, first.head.hostIndex],
      [second.head.names, second.head.values, second.head.requestLine, second.head.host, second.head.hostIndex],
    )
    if (first.status === 0) assert.match(first.head.requestLine, /^[A-Z_-]+ \S+ HTTP\/2\.0$/)
  }
})
