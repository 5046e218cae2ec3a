// Active health checks: servers that fail them get no requests until they pass again.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import tls from 'node:tls'
import { certificate } from '../../helpers/certificates.ts'
import { atEnd, eventually, get, needs, origin, reply, tempDir } from '../../helpers/index.ts'
import type { Origin, Scope } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'
import type { HttpServer } from '../../helpers/http.ts'

function serveChecked(t: Scope, servers: string, check: string, more = '', location = ''): Promise<HttpServer> {
  return serveHttp(
    t,
    `location /api { api; } location / { proxy_pass http://u; ${location} health_check interval=50ms ${check}; }`,
    `upstream u { zone z 64k; ${servers} } ${more}`,
  )
}

async function peer(server: HttpServer, i = 0): Promise<any> {
  return JSON.parse((await get(server.port, '/api/9/http/upstreams/u')).text).peers[i]
}

/** Its answer to checks is what `health.now` says at the time. */
async function checkedOrigin(t: Scope, name: string): Promise<[Origin, { now: string }]> {
  const health = { now: reply('fine') }
  return [await origin(t, ({ target }) => (target === '/health' ? health.now : reply(name))), health]
}

async function texts(server: HttpServer): Promise<string> {
  const all = new Set<string>()
  for (let i = 0; i < 6; i++) all.add((await get(server.port, '/')).text)
  return [...all].sort().join()
}

test('a server that fails `fails` checks is left alone until it has passed `passes`', async t => {
  const [a, health] = await checkedOrigin(t, 'a')
  const [b] = await checkedOrigin(t, 'b')
  const server = await serveChecked(t, `server ${a.path}; server ${b.path};`, 'uri=/health fails=2 passes=3')
  assert.equal(await texts(server), 'a,b')
  health.now = reply('ill', {}, '500 Internal Server Error')
  await eventually(async () => (await peer(server)).state === 'unhealthy')
  const ill = await peer(server)
  assert.ok(
    ill.health_checks.fails >= 2 && ill.health_checks.unhealthy === 1 && ill.health_checks.last_passed === false,
  )
  assert.equal(await texts(server), 'b')
  assert.match(server.errorLog(), /health check of peer \S+ failed: unexpected status 500 in upstream "u"/)
  health.now = reply('fine')
  await eventually(async () => (await peer(server)).state === 'up')
  assert.equal(await texts(server), 'a,b')
  assert.ok((await peer(server)).downtime > 0)
})

test('what is wrong: refused, closed, silent, no HTTP', async t => {
  const gone = await origin(t)
  await gone.close()
  const closes = await origin(t, (_, socket) => void socket.end())
  const silent = await origin(t, () => {})
  const babbles = await origin(t, 'what?\r\n\r\n')
  const fine = await origin(t, reply('fine', {}, '301 Moved'))
  const all = [gone, closes, silent, babbles, fine]
  const server = await serveChecked(
    t,
    all.map(one => `server ${one.path};`).join(' '),
    '',
    '',
    'proxy_read_timeout 100ms;',
  )
  await eventually(async () => {
    const states = await Promise.all([0, 1, 2, 3, 4].map(async i => (await peer(server, i)).state))
    assert.deepEqual(states, ['unhealthy', 'unhealthy', 'unhealthy', 'unhealthy', 'up'])
    return true
  })
  for (const text of ['Connection refused', 'connection closed prematurely', 'timed out while reading response']) {
    assert.ok(server.errorLog().includes(text), text)
  }
})

test('match: statuses, fields and body must be as the block says', async t => {
  const answers: Readonly<Record<string, string>> = {
    fine: reply('all is well', { 'X-Ready': 'yes', 'Content-Type': 'text/plain' }),
    status: reply('all is well', { 'X-Ready': 'yes', 'Content-Type': 'text/plain' }, '204 No Content'),
    field: reply('all is well', { 'Content-Type': 'text/plain' }),
    value: reply('all is well', { 'X-Ready': 'yes', 'Content-Type': 'text/html' }),
    body: reply('all is ill', { 'X-Ready': 'yes', 'Content-Type': 'text/plain' }),
    absent: reply('all is well', { 'X-Ready': 'yes', 'Content-Type': 'text/plain', 'X-Bad': '1' }),
    chunked:
      'HTTP/1.1 200 OK\r\nX-Ready: yes\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nall \r\n7\r\nis well\r\n0\r\n\r\n',
  }
  const servers: string[] = []
  for (const answer of Object.values(answers)) servers.push(`server ${(await origin(t, answer)).path};`)
  const match =
    'match good { status 200 201-203; header X-Ready; header ! X-Bad; header Content-Type ~* "^TEXT/PLAIN"; body ~ "is (?:well|fine)"; }'
  const server = await serveChecked(t, servers.join(' '), 'match=good', match)
  await eventually(async () => {
    const states = await Promise.all(servers.map(async (_, i) => (await peer(server, i)).state))
    const healthy = Object.keys(answers).filter((_, i) => states[i] === 'up')
    const checks = (await peer(server, 6)).health_checks.checks
    assert.deepEqual([healthy, checks > 0], [['fine', 'chunked'], true])
    return true
  })
})

