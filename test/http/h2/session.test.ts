import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get as getHttp1, origin, raw, reply } from '../../helpers/index.ts'
import type { OriginRequest } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'
import {
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
} from '../../helpers/http2.ts'

function header(request: OriginRequest, name: string): string | undefined {
  return request.headers.find(([known]) => known.toLowerCase() === name)?.[1]
}

const PLAIN =
  'http2 on; location / { return 200 "$http2 $server_protocol $request|$host $http_host|$http_cookie|$http_x_a"; }'

test('http2: a client with prior knowledge is served next to one of HTTP/1', async t => {
  const { port } = await serveHttp(t, PLAIN)
  const client = await http2(t, port)
  client.send(
    headers(
      1,
      get('/x?y', [
        ['cookie', 'a=1'],
        ['x-a', 'b'],
        ['cookie', 'c=2'],
      ]),
    ),
  )
  const answer = await client.response(1)
  assert.equal(answer.status, 200)
  assert.equal(answer.body, 'h2c HTTP/2.0 GET /x?y HTTP/2.0|localhost localhost|a=1; c=2|b')
  assert.equal(answer.fields.get('content-length'), `${answer.body.length}`)
  assert.equal(answer.fields.get('connection'), undefined)
  const http1 = await getHttp1(port, '/x')
  assert.match(http1.text, /^ HTTP\/1\.1 GET \/x HTTP\/1\.1\|/)
})

test('http2: a preface may come byte by byte, and what only begins like one is HTTP/1', async t => {
  const { port } = await serveHttp(t, PLAIN)
  const client = await connectHttp2(t, port)
  const bytes = Buffer.concat([Buffer.from(PREFACE), settings(), frame(4, 1, 0), headers(1, get())])
  for (const byte of bytes) client.send(Buffer.from([byte]))
  assert.equal((await client.response(1)).status, 200)
  const other = await raw(t, port)
  await other.send('PRI * HTTP/2.0\r\n\r\nXX')
  assert.equal((await other.response()).status, 400)
})

test('http2: without the directive the preface is a bad request', async t => {
  const { port } = await serveHttp(t, 'location / { return 200; }')
  const client = await raw(t, port)
  await client.send(PREFACE)
  assert.equal((await client.response()).status, 400)
})

test('http2: a server that has it switched off answers 421 to whoever came for another', async t => {
  const { port } = await serveHttp(t, 'http2 on; return 200; } server { listen %PORT%; server_name other; return 200;')
  const client = await http2(t, port)
  client.send(headers(1, [...get().slice(0, 3), [':authority', 'other']]))
  assert.equal((await client.response(1)).status, 421)
})

test('http2: a file larger than the windows comes as they are opened, one frame of each stream in turn', async t => {
  // No piece of it is like another.
  const big = Buffer.from(Array.from({ length: 40_000 }, (_, i) => String(i).padStart(5, '0')).join(''))
  const { port } = await serveHttp(t, 'http2 on; root html;', '', { files: { 'html/a': big, 'html/b': big } })
  const client = await http2(t, port, 4, 1000)
  client.send(headers(1, get('/a')), headers(3, get('/b')))
  await client.until(
    () => client.answer(1).body.length === 1000 && client.answer(3).body.length === 1000,
    'two windows',
  )
  client.send(windowUpdate(0, 1_000_000), windowUpdate(1, 1_000_000), windowUpdate(3, 1_000_000))
  const [a, b] = [await client.response(1), await client.response(3)]
  assert.ok(a.body === big.toString() && b.body === big.toString())
  const order = client.frames.filter(({ type }) => type === 'DATA').map(({ stream }) => stream)
  assert.ok(order.indexOf(3) < order.lastIndexOf(1))
})

test('http2: HEAD, 204 and empty answers end with their head', async t => {
  const { port } = await serveHttp(
    t,
    'http2 on; location / { return 204; } location /e { return 200 ""; } location /f { root html; }',
    '',
    {
      files: { 'html/f': 'text' },
    },
  )
  const client = await http2(t, port)
  const head = get('/f').map(([name, value]) => [name, name === ':method' ? 'HEAD' : value] as const)
  client.send(headers(1, get('/')), headers(3, get('/e')), headers(5, head))
  for (const id of [1, 3, 5]) {
    await client.response(id)
    assert.deepEqual(
      client.frames.filter(({ stream }) => stream === id).map(({ type, flags }) => [type, flags & END_STREAM]),
      [['HEADERS', END_STREAM]],
    )
  }
  assert.equal(client.answer(5).fields.get('content-length'), '4')
})

