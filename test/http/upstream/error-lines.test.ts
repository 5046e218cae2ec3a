// What lines of the error log say beside their message when a request has to do with an upstream: what was being done, the
// subrequest, and who was asked.

import assert from 'node:assert/strict'
import test from 'node:test'
import { eventually, get, origin, reply } from '../../helpers/index.ts'
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

test('an error keeps its Last-Modified, as it is or as a page for another', async t => {
  const date = 'Mon, 02 Jan 2006 15:04:05 GMT'
  const up = await origin(t, reply('x', { 'Last-Modified': date }))
  const server = await serveHttp(
    t,
    `error_page 403 /page; location / { return 403; } location /page { proxy_pass http://${up.path}; }`,
  )
  const response = await get(server.port)
  assert.equal(response.status, 403)
  assert.equal(response.header('last-modified'), date)
})

test('a location within another inherits the default proxy_redirect of the outer proxy_pass', async t => {
  const up = await origin(t, request =>
    reply('', { Location: `http://${request.header('up') ?? request.header('host')}/x` }, '302 Found'),
  )
  const server = await serveHttp(
    t,
    `absolute_redirect off;
     location /a/ { proxy_pass http://${up.path}/; location /a/b/ { proxy_pass http://$http_up; } }
     location /c/ { proxy_pass http://$http_up; }`,
  )
  const location = async (path: string): Promise<string | null> =>
    (await get(server.port, path, { Up: up.path })).header('location')
  assert.equal(await location('/a/'), '/a/x')
  assert.equal(await location('/a/b/'), '/a/x')
  assert.equal(await location('/c/'), `http://${up.path}/x`)
})

test('a name of the server that is asked is made anew for each', async t => {
  const hosts: string[] = []
  const bad = await origin(t, (request, socket) => {
    hosts.push(request.header('x-peer')!)
    socket.end()
  })
  const good = await origin(t, request => reply(request.header('x-peer')!))
  const port = (path: string): string => path.split(':')[1]!
  const server = await serveHttp(
    t,
    'location / { proxy_set_header X-Peer $upstream_last_server_name; proxy_pass http://u; }',
    `upstream u { server 127.0.0.1:${port(bad.path)}; server localhost:${port(good.path)}; }`,
  )
  assert.equal((await get(server.port)).text, 'localhost')
  assert.deepEqual(hosts, ['127.0.0.1'])
})
