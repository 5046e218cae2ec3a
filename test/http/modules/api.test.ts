// The API: what it shows, what it changes, how it refuses, and the file its changes are kept in.

import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { A } from '../../../src/codec/dns.ts'
import { answerTo, dnsServer, ipv4, record } from '../../helpers/dns.ts'
import { eventually, get, origin, reply, request, serve } from '../../helpers/index.ts'
import type { Scope } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'
import type { HttpServer } from '../../helpers/http.ts'

interface Call {
  readonly status: number
  readonly view: any
}

async function call(server: HttpServer, method: string, path: string, body?: unknown): Promise<Call> {
  const answer = await request({
    address: server.port,
    method,
    path: `/api/9${path}`,
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  return { status: answer.status, view: answer.text === '' ? null : JSON.parse(answer.text) }
}

function serveGroup(
  t: Scope,
  inside: string,
  options: { write?: string; http?: string; files?: Record<string, string> } = {},
): Promise<HttpServer> {
  return serveHttp(
    t,
    `location /api { api ${options.write ?? 'write=on'}; } location / { proxy_pass http://u; }`,
    `${options.http ?? ''} upstream u { zone z 64k; ${inside} }`,
    { files: options.files ?? {} },
  )
}

test('the tree can be walked', async t => {
  const server = await serveGroup(
    t,
    'server 127.0.0.1:1 weight=5 max_conns=3 backup; server 127.0.0.1:2 down route=r slow_start=5s;',
  )
  assert.deepEqual(JSON.parse((await get(server.port, '/api/')).text), [1, 2, 3, 4, 5, 6, 7, 8, 9])
  assert.deepEqual((await call(server, 'GET', '/')).view, ['nginx', 'connections', 'http'])
  assert.deepEqual((await call(server, 'GET', '/http')).view, ['requests', 'upstreams'])
  assert.match((await call(server, 'GET', '/nginx')).view.version, /^\d+\.\d+\.\d+$/)
  assert.ok((await call(server, 'GET', '/connections')).view.active >= 1)
  assert.ok((await call(server, 'GET', '/http/requests')).view.total >= 1)
  const { u } = (await call(server, 'GET', '/http/upstreams')).view
  assert.equal(u.zone, 'z')
  assert.deepEqual(
    u.peers.map((peer: any) => [peer.id, peer.server, peer.state, peer.backup, peer.weight, peer.max_conns ?? null]),
    [
      [1, '127.0.0.1:2', 'down', false, 1, null],
      [0, '127.0.0.1:1', 'up', true, 5, 3],
    ],
  )
  const servers = (await call(server, 'GET', '/http/upstreams/u/servers')).view
  assert.deepEqual(servers[1], {
    id: 1,
    server: '127.0.0.1:2',
    weight: 1,
    max_conns: 0,
    max_fails: 1,
    fail_timeout: '10s',
    slow_start: '5s',
    route: 'r',
    backup: false,
    down: true,
  })
  assert.deepEqual((await call(server, 'GET', '/http/upstreams/u/servers/0')).view, servers[0])
})

test('statistics count what passed, and can be reset', async t => {
  const [fine, bad] = [await origin(t), await origin(t, reply('no', {}, '404 Not Found'))]
  const server = await serveGroup(t, `server ${fine.path}; server ${bad.path};`)
  for (let i = 0; i < 4; i++) await get(server.port, '/')
  const peers = async (): Promise<any[]> => (await call(server, 'GET', '/http/upstreams/u')).view.peers
  const [one, other] = (await peers()) as [any, any]
  assert.deepEqual([one.requests, one.responses['2xx'], one.responses.total, one.active], [2, 2, 2, 0])
  assert.deepEqual([other.responses['4xx'], other.responses['2xx']], [2, 0])
  assert.ok(one.sent > 0 && one.received > 0 && Date.parse(one.selected) > 0)
  await fine.close()
  await get(server.port, '/')
  await get(server.port, '/')
  const down = (await peers())[0]
  assert.deepEqual([down.state, down.fails, down.unavail], ['unavail', 1, 1])
  assert.ok(Date.parse(down.downstart) > 0)
  assert.equal((await call(server, 'DELETE', '/http/upstreams/u')).status, 204)
  assert.deepEqual([(await peers())[0].requests, (await peers())[1].responses.total], [0, 0])
})

test('servers are added, altered, drained and removed, and requests follow at once', async t => {
  const [a, b] = [await origin(t, reply('a')), await origin(t, reply('b'))]
  const server = await serveGroup(t, `server ${a.path};`)
  const texts = async (): Promise<string> => {
    const all = new Set<string>()
    for (let i = 0; i < 4; i++) all.add((await get(server.port, '/')).text)
    return [...all].sort().join()
  }
  const added = await call(server, 'POST', '/http/upstreams/u/servers', { server: b.path, weight: 1 })
  assert.deepEqual([added.status, added.view.id, added.view.server], [201, 1, b.path])
  assert.equal(await texts(), 'a,b')
  const drained = await call(server, 'PATCH', '/http/upstreams/u/servers/0', { drain: true })
  assert.equal(drained.view.drain, true)
  assert.equal((await call(server, 'GET', '/http/upstreams/u')).view.peers[0].state, 'draining')
  assert.equal(await texts(), 'b')
  await call(server, 'PATCH', '/http/upstreams/u/servers/0', {
    down: false,
    max_conns: 5,
    fail_timeout: '3s',
    slow_start: 0,
  })
  assert.equal(await texts(), 'a,b')
  const removed = await call(server, 'DELETE', '/http/upstreams/u/servers/1')
  assert.deepEqual(
    removed.view.map((one: any) => [one.id, one.max_conns, one.fail_timeout]),
    [[0, 5, '3s']],
  )
  assert.equal(await texts(), 'a')
})

test('a server added by its name is looked up as long as it is there', async t => {
  const dns = await dnsServer(t, ({ type, bytes }) =>
    answerTo(bytes, type === A ? [record(A, 60, ipv4('127.0.0.1'))] : []),
  )
  const one = await origin(t, reply('found'))
  const server = await serveGroup(t, 'server 127.0.0.1:1 down;', { http: `resolver 127.0.0.1:${dns.port};` })
  const added = await call(server, 'POST', '/http/upstreams/u/servers', { server: `a.example:${one.port}` })
  assert.equal(added.status, 201)
  await eventually(async () => (await get(server.port, '/')).text === 'found')
  const servers = (await call(server, 'GET', '/http/upstreams/u/servers')).view
  assert.deepEqual([servers[2].parent, servers[2].host, servers[2].server], [1, `a.example:${one.port}`, one.path])
  assert.equal((await call(server, 'DELETE', '/http/upstreams/u/servers/2')).view.error.code, 'UpstreamServerImmutable')
  assert.equal((await call(server, 'DELETE', '/http/upstreams/u/servers/1')).view.length, 1)
})

test('a state file has the servers, and what becomes of them', async t => {
  const server = await serveGroup(t, 'state %DIR%;'.replace('%DIR%', 'u.state'), {
    files: { 'u.state': '# kept\nserver 127.0.0.1:7 weight=2 route=x;\n\n' },
  })
  const path = join(server.dir, 'u.state')
  assert.deepEqual((await call(server, 'GET', '/http/upstreams/u/servers')).view.length, 1)
  await call(server, 'POST', '/http/upstreams/u/servers', {
    server: '127.0.0.1:8',
    backup: true,
    max_fails: 0,
    fail_timeout: '1m',
  })
  await call(server, 'PATCH', '/http/upstreams/u/servers/0', { down: true })
  assert.equal(
    readFileSync(path, 'latin1'),
    'server 127.0.0.1:7 weight=2 route=x down;\nserver 127.0.0.1:8 max_fails=0 fail_timeout=60s backup;\n',
  )
  writeFileSync(path, '')
})

test('servers changed while the configuration is read anew are not lost, neither in use nor in the state file', async t => {
  const server = await serve(
    t,
    `
    worker_processes 2;
    http {
      upstream u { zone z 64k; state %%DIR%%/u.state; }
      server { listen 127.0.0.1:%%PORT_0%%; location /api { api write=on; } }
    }`,
  )
  const path = '/api/9/http/upstreams/u/servers'
  const added: number[] = []
  const add = async (): Promise<void> => {
    const body = JSON.stringify({ server: `127.0.0.1:${1 + added.length}` })
    const { status, text } = await request({ address: server.port, method: 'POST', path, body })
    assert.equal(status, 201, text)
    added.push(JSON.parse(text).id)
  }
  await add()
  for (let round = 0; round < 2; round++) {
    const reloaded = server.reload()
    for (let i = 0; i < 12; i++) await add()
    await reloaded
  }
  const servers = JSON.parse((await get(server.port, path)).text) as { id: number; server: string }[]
  assert.deepEqual(
    servers.map(({ id }) => id),
    added,
  )
  assert.equal(
    readFileSync(join(server.dir, 'u.state'), 'latin1'),
    servers.map(one => `server ${one.server};\n`).join(''),
  )
})

test('a state file that is not there is an empty one; one that is broken is refused with its line', async t => {
  const server = await serveGroup(t, 'state missing.state;')
  assert.deepEqual((await call(server, 'GET', '/http/upstreams/u/servers')).view, [])
  assert.equal((await get(server.port, '/')).status, 502)
  await assert.rejects(serveGroup(t, 'state u.state;', { files: { 'u.state': 'server 127.0.0.1:7;\nserver x y;' } }), {
    message: /u\.state:2/,
  })
})

test('refusals have a status, a code and a reason', async t => {
  const server = await serveGroup(t, 'server 127.0.0.1:1;', { http: 'upstream static { server 127.0.0.1:1; }' })
  const servers = '/http/upstreams/u/servers'
  const cases: readonly (readonly [method: string, path: string, body: unknown, status: number, code: string])[] = [
    ['GET', '/what', undefined, 404, 'PathNotFound'],
    ['GET', '/http/upstreams/none', undefined, 404, 'UpstreamNotFound'],
    ['GET', '/http/upstreams/static', undefined, 400, 'UpstreamStatic'],
    ['GET', `${servers}/9`, undefined, 404, 'UpstreamServerNotFound'],
    ['GET', `${servers}/x`, undefined, 400, 'UpstreamBadServerId'],
    ['PUT', servers, {}, 405, 'MethodNotAllowed'],
    ['POST', servers, '{', 415, 'JsonError'],
    ['POST', servers, '[]', 415, 'JsonError'],
    ['POST', servers, {}, 400, 'UpstreamConfFormatError'],
    ['POST', servers, { server: '127.0.0.1:9', weight: {} }, 400, 'UpstreamConfFormatError'],
    ['POST', servers, { server: '127.0.0.1:9', color: 'red' }, 400, 'UpstreamConfFormatError'],
    ['POST', servers, { server: '127.0.0.1:9; }' }, 400, 'UpstreamConfFormatError'],
    ['POST', servers, { server: '127.0.0.1:9', constructor: 1 }, 400, 'UpstreamConfFormatError'],
    ['PATCH', `${servers}/0`, '{"__proto__":1}', 400, 'UpstreamConfFormatError'],
    ['PATCH', `${servers}/0`, { toString: 'x' }, 400, 'UpstreamConfFormatError'],
    ['POST', servers, { server: 'a#b.example' }, 400, 'UpstreamConfFormatError'],
    ['POST', servers, '{"server":"\\u0100.example"}', 400, 'UpstreamConfFormatError'],
    ['POST', servers, { server: '127.0.0.1:9', route: 'a#b' }, 400, 'UpstreamBadRoute'],
    ['POST', servers, { server: '127.0.0.1:9', route: 'a\0b' }, 400, 'UpstreamBadRoute'],
    ['POST', servers, { server: `${'x'.repeat(300)}.example` }, 400, 'UpstreamBadAddress'],
    ['POST', servers, { server: '127.0.0.1:9', weight: 4_294_967_296 }, 400, 'UpstreamBadWeight'],
    ['POST', servers, { server: '127.0.0.1:9', weight: 0 }, 400, 'UpstreamBadWeight'],
    ['POST', servers, { server: '127.0.0.1:9', fail_timeout: 'soon' }, 400, 'UpstreamBadFailTimeout'],
    ['POST', servers, { server: '127.0.0.1:99999' }, 400, 'UpstreamBadAddress'],
    ['POST', servers, { server: '127.0.0.1:9', route: 'r'.repeat(40) }, 400, 'UpstreamBadRoute'],
    ['POST', servers, { server: 'a.example' }, 400, 'UpstreamConfNoResolver'],
    ['PATCH', `${servers}/0`, { server: '127.0.0.1:2' }, 400, 'UpstreamServerImmutable'],
    ['PATCH', `${servers}/9`, { weight: 1 }, 404, 'UpstreamServerNotFound'],
    ['DELETE', `${servers}/9`, undefined, 404, 'UpstreamServerNotFound'],
  ]
  for (const [method, path, body, status, code] of cases) {
    const answer = await call(server, method, path, body)
    assert.deepEqual(
      [answer.status, answer.view.error.code],
      [status, code],
      `${method} ${path} ${JSON.stringify(body)}`,
    )
    assert.equal(answer.view.error.status, status)
  }
  assert.equal((await request({ address: server.port, path: '/api/99/' })).status, 404)
  const big = await request({
    address: server.port,
    method: 'POST',
    path: `/api/9${servers}`,
    body: ' '.repeat(100_000),
  })
  assert.equal(big.status, 413)
})

test('no page of another site can write, whatever its reader may', async t => {
  const server = await serveGroup(t, 'server 127.0.0.1:1;')
  const own = `127.0.0.1:${server.port}`
  const post = async (headers: Record<string, string>): Promise<number> =>
    (
      await request({
        address: server.port,
        method: 'POST',
        path: '/api/9/http/upstreams/u/servers',
        headers: { Host: own, 'Content-Type': 'text/plain', ...headers },
        body: '{"server":"127.0.0.1:9"}',
      })
    ).status
  for (const foreign of [
    { 'Sec-Fetch-Site': 'cross-site' },
    { 'Sec-Fetch-Site': 'same-site', Origin: `http://${own}` },
    { Origin: 'http://evil.example' },
    { Origin: 'null' },
    { Origin: `http://${own}0` },
  ]) {
    assert.equal(await post(foreign), 403, JSON.stringify(foreign))
  }
  for (const known of [
    {},
    { Origin: `http://${own}` },
    { 'Sec-Fetch-Site': 'same-origin', Origin: 'https://front.example' },
    { 'Sec-Fetch-Site': 'none' },
  ]) {
    assert.equal(await post(known), 201, JSON.stringify(known))
  }
})

test('without write=on nothing can be changed', async t => {
  const server = await serveGroup(t, 'server 127.0.0.1:1;', { write: '' })
  for (const [method, path] of [
    ['POST', '/servers'],
    ['PATCH', '/servers/0'],
    ['DELETE', '/servers/0'],
    ['DELETE', ''],
  ]) {
    const answer = await call(server, method!, `/http/upstreams/u${path}`, {})
    assert.deepEqual([answer.status, answer.view.error.code], [405, 'MethodDisabled'])
  }
})