test('mandatory: no request before the first check has passed', async t => {
  const [a, health] = await checkedOrigin(t, 'a')
  health.now = ''
  const server = await serveChecked(t, `server ${a.path};`, 'uri=/health mandatory', '', 'proxy_read_timeout 2s;')
  assert.equal((await peer(server)).state, 'checking')
  assert.equal((await get(server.port, '/')).status, 502)
  health.now = reply('fine')
  await eventually(async () => (await peer(server)).state === 'up')
  assert.equal((await get(server.port, '/')).status, 200)
})

test('checks say what proxy_set_header says, ask the port they are told, and may keep their connection', async t => {
  const one = await origin(t)
  const other = await origin(t)
  await serveChecked(
    t,
    `server ${one.path};`,
    `port=${other.port} keepalive_time=10s uri=/h`,
    '',
    'proxy_set_header Host checked.example; proxy_set_header X-Check yes; proxy_set_header X-Not $request_uri;',
  )
  await eventually(() => other.requests.length >= 3)
  assert.equal(one.requests.length, 0)
  assert.equal(other.accepted, 1)
  const [asked] = other.requests
  assert.deepEqual(
    [
      asked!.target,
      asked!.header('host'),
      asked!.header('x-check'),
      asked!.header('x-not'),
      asked!.header('connection'),
    ],
    ['/h', 'checked.example', 'yes', null, 'keep-alive'],
  )
})

test('several checks of a group must all pass', async t => {
  const [a, health] = await checkedOrigin(t, 'a')
  const server = await serveHttp(
    t,
    `location /api { api; }
     location / { proxy_pass http://u; health_check interval=50ms; }
     location /x { proxy_pass http://u; health_check interval=50ms uri=/health; }`,
    `upstream u { zone z 64k; server ${a.path}; }`,
  )
  await eventually(async () => (await peer(server)).health_checks.checks > 3)
  assert.equal((await peer(server)).state, 'up')
  health.now = reply('ill', {}, '503 Unavailable')
  await eventually(async () => (await peer(server)).state === 'unhealthy')
  health.now = reply('fine')
  await eventually(async () => (await peer(server)).state === 'up')
})

test('what cannot be meant is refused', async t => {
  const refused = (
    location: string,
    problem: RegExp,
    http = 'upstream u { zone z 64k; server 127.0.0.1:1; }',
  ): Promise<void> => assert.rejects(serveHttp(t, `location / { ${location} }`, http), { message: problem })
  await refused(
    'proxy_pass http://u; health_check;',
    /requires upstream "u" to be in shared memory/,
    'upstream u { server 127.0.0.1:1; }',
  )
  await refused('return 200; health_check;', /needs a "proxy_pass", "grpc_pass" or their like to a group/)
  await refused('proxy_pass http://u; health_check match=none;', /match "none" not found/)
  await refused('proxy_pass http://u; health_check interval=0;', /invalid parameter "interval=0"/)
  await refused('proxy_pass http://u; health_check uri=x;', /invalid parameter "uri=x"/)
  await refused('proxy_pass http://u; health_check persistent;', /"persistent" parameter requires "mandatory"/)
  await refused('proxy_pass http://u; health_check type=grpc;', /"type=grpc" needs a "grpc_pass"/)
  await refused('proxy_pass http://u; health_check type=smtp;', /type "smtp" are not supported/)
  const match = (inside: string): string => `upstream u { zone z 64k; server 127.0.0.1:1; } match m { ${inside} }`
  await refused('return 200;', /invalid status "abc"/, match('status abc;'))
  await refused('return 200;', /unknown directive "what"/, match('what 1;'))
  await refused('return 200;', /invalid operator "\^"/, match('body ^ x;'))
  await refused('return 200;', /pcre2_compile\(\) failed/, match('body ~ "(";'))
})

test('where the location speaks TLS the check does, and minds the certificate', async t => {
  if (!needs(t, 'openssl')) return
  const dir = tempDir(t)
  certificate(dir, 'example.org')
  const [cert, key] = ['crt', 'key'].map(kind => readFileSync(join(dir, `example.org.${kind}`)))
  const names: string[] = []
  const secure = tls.createServer({ cert: cert!, key: key! }, socket => {
    names.push(String(socket.servername))
    socket.on('error', () => {})
    socket.on('data', () => void socket.end(reply('fine')))
  })
  await new Promise<void>(resolve => secure.listen(0, '127.0.0.1', resolve))
  atEnd(t, () => secure.close())
  const { port } = secure.address() as AddressInfo
  const server = await serveHttp(
    t,
    `location /api { api; }
     location / { proxy_pass https://u; proxy_ssl_server_name on; proxy_ssl_name example.org; health_check interval=50ms; }
     location /v { proxy_pass https://v; proxy_ssl_name other.org; proxy_ssl_verify on;
       proxy_ssl_trusted_certificate ${dir}/example.org.crt; health_check interval=50ms; }`,
    `upstream u { zone z 64k; server 127.0.0.1:${port}; } upstream v { zone z; server 127.0.0.1:${port}; }`,
  )
  const state = async (name: string): Promise<any> =>
    JSON.parse((await get(server.port, `/api/9/http/upstreams/${name}`)).text).peers[0]
  await eventually(async () => (await state('u')).health_checks.last_passed === true)
  await eventually(async () => (await state('v')).state === 'unhealthy')
  assert.ok(names.includes('example.org'))
  assert.match(server.errorLog(), /certificate does not match "other\.org"/)
})
