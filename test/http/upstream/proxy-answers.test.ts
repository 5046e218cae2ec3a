// Nobody may read the same bytes in two ways, the other half of proxy-smuggling.test.ts: what back ends send, what the client
// gets of it, and whether the connection may carry another request.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { eventually, get, origin, raw } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'
import { atEnd } from '../../helpers/scope.ts'

const CHUNKED = 'Transfer-Encoding: chunked\r\n'

interface Answer {
  readonly what: string
  readonly sent: string
  readonly method?: string
  /** '' for an answer that must be cut off. */
  readonly body: string
  readonly status: number
  /** May the connection be used again? */
  readonly reused: boolean
}

const OK = 'HTTP/1.1 200 OK\r\n'
const good = (what: string, sent: string, body: string, reused = true): Answer => ({
  what,
  sent,
  body,
  status: 200,
  reused,
})
const bad = (what: string, sent: string): Answer => ({ what, sent, body: '', status: 502, reused: false })

const answers: readonly Answer[] = [
  good('a length', `${OK}Content-Length: 2\r\n\r\nok`, 'ok'),
  good('chunks', `${OK}${CHUNKED}\r\n2\r\nok\r\n0\r\n\r\n`, 'ok'),
  good('chunks with trailers', `${OK}${CHUNKED}\r\n2\r\nok\r\n0\r\nX: y\r\n\r\n`, 'ok'),
  good('100 first', `HTTP/1.1 100 Continue\r\n\r\n${OK}Content-Length: 2\r\n\r\nok`, 'ok'),
  good(
    '102 and 103 first',
    `HTTP/1.1 102 P\r\n\r\nHTTP/1.1 103 E\r\nLink: x\r\n\r\n${OK}Content-Length: 2\r\n\r\nok`,
    'ok',
  ),
  good(
    'a second answer nobody asked for',
    `${OK}Content-Length: 2\r\n\r\nok${OK}Content-Length: 4\r\n\r\nevil`,
    'ok',
    false,
  ),
  good('bytes behind the last chunk', `${OK}${CHUNKED}\r\n2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n`, 'ok', false),
  good('Connection: close', `${OK}Connection: close\r\nContent-Length: 2\r\n\r\nok`, 'ok', false),
  good('HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok', 'ok', false),
  bad('a length and a coding', `${OK}Content-Length: 2\r\n${CHUNKED}\r\n2\r\nok\r\n0\r\n\r\n`),
  bad('a coding and a length', `${OK}${CHUNKED}Content-Length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n`),
  bad('two lengths', `${OK}Content-Length: 2\r\nContent-Length: 3\r\n\r\nok`),
  bad('the same twice', `${OK}Content-Length: 2\r\nContent-Length: 2\r\n\r\nok`),
  bad('a list', `${OK}Content-Length: 2, 2\r\n\r\nok`),
  bad('a sign', `${OK}Content-Length: +2\r\n\r\nok`),
  bad('a negative length', `${OK}Content-Length: -2\r\n\r\nok`),
  bad('an unknown coding', `${OK}Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n`),
  bad('chunked twice', `${OK}${CHUNKED}${CHUNKED}\r\n2\r\nok\r\n0\r\n\r\n`),
  bad('a fold', `${OK}X: a\r\n b\r\nContent-Length: 2\r\n\r\nok`),
  bad('a NUL', `${OK}X: a\0b\r\nContent-Length: 2\r\n\r\nok`),
  bad('a lone CR', `${OK}X: a\rb\r\nContent-Length: 2\r\n\r\nok`),
  bad('a space before the colon', `${OK}Content-Length : 2\r\n\r\nok`),
  bad('101 that nobody asked for', 'HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'),
  bad('no status', 'HTTP/1.1 \r\nContent-Length: 2\r\n\r\nok'),
  bad('a status of two digits', 'HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok'),
  bad('another protocol', 'ICY 200 OK\r\n\r\nok'),
  {
    what: 'HEAD has no body, whatever its length',
    sent: `${OK}Content-Length: 9\r\n\r\n`,
    method: 'HEAD',
    body: '',
    status: 200,
    reused: true,
  },
  { what: 'HEAD has no chunks', sent: `${OK}${CHUNKED}\r\n`, method: 'HEAD', body: '', status: 200, reused: true },
  {
    what: 'a body after HEAD is not an answer',
    sent: `${OK}Content-Length: 2\r\n\r\nok`,
    method: 'HEAD',
    body: '',
    status: 200,
    reused: false,
  },
  { what: '204 has no body', sent: 'HTTP/1.1 204 N\r\nContent-Length: 9\r\n\r\n', body: '', status: 204, reused: true },
  {
    what: '204 with chunks has none either',
    sent: `HTTP/1.1 204 N\r\n${CHUNKED}\r\n`,
    body: '',
    status: 204,
    reused: true,
  },
  { what: '304 has no body', sent: 'HTTP/1.1 304 N\r\nContent-Length: 9\r\n\r\n', body: '', status: 304, reused: true },
  {
    what: '304 with one all the same',
    sent: 'HTTP/1.1 304 N\r\nContent-Length: 2\r\n\r\nok',
    body: '',
    status: 304,
    reused: false,
  },
]

