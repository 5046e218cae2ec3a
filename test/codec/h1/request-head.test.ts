import test from 'node:test'
import assert from 'node:assert/strict'
import {
  CASEFOLD_METHOD,
  FOLDING,
  HEADER_SPACES,
  ODD_METHOD,
  ODD_VERSION,
  type RequestLimits,
} from '../../../src/codec/h1/head.ts'
import { parseRequestHead, RequestHead } from '../../../src/codec/h1/request-head.ts'
import { arrivals, bytes, feedRequest, LIMITS } from './feeding.ts'

const HOST = 'Host: a\r\n'

/** The outcome for a text, after making sure that it does not depend on how the text arrives. */
function read(text: string, limits: RequestLimits = LIMITS) {
  const wire = bytes(text)
  const whole = feedRequest(wire, [wire.length], limits)
  for (const arrival of arrivals(wire.length)) assert.deepEqual(feedRequest(wire, arrival, limits), whole)
  if (!('method' in whole)) assert.fail(`refused: ${whole.answer} ${whole.error}`)
  return whole
}

function refusal(text: string, limits: RequestLimits = LIMITS): [number, string] {
  const wire = bytes(text)
  const whole = feedRequest(wire, [wire.length], limits)
  for (const arrival of arrivals(wire.length)) assert.deepEqual(feedRequest(wire, arrival, limits), whole)
  assert.ok(whole.answer < 0, `accepted: ${JSON.stringify(whole)}`)
  return [whole.answer, whole.error]
}

test('request head: the usual request gives its parts', () => {
  const head = read(
    'POST /a?b HTTP/1.1\r\nhOST: Example.com:8080\r\nX-Own: 1\r\nCookie: c\r\nContent-Length: 7\r\n\r\n',
  )
  assert.equal(head.method, 'POST')
  assert.equal(head.requestLine, 'POST /a?b HTTP/1.1')
  assert.deepEqual([head.target, head.path, head.version, head.protocol], ['/a?b', '/a?b', 11, 'HTTP/1.1'])
  assert.deepEqual(head.names, ['host', 'x-own', 'cookie', 'content-length'])
  assert.deepEqual(head.originals, ['hOST', 'X-Own', 'Cookie', 'Content-Length'])
  assert.deepEqual(head.values, ['Example.com:8080', '1', 'c', '7'])
  assert.deepEqual([head.host, head.port, head.contentLength, head.chunked], ['example.com', 8080, 7, false])
  assert.deepEqual([head.hostIndex, head.cookieIndex, head.connectionIndex], [0, 2, -1])
})

const FORMS: [line: string, target: string, path: string, host: string | null, port: number][] = [
  ['GET / HTTP/1.1', '/', '/', 'a', 0],
  ['GET http://B.c:81/x?y HTTP/1.1', 'http://B.c:81/x?y', '/x?y', 'b.c', 81],
  ['GET HTTPS://b HTTP/1.1', 'HTTPS://b', '/', 'b', 0],
  ['GET http://b?x HTTP/1.1', 'http://b?x', '?x', 'b', 0],
  ['GET http://[::1]:8/ HTTP/1.1', 'http://[::1]:8/', '/', '[::1]', 8],
  ['OPTIONS * HTTP/1.1', '*', '*', 'a', 0],
]
for (const [line, target, path, host, port] of FORMS) {
  test(`request head: ${line} asks ${host} for ${path}`, () => {
    const head = read(`${line}\r\n${HOST}\r\n`)
    assert.deepEqual([head.target, head.path, head.host, head.port], [target, path, host, port])
  })
}

