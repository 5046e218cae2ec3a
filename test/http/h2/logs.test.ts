// What the logs say of HTTP/2 connections that come to grief, in nginx's words.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { eventually, origin } from '../../helpers/index.ts'
import {
  block,
  connectHttp2,
  END_HEADERS,
  END_STREAM,
  frame,
  get,
  headers,
  http2,
  post,
  PREFACE,
  settings,
  uint32,
  windowUpdate,
  type Fields,
  type Http2Client,
} from '../../helpers/http2.ts'

const WHOLE = END_HEADERS | END_STREAM
const LINES = "log_format t '$status|$request|$http_host|$host';"

const faults: readonly (readonly [frames: Buffer[], says: string])[] = [
  [[frame(5, 0, 1, 'xxxx')], 'client sent PUSH_PROMISE frame'],
  [[frame(9, END_HEADERS, 1, 'x')], 'client sent unexpected CONTINUATION frame'],
  [[windowUpdate(0, 0)], 'client sent WINDOW_UPDATE frame with incorrect window increment 0'],
  [
    [windowUpdate(0, 0x7fffffff)],
    'client violated connection flow control: received WINDOW_UPDATE frame with window increment 2147483647 ' +
      'not allowed for window 65535',
  ],
  [[settings(5, 1)], 'client sent SETTINGS frame with incorrect MAX_FRAME_SIZE value 1'],
  [[frame(4, 1, 0, 'abcdef')], 'client sent SETTINGS frame with the ACK flag and nonzero length'],
  [[frame(4, 0, 1)], 'client sent SETTINGS frame with incorrect identifier'],
  [[frame(6, 0, 0, 'abc')], 'client sent PING frame with incorrect length 3'],
  [[frame(0, 0, 0, 'abc')], 'client sent DATA frame with incorrect identifier'],
  [[headers(2, get())], 'client sent HEADERS frame with incorrect identifier 2, the last was 0'],
  [[frame(1, WHOLE, 1)], 'client sent HEADERS frame with empty header block'],
  [[frame(1, WHOLE | 8, 1, [200, 0x82])], 'client sent padded HEADERS frame with incorrect length: 1, padding: 200'],
  [[frame(1, WHOLE | 32, 1, [0, 0])], 'client sent HEADERS frame with incorrect length 2'],
]

/** A header block that cannot be read belongs to a stream all the same. */
const blocks: readonly (readonly [frames: Buffer[], says: string])[] = [
  [[frame(1, WHOLE, 1, [0xfe])], 'client sent out of bound hpack table index: 64'],
  [[frame(1, WHOLE, 1, [0x80])], 'client sent invalid hpack table index 0'],
  [[frame(1, WHOLE, 1, [0x82, 0x04, 0x84, 255, 255, 255, 255])], 'client sent invalid encoded header field'],
  [[frame(1, WHOLE, 1, [0x82, 0x04, 0x20, 0x2f])], 'client sent header field with incorrect length'],
  [[frame(1, WHOLE, 1, [0x82, 0x04])], 'client sent header block with incorrect length'],
  [[frame(1, WHOLE, 1, [0x3f, 255, 255, 127])], 'client sent invalid table size update: 2097182'],
  [[frame(1, WHOLE, 1, [0x82, 0, 0, 1, 97])], 'client sent zero header name length'],
  [
    [headers(1, get(), END_STREAM), frame(6, 0, 0, '12345678')],
    'client sent inappropriate frame while CONTINUATION was expected',
  ],
  [
    [headers(1, get(), END_STREAM), frame(9, END_HEADERS, 3, block([['a', 'b']]))],
    'client sent CONTINUATION frame with incorrect identifier',
  ],
]

for (const [set, last, line] of [
  [faults, 0, ''],
  [blocks, 1, '000|-|-|\n'],
] as const)
  for (const [frames, says] of set)
    test(`http2 logs: ${says}`, async t => {
      const server = await serveHttp(t, 'http2 on; access_log lines t; return 200 ok;', LINES)
      const client = await http2(t, server.port)
      client.send(...frames)
      const { payload } = await client.frame('GOAWAY')
      await client.closed()
      assert.equal(payload.readUInt32BE(0), last)
      await eventually(() => server.errorLog().includes(`${says} while processing HTTP/2 connection, client: `))
      const lines = (): string => readFileSync(join(server.dir, 'lines'), 'latin1')
      await eventually(() => line === '' || lines() === line)
      if (line === '') assert.equal(lines(), '')
    })