test('http2: a body is collected and passed on, with its length or without', async t => {
  const back = await origin(t, request =>
    reply(`${request.method} ${header(request, 'content-length')} ${request.body.length}`),
  )
  const { port } = await serveHttp(
    t,
    `http2 on; client_body_buffer_size 1k; location / { proxy_pass http://127.0.0.1:${back.port}; }`,
  )
  const client = await http2(t, port)
  client.send(
    headers(1, post('/', [['content-length', '5']]), END_HEADERS),
    frame(0, 0, 1, 'he'),
    frame(0, 1, 1, 'llo'),
  )
  assert.equal((await client.response(1)).body, 'POST 5 5')
  const long = 'x'.repeat(16000)
  client.send(headers(3, post(), END_HEADERS))
  for (let i = 0; i < 10; i++) {
    await client.until(() => i < 4 || client.frames.some(f => f.type === 'WINDOW_UPDATE' && f.stream === 3), 'a window')
    client.send(frame(0, 0, 3, long))
  }
  client.send(headers(3, [['x-sum', '1']]))
  const answer = await client.response(3)
  assert.equal(answer.body, 'POST 160000 160000')
})

test('http2: a body is padded, and padding is no part of it', async t => {
  const back = await origin(t, request => reply(request.text))
  const { port } = await serveHttp(t, `http2 on; location / { proxy_pass http://127.0.0.1:${back.port}; }`)
  const client = await http2(t, port)
  client.send(headers(1, post(), END_HEADERS), frame(0, 8 | 1, 1, '\x03hello\0\0\0'))
  assert.equal((await client.response(1)).body, 'hello')
})

test('http2: a body nobody has asked for is held back to http2_body_preread_size', async t => {
  const { port } = await serveHttp(t, 'http2 on; http2_body_preread_size 100; location / { return 200; }')
  const client = await connectHttp2(t, port)
  client.send(PREFACE, settings())
  const { payload } = await client.frame('SETTINGS')
  assert.equal(payload.readUInt16BE(6), 4)
  assert.equal(payload.readUInt32BE(8), 100)
})

test('http2: bodies that are too large, too long or too short are refused', async t => {
  const { port } = await serveHttp(
    t,
    'http2 on; client_max_body_size 10; location / { proxy_pass http://%PORT%/x; } location /x { return 200 ok; }',
  )
  const client = await http2(t, port)
  client.send(headers(1, post('/', [['content-length', '11']]), END_HEADERS))
  assert.equal((await client.response(1)).status, 413)
  client.send(headers(3, post(), END_HEADERS), frame(0, 1, 3, 'x'.repeat(11)))
  assert.equal((await client.response(3)).status, 413)
  client.send(headers(5, post('/', [['content-length', '2']]), END_HEADERS), frame(0, 1, 5, 'xxx'))
  client.send(headers(7, post('/', [['content-length', '2']]), END_HEADERS), frame(0, 1, 7, 'x'))
  for (const stream of [5, 7]) {
    assert.equal((await client.response(stream)).status, 400)
    assert.equal(
      (await client.until(() => client.frames.find(f => f.type === 'RST_STREAM' && f.stream === stream), 'a reset'))
        .code,
      1,
    )
  }
  client.send(headers(9, post('/', [['content-length', '2']]), END_HEADERS), frame(0, 1, 9, 'xx'))
  assert.equal((await client.response(9)).status, 200)
})