test('request head: lengths go to 2^63 - 1, and beyond 2^53 they are as good as endless', () => {
  const length = (text: string) => read(`POST / HTTP/1.1\r\n${HOST}Content-Length: ${text}\r\n\r\n`).contentLength
  assert.equal(length('1234567890123456'), 1234567890123456)
  for (const text of ['9007199254740991', '9007199254740992', '9223372036854775807'])
    assert.equal(length(text), Number.MAX_SAFE_INTEGER)
  for (const size of [1, 15, 40]) {
    assert.equal(length(`${'0'.repeat(size)}3`), 3)
    assert.equal(length('0'.repeat(size)), 0)
    assert.equal(length(`${'0'.repeat(size)}9223372036854775807`), Number.MAX_SAFE_INTEGER)
  }
})

test('request head: keep-alive follows version and Connection', () => {
  const cases: [version: string, field: string, kept: boolean][] = [
    ['1.1', '', true],
    ['1.1', 'Connection: close\r\n', false],
    ['1.1', 'Connection: foo, Close\r\n', false],
    ['1.1', 'Connection: enclosed\r\n', true],
    ['1.1', 'Connection: keep-alive\r\nConnection: close\r\n', false],
    ['1.0', '', false],
    ['1.0', 'Connection: Keep-Alive\r\n', true],
    ['1.0', 'Connection: x , KEEP-ALIVE\r\n', true],
    ['1.7', '', true],
  ]
  for (const [version, field, kept] of cases) {
    assert.equal(read(`GET / HTTP/${version}\r\n${HOST}${field}\r\n`).keepAlive, kept, version + field)
  }
})

test('request head: an upgrade needs both Connection: upgrade and Upgrade', () => {
  const upgrade = (fields: string) => read(`GET / HTTP/1.1\r\n${HOST}${fields}\r\n`).upgrade
  assert.equal(upgrade('Connection: Upgrade\r\nUpgrade: websocket\r\n'), true)
  assert.equal(upgrade('Upgrade: websocket\r\n'), false)
  assert.equal(upgrade('Connection: upgrade\r\n'), false)
})

test('request head: Expect: 100-continue counts in HTTP/1.1 alone', () => {
  assert.equal(read(`GET / HTTP/1.1\r\n${HOST}Expect: 100-Continue\r\n\r\n`).expectContinue, true)
  assert.equal(read(`GET / HTTP/1.0\r\n${HOST}Expect: 100-continue\r\n\r\n`).expectContinue, false)
})

test('request head: names are lower-cased, whatever the spelling', () => {
  const names = read(`GET / HTTP/1.1\r\n${HOST}SEC-FETCH-MODE: x\r\nsec-fetch-mode: y\r\n\r\n`).names
  assert.deepEqual(names, ['host', 'sec-fetch-mode', 'sec-fetch-mode'])
})

test('request head: a refusal is worded as in nginx', () => {
  const cases: [text: string, status: number, error: string][] = [
    ['get / HTTP/1.1\r\n', -400, 'client sent invalid method'],
    ['GET /a\0 HTTP/1.1\r\n', -400, 'client sent invalid request'],
    ['GET / HTTP/2.0\r\n', -505, 'client sent invalid version'],
    ['POST /\r\n', -400, 'client sent invalid method in HTTP/0.9 request'],
    ['GET http:/// HTTP/1.1\r\n', -400, 'client sent invalid host in request line'],
    ['GET / HTTP/1.1\r\n\r\n', -400, 'client sent HTTP/1.1 request without "Host" header'],
    ['GET / HTTP/1.1\r\nHost: /\r\n\r\n', -400, 'client sent invalid host header'],
    [
      'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
      -400,
      'client sent duplicate host header: "Host: b", previous value: "Host: a"',
    ],
    ['GET / HTTP/1.1\r\nFoo : a\r\n\r\n', -400, 'client sent invalid header line: "Foo\\x20..."'],
    [`GET / HTTP/1.1\r\n${HOST}Content-Length: x\r\n\r\n`, -400, 'client sent invalid "Content-Length" header'],
    [
      `GET / HTTP/1.1\r\n${HOST}Transfer-Encoding: gzip\r\n\r\n`,
      -501,
      'client sent unknown "Transfer-Encoding": "gzip"',
    ],
    ['CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n', -405, 'client sent CONNECT method'],
    [`TRACE / HTTP/1.1\r\n${HOST}\r\n`, -405, 'client sent TRACE method'],
  ]
  for (const [text, status, error] of cases) assert.deepEqual(refusal(text), [status, error], text)
})