test('http2 logs: a stream that its client ends says why', async t => {
  const up = await origin(t, () => {})
  const server = await serveHttp(t, `http2 on; location / { proxy_pass http://${up.path}; }`)
  const client = await http2(t, server.port)
  for (const [i, code, says] of [
    [0, 8, 'client canceled stream 1'],
    [1, 2, 'client terminated stream 3 due to internal error'],
    [2, 5, 'client terminated stream 5 with status 5'],
  ] as const) {
    const id = 2 * i + 1
    client.send(headers(id, post('/'), END_HEADERS), frame(3, 0, id, uint32(code)))
    await eventually(() => server.errorLog().includes(says))
  }
  client.send(frame(99, 0, 0, 'x'))
  await eventually(() => server.errorLog().includes('client sent frame with unknown type 99 while processing'))
  client.send(headers(7, get()), frame(0, 0, 7, 'x'))
  await eventually(() => server.errorLog().includes('client sent DATA frame for half-closed stream 7'))
})

const LEAVES: readonly (readonly [how: string, says: string, leave: (client: Http2Client) => void])[] = [
  ['cancels', 'client canceled stream 1', client => client.send(frame(3, 0, 1, uint32(8)))],
  [
    'widens its window too far',
    'client violated flow control for stream 1: received WINDOW_UPDATE frame with window increment 2147483647 ' +
      'not allowed for window N while processing HTTP/2 connection',
    client => client.send(windowUpdate(1, 0x7fffffff)),
  ],
  [
    'breaks the protocol',
    'client sent PING frame with incorrect length 1 while processing HTTP/2 connection',
    client => client.send(frame(6, 0, 0, 'x')),
  ],
  [
    'resets the connection',
    'recv() failed (104: Connection reset by peer) while processing HTTP/2 connection',
    client => void client.socket.resetAndDestroy(),
  ],
]

for (const [how, says, leave] of LEAVES)
  test(`http2 logs: a client that ${how} is told of once more by who waits for it, and that is no upstream`, async t => {
    const up = await origin(t, () => {})
    const server = await serveHttp(
      t,
      `http2 on; access_log lines t;
      location /rest { limit_rate 1; return 200 ${'x'.repeat(100)}; }
      location / { proxy_pass http://${up.path}; }`,
      LINES,
    )
    const told = async (opening: Buffer, awaited: (client: Http2Client) => Promise<unknown>): Promise<string[]> => {
      const client = await http2(t, server.port)
      const [log, lines] = [server.errorLog().length, readFileSync(join(server.dir, 'lines')).length]
      client.send(opening)
      await awaited(client)
      leave(client)
      await eventually(() => readFileSync(join(server.dir, 'lines')).length > lines)
      const said = server
        .errorLog()
        .slice(log)
        .matchAll(/\[info\] .*?: \*\d+ (.*?)(?: while sending| while reading|, client: )/g)
      return Array.from(said, ([, text]) => text!.replace(/window \d+ while/, 'window N while'))
    }
    const answered = (client: Http2Client): Promise<unknown> => client.frame('DATA')
    assert.deepEqual(await told(headers(1, get('/rest')), answered), [says, 'client prematurely closed connection'])
    const reading = (client: Http2Client): Promise<unknown> =>
      client.until(() => client.frames.some(({ type, stream }) => type === 'WINDOW_UPDATE' && stream === 1), 'a window')
    assert.deepEqual(await told(headers(1, post('/'), END_HEADERS), reading), [
      says,
      'client prematurely closed stream',
    ])
    const asked = (): Promise<unknown> => eventually(() => up.requests.length > 0)
    assert.deepEqual(await told(headers(1, get('/')), asked), [says])
  })

test('http2 logs: who resets the connection in the midst of a head has a line all the same', async t => {
  const server = await serveHttp(t, 'http2 on; access_log lines t; return 200 ok;', LINES)
  const client = await http2(t, server.port)
  client.send(frame(6, 0, 0, '12345678'), headers(1, get(), END_STREAM))
  await client.frame('PING')
  client.socket.resetAndDestroy()
  await eventually(() => readFileSync(join(server.dir, 'lines'), 'latin1') === '000|-|-|\n')
})