test('answers are measured in one way, and a connection with a doubt on it is not used again', async t => {
  for (const { what, sent, method = 'GET', body, status, reused } of answers) {
    await t.test(what, async t => {
      const second = `${OK}Content-Length: 6\r\n\r\nsecond`
      const back = await origin(t, request => (request.target === '/first' ? sent : second))
      const server = await serveHttp(
        t,
        'location / { proxy_pass http://back; }',
        `upstream back { server ${back.path}; }`,
      )
      const client = await raw(t, server.port)
      const first = await client.request({ method, path: '/first' })
      assert.equal(first.status, status)
      if (status !== 502) assert.equal(first.text, body)
      const next = await client.request({ path: '/second' })
      assert.equal(next.text, 'second')
      assert.equal(back.requests.at(-1)!.connection, reused ? 0 : 1)
    })
  }
})

test('bytes on an idle connection to a back end are nobody’s answer', async t => {
  const back = await origin(t, (request, socket) => {
    if (request.target !== '/first') return `${OK}Content-Length: 6\r\n\r\nsecond`
    socket.write(`${OK}Content-Length: 2\r\n\r\nok`)
    setTimeout(() => socket.write(`${OK}Content-Length: 4\r\n\r\nevil`), 20)
    return undefined
  })
  const server = await serveHttp(t, 'location / { proxy_pass http://back; }', `upstream back { server ${back.path}; }`)
  const client = await raw(t, server.port)
  assert.equal((await client.request({ path: '/first' })).text, 'ok')
  await eventually(() => back.open.size === 0)
  assert.equal((await client.request({ path: '/second' })).text, 'second')
})

test('an answer that comes before the request has gone leaves no half request on a connection that is used again', async t => {
  let connections = 0
  const early = net.createServer(socket => {
    connections++
    socket.on('error', () => {})
    socket.once('data', () => socket.write('HTTP/1.1 413 Too large\r\nContent-Length: 0\r\n\r\n'))
  })
  await new Promise<void>(resolve => early.listen(0, '127.0.0.1', resolve))
  atEnd(t, () => void early.close())
  const { port } = early.address() as net.AddressInfo
  const server = await serveHttp(
    t,
    'location / { proxy_pass http://early; proxy_request_buffering off; }',
    `upstream early { server 127.0.0.1:${port}; }`,
  )
  for (let turn = 1; turn <= 2; turn++) {
    const client = await raw(t, server.port)
    await client.send('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\nsome')
    assert.equal((await client.response()).status, 413)
    assert.equal(connections, turn)
    client.destroy()
  }
})

test('a head of HTTP/1.0 may not be early hints; one of HTTP/2.0 is read as HTTP/1.1', async t => {
  const back = await origin(t, ({ target }) =>
    target === '/hints'
      ? `HTTP/1.0 103 Early\r\n\r\n${OK}Content-Length: 0\r\n\r\n`
      : 'HTTP/2.0 201 Made\r\nContent-Length: 0\r\n\r\n',
  )
  const server = await serveHttp(t, `location / { proxy_pass http://${back.path}; }`)
  assert.equal((await get(server.port, '/hints')).status, 502)
  assert.equal((await get(server.port, '/two')).status, 201)
  const line = 'upstream sent HTTP/1.0 response with early hints while reading response header from upstream'
  assert.ok(server.errorLog().includes(line))
})

test('what goes on with an X-Accel-Redirect does so though it is hidden', async t => {
  const fields = 'X-Accel-Redirect: /there\r\nContent-Type: a/b\r\nSet-Cookie: a=b\r\nX-Other: c\r\n'
  const back = await origin(t, `${OK}${fields}Content-Length: 0\r\n\r\n`)
  const server = await serveHttp(
    t,
    `location / { proxy_pass http://${back.path}; proxy_hide_header Content-Type; proxy_hide_header Set-Cookie; }
     location = /there { return 200 there; }`,
  )
  const response = await get(server.port)
  const seen = ['content-type', 'set-cookie', 'x-other'].map(name => response.header(name))
  assert.deepEqual([response.text, ...seen], ['there', 'a/b', 'a=b', null])
})

test('a response whose upstream has gone too soon counts as complete, a nonsensical one does not', async t => {
  const back = await origin(t, ({ target }, socket) => {
    socket.end(target === '/short' ? `${OK}Content-Length: 9\r\n\r\nshort` : `${OK}${CHUNKED}\r\n1\r\nx\r\nzz\r\n`)
  })
  const server = await serveHttp(
    t,
    `location / { proxy_pass http://${back.path}; access_log log/a.log ended; }`,
    "log_format ended '$uri <$request_completion>';",
    { files: { 'log/x': '' } },
  )
  for (const path of ['/short', '/bad']) {
    const client = await raw(t, server.port)
    await client.send(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`)
    await client.closed()
  }
  const logged = (): string => readFileSync(join(server.dir, 'log/a.log'), 'latin1')
  await eventually(() => logged() === '/short <OK>\n/bad <>\n')
})

test('an address to come from that is none is told once, before there is an upstream', async t => {
  const back = await origin(t, `${OK}Content-Length: 0\r\n\r\n`)
  const server = await serveHttp(t, `location / { proxy_pass http://${back.path}; proxy_bind $arg_from; }`)
  await get(server.port, '/?from=nowhere')
  const lines = server
    .errorLog()
    .split('\n')
    .filter(line => line.includes('invalid local address "nowhere"'))
  assert.equal(lines.length, 1)
  assert.doesNotMatch(lines[0]!, /upstream/)
})

test('a cache is known by its name wherever that is said', async t => {
  await assert.rejects(serveHttp(t, 'proxy_cache none;'), /"proxy_cache" zone "none" is unknown/)
  await assert.rejects(serveHttp(t, '', 'fastcgi_cache none;'), /"fastcgi_cache" zone "none" is unknown/)
})