test('request head: CONNECT is answered to a server that tunnels', () => {
  const head = new RequestHead()
  head.tunnels = true
  const wire = bytes('CONNECT a.b:443 HTTP/1.1\r\nHost: a.b:443\r\n\r\n')
  assert.equal(parseRequestHead(wire, 0, wire.length, LIMITS, head), wire.length)
  assert.deepEqual([head.target, head.path, head.host, head.port], ['a.b:443', '/', 'a.b', 443])
})

test('request head: an invalid name is left out, passed or refused as the directives say', () => {
  const text = `GET / HTTP/1.1\r\n${HOST}x_foo: 1\r\n.foo: 2\r\n\r\n`
  assert.deepEqual(read(text).names, ['host'])
  assert.equal(read(text).dropped, 'x_foo: 1\n.foo: 2')
  assert.deepEqual(read(text, { ...LIMITS, underscores: true }).names, ['host', 'x_foo'])
  assert.deepEqual(read(text, { ...LIMITS, ignoreInvalid: false }).names, ['host', 'x_foo', '.foo'])
  const bad = `GET / HTTP/1.1\r\n${HOST}</kie>: 1\r\n\r\n`
  assert.deepEqual(read(bad).names, ['host'])
  assert.equal(refusal(bad, { ...LIMITS, ignoreInvalid: false })[0], -400)
})

test('request head: without require_host a Host may be missing or empty, but must be one where it is there', () => {
  const hostless = { ...LIMITS, hostRequired: false }
  for (const [text, host] of [
    ['GET / HTTP/1.1\r\n\r\n', null],
    ['GET / HTTP/1.1\r\nHost:\r\n\r\n', null],
    ['GET / HTTP/1.1\r\nHost: A\r\n\r\n', 'a'],
    ['GET http://b/ HTTP/1.1\r\n\r\n', 'b'],
    ['GET http://b/ HTTP/1.1\r\nHost: \r\n\r\n', 'b'],
  ] as const) {
    const head = new RequestHead()
    assert.equal(parseRequestHead(bytes(text), 0, text.length, hostless, head), text.length, text)
    assert.equal(head.host, host, text)
  }
  for (const text of ['GET / HTTP/1.1\r\nHost: /\r\n\r\n', 'GET / HTTP/1.1\r\nHost:\r\nHost: a\r\n\r\n'])
    assert.equal(parseRequestHead(bytes(text), 0, text.length, hostless, new RequestHead()), -400, text)
})

test('request head: strict_requests takes what RFC 9112 has, and forgives nothing', () => {
  const strict = { ...LIMITS, strict: true }
  const fields = `${HOST}x-a: 1\r\n\r\n`
  for (const line of ['GET /a HTTP/1.1', 'GET /a HTTP/1.0', 'GET http://a/b HTTP/1.2', '\r\n\r\nOPTIONS * HTTP/1.1']) {
    assert.deepEqual(read(`${line}\r\n${fields}`, strict), read(`${line}\r\n${fields}`))
  }
  for (const method of ['GET2', "A!$%&'*+-.^_`|~9", '-XY', 'A'.repeat(20)]) {
    assert.equal(read(`${method} / HTTP/1.1\r\n${fields}`, strict).method, method)
  }
  for (const method of ['get', 'G#T', 'G:T', 'G(T', 'G\xc9T', 'GE', 'A'.repeat(21)]) {
    assert.equal(refusal(`${method} / HTTP/1.1\r\n${fields}`, strict)[0], -400, method)
  }
  for (const lenient of [
    `GET /a HTTP/1.1\n${fields}`,
    `GET /a HTTP/1.1\r\n${HOST}x-a: 1\nx-b: 2\r\n\r\n`,
    `GET /a HTTP/1.1\r\n${HOST}x-a: 1\r\n\n`,
    `\nGET /a HTTP/1.1\r\n${fields}`,
    `GET  /a HTTP/1.1\r\n${fields}`,
    `GET /a  HTTP/1.1\r\n${fields}`,
    `GET /a HTTP/1.1 \r\n${fields}`,
    `GET /a HTTP/1.01\r\n${fields}`,
    'GET /a\r\n',
    'GET /a \r\n',
  ]) {
    read(lenient)
    assert.equal(refusal(lenient, strict)[0], -400, lenient)
  }
})