test('http2 logs: who leaves in the midst of a frame is told of, and hears nothing more', async t => {
  const server = await serveHttp(t, 'http2 on; access_log lines t; return 200 ok;', LINES)
  const client = await http2(t, server.port)
  client.send(headers(1, get()).subarray(0, 20))
  client.socket.end()
  await client.closed()
  assert.ok(client.frames.every(({ type }) => type !== 'GOAWAY'))
  await eventually(() =>
    server.errorLog().includes('client prematurely closed connection while processing HTTP/2 connection'),
  )
  await eventually(() => readFileSync(join(server.dir, 'lines'), 'latin1') === '000|-|-|\n')
})

test('http2 logs: a preface that is none', async t => {
  const server = await serveHttp(t, 'http2 on; return 200 ok;')
  const client = await connectHttp2(t, server.port)
  client.send(`${PREFACE.slice(0, -1)}x`)
  await client.closed()
  assert.ok(client.frames.every(({ type }) => type === 'GOAWAY'))
})

test('http2 logs: a refused request has a line as soon as its pseudo-headers are through', async t => {
  const server = await serveHttp(t, 'http2 on; access_log lines t; return 200 ok;', LINES)
  const client = await http2(t, server.port)
  const refused: readonly (readonly [Fields, line: string])[] = [
    [get('no-path'), '-|-|'],
    [get('/', [[':method', 'GET']]), '-|-|localhost'],
    [get('/', [['A', 'b']]), '-|-|localhost'],
    [get('/', [['connection', 'close']]), 'GET / HTTP/2.0|-|localhost'],
    [get('/', [['te', 'gzip']]), 'GET / HTTP/2.0|-|localhost'],
    [get('/', [['host', 'other']]), 'GET / HTTP/2.0|other|localhost'],
    [post('/', [['content-length', 'x']]), 'POST / HTTP/2.0|localhost|localhost'],
    [get('/%00'), '-|localhost|localhost'],
  ]
  for (let i = 0; i < refused.length; i++) {
    client.send(headers(2 * i + 1, refused[i]![0]))
    assert.equal((await client.response(2 * i + 1)).status, 400)
  }
  const expected = refused.map(([, line]) => `400|${line}\n`).join('')
  await eventually(() => readFileSync(join(server.dir, 'lines'), 'latin1') === expected)
})

test('http2: the limits of a head are those of the server it names', async t => {
  const { port } = await serveHttp(
    t,
    'http2 on; return 200 "$http_a_b."; } server { listen %PORT%; server_name named; http2 on; ' +
      'underscores_in_headers on; max_headers 2; return 200 "$http_a_b.";',
  )
  const client = await http2(t, port)
  const named: Fields = [...get().slice(0, 3), [':authority', 'named']]
  client.send(headers(1, get('/', [['a_b', '1']])), headers(3, [...named, ['a_b', '1']]))
  assert.deepEqual([(await client.response(1)).body, (await client.response(3)).body], ['.', '1.'])
  const three: Fields = [
    ['a', ''],
    ['b', ''],
    ['c', ''],
  ]
  client.send(headers(5, [...get(), ...three]), headers(7, [...named, ...three]))
  assert.deepEqual([(await client.response(5)).status, (await client.response(7)).status], [200, 400])
})

test('http2 logs: a body without a length that is too large is told of in one number', async t => {
  const server = await serveHttp(t, 'http2 on; client_max_body_size 10; location / { proxy_pass http://%PORT%; }')
  const client = await http2(t, server.port)
  client.send(headers(1, post(), END_HEADERS), frame(0, 0, 1, '12345678'), frame(0, END_STREAM, 1, '12345678'))
  assert.equal((await client.response(1)).status, 413)
  await eventually(() => server.errorLog().includes('client intended to send too large chunked body: 16 bytes'))
})

test('http2 logs: an answer without a body has neither type nor length', async t => {
  const server = await serveHttp(
    t,
    'http2 on; access_log lines t; default_type text/plain; return 204;',
    "log_format t '$status|$sent_http_content_length|$sent_http_content_type';",
  )
  const client = await http2(t, server.port)
  client.send(headers(1, get()))
  await client.response(1)
  await eventually(() => readFileSync(join(server.dir, 'lines'), 'latin1') === '204|-|-\n')
})
