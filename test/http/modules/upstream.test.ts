import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { eventually, get, origin, raw, reply, serve } from '../../helpers/index.ts'
import type { Origin, Scope } from '../../helpers/index.ts'

function three(t: Scope): Promise<Origin[]> {
  return Promise.all(['a', 'b', 'c'].map(name => origin(t, reply(name))))
}

test('hash sends a key where it was sent before, consistent or not', async t => {
  const origins = await three(t)
  const servers = origins.map(({ path }) => `server ${path};`).join(' ')
  const { port } = await serveHttp(
    t,
    'location /plain { proxy_pass http://plain; } location /ring { proxy_pass http://ring; }',
    `upstream plain { hash $arg_key; ${servers} } upstream ring { hash $arg_key consistent; ${servers} }`,
  )
  for (const path of ['/plain', '/ring']) {
    const all = new Set<string>()
    for (let key = 0; key < 12; key++) {
      const first = (await get(port, `${path}?key=${key}`)).text
      assert.equal((await get(port, `${path}?key=${key}`)).text, first)
      all.add(first)
    }
    assert.ok(all.size > 1)
  }
})

test('hash goes on to another peer when the key’s own is gone', async t => {
  const [a, b] = await three(t)
  const { port } = await serveHttp(
    t,
    'location / { proxy_pass http://u; }',
    `upstream u { hash $arg_key consistent; server ${a!.path}; server ${b!.path}; }`,
  )
  await a!.close()
  for (let key = 0; key < 6; key++) assert.equal((await get(port, `/?key=${key}`)).text, 'b')
})

test('random reaches all servers', async t => {
  const origins = await three(t)
  const servers = origins.map(({ path }) => `server ${path};`).join(' ')
  for (const method of ['random', 'random two', 'random two least_conn']) {
    const { port } = await serveHttp(
      t,
      'location / { proxy_pass http://u; }',
      `upstream u { ${method}; zone z 64k; ${servers} }`,
    )
    const seen = new Set<string>()
    for (let i = 0; i < 200 && seen.size < 3; i++) seen.add((await get(port, '/')).text)
    assert.equal(seen.size, 3)
  }
})

test('with a zone the threads count connections together', async t => {
  let release = (): void => {}
  const held = new Promise<void>(resolve => (release = resolve))
  const slow = await origin(t, async () => {
    await held
    return reply('slow')
  })
  const server = await serve(
    t,
    `
    worker_processes 4;
    http {
      upstream u { zone z 64k; server ${slow.path} max_conns=1; server ${slow.path} down; }
      server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass http://u; } }
    }`,
  )
  const first = get(server.port, '/')
  while (slow.requests.length === 0) await new Promise(resolve => setImmediate(resolve))
  for (let i = 0; i < 12; i++) assert.equal((await get(server.port, '/')).status, 502)
  release()
  assert.equal((await first).text, 'slow')
  assert.equal(slow.requests.length, 1)
})

test('an address is that address, whatever blocks are called', async t => {
  const [a, b] = await three(t)
  const { port } = await serveHttp(
    t,
    `location /fixed { proxy_pass http://${a!.path}; }
     location /asked { proxy_pass http://$arg_host; }
     location /name { proxy_pass http://127.0.0.9; }`,
    `upstream ${a!.path} { server ${b!.path}; } upstream 127.0.0.9 { server ${b!.path}; }`,
  )
  assert.equal((await get(port, '/fixed')).text, 'a')
  assert.equal((await get(port, `/asked?host=${a!.path}`)).text, 'a')
  assert.equal((await get(port, '/name')).text, 'b')
  assert.equal((await get(port, '/asked?host=127.0.0.9')).text, 'b')
})

test('what a group may not say is told in nginx’s words', async t => {
  const refused = (inside: string, problem: RegExp): Promise<void> =>
    assert.rejects(serveHttp(t, '', `upstream u { ${inside} }`), problem)
  await refused('hash $arg_a ring; server 127.0.0.1:1;', /invalid parameter "ring"/)
  await refused('random three; server 127.0.0.1:1;', /invalid parameter "three"/)
  await refused('random two least_time; server 127.0.0.1:1;', /invalid parameter "least_time"/)
  await refused('hash a; server 127.0.0.1:1 backup;', /balancing method does not support parameter "backup"/)
  await refused('zone z 1k; server 127.0.0.1:1;', /zone "z" is too small/)
  await refused('zone z x; server 127.0.0.1:1;', /invalid zone size "x"/)
  await refused('random two least_time=x; server 127.0.0.1:1;', /invalid parameter "least_time=x"/)
  await refused('least_time body; server 127.0.0.1:1;', /invalid value "body"/)
  await refused('least_time header later; server 127.0.0.1:1;', /invalid parameter "later"/)
  await refused('ip_hash; server 127.0.0.1:1 slow_start=1s;', /does not support parameter "slow_start=1s"/)
  await refused('zone z; server 127.0.0.1:1;', /zero size shared memory zone "z"/)
  await refused('server a.example resolve;', /requires upstream "u" in .* to be in shared memory/)
  await refused('zone z 64k; server a.example resolve;', /no resolver defined to resolve names at run time/)
  await refused('server 127.0.0.1:1 backup;', /no servers in upstream "u"/)
  await refused(
    'zone z 64k; server 127.0.0.1:1; } upstream v { zone z 32k; server 127.0.0.1:1;',
    /the size 32768 of shared memory zone "z" conflicts with already declared size 65536/,
  )
  await refused('server 127.0.0.1:1 weight=2147483648;', /invalid parameter "weight=2147483648"/)
  await refused('server 127.0.0.1:1; } upstream U { server 127.0.0.1:1;', /duplicate upstream "U"/)
  await refused('resolver valid=1s; server 127.0.0.1:1;', /no name servers defined/)
  await refused('queue 0; server 127.0.0.1:1;', /a queue for nobody/)
  await refused('queue 1 timeout=0; server 127.0.0.1:1;', /invalid parameter "timeout=0"/)
  await refused('state x;', /"state" requires the upstream to be in shared memory/)
  await refused('zone z 64k; state x; server 127.0.0.1:1;', /may not be used along with "state"/)
})

