// One sync worker and what PEP 3333 obliges it to; applications are in apps/basic.py.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before } from 'node:test'
import { encodeAbort, encodeBodyFile, encodeBodyHeader, encodeFrame, encodeRequest } from '../../src/codec/frames.ts'
import { VERSION } from '../../src/lib/product.ts'
import { isMissing, PYTHON } from '../helpers/needs.ts'
import test from '../helpers/python-test.ts'
import { atEnd } from '../helpers/scope.ts'
import { tempDir } from '../helpers/temp-dir.ts'
import { Front, Zygote, environ, serve } from './front.ts'
import type { Event } from './front.ts'

const file = { after }
atEnd(file, () => {}) // asked for here, since inside a hook or a test it would be that one's end
let zygote: Zygote
let worker: Event
let front: Front
let dir: string

before(async () => {
  if (isMissing('python3')) return
  ;({ zygote, worker, front } = await serve(file, { module: 'basic' }))
  dir = tempDir(file)
})

/** What was logged since the last look. */
function logged(): string {
  return front.logs
    .splice(0)
    .map(log => log.text)
    .join('\n')
}

test('wsgi: a short response is one frame, with a computed Content-Length', async () => {
  const answer = await front.get('/hello')
  assert.deepEqual(
    [answer.status, answer.headers, answer.body, answer.whole],
    ['200 OK', { 'content-type': 'text/plain', 'content-length': '14' }, 'Hello, World!\n', true],
  )
  assert.deepEqual(front.hello, { pid: worker.pid, slot: 0, kind: 'sync', generation: 1, thread: 0, link: 1 })
})

test('wsgi: the environ is what the front sent and what the worker adds, byte for byte', async () => {
  const answer = await front.get('/show-environ', { HTTP_X: 'caf\xe9=\xff', CONTENT_TYPE: '', QUERY_STRING: 'a=%20&b' })
  assert.deepEqual(answer.body.split('\n'), [
    "CONTENT_TYPE=''",
    "HTTP_HOST='localhost'",
    "HTTP_X='caf\xe9=\xff'",
    "PATH_INFO='/show-environ'",
    "QUERY_STRING='a=%20&b'",
    "RAW_URI='/show-environ'",
    "REMOTE_ADDR='127.0.0.1'",
    "REMOTE_PORT='50000'",
    "REQUEST_METHOD='GET'",
    "SCRIPT_NAME=''",
    "SERVER_NAME='localhost'",
    "SERVER_PORT='80'",
    "SERVER_PROTOCOL='HTTP/1.1'",
    `SERVER_SOFTWARE='portico/${VERSION}'`,
    'wsgi.early_hints=EarlyHints',
    'wsgi.errors=ErrorStream',
    'wsgi.file_wrapper=type',
    'wsgi.input=BytesIO',
    'wsgi.input_terminated=True',
    'wsgi.multiprocess=True',
    'wsgi.multithread=False',
    'wsgi.run_once=False',
    "wsgi.url_scheme='http'",
    'wsgi.version=(1, 0)',
    'exact dict: True',
  ])
  // That application empties its environ: the next request must not notice.
  assert.match((await front.get('/show-environ')).body, /wsgi\.errors=ErrorStream/)
})

test('wsgi: PATH_INFO may hold any byte, NUL among them', async () => {
  const { front: other } = await serve(file, { module: "basic:factory('made', suffix='!')" })
  assert.equal((await other.get('/a\0b\0\xff')).body, 'made!')
})

test('wsgi: a body in memory is read in every way, and never past its end', async () => {
  const body = Buffer.from('abcdef\nghij\nk\nl\nlast')
  const answer = await front.get('/reading', { REQUEST_METHOD: 'POST' }, body)
  const expected = "[b'abc', b'def\\n', b'gh', [b'ij\\n'], [b'k\\n', b'l\\n', b'last'], b'', b'']"
  assert.equal(answer.body, expected)
  front.ask('/reading', { REQUEST_METHOD: 'POST' }, null)
  const stream = environStream()
  front.socket.write(Buffer.concat([encodeBodyHeader(stream, 9, false), body.subarray(0, 9)]))
  front.socket.write(Buffer.concat([encodeBodyHeader(stream, body.length - 9, true), body.subarray(9)]))
  assert.equal((await front.answer()).body, expected)
})

