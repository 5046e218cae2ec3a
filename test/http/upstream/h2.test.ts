import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import http2 from 'node:http2'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { OPENING } from '../../../src/http/upstream/h2/frames.ts'
import { serveHttp } from '../../helpers/http.ts'
import { get as fieldsOf, headers, http2 as connectedTo, type Fields } from '../../helpers/http2.ts'
import { certificate } from '../../helpers/certificates.ts'
import { atEnd, eventually, fileScope, get, request, tempDir } from '../../helpers/index.ts'

const scope = fileScope()

function listening(server: net.Server): Promise<void> {
  return new Promise(resolve => void server.listen(0, '127.0.0.1', resolve))
}

// ── a real HTTP/2 server behind it ─────────────────────────────────────────────────────────────────────────────────

let sessions = 0
let streams = 0
const numbers = new WeakMap<object, number>()
const peer = http2.createServer()
peer.on('session', session => void numbers.set(session, ++sessions))
peer.on('stream', (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => {
  streams++
  const path = headers[':path'] ?? ''
  stream.on('error', () => {})
  if (path.startsWith('/large')) {
    stream.respond({ ':status': 200, 'content-type': 'text/plain' })
    stream.end(Buffer.alloc(3_000_000, 'x'))
  } else if (path.startsWith('/trailers')) {
    stream.respond({ ':status': 200 }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '42' }))
    stream.end('body')
  } else if (path.startsWith('/none')) {
    stream.respond({ ':status': 204, 'x-none': '1' }, { endStream: true })
  } else if (path.startsWith('/early')) {
    stream.respond({ ':status': 403 })
    stream.end('no')
  } else echo(stream, headers)
})

function echo(stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders): void {
  let size = 0
  let sum = 0
  stream.on('data', (chunk: Buffer) => {
    size += chunk.length
    for (const byte of chunk) sum = (sum + byte) % 65521
  })
  stream.on('end', () => {
    const text = Object.entries(headers).map(([name, value]) => `${name}: ${String(value)}\n`)
    stream.respond({ ':status': 200, 'content-type': 'text/plain', 'x-kept': String(numbers.get(stream.session!)) })
    stream.end(`${text.join('')}${size} ${sum}\n`)
  })
}

await listening(peer)
atEnd(scope, () => void peer.close())
const peerPort = (peer.address() as AddressInfo).port

const certificates = tempDir(scope)
certificate(certificates, 'localhost')
const securePeer = http2.createSecureServer({
  cert: readFileSync(join(certificates, 'localhost.crt')),
  key: readFileSync(join(certificates, 'localhost.key')),
})
securePeer.on('stream', echo)
await listening(securePeer)
atEnd(scope, () => void securePeer.close())
const securePort = (securePeer.address() as AddressInfo).port

// A server that answers whatever it is asked with settings and the frames that a test has put here, in hex.
let frames = ''
const raw = net.createServer(socket => {
  socket.on('error', () => {})
  let received = 0
  let answered = false
  socket.on('data', chunk => {
    received += chunk.length
    if (answered || received <= OPENING.length) return
    answered = true
    socket.write(Buffer.from(`000000040000000000${frames}`, 'hex'))
  })
})
await listening(raw)
atEnd(scope, () => void raw.close())
const rawPort = (raw.address() as AddressInfo).port

const server = await serveHttp(
  scope,
  `proxy_http_version 2; client_max_body_size 10m; client_body_buffer_size 16k;
   location / { proxy_pass http://127.0.0.1:${peerPort}; proxy_set_header X-Set $arg_x; proxy_set_header Connection up; }
   location /secure { proxy_pass https://127.0.0.1:${securePort}; }
   location /grpcs { grpc_pass grpcs://127.0.0.1:${securePort}; }
   location /kept/ { proxy_pass http://peers/; }
   location /old { proxy_pass http://peers; proxy_http_version 1.1; proxy_read_timeout 1s; }
   location /streamed { proxy_pass http://127.0.0.1:${peerPort}; proxy_request_buffering off; }
   location /set { proxy_pass http://127.0.0.1:${peerPort}; proxy_set_body "a body of $request_method"; }
   location /method { proxy_pass http://127.0.0.1:${peerPort}; proxy_method REPORT; }
   location /trailers { proxy_pass http://127.0.0.1:${peerPort}; proxy_pass_trailers on; }
   location /cached { proxy_pass http://127.0.0.1:${peerPort}; proxy_cache z; proxy_cache_valid 1m; }
   location /grpc { grpc_pass 127.0.0.1:${rawPort}; }
   location /raw { proxy_pass http://127.0.0.1:${rawPort}; proxy_read_timeout 2s; }`,
  `proxy_cache_path ${tempDir(scope)} keys_zone=z:1m use_temp_path=off; upstream peers { server 127.0.0.1:${peerPort}; keepalive 4; }`,
)

