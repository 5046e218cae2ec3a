import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import test from 'node:test'
import { DONE, httpModule } from '../../../src/http/module.ts'
import { LAST, respond, sendHead } from '../../../src/http/output.ts'
import { readRequestBody } from '../../../src/http/request-body.ts'
import { LOCATION } from '../../../src/config/directive.ts'
import { flag } from '../../../src/config/values.ts'
import type { HttpRequest } from '../../../src/http/request.ts'
import { eventually } from '../../helpers/eventually.ts'
import { serveHttp } from '../../helpers/http.ts'
import { raw } from '../../helpers/raw.ts'

/** Answers with what it received: the body, or its length when it is on disk. */
const echo = httpModule({
  name: 'echo',
  directives: { echo: flag(LOCATION, false), echo_stream: flag(LOCATION, false) },
  compile(conf, at) {
    if (conf.echo) at.content(r => readRequestBody(r, answerBody), null)
    if (conf.echo_stream) at.content(streamThree, null)
  },
})

function answerBody(r: HttpRequest): void {
  const { body } = r
  if (body === null) respond(r, 200, 'text/plain', 'no body')
  else if (body.path !== '')
    respond(r, 200, 'text/plain', `${body.length} on disk, trailers ${body.trailers.join(' ')}`)
  else respond(r, 200, 'text/plain', Buffer.from(body.bytes()))
}

function streamThree(r: HttpRequest): number {
  r.status = 200
  r.contentType = 'text/plain'
  sendHead(r)
  r.out.write(r, Buffer.from('one '), 0)
  setImmediate(() => {
    r.out.write(r, Buffer.from('two '), 0)
    setImmediate(() => r.out.write(r, Buffer.from('three'), LAST))
  })
  return DONE
}

const conf = `
  location / { return 200 'hello'; }
  location /echo { echo on; client_body_buffer_size 1k; client_max_body_size 10k; }
  location /big { echo on; client_max_body_size 0; }
  location /stream { echo_stream on; }
  location /gone { return 404; }
  location /moved { return 301 /x; }
  location /elsewhere { rewrite ^ /x redirect; }
`
const start = (t: Parameters<typeof serveHttp>[0], http = '') => serveHttp(t, conf, http, { modules: [echo] })

test('keep-alive: one connection carries many requests', async t => {
  const { port } = await start(t)
  const client = await raw(t, port)
  for (let i = 0; i < 3; i++) {
    const response = await client.request()
    assert.equal(response.status, 200)
    assert.equal(response.text, 'hello')
    assert.equal(response.header('connection'), 'keep-alive')
  }
})

test('pipelined requests are answered in order, whole or split anywhere', async t => {
  const { port } = await start(t)
  const bytes =
    'GET /a HTTP/1.1\r\nHost: x\r\n\r\n' +
    'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc' +
    'POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n' +
    'GET /stream HTTP/1.1\r\nHost: x\r\n\r\n' +
    'GET /gone HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'
  for (const size of [bytes.length, 1, 7, 40]) {
    const client = await raw(t, port)
    for (let at = 0; at < bytes.length; at += size) await client.send(bytes.slice(at, at + size))
    const bodies: string[] = []
    for (let i = 0; i < 4; i++) bodies.push((await client.response()).text)
    assert.deepEqual(bodies, ['hello', 'abc', 'def', 'one two three'])
    assert.equal((await client.response()).status, 404)
    await client.closed()
  }
})