for (const [what, fields] of [
  ['no :method', get().slice(1)],
  ['no :path', get().filter(([name]) => name !== ':path')],
  ['an empty :path', get('')],
  ['a :path with a space', get('/a b')],
  ['two :path', [[':path', '/'], ...get()]],
  ['an unknown pseudo-header', [[':x', 'y'], ...get()]],
  ['a pseudo-header behind a field', [...get(), ['x', 'y'], [':path', '/']]],
  ['a name in upper case', get('/', [['X-A', 'b']])],
  ['a line break in a value', get('/', [['x-a', 'b\r\nc: d']])],
  ['Connection', get('/', [['connection', 'close']])],
  ['Transfer-Encoding', get('/', [['transfer-encoding', 'chunked']])],
  ['Upgrade', get('/', [['upgrade', 'h2c']])],
  ['TE with more than trailers', get('/', [['te', 'gzip']])],
  ['a Host that contradicts :authority', get('/', [['host', 'other']])],
  ['neither Host nor :authority', get().slice(0, 3)],
  [
    'two Content-Length',
    get('/', [
      ['content-length', '0'],
      ['content-length', '0'],
    ]),
  ],
] as const) {
  test(`http2: a request with ${what} is answered 400 and its stream reset; the connection goes on`, async t => {
    const { port } = await serveHttp(t, PLAIN)
    const client = await http2(t, port)
    client.send(headers(1, fields))
    await client.until(() => client.frames.find(f => f.type === 'RST_STREAM' && f.code === 1), 'a reset')
    assert.equal(client.answer(1).status, 400)
    client.send(headers(3, get()))
    assert.equal((await client.response(3)).status, 200)
  })
}

test('http2: names that directives do not allow are dropped, as over HTTP/1', async t => {
  const { port } = await serveHttp(t, PLAIN)
  const client = await http2(t, port)
  client.send(
    headers(
      1,
      get('/', [
        ['x_a', 'no'],
        ['x.a', 'no'],
        ['x-a', 'yes'],
      ]),
    ),
  )
  assert.match((await client.response(1)).body, /\|yes$/)
})

test('http2: an upstream gets spelled fields and no pseudo-headers', async t => {
  const back = await origin(t, request => reply(JSON.stringify(request.headers), { Connection: 'close', 'X-B': 'c' }))
  const { port } = await serveHttp(t, `http2 on; location / { proxy_pass http://127.0.0.1:${back.port}; }`)
  const client = await http2(t, port)
  client.send(
    headers(
      1,
      get('/', [
        ['x-a', 'b'],
        ['te', 'trailers'],
      ]),
    ),
  )
  const answer = await client.response(1)
  assert.deepEqual(answer.fields.get('x-b'), 'c')
  assert.equal(answer.fields.has('connection'), false)
  const told = new Map(JSON.parse(answer.body) as [string, string][])
  assert.equal(told.get('x-a'), 'b')
  assert.ok([...told.keys()].every(name => !name.startsWith(':')))
})

test('http2: trailers follow a response', async t => {
  const { port } = await serveHttp(t, 'http2 on; location / { add_trailer X-Sum $bytes_sent; return 200 text; }')
  const client = await http2(t, port)
  client.send(headers(1, get()))
  const answer = await client.response(1)
  assert.equal(answer.body, 'text')
  assert.ok(answer.trailers.has('x-sum'))
})

test('http2: early hints go ahead of the answer', async t => {
  const back = await origin(t, (_request, socket) => {
    socket.write('HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n')
    return reply('late')
  })
  const { port } = await serveHttp(
    t,
    `http2 on; early_hints $http2; location / { proxy_pass http://127.0.0.1:${back.port}; }`,
  )
  const client = await http2(t, port)
  client.send(headers(1, get()))
  const answer = await client.response(1)
  assert.deepEqual(answer.interim, [
    [
      [':status', '103'],
      ['link', '</a.css>'],
    ],
  ])
  assert.equal(answer.body, 'late')
})

test('http2: keepalive_requests are answered, then GOAWAY and the end', async t => {
  const { port } = await serveHttp(t, `keepalive_requests 2; ${PLAIN}`)
  const client = await http2(t, port)
  client.send(headers(1, get()), headers(3, get()))
  assert.equal((await client.response(3)).status, 200)
  assert.equal(await client.goodbye(), 0)
})

test('http2: an idle connection is told GOAWAY after keepalive_timeout', async t => {
  const { port } = await serveHttp(t, `keepalive_timeout 500ms; ${PLAIN}`)
  const client = await http2(t, port)
  client.send(headers(1, get()))
  await client.response(1)
  assert.equal(await client.goodbye(), 0)
})