test('wsgi: a large body passes in frames and in one piece', async () => {
  const body = Buffer.alloc(3_000_000, 'x')
  assert.equal((await front.get('/count', {}, body)).body, '3000000')
  front.ask('/count', {}, null)
  front.socket.write(Buffer.concat([encodeBodyHeader(environStream(), body.length, true), body]))
  assert.equal((await front.answer()).body, '3000000')
  assert.equal((await front.get('/echo', {}, body)).body.length, 3_000_000)
})

test('wsgi: a body buffered in a file is read from it', async () => {
  const path = join(dir, 'body')
  writeFileSync(path, 'abcdef\nghij\nk\nl\nlast')
  for (const [length, expected] of [
    [20, 'abcdef\nghij\nk\nl\nlast'],
    [8, 'abcdef\ng'],
    [0, ''],
  ] as const) {
    front.ask('/echo', {}, null)
    front.socket.write(encodeBodyFile(environStream(), path, length))
    assert.equal((await front.answer()).body, expected)
  }
})

test('wsgi: a body file that cannot be read is answered with 500, and the next request is served', async () => {
  front.ask('/echo', {}, null)
  front.socket.write(encodeBodyFile(environStream(), join(dir, 'missing'), 5))
  assert.equal((await front.answer()).status, '500 Internal Server Error')
  assert.match(logged(), /cannot open the body buffered in ".*missing"/)
  front.ask('/echo', {}, null)
  front.socket.write(encodeBodyFile(environStream(), join(dir, 'body'), 21))
  assert.equal((await front.answer()).status, '500 Internal Server Error')
  assert.match(logged(), /has 20 bytes instead of 21/)
  assert.equal((await front.get('/hello')).status, '200 OK')
})

test('wsgi: what the application leaves of a body is skipped', async () => {
  front.ask('/first-bytes', {}, null)
  const body = Buffer.alloc(2_000_000, 'y')
  front.socket.write(Buffer.concat([encodeBodyHeader(environStream(), body.length, true), body]))
  assert.equal((await front.answer()).body, 'yyyyy')
  assert.equal((await front.get('/hello')).status, '200 OK')
})

test('wsgi: a client that leaves inside its body ends the request, not the worker', async () => {
  front.ask('/echo', {}, null)
  const stream = environStream()
  front.socket.write(Buffer.concat([encodeBodyHeader(stream, 3, false), Buffer.from('abc'), encodeAbort(stream)]))
  assert.equal((await front.answer()).status, '500 Internal Server Error')
  assert.match(logged(), /the client went away while its request was read by application "basic"/)
  front.socket.write(encodeAbort(stream))
  assert.equal((await front.get('/hello')).status, '200 OK')
})

test('wsgi: each yielded part is sent before the next is asked for', async () => {
  const fifo = join(dir, 'fifo')
  execFileSync('mkfifo', [fifo])
  front.ask(`/stream?${fifo}`, {}, Buffer.alloc(0))
  assert.equal(await front.piece(), 'one')
  await (await open(fifo, 'w')).close()
  const answer = await front.answer()
  assert.deepEqual(answer.parts, ['one', 'two'])
  assert.equal(answer.headers['content-length'], undefined)
})

test('wsgi: one part of the declared length is a whole response', async () => {
  const before = Number((await front.get('/closes')).body)
  const answer = await front.get('/known')
  assert.deepEqual([answer.body, answer.whole], ['four', true])
  assert.equal(Number((await front.get('/closes')).body), before + 1)
})

test('wsgi: an application that works in close() gets its responses out before', async () => {
  const { front: other } = await serve(file, { module: 'basic' })
  assert.equal((await other.get('/known')).whole, true)
  assert.equal((await other.get('/slow-close')).whole, true)
  assert.equal((await other.get('/slow-close')).whole, false)
  assert.equal((await other.get('/known')).whole, false)
  // A close() that was long once may have been another process's turn: it is not held against the application for ever.
  let quick = 0
  while (!(await other.get('/known')).whole) quick++
  assert.ok(quick > 10, `${quick} responses were sent early`)
})

