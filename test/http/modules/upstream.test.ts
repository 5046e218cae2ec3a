import assert from 'node:assert/strict'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { get, origin, reply, serve } from '../../helpers/index.ts'
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

test('what a group may not say is told in nginx’s words', async t => {
  const refused = (inside: string, problem: RegExp): Promise<void> =>
    assert.rejects(serveHttp(t, '', `upstream u { ${inside} }`), problem)
  await refused('hash $arg_a ring; server 127.0.0.1:1;', /invalid parameter "ring"/)
  await refused('random three; server 127.0.0.1:1;', /invalid parameter "three"/)
  await refused('random two least_time; server 127.0.0.1:1;', /invalid parameter "least_time"/)
  await refused('hash a; server 127.0.0.1:1 backup;', /balancing method does not support parameter "backup"/)
  await refused('zone z 1k; server 127.0.0.1:1;', /zone "z" is too small/)
  await refused('zone z x; server 127.0.0.1:1;', /invalid zone size "x"/)
  await refused('server 127.0.0.1:1 slow_start=1s;', /invalid parameter "slow_start=1s"/)
})