test('http2: half a head costs the stream, half a body too, and nothing in time the connection', async t => {
  const { port } = await serveHttp(
    t,
    'http2 on; client_header_timeout 1s; client_body_timeout 1s; location / { proxy_pass http://%PORT%/x; } location /x { return 200; }',
  )
  const client = await http2(t, port)
  const half = headers(1, get())
  client.send(half.subarray(0, 20))
  assert.equal((await client.frame('RST_STREAM')).code, 1)
  client.send(half.subarray(20), headers(3, post(), END_HEADERS), frame(0, 0, 3, 'x'))
  assert.equal((await client.response(3)).reset, 1)
  const silent = await connectHttp2(t, port)
  silent.send(PREFACE.slice(0, 10))
  await silent.closed()
})

test('http2: a client that opens no window is given up after send_timeout', async t => {
  const { port } = await serveHttp(t, 'http2 on; send_timeout 500ms; root html;', '', {
    files: { 'html/a': 'x'.repeat(1000) },
  })
  const client = await http2(t, port, 4, 10)
  client.send(headers(1, get('/a')))
  const answer = await client.response(1)
  assert.equal(answer.body.length, 10)
  assert.equal(answer.reset, 1)
})

test('http2: a client that resets its stream is logged with 499, and its upstream let go', async t => {
  let gone = 0
  const back = await origin(t, (_request, socket) => {
    socket.once('close', () => gone++)
  })
  const server = await serveHttp(
    t,
    `http2 on; access_log logs/a; location / { proxy_pass http://127.0.0.1:${back.port}; }`,
  )
  const client = await http2(t, server.port)
  client.send(headers(1, get()))
  await eventually(() => back.requests.length === 1)
  client.send(frame(3, 0, 1, uint32(8)))
  await eventually(() => gone === 1)
  await eventually(() => readFileSync(join(server.dir, 'logs/a'), 'latin1').includes('"GET / HTTP/2.0" 499 0'))
})

test('http2: what a client did not let come, or would not wait for, is neither counted nor complete in the log', async t => {
  const server = await serveHttp(
    t,
    'http2 on; root html; access_log logs/a counts;',
    'log_format counts "$uri $body_bytes_sent $bytes_sent [$request_completion]";',
    { files: { 'html/a': 'x'.repeat(1000), 'html/b': 'x'.repeat(300) } },
  )
  const client = await http2(t, server.port, 4, 400)
  client.send(headers(1, get('/b')))
  await client.response(1)
  client.send(headers(3, get('/a')))
  await client.until(() => client.answer(3).body.length === 400, 'as much as the window takes')
  client.send(frame(3, 0, 3, uint32(8)))
  const heads = client.frames.filter(({ type }) => type === 'HEADERS').map(({ payload }) => payload.length + 9)
  const sent = `/b 300 ${heads[0]! + 309} [OK]\n/a 400 ${heads[1]! + 409} []\n`
  await eventually(() => readFileSync(join(server.dir, 'logs/a'), 'latin1') === sent)
})

test('http2: a body is refused from who has not agreed to how little of it may come unasked', async t => {
  const back = await origin(t, request => reply(request.text))
  const proxy = `location / { proxy_pass http://127.0.0.1:${back.port}; }`
  const { port } = await serveHttp(t, `http2 on; http2_body_preread_size 100; ${proxy}`)
  const client = await connectHttp2(t, port)
  client.send(PREFACE, settings(), headers(1, post(), END_HEADERS), headers(3, get()))
  assert.equal((await client.response(1)).reset, 7)
  assert.equal((await client.response(3)).status, 200)
  client.send(frame(4, 1, 0), headers(5, post(), END_HEADERS), frame(0, END_STREAM, 5, 'body'))
  assert.equal((await client.response(5)).body, 'body')
})

test('http2: a body beyond client_body_buffer_size is in a file, were it by a byte', async t => {
  const back = await origin(t, () => reply('x'))
  const { port } = await serveHttp(
    t,
    `http2 on; client_body_buffer_size 512; location / { proxy_pass http://127.0.0.1:${back.port}; add_header X-F "$request_body_file"; }`,
  )
  const client = await http2(t, port)
  for (const [stream, size, file] of [
    [1, 512, /^$/],
    [3, 513, /client_body_temp/],
  ] as const) {
    const length = ['content-length', `${size}`] as const
    client.send(headers(stream, post('/', [length]), END_HEADERS), frame(0, END_STREAM, stream, 'x'.repeat(size)))
    assert.match((await client.response(stream)).fields.get('x-f') ?? '', file)
  }
})