test('wsgi: never more than Content-Length, whatever the application sends', async () => {
  for (const path of ['/too-long', '/too-long-list']) {
    const answer = await front.get(path)
    assert.equal(answer.body, 'fourf')
    assert.match(logged(), /sent more than its Content-Length of 5, the rest is dropped, request "GET \/too-long/)
  }
})

test('wsgi: less than Content-Length is a failed response', async () => {
  for (const path of ['/too-short', '/too-short-list']) {
    const answer = await front.get(path)
    assert.deepEqual([answer.body, answer.failed], ['four', true])
    assert.match(logged(), /declared a Content-Length of 9 and sent 5 bytes less/)
  }
})

test('wsgi: write() sends at once and the rest follows', async () => {
  assert.equal((await front.get('/writes')).body, 'abcd')
})

test('wsgi: large parts arrive whole', async () => {
  const answer = await front.get('/big')
  assert.deepEqual([answer.body.length, answer.headers['content-length']], [600_000, '600000'])
  const parts = await front.get('/big-parts')
  assert.equal(parts.body, 'x'.repeat(300_000) + 'y'.repeat(300_000))
})

test('wsgi: no body for HEAD, 204 and 304, and close() is still called', async () => {
  const before = Number((await front.get('/closes')).body)
  const HEAD = { REQUEST_METHOD: 'HEAD' }
  const head = await front.get('/hello', HEAD)
  assert.deepEqual([head.body, head.headers['content-length'], head.whole], ['', '14', true])
  const stream = await front.get('/unknown-length', HEAD)
  assert.deepEqual([stream.body, stream.headers['content-length'], stream.whole], ['', undefined, true])
  const known = await front.get('/known', HEAD)
  assert.deepEqual([known.body, known.headers['content-length']], ['', '4'])
  const none = await front.get('/no-content')
  assert.deepEqual([none.body, none.headers, none.whole], ['', {}, true])
  const same = await front.get('/not-modified')
  assert.deepEqual([same.body, same.headers, same.whole], ['', { etag: '"a"' }, true])
  assert.equal(Number((await front.get('/closes')).body), before + 3)
})

test('wsgi: an application that yields nothing has an empty body', async () => {
  const answer = await front.get('/nothing')
  assert.deepEqual([answer.body, answer.headers['content-length'], answer.whole], ['', '0', true])
})

test('wsgi: a wrapped file is named to the front, from its current position', async () => {
  const path = join(dir, 'large')
  writeFileSync(path, Buffer.alloc(100_000, 'z'))
  const answer = await front.get(`/wrapper?${path},10,`)
  assert.deepEqual(answer.files, [{ path, offset: 10, length: 99_990 }])
  assert.deepEqual([answer.body, answer.headers['content-length']], ['', '99990'])
  const declared = await front.get(`/wrapper?${path},0,100000`)
  assert.deepEqual(declared.files, [{ path, offset: 0, length: 100_000 }])
  assert.equal(declared.failed, false)
  const less = await front.get(`/wrapper?${path},0,100009`)
  assert.deepEqual([less.files.length, less.failed], [1, true])
  logged()
  const head = await front.get(`/wrapper?${path},0,100000`, { REQUEST_METHOD: 'HEAD' })
  assert.deepEqual([head.files, head.body, head.headers['content-length']], [[], '', '100000'])
})

test('wsgi: a wrapped file that is short, cut or has no name is read', async () => {
  const path = join(dir, 'short')
  writeFileSync(path, 'short file')
  assert.equal((await front.get(`/wrapper?${path},6,`)).body, 'file')
  assert.equal((await front.get(`/wrapper?${join(dir, 'large')},0,7`)).body, 'zzzzzzz')
  logged()
  assert.equal((await front.get('/wrapper-unlinked')).body, 'zzzzzzzzzz')
})

const FAILURES: [string, RegExp][] = [
  [
    '/raises',
    /^error in application "basic": ValueError: no reason \(\S+basic\.py:\d+\), request "GET \/raises"\nTraceback[^]*basic\.py", line \d+, in raises\n[^]*ValueError: no reason$/,
  ],
  ['/raises-after-start', /ValueError: started/],
  ['/raises-in-iteration', /ValueError: first/],
  ['/twice', /AssertionError: start_response\(\) was called a second time without exc_info/],
  ['/never-starts', /application "basic" did not call start_response\(\)/],
  ['/never-starts-iter', /application "basic" did not call start_response\(\)/],
  ['/returns-none', /application "basic" returned None; it must return an iterable of bytes/],
  ['/returns-bytes', /application "basic" returned bytes; it must return an iterable of bytes, such as a list/],
  ['/returns-text', /returned a list with str where bytes are due/],
  ['/yields-text', /yielded str where bytes are due/],
]
for (const [path, message] of FAILURES) {
  test(`wsgi: ${path.slice(1)} is a bare 500 and one entry in the log`, async () => {
    const before = Number((await front.get('/closes')).body)
    const answer = await front.get(path)
    assert.deepEqual(
      [answer.status, answer.headers, answer.body, answer.whole],
      ['500 Internal Server Error', {}, '', true],
    )
    assert.equal(front.logs.length, 1)
    assert.equal(front.logs[0]!.level, 3)
    const text = logged()
    assert.match(text, message)
    assert.doesNotMatch(text, /in respond/)
    assert.equal(Number((await front.get('/closes')).body) - before, path === '/raises-in-iteration' ? 1 : 0)
  })
}

test('wsgi: an error after the head fails the response, and close() is called', async () => {
  const before = Number((await front.get('/closes')).body)
  const answer = await front.get('/raises-after-part')
  assert.deepEqual([answer.status, answer.body, answer.failed], ['200 OK', 'part', true])
  assert.match(logged(), /ValueError: second/)
  assert.equal(Number((await front.get('/closes')).body), before + 1)
})

test('wsgi: an error in close() is logged and the response stands', async () => {
  const answer = await front.get('/raises-in-close')
  assert.deepEqual([answer.body, answer.failed], ['part', false])
  assert.match(logged(), /^close\(\) failed in application "basic"[^]*ValueError: closing/)
})

test('wsgi: exc_info replaces a head that was not sent, and raises when it was', async () => {
  const answer = await front.get('/recovers')
  assert.deepEqual([answer.status, answer.body], ['503 Service Unavailable', 'recovered'])
  const late = await front.get('/recovers-late')
  assert.deepEqual([late.status, late.body, late.failed], ['200 OK', 'part', true])
  assert.match(logged(), /ValueError: late/)
})

const HEADS: [string, RegExp][] = [
  ['status-type', /status 200 is int instead of str/],
  ['status-bytes', /status b'200 OK' is bytes instead of str/],
  ['status-short', /status "20" does not begin with three digits/],
  ['status-text', /status "OK 200" does not begin with three digits/],
  ['status-control', /status "200 OK\\r\\nX: y" holds a control character/],
  ['status-informational', /status "101 Switching Protocols" cannot end a request/],
  ['name-type', /field name b'X' is bytes instead of str/],
  ['name-empty', /field name "" is not a token/],
  ['name-space', /field name "X " is not a token/],
  ['name-colon', /field name "X:" is not a token/],
  ['value-type', /value of field "X" is int instead of str/],
  ['value-none', /value of field "X" is NoneType instead of str/],
  ['value-newline', /value of field "X" holds a control character: 'a\\r\\nY: b'/],
  ['value-nul', /value of field "X" holds a control character/],
  ['value-delete', /value of field "X" holds a control character/],
  ['value-wide', /value of field "X" holds a character beyond latin-1: 'a\\u20ac'/],
  ['pair-short', /header \('X',\) is not a pair/],
  ['pair-string', /header 'abc' is not a pair/],
  ['headers-none', /the headers are NoneType instead of a list/],
  ['length-text', /Content-Length "four" is not one number/],
  ['length-sign', /Content-Length "-1" is not one number/],
  ['length-two', /Content-Length "5" is not one number/],
]
test('wsgi: heads that cannot be sent are refused, with the reason', async () => {
  for (const [name, message] of HEADS) {
    assert.equal((await front.get(`/bad-head?${name}`)).status, '500 Internal Server Error', name)
    assert.match(logged(), message)
  }
})

test('wsgi: hop-by-hop fields are dropped with one warning for each name', async () => {
  for (let i = 0; i < 2; i++) {
    const answer = await front.get('/hop-by-hop')
    assert.deepEqual(answer.headers, { 'content-type': 'text/plain', 'x-tab': 'a\tb\xe4', 'content-length': '1' })
    assert.equal(front.logs.length, i === 0 ? 2 : 0)
    logged()
  }
})

test('wsgi: wsgi.errors makes lines of the log; standard output stays what it is', async () => {
  assert.equal((await front.get('/logs')).status, '200 OK')
  await front.get('/hello')
  assert.deepEqual(
    front.logs.splice(0).map(log => [log.level, log.text]),
    [
      [35, 'one line'],
      [35, 'two lines'],
      [35, 'partial'],
      [35, 'at the end \u20ac'],
    ],
  )
  assert.match(zygote.stdout, /on stdout\n/)
  assert.match(zygote.stderr, /from a thread\n/)
})

test('wsgi: a line that does not end is logged in parts, before it fills the memory', async () => {
  assert.equal((await front.get('/endless-line')).status, '200 OK')
  await front.get('/hello')
  assert.deepEqual(
    front.logs.splice(0).map(log => log.text.replace(/^x+/, text => `${text.length}`)),
    [...Array(7).fill('65536'), String(500_000 - 7 * 65536)],
  )
})

test('wsgi: a child the application forks cannot touch the conversation', async () => {
  const answer = await front.get('/forks')
  assert.deepEqual([answer.body, answer.whole], ['parent 0', true])
  assert.equal((await front.get('/hello')).body, 'Hello, World!\n')
  assert.match(zygote.stderr, /from the child\n/)
})

test('wsgi: a front that leaves inside a response costs nothing but that connection', async () => {
  const other = Front.begin(file, worker.path)
  front.socket.destroy()
  front = other
  other.ask('/big-parts', {}, Buffer.alloc(0))
  await once(other.socket, 'data')
  other.socket.destroy()
  front = await Front.connect(file, worker.path)
  assert.equal((await front.get('/hello')).status, '200 OK')
})

test('wsgi: a front that breaks the protocol is told so and cut off', async () => {
  const cases: [Buffer, RegExp][] = [
    [encodeFrame(77, 0, 0, Buffer.alloc(0)), /unexpected frame of type 77/],
    [encodeFrame(2, 1, 1, Buffer.alloc(2)), /request of 2 bytes/],
    [encodeFrame(2, 1, 1, Buffer.from([9, 0, 0, 0, 65])), /environ of 9 bytes in a request of 5/],
    [encodeFrame(2, 1, 1, Buffer.from([1, 0, 0, 0, 65]), 5, 4), /environ with 1 strings instead of 8/],
    [encodeFrame(3, 1, 1, Buffer.from('x')), /unexpected frame of type 3/],
  ]
  front.socket.destroy()
  for (const [bytes, message] of cases) {
    const other = await Front.connect(file, worker.path)
    other.socket.write(bytes)
    await other.ended
    assert.match(other.logs[0]!.text, message)
  }
  front = await Front.connect(file, worker.path)
  assert.equal((await front.get('/hello')).status, '200 OK')
})

test('wsgi: wsgiref.validate finds nothing in many requests', async () => {
  for (let i = 0; i < 300; i++) {
    const body = Buffer.alloc(i * 3, 'v')
    const more = { REQUEST_METHOD: i % 3 === 0 ? 'POST' : 'GET', CONTENT_LENGTH: String(body.length) }
    const answer = await front.get('/bare', more, body)
    assert.equal(answer.body, `${more.REQUEST_METHOD} ${body.length}`)
    assert.equal(logged(), 'fine')
  }
})

test('wsgi: SystemExit is answered with 500, then the worker leaves', async () => {
  const answer = await front.get('/exits')
  assert.equal(answer.status, '500 Internal Server Error')
  assert.match(logged(), /SystemExit left the worker in application "basic"/)
  await front.ended
  assert.equal(front.bye, true)
  const { slot, pid, status, signal } = await zygote.next('exited')
  assert.deepEqual([slot, pid, status, signal], [0, worker.pid, 0, 0])
})

test('wsgi: the speed of a hello request', async t => {
  const { front } = await serve(t, { module: 'basic:hello', python: PYTHON })
  const request = encodeRequest(1, environ('/hello'), Buffer.alloc(0))
  let left = 20000
  const done = new Promise<void>(resolve => {
    front.onHead = () => {
      if (--left === 0) return resolve()
      front.socket.write(request)
    }
  })
  const started = performance.now()
  front.socket.write(request)
  await done
  t.diagnostic(`${((performance.now() - started) / 20).toFixed(1)} µs for each round trip`)
})

/** The number of the request the front has just sent. */
function environStream(): number {
  return (front as unknown as { stream: number }).stream
}