test('HTTP/1.0 is closed after the answer unless keep-alive is asked for, and never sees chunks', async t => {
  const { port } = await start(t)
  const plain = await raw(t, port)
  await plain.send('GET / HTTP/1.0\r\n\r\n')
  const response = await plain.response()
  assert.equal(response.header('connection'), 'close')
  await plain.closed()
  const kept = await raw(t, port)
  await kept.send('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
  assert.equal((await kept.response()).header('connection'), 'keep-alive')
  await kept.send('GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n')
  const streamed = await kept.response()
  assert.equal(streamed.header('transfer-encoding'), null)
  assert.equal(streamed.text, 'one two three')
  await kept.closed()
})

test('HEAD gets the head of the answer and no body', async t => {
  const { port } = await start(t)
  const client = await raw(t, port)
  const response = await client.request({ method: 'HEAD' })
  assert.equal(response.header('content-length'), '5')
  const streamed = await client.request({ method: 'HEAD', path: '/stream' })
  assert.deepEqual([streamed.status, streamed.header('transfer-encoding'), streamed.text], [200, null, ''])
  assert.equal((await client.request()).text, 'hello')
})

test('Expect: 100-continue is answered before the body is read, and not before a refusal', async t => {
  const { port } = await start(t)
  const client = await raw(t, port)
  await client.send('POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n')
  assert.equal((await client.response()).status, 100)
  await client.send('abc')
  assert.equal((await client.response()).text, 'abc')
  await client.send('POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 300000\r\n\r\n')
  assert.equal((await client.response()).status, 413)
})

test('Expect: 100-continue: a body that has come unasked is no reason to close, one that is not wanted is', async t => {
  const { port } = await start(t)
  const expecting = (path: string) =>
    `POST ${path} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n`
  const client = await raw(t, port)
  for (const [path, status] of [
    ['/gone', 404],
    ['/elsewhere', 302],
  ] as const) {
    await client.send(`${expecting(path)}abc`)
    const response = await client.response()
    assert.deepEqual([response.status, response.header('connection')], [status, 'keep-alive'], path)
  }
  await client.send(expecting('/moved'))
  assert.equal((await client.response()).status, 100)
  assert.equal((await client.response()).status, 301)
  await client.send(`abc${expecting('/elsewhere')}`)
  const response = await client.response()
  assert.deepEqual([response.status, response.header('connection')], [302, 'close'])
})

test('a body beyond client_body_buffer_size goes to a temporary file, which is gone afterwards', async t => {
  const { port, dir } = await start(t)
  const client = await raw(t, port)
  assert.equal(
    (await client.request({ method: 'POST', path: '/echo', body: 'x'.repeat(5000) })).text,
    '5000 on disk, trailers ',
  )
  await client.send(
    `POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1388\r\n${'y'.repeat(5000)}\r\n0\r\nX-Sum: 7\r\n\r\n`,
  )
  assert.equal((await client.response()).text, '5000 on disk, trailers X-Sum 7')
  await eventually(() => readdirSync(`${dir}/client_body_temp`).length === 1)
})

test('a body that is little larger than client_body_buffer_size stays in memory', async t => {
  const { port } = await start(t)
  const client = await raw(t, port)
  const body = 'x'.repeat(1200)
  assert.equal((await client.request({ method: 'POST', path: '/echo', body })).text, body)
})

test('client_max_body_size: declared or chunked, the body is refused with 413 and the connection closed', async t => {
  const { port } = await start(t)
  const declared = await raw(t, port)
  assert.equal((await declared.request({ method: 'POST', path: '/echo', body: 'x'.repeat(20000) })).status, 413)
  await declared.closed()
  const chunked = await raw(t, port)
  await chunked.send(
    `POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n${'x'.repeat(20000)}\r\n0\r\n\r\n`,
  )
  assert.equal((await chunked.response()).status, 413)
  await chunked.closed()
})

test('a body nobody reads is dropped and the connection goes on', async t => {
  const { port } = await start(t)
  const client = await raw(t, port)
  assert.equal((await client.request({ method: 'POST', body: 'x'.repeat(300000) })).text, 'hello')
  assert.equal((await client.request()).text, 'hello')
})

test('absolute-form targets choose the server and are cut down to the path', async t => {
  const { port } = await serveHttp(t, `server_name a; location / { return 200 "$host $uri $request_uri"; }`, '')
  const client = await raw(t, port)
  await client.send('GET http://a.test/x?y HTTP/1.1\r\nHost: b\r\n\r\n')
  assert.equal((await client.response()).text, 'a.test /x /x?y')
})

test('a message that could be read in two ways is refused with 400 and the connection closed', async t => {
  const { port } = await start(t)
  const cases = [
    'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc',
    'POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\na\r\n0\r\n\r\n',
    'POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n',
    'GET / HTTP/1.1\r\n\r\n',
  ]
  for (const bytes of cases) {
    const client = await raw(t, port)
    await client.send(bytes)
    assert.equal((await client.response()).status, 400, JSON.stringify(bytes))
    await client.closed()
  }
})

test('limits: a long request line is 414, large fields are 400 with nginx’s page', async t => {
  const { port } = await start(t, 'large_client_header_buffers 2 1k;')
  const line = await raw(t, port)
  await line.send(`GET /${'x'.repeat(2000)} HTTP/1.1\r\nHost: x\r\n\r\n`)
  assert.equal((await line.response()).status, 414)
  const field = await raw(t, port)
  await field.send(`GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(2000)}\r\n\r\n`)
  const response = await field.response()
  assert.equal(response.status, 400)
  assert.match(response.text, /Request Header Or Cookie Too Large/)
  await field.closed()
})

test('client_header_timeout: a head that does not come is given up without an answer', async t => {
  const { port } = await start(t, 'client_header_timeout 200ms;')
  const client = await raw(t, port)
  await client.send('GET / HTTP/1.1\r\n')
  assert.equal(await client.closed(), '')
})

test('client_body_timeout: a body that stalls is given up', async t => {
  const { port } = await start(t, 'client_body_timeout 200ms;')
  const client = await raw(t, port)
  await client.send('POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab')
  assert.equal(await client.closed(), '')
})

test('keepalive_timeout and keepalive_requests end idle connections', async t => {
  const impatient = await start(t, 'keepalive_timeout 200ms;')
  const idle = await raw(t, impatient.port)
  assert.equal((await idle.request()).header('connection'), 'keep-alive')
  await idle.closed()
  const { port } = await start(t, 'keepalive_requests 2;')
  const busy = await raw(t, port)
  await busy.request()
  assert.equal((await busy.request()).header('connection'), 'close')
  await busy.closed()
})

test('client_header_buffer_size: what is short enough for the first buffer needs no large one', async t => {
  const taken = async (conf: string): Promise<boolean[]> => {
    const { port } = await start(t, conf)
    const answers: boolean[] = []
    for (const length of [900, 1800, 3900, 4200]) {
      const client = await raw(t, port)
      answers.push((await client.request({ path: `/${'x'.repeat(length)}` })).status !== 414)
    }
    return answers
  }
  assert.deepEqual(await taken('large_client_header_buffers 4 2k;'), [true, true, false, false])
  assert.deepEqual(await taken('client_header_buffer_size 4k; large_client_header_buffers 4 2k;'), [
    true,
    true,
    true,
    false,
  ])
})

test('tcp_nodelay: off leaves the option alone, as the address’s default server says', async t => {
  for (const [conf, wanted] of [
    ['', true],
    ['tcp_nodelay off;', false],
  ] as const) {
    const { http } = await start(t, conf)
    assert.deepEqual(
      http.listens.map(({ runtime }) => runtime.tcpNodelay),
      [wanted],
    )
  }
})

test('send_timeout: a client that takes nothing is cut off', async t => {
  const server = await serveHttp(t, 'send_timeout 300ms; location / { }', '', {
    files: { 'html/big': 'x'.repeat(20_000_000) },
  })
  const client = await raw(t, server.port)
  client.pause()
  await client.send('GET /big HTTP/1.1\r\nHost: x\r\n\r\n')
  await eventually(() =>
    server.errorLog().includes('client timed out (110: Connection timed out) while sending response to client'),
  )
  client.resume()
  assert.ok((await client.closed()).length < 20_000_000)
})

test('lingering_close: a connection whose body is refused midway is read on, cut off at once, or read on in any case', async t => {
  const { port } = await serveHttp(
    t,
    `lingering_timeout 30s; client_max_body_size 1;
     location /on { proxy_pass http://127.0.0.1:1; }
     location /off { proxy_pass http://127.0.0.1:1; lingering_close off; }
     location /always { lingering_close always; return 200; }`,
  )
  const lingers = async (path: string, framing: string): Promise<boolean> => {
    const client = await raw(t, port)
    await client.send(`POST ${path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${framing}`)
    await client.response()
    // A connection that is gone answers a late byte with a reset, and after that none can be sent.
    for (let i = 0; i < 20; i++) {
      const sent = await client.send('x').then(
        () => true,
        () => false,
      )
      if (!sent) return false
      await new Promise(resolve => setTimeout(resolve, 10))
    }
    return true
  }
  const chunked = 'Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n'
  assert.equal(await lingers('/on', chunked), true)
  assert.equal(await lingers('/off', chunked), false)
  assert.equal(await lingers('/always', '\r\n'), true)
})

test('reset_timedout_connection resets a connection whose head is not complete in time', async t => {
  const { port } = await serveHttp(t, 'client_header_timeout 50ms; reset_timedout_connection on;')
  const client = await raw(t, port)
  await client.send('GET / HTTP/1.1\r\nHo')
  await client.closed()
  assert.equal(client.error?.code, 'ECONNRESET')
})