/** Answers when it is told to. */
async function held(t: Scope): Promise<[Origin, (count?: number) => void]> {
  const waiting: (() => void)[] = []
  const one = await origin(t, () => new Promise<string>(resolve => waiting.push(() => resolve(reply('done')))))
  return [one, (count = Infinity) => waiting.splice(0, count).forEach(answer => answer())]
}

test('queue: a request waits for a peer with room, and its time there is told', async t => {
  const [one, answer] = await held(t)
  const server = await serveHttp(
    t,
    'location / { proxy_pass http://u; add_header X-Queue $upstream_queue_time always; }',
    `upstream u { server ${one.path} max_conns=1; queue 1 timeout=10s; }`,
  )
  const first = get(server.port, '/')
  await eventually(() => one.requests.length === 1)
  const second = get(server.port, '/')
  await eventually(async () => (await get(server.port, '/')).status === 502)
  answer()
  assert.equal((await first).header('x-queue'), '-')
  await eventually(() => one.requests.length === 2)
  answer()
  assert.match((await second).header('x-queue')!, /^\d+\.\d{3}$/)
  assert.match(server.errorLog(), /no live upstreams while connecting to upstream/)
})

test('queue concurrency: surges are refused with 503 and Retry-After, never passed on', async t => {
  const [one, answer] = await held(t)
  const server = await serveHttp(
    t,
    'location / { proxy_pass http://u; }',
    `upstream u { server ${one.path}; queue 2 timeout=10s concurrency=2 retry_after=7s; }`,
  )
  const all = Array.from({ length: 10 }, () => get(server.port, '/'))
  const statuses = new Map<number, number>()
  for (const one of all) void one.then(({ status }) => statuses.set(status, (statuses.get(status) ?? 0) + 1))
  await eventually(() => statuses.get(503) === 6)
  assert.equal(one.requests.length, 2)
  answer(1)
  await eventually(() => one.requests.length === 3)
  answer(2)
  await eventually(() => one.requests.length === 4)
  answer()
  const refused = (await Promise.all(all)).filter(({ status }) => status === 503)
  assert.ok(refused.every(answer => answer.header('retry-after') === '7'))
  assert.deepEqual([statuses.get(200), statuses.get(503)], [4, 6])
})

test('queue: a client that leaves gives up its place, and one who waits too long is told', async t => {
  const [one, answer] = await held(t)
  const server = await serveHttp(
    t,
    'location / { proxy_pass http://u; }',
    `upstream u { server ${one.path}; queue 1 timeout=200ms concurrency=1; }`,
  )
  const first = get(server.port, '/')
  await eventually(() => one.requests.length === 1)
  const leaves = await raw(t, server.port)
  await leaves.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
  await eventually(async () => (await get(server.port, '/')).status === 503)
  leaves.destroy()
  const late = await get(server.port, '/')
  assert.deepEqual([late.status, late.header('retry-after')], [503, '1'])
  assert.match(server.errorLog(), /timed out \(110: Connection timed out\) while waiting in the queue/)
  answer()
  assert.equal((await first).status, 200)
  assert.equal(one.requests.length, 1)
})

test('least_time sends requests to the server that answers faster', async t => {
  const slow = await origin(t, async () => {
    await new Promise(resolve => setTimeout(resolve, 500))
    return reply('slow')
  })
  const fast = await origin(t, reply('fast'))
  const { port } = await serveHttp(
    t,
    'location / { proxy_pass http://u; }',
    `upstream u { least_time header; zone z 64k; server ${slow.path}; server ${fast.path}; }`,
  )
  const texts: string[] = []
  for (let i = 0; i < 12; i++) texts.push((await get(port, '/')).text)
  assert.equal(texts.filter(text => text === 'slow').length, 1)
})

test('variables tell of each attempt: where, how long, how much, and whom it was last', async t => {
  const bad = await origin(t, reply('no', {}, '500 Internal Server Error'))
  const good = await origin(
    t,
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-One: 1\r\nSet-Cookie: c=v; p\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n',
  )
  const server = await serveHttp(
    t,
    'access_log access.log up; location / { proxy_pass http://u; proxy_next_upstream http_500; proxy_pass_trailers on; }',
    `log_format up "$upstream_addr|$upstream_status|$upstream_response_length|$upstream_last_server_name|$upstream_http_x_one|$upstream_cookie_c|$upstream_trailer_x_sum|$upstream_queue_time|$upstream_header_time|$upstream_bytes_received";
     upstream u { server ${bad.path}; server localhost:${good.port} backup; }`,
  )
  await get(server.port, '/')
  const line = await eventually(() => readFileSync(join(server.dir, 'access.log'), 'latin1').trim())
  const [addr, status, length, last, ...rest] = line.split('|')
  assert.equal(addr, `${bad.path}, 127.0.0.1:${good.port}`)
  assert.deepEqual([status, length, last], ['500, 200', '0, 22', 'localhost'])
  assert.deepEqual(rest.slice(0, 4), ['1', 'v', '7', '-, -'])
  assert.match(rest[4]!, /^0\.\d{3}, 0\.\d{3}$/)
  assert.match(rest[5]!, /^[1-9]\d*, [1-9]\d*$/)
})