test('http2: streams beyond http2_max_concurrent_streams are refused', async t => {
  const back = await origin(t, () => {})
  const { port } = await serveHttp(
    t,
    `http2 on; http2_max_concurrent_streams 2; location / { proxy_pass http://127.0.0.1:${back.port}; }`,
  )
  const client = await http2(t, port)
  client.send(headers(1, get()), headers(3, get()), headers(5, get()))
  assert.deepEqual((await client.response(5)).reset, 7)
})

test('http2: DATA frames are no longer than http2_chunk_size', async t => {
  const { port } = await serveHttp(t, 'http2 on; http2_chunk_size 100; root html;', '', {
    files: { 'html/a': 'x'.repeat(250) },
  })
  const client = await http2(t, port)
  client.send(headers(1, get('/a')))
  await client.response(1)
  assert.deepEqual(
    client.frames.filter(f => f.type === 'DATA').map(f => f.payload.length),
    [100, 100, 50],
  )
})

const LONG: Fields = Array.from({ length: 4 }, (_, i) => [`x-${i}`, 'x'.repeat(5000)])

test('http2: a client that has no settings of its own may send longer frames, as nginx takes them', async t => {
  const { port } = await serveHttp(t, PLAIN)
  const client = await connectHttp2(t, port)
  client.send(PREFACE, frame(4, 1, 0), headers(1, get('/', LONG)))
  assert.equal((await client.response(1)).status, 200)
  client.send(settings(), headers(3, get('/', LONG)))
  assert.equal((await client.frame('GOAWAY')).code, 6)
})

test('proxy_ignore_client_abort on: when its upstream fails, too, the request is that of a client that has left', async t => {
  const sockets: Socket[] = []
  const up = await origin(t, (_, socket) => void sockets.push(socket))
  const server = await serveHttp(
    t,
    'http2 on; access_log lines shown; proxy_ignore_client_abort on; location / { proxy_pass http://up; }',
    `upstream up { server ${up.path}; server 127.0.0.1:1 backup; } log_format shown '$uri $status $upstream_status';`,
  )
  const client = await http2(t, server.port)
  client.send(headers(1, get('/a')))
  await eventually(() => sockets.length === 1)
  client.send(frame(3, 0, 1, uint32(8)))
  await eventually(() => server.errorLog().includes('client canceled stream 1'))
  sockets[0]!.destroy()
  await eventually(() => readFileSync(join(server.dir, 'lines'), 'latin1') === '/a 499 -\n')
})

for (const how of ['cancels its stream', 'closes the connection'] as const) {
  test(`proxy_ignore_client_abort on: the request is gone through with when its client ${how}`, async t => {
    let finish = (): void => {}
    const up = await origin(t, (_, socket) => {
      finish = () => void socket.write(reply('late'))
    })
    const server = await serveHttp(
      t,
      `http2 on; access_log lines shown; proxy_ignore_client_abort on; location / { proxy_pass http://${up.path}; }`,
      "log_format shown '$uri $status $upstream_status $body_bytes_sent $request_completion';",
    )
    const lines = (): string => readFileSync(join(server.dir, 'lines'), 'latin1')
    const client = await http2(t, server.port)
    client.send(headers(1, get('/a')))
    await eventually(() => up.requests.length === 1)
    if (how === 'cancels its stream') client.send(frame(3, 0, 1, uint32(8)))
    else client.socket.destroy()
    await eventually(() => /client (?:canceled stream 1|prematurely closed connection)/.test(server.errorLog()))
    assert.equal(lines(), '')
    finish()
    await eventually(() => lines() === '/a 200 200 0 \n')
    if (how === 'closes the connection') return
    // The connection has other streams, and nothing more is said on this one.
    const from = client.frames.length
    client.send(headers(3, get('/b')))
    await eventually(() => up.requests.length === 2)
    finish()
    assert.equal((await client.response(3)).body, 'late')
    assert.ok(client.frames.slice(from).every(({ stream }) => stream !== 1))
  })
}