test('request head: each limit holds to the byte, and before the line is complete', () => {
  const limits = { ...LIMITS, lineMax: 20, fieldMax: 12, headMax: 48, fieldsMax: 3 }
  assert.equal(read('GET /123 HTTP/1.0\r\n\r\n', limits).answer, 21)
  assert.equal(read('GET /1234 HTTP/1.0\r\n\r\n', limits).answer, 22)
  assert.deepEqual(refusal('GET /12345 HTTP/1.0\r\n\r\n', limits), [-414, 'client sent too long URI'])
  assert.deepEqual(refusal('GET /1234567890123456', limits), [-414, 'client sent too long URI'])
  assert.deepEqual(read('GET / HTTP/1.0\r\nX: 3456789\r\n\r\n', limits).values, ['3456789'])
  assert.deepEqual(refusal('GET / HTTP/1.0\r\nX: 34567890\r\n\r\n', limits)[0], -494)
  assert.deepEqual(refusal('GET / HTTP/1.0\r\nX: 345678901', limits), [
    -494,
    'client sent too long header line: "X: 345678901..."',
  ])
  assert.deepEqual(refusal('GET / HTTP/1.0\r\na: 1\r\na: 1\r\na: 1\r\na: 1\r\n\r\n', limits), [
    -494,
    'client sent too many header lines',
  ])
  assert.equal(refusal('GET / HTTP/1.0\r\na: 1234567\r\nb: 1234567\r\nc: 12345\r\n\r\n', limits)[0], -494)
})

test('request head: a refused head still names its request line and host, for log and error page', () => {
  const head = new RequestHead()
  const wire = bytes('GET /x HTTP/1.1\r\nHost: Named\r\nBad Name: x\r\n\r\n')
  assert.equal(parseRequestHead(wire, 0, wire.length, LIMITS, head), -400)
  assert.deepEqual([head.requestLine, head.host, head.method, head.path], ['GET /x HTTP/1.1', 'named', 'GET', '/x'])
})

test('request head: nothing of one request is left in the next', () => {
  const head = new RequestHead()
  const first = bytes(
    'POST http://x:1/ HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nCookie: a\r\nContent-Length: 3\r\n\r\n',
  )
  const second = bytes('GET / HTTP/1.1\r\nHost: y\r\n\r\n')
  parseRequestHead(first, 0, first.length, LIMITS, head)
  const again = feedRequest(second, [second.length], LIMITS, head)
  assert.deepEqual(again, feedRequest(second, [second.length]))
  parseRequestHead(bytes('BAD\0'), 0, 4, LIMITS, head)
  assert.deepEqual(feedRequest(second, [second.length], LIMITS, head), again)
})