const front = await serveHttp(
  scope,
  `http2 on; proxy_http_version 2;
   location /grpc { grpc_pass 127.0.0.1:${rawPort}; }
   location /raw { proxy_pass http://127.0.0.1:${rawPort}; }`,
)

test('a request has its pseudo-fields, what is set, and the rest of the client’s, but nothing of the connection', async () => {
  const response = await get(server.port, '/a%20b?x=y', { TE: 'gzip', Connection: 'close, x-own' })
  assert.equal(response.status, 200)
  assert.match(response.text, /^:method: GET\n:scheme: http\n:path: \/a%20b\?x=y\n:authority: 127\.0\.0\.1:\d+\n/m)
  assert.match(response.text, /\nx-set: y\n/)
  assert.doesNotMatch(response.text, /\n(connection|te|host|content-length): /)
})

test('over TLS the protocol is agreed on', async () => {
  for (const location of ['/secure', '/grpcs']) {
    const { text } = await request({ address: server.port, path: location, method: 'POST', body: 'hello' })
    assert.match(text, /^:method: POST\n:scheme: https\n[^]*\n5 532\n$/)
  }
})

test('bodies of any size pass the peer’s flow control', async () => {
  for (const location of ['/', '/streamed']) {
    for (const size of [1, 16_000, 65_536, 1_000_000]) {
      const body = Buffer.alloc(size, 'a')
      const response = await request({ address: server.port, path: location, method: 'POST', body })
      assert.match(response.text, new RegExp(`\ncontent-length: ${size}\n`), `${location} ${size}`)
      assert.ok(response.text.endsWith(`\n${size} ${(size * 97) % 65521}\n`), `${location} ${size}: ${response.text}`)
    }
  }
})

test('a body of unknown length is streamed on without one', async () => {
  const head = 'POST /streamed HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n'
  const before = streams
  const socket = net.connect(server.port, '127.0.0.1')
  let answer = ''
  socket.on('data', chunk => void (answer += chunk.toString('latin1')))
  socket.write(`${head}5\r\nhello\r\n`)
  // What comes in one read with the head would be all of it, its length known.
  await eventually(() => streams > before)
  socket.write('5\r\nthere\r\n0\r\n\r\n')
  await new Promise(resolve => socket.on('close', resolve))
  assert.match(answer, /\n10 1068\n/)
  assert.doesNotMatch(answer, /\ncontent-length: /)
})

test('a body and a method may be the configuration’s', async () => {
  assert.match((await get(server.port, '/set')).text, /\ncontent-length: 13\n13 1060\n$/)
  assert.match((await get(server.port, '/method')).text, /^:method: REPORT\n/)
})

