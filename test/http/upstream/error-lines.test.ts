// What lines of the error log say beside their message when a request has to do with an upstream: what was being done, the
// subrequest, and who was asked.

import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually, get, origin, reply, request } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'

const WHO = 'client: 127.0.0.1, server: '

test('a subrequest is named, between the request and its upstream', async t => {
  const bad = await origin(t, (_, socket) => void socket.end())
  const server = await serveHttp(
    t,
    `location / { auth_request /auth; } location /auth { proxy_pass http://${bad.path}; }`,
  )
  assert.equal((await get(server.port, '/x')).status, 500)
  const line = `upstream prematurely closed connection while reading response header from upstream, ${WHO}, request: "GET /x HTTP/1.1", subrequest: "/auth", upstream: "http://${bad.path}/auth", host: `
  await eventually(() => server.errorLog().includes(line))
})

test('a server that is disabled is told with what failed, before a timeout is', async t => {
  const [silent, other] = [await origin(t, () => {}), await origin(t)]
  const server = await serveHttp(
    t,
    'location / { proxy_pass http://u; proxy_read_timeout 100ms; }',
    `upstream u { server ${silent.path}; server ${other.path}; }`,
  )
  await get(server.port)
  const disabled = 'upstream server temporarily disabled while reading response header from upstream'
  const late = 'upstream timed out (110: Connection timed out) while reading response header from upstream'
  await eventually(() => server.errorLog().includes(late))
  const log = server.errorLog()
  assert.ok(log.includes(disabled) && log.indexOf(disabled) < log.indexOf(late))
})

test('what went wrong elsewhere still tells of the upstream; a named location goes on in its circumstances', async t => {
  const bad = await origin(t, (_, socket) => void socket.end())
  const server = await serveHttp(
    t,
    `location / { proxy_pass http://${bad.path}; error_page 502 /none; } location /none { root none; }
     location /named { proxy_pass http://${bad.path}; error_page 502 @named; } location @named { root none; }`,
  )
  await get(server.port, '/a')
  const asked = (path: string): string =>
    `${WHO}, request: "GET ${path} HTTP/1.1", upstream: "http://${bad.path}${path}"`
  await eventually(() => server.errorLog().includes(`none/none" failed (2: No such file or directory), ${asked('/a')}`))
  await get(server.port, '/named')
  const named = `none/named" failed (2: No such file or directory) while sending to client, ${asked('/named')}`
  await eventually(() => server.errorLog().includes(named))
})

test('a repeated field is told with the one that counts', async t => {
  const up = await origin(t, 'HTTP/1.1 200 OK\r\nETag: "a"\r\nETag: "b"\r\nContent-Length: 0\r\n\r\n')
  const server = await serveHttp(t, `location / { proxy_pass http://${up.path}; }`)
  assert.equal((await get(server.port)).header('etag'), '"a"')
  const line =
    'duplicate header line: "ETag: "b"", previous value: "ETag: "a"", ignored while reading response header from upstream'
  await eventually(() => server.errorLog().includes(line))
})

test('bytes behind a response are told of as its framing has it, and nothing of a body that HEAD did not ask for', async t => {
  const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\nmore'
  const up = await origin(t, ({ method }) => (method === 'HEAD' ? reply('hello') : chunked))
  const server = await serveHttp(t, `location / { proxy_pass http://${up.path}; }`)
  assert.equal((await request({ address: server.port, method: 'HEAD' })).status, 200)
  assert.equal((await get(server.port)).text, 'ok')
  const line = 'upstream sent data after final chunk while reading upstream'
  await eventually(() => server.errorLog().includes(line))
  assert.ok(!server.errorLog().includes('upstream sent more data'))
})

test('who waits in vain for another to fill the cache says so', async t => {
  const up = await origin(t, () => {
    // The first is answered when the second has not waited any longer.
    if (up.requests.length === 2) for (const socket of up.open) socket.write(reply())
  })
  const server = await serveHttp(
    t,
    `location / { proxy_pass http://${up.path}; proxy_cache one; proxy_cache_valid 1m;
       proxy_cache_lock on; proxy_cache_lock_timeout 50ms; }`,
    'proxy_cache_path cache keys_zone=one:1m;',
  )
  const first = get(server.port)
  await eventually(() => up.requests.length === 1)
  const [one, two] = await Promise.all([first, get(server.port)])
  assert.deepEqual([one.status, two.status], [200, 200])
  await eventually(() => server.errorLog().includes('cache lock timeout, client:'))
})