test('request head: bytes that come one by one are looked at once', () => {
  const wire = bytes(`GET /${'x'.repeat(8000)} HTTP/1.1\r\n${HOST}X: ${'y'.repeat(8000)}\r\n\r\n`)
  const head = new RequestHead()
  let looks = 0
  const counted = new Proxy(wire, {
    get(target, key) {
      if (typeof key === 'string' && key >= '0' && key <= '99999') looks++
      const value: unknown = Reflect.get(target, key)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
  for (let end = 1; end <= wire.length; end++) parseRequestHead(counted, 0, end, LIMITS, head)
  assert.equal(head.count, 2)
  assert.ok(looks < wire.length * 8, `${looks} looks at ${wire.length} bytes`)
})

test('request head: lenient_requests takes what it is told to, and nothing else', () => {
  const cases: [lenient: number, text: string, told: Partial<ReturnType<typeof read>>][] = [
    [
      FOLDING,
      `GET / HTTP/1.1\r\n${HOST}A: b \r\n \t c\r\n\td\r\n \r\nE:\r\n f\r\n\r\n`,
      { values: ['a', 'b c d', 'f'] },
    ],
    [FOLDING, `POST / HTTP/1.1\r\n${HOST}Transfer-Encoding:\r\n chunked\r\n\r\n`, { chunked: true }],
    [
      HEADER_SPACES,
      `GET / HTTP/1.1\r\n${HOST}A : b\r\nC\t :d\r\n\r\n`,
      { names: ['host', 'a', 'c'], values: ['a', 'b', 'd'] },
    ],
    [ODD_METHOD, `get#x / HTTP/1.1\r\n${HOST}\r\n`, { method: 'get#x' }],
    [ODD_METHOD, `g / HTTP/1.1\r\n${HOST}\r\n`, { method: 'g' }],
    [ODD_METHOD | CASEFOLD_METHOD, `options * HTTP/1.1\r\n${HOST}\r\n`, { method: 'OPTIONS', target: '*' }],
    [ODD_VERSION, `GET / HTTP/2.0\r\n${HOST}\r\n`, { version: 11, protocol: 'HTTP/2.0', keepAlive: true }],
    [ODD_VERSION, `GET / HTTP/0.9\r\n${HOST}\r\n`, { version: 10, protocol: 'HTTP/0.9', keepAlive: false }],
  ]
  for (const strict of [true, false])
    for (const [lenient, text, told] of cases) {
      const found = read(text, { ...LIMITS, strict, lenient })
      for (const [name, value] of Object.entries(told))
        assert.deepEqual(found[name as keyof typeof found], value, JSON.stringify(text))
      assert.ok(
        refusal(text, { ...LIMITS, strict: true, lenient: 31 & ~lenient & ~CASEFOLD_METHOD })[0] < 0,
        JSON.stringify(text),
      )
    }
  for (const text of [
    ` GET / HTTP/1.1\r\n${HOST}\r\n`,
    `GET / HTTP/1.1\r\n A: b\r\n${HOST}\r\n`,
    `GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n`,
    `GET / HTTP/1.1\r\n${HOST}A b: c\r\n\r\n`,
    `GET / HTTP/1.1\r\n${HOST} : c\r\n\r\n`,
    `GET / HTTP/1.1\r\n${HOST}Content_Length : 3\r\n\r\n`,
    `GET / HTTP/1.1\r\n${HOST}A: b\r\n \0\r\n\r\n`,
    `GET / HTTP/11.1\r\n${HOST}\r\n`,
    `G(T / HTTP/1.1\r\n${HOST}\r\n`,
  ])
    assert.ok(refusal(text, { ...LIMITS, strict: true, lenient: 31 })[0] < 0, JSON.stringify(text))
})

test('request head: what lenient_requests takes has the same limits, also before a line is complete', () => {
  const limits = { ...LIMITS, fieldMax: 40, headMax: 200, lenient: FOLDING | HEADER_SPACES }
  const begun = `GET / HTTP/1.1\r\n${HOST}`
  for (const field of [`X${' '.repeat(30)}`, `X:\r\n${' y'.repeat(15)}`]) {
    assert.equal(feedRequest(bytes(begun + field), [begun.length + field.length], limits).answer, 0, field)
    const longer = bytes(`${begun}${field}${' '.repeat(20)}`)
    assert.equal(feedRequest(longer, [longer.length], limits).answer, -494, field)
  }
  // What belongs to a field that was left out has nothing to do with the one before that.
  const text = `${begun}a: 1\r\n(b): ${'2'.repeat(30)}\r\n 3\r\n\r\n`
  assert.deepEqual(read(text, limits).values, ['a', '1'])
})