test('answers come whole, without a body, and with trailers', async () => {
  const large = await get(server.port, '/large')
  assert.equal(large.body.length, 3_000_000)
  const none = await get(server.port, '/none')
  assert.deepEqual([none.status, none.header('x-none'), none.text], [204, '1', ''])
  const head = await request({ address: server.port, path: '/large', method: 'HEAD' })
  assert.deepEqual([head.status, head.text], [200, ''])
  const socket = net.connect(server.port, '127.0.0.1')
  socket.write('GET /trailers HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
  let answer = ''
  for await (const chunk of socket) answer += chunk.toString('latin1')
  assert.match(answer, /\r\n0\r\nx-sum: 42\r\n\r\n$/)
})

test('connections are kept and carry one request after the other, and none of another protocol', async () => {
  const first = Number((await get(server.port, '/kept/')).header('x-kept'))
  for (let i = 0; i < 5; i++) {
    const body = Buffer.alloc(100_000, 'b')
    const response = await request({ address: server.port, path: '/kept/', method: 'POST', body })
    assert.equal(Number(response.header('x-kept')), first)
  }
  // The peer speaks HTTP/2 alone: an HTTP/1 request must not be sent on the idle connection, where it would be garbage.
  assert.ok((await get(server.port, '/old')).status >= 500)
  assert.equal(Number((await get(server.port, '/kept/')).header('x-kept')), first)
})

test('an answer that comes before the request’s body is over ends the exchange', async () => {
  const head = 'POST /early HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n'
  const socket = net.connect(server.port, '127.0.0.1')
  let answer = ''
  socket.on('error', () => {})
  socket.write(head + 'x'.repeat(100_000))
  for await (const chunk of socket) {
    answer += chunk.toString('latin1')
    if (answer.includes('\r\n\r\n')) break
  }
  assert.match(answer, /^HTTP\/1\.1 403 /)
  socket.destroy()
})

// ── faults ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const frame = (type: number, flags: number, stream: number, payload: string): string =>
  [(payload.length / 2).toString(16).padStart(6, '0'), ...[type, flags].map(n => n.toString(16).padStart(2, '0'))].join(
    '',
  ) +
  stream.toString(16).padStart(8, '0') +
  payload

const STATUS_200 = '88'
const faults: readonly (readonly [name: string, frames: string, problem: RegExp])[] = [
  ['no status', frame(1, 5, 1, '5f0161'), /no :status header/],
  ['a second status', frame(1, 5, 1, '8888'), /duplicate :status/],
  ['a status of two digits', frame(1, 5, 1, '08023230'), /invalid :status "20"/],
  ['a status that is none', frame(1, 5, 1, '0803317830'), /invalid :status "1x0"/],
  ['101', frame(1, 4, 1, '0803313031'), /unexpected :status "101"/],
  ['another pseudo-field', frame(1, 5, 1, `${STATUS_200}82`), /invalid header ":method: GET"/],
  ['an upper-case name', frame(1, 5, 1, `${STATUS_200}0001410161`), /invalid header: "A: a"/],
  ['a line break in a value', frame(1, 5, 1, `${STATUS_200}000161030d0a61`), /invalid header/],
  ['an index that does not exist', frame(1, 5, 1, `${STATUS_200}ff`), /truncated http2 header/],
  ['an entry of a table it may not have', frame(1, 5, 1, `${STATUS_200}be`), /invalid http2 table index: 62/],
  ['a larger table', frame(1, 5, 1, `3fe11f${STATUS_200}`), /invalid http2 dynamic table size update: 4096/],
  ['a field without a name', frame(1, 5, 1, `${STATUS_200}00000161`), /zero http2 header name length/],
  ['no Huffman code', frame(1, 5, 1, `${STATUS_200}0084ffffffff0161`), /sent invalid encoded header/],
  ['too much padding', frame(1, 13, 1, `05${STATUS_200}`), /too long padding: 5 in frame 1/],
  ['a length not kept', frame(1, 5, 1, `${STATUS_200}0f0d0135`), /prematurely closed stream/],
  ['data before the head', frame(0, 1, 1, '61'), /unexpected http2 frame: 0/],
  [
    'another frame within a head',
    frame(1, 0, 1, STATUS_200) + frame(6, 0, 0, '0'.repeat(16)),
    /unexpected http2 frame: 6/,
  ],
  ['a stream nobody opened', frame(1, 5, 3, STATUS_200), /frame for unknown stream 3/],
  ['a reset', frame(3, 0, 1, '00000007'), /rejected request with error 7/],
  ['going away', frame(7, 0, 0, '0000000000000002'), /goaway with error 2/],
  ['a push', frame(5, 4, 1, `00000002${STATUS_200}`), /unexpected push promise/],
  ['a window that does not grow', frame(8, 0, 0, '00000000'), /zero window update/],
  ['a window without bound', frame(8, 0, 0, '7fffffff'), /too large window update/],
  ['a window beyond all bounds', frame(4, 0, 0, '000480000000'), /too large initial window size: 2147483648/],
  ['half a setting', frame(4, 0, 0, '0004'), /settings frame with invalid length: 2/],
  ['settings of a stream', frame(4, 0, 1, ''), /settings frame with non-zero stream id: 1/],
  ['a short ping', frame(6, 0, 0, '00'), /ping frame with invalid length: 1/],
  ['an answer to no ping', frame(6, 1, 0, '0'.repeat(16)), /ping frame with ack flag/],
  ['a frame larger than any may be', '004001000000000000', /too large http2 frame: 16385/],
  ['nothing but interim heads', frame(1, 5, 1, '0803313033'), /prematurely closed stream/],
]

test('a response that came over HTTP/2 is cached', async () => {
  const first = await get(server.port, '/cached')
  const before = streams
  const second = await get(server.port, '/cached')
  assert.deepEqual([first.status, second.status, second.text], [200, 200, first.text])
  assert.equal(streams, before)
  assert.equal(second.header('x-kept'), first.header('x-kept'))
})

test('a head that is all of a response has a length from gRPC alone, as with nginx', async () => {
  frames = frame(1, 5, 1, STATUS_200)
  assert.equal((await get(server.port, '/raw')).header('content-length'), null)
  assert.equal((await get(server.port, '/grpc')).header('content-length'), '0')
})

for (const location of ['/raw', '/grpc']) {
  test(`the answer to a HEAD of HTTP/2 ends with its head: ${location}`, async t => {
    frames = frame(1, 5, 1, `${STATUS_200}0f0d0135`)
    const client = await connectedTo(t, front.port)
    const head: Fields = [[':method', 'HEAD'], ...fieldsOf(location).slice(1)]
    client.send(headers(1, head))
    await client.response(1)
    const own = client.frames.filter(({ stream, type }) => stream === 1 && type !== 'WINDOW_UPDATE')
    assert.deepEqual(
      own.map(({ type, flags }) => [type, flags & 1]),
      [['HEADERS', 1]],
    )
    assert.equal(client.answer(1).fields.get('content-length'), '5')
  })
}

for (const [name, answer, problem] of faults) {
  test(`what an upstream must not send before its answer: ${name}`, async () => {
    const before = server.errorLog().length
    frames = answer
    assert.equal((await get(server.port, '/raw')).status, 502)
    await eventually(() => assert.match(server.errorLog().slice(before), problem) ?? true)
  })
}

const lateFaults: readonly (readonly [name: string, frames: string, problem: RegExp])[] = [
  [
    'more than was announced',
    frame(1, 4, 1, `${STATUS_200}0f0d0131`) + frame(0, 1, 1, '6161'),
    /larger than indicated/,
  ],
  [
    'less than was announced',
    frame(1, 4, 1, `${STATUS_200}0f0d0133`) + frame(0, 1, 1, '61'),
    /prematurely closed stream/,
  ],
  [
    'trailers that are not the end',
    frame(1, 4, 1, STATUS_200) + frame(1, 4, 1, '5f0161'),
    /trailer without end stream/,
  ],
  [
    'pseudo-fields as trailers',
    frame(1, 4, 1, STATUS_200) + frame(1, 5, 1, STATUS_200),
    /invalid trailer ":status: 200"/,
  ],
  [
    'padding longer than the frame',
    frame(1, 4, 1, STATUS_200) + frame(0, 9, 1, '0561'),
    /too long padding: 5 in frame 1/,
  ],
  ['data of another stream', frame(1, 4, 1, STATUS_200) + frame(0, 1, 5, '61'), /data frame for unknown stream 5/],
  [
    'a reset',
    frame(1, 4, 1, STATUS_200) + frame(0, 0, 1, '61') + frame(3, 0, 1, '00000002'),
    /rejected request with error 2/,
  ],
]

for (const [name, wrong, problem] of lateFaults) {
  test(`what an upstream must not send within its answer: ${name}`, async () => {
    const before = server.errorLog().length
    frames = wrong
    const socket = net.connect(server.port, '127.0.0.1')
    let answer = ''
    socket.on('data', chunk => void (answer += chunk.toString('latin1')))
    socket.on('error', () => {})
    socket.write('GET /raw HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
    await new Promise(resolve => socket.on('close', resolve))
    assert.doesNotMatch(answer, /\r\n0\r\n\r\n$/)
    await eventually(() => assert.match(server.errorLog().slice(before), problem) ?? true)
  })
}

test('pings are answered, settings acknowledged, unknown frames passed over, padding dropped', async () => {
  frames =
    frame(6, 0, 0, '0102030405060708') +
    frame(4, 0, 0, '000400000005') +
    frame(99, 255, 1, 'abcd') +
    frame(1, 0x2c, 1, `020000000010${STATUS_200}0000`) +
    frame(0, 8, 1, '03616263000000') +
    frame(6, 0, 0, '0102030405060708') +
    frame(0, 1, 1, '')
  assert.equal((await get(server.port, '/raw')).text, 'abc')
})

test('an upstream that says nothing is given up', async () => {
  frames = ''
  assert.equal((await get(server.port, '/raw')).status, 504)
})
