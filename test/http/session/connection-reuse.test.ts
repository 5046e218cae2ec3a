import assert from 'node:assert/strict'
import test from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { get as fields, headers, http2 } from '../../helpers/http2.ts'
import { ConnectionLimit, type Counted, nextSpare, type Spare } from '../../../src/upstream/connection-limit.ts'
import { eventually, origin, raw, reply } from '../../helpers/index.ts'

const conf = `http2 on;
  location / { return 200 'hello'; }
  location /held { keepalive_min_timeout 1h; return 200 'hello'; }
  location /briefly { keepalive_min_timeout 20ms; keepalive_timeout 1h; return 200 'hello'; }
`

test('worker_connections: the connection idle for longest makes room for a new one, however old it is', async t => {
  const { port } = await serveHttp(t, conf, '', { connectionsMax: 3 })
  const [old, idle, young] = [await raw(t, port), await raw(t, port), await raw(t, port)]
  for (const client of [idle, young, old]) await client.request()
  const late = await raw(t, port)
  assert.equal((await late.request()).text, 'hello')
  await idle.closed()
  for (const client of [old, young]) assert.equal((await client.request()).text, 'hello')
})

test('worker_connections: HTTP/2 connections are given up like others', async t => {
  const { port } = await serveHttp(t, conf, '', { connectionsMax: 2 })
  const first = await http2(t, port)
  first.send(headers(1, fields()))
  assert.equal((await first.response(1)).status, 200)
  const second = await raw(t, port)
  await second.request()
  const third = await raw(t, port)
  await third.request()
  await first.closed()
  assert.equal((await second.request()).text, 'hello')
})

test('worker_connections: idle connections go before the last place is taken, an eighth of them at a time', async t => {
  const { port } = await serveHttp(t, conf, '', { connectionsMax: 32 })
  const clients = []
  // Two of 32 places left are too few.
  for (let i = 0; i < 30; i++) {
    const client = await raw(t, port)
    await client.request()
    clients.push(client)
  }
  assert.equal(clients.filter(client => client.ended).length, 0)
  const late = await raw(t, port)
  await late.request()
  for (const client of clients.slice(0, 3)) await client.closed()
  for (const client of clients.slice(3)) assert.equal((await client.request()).text, 'hello')
})

test('worker_connections: a connection that lingers makes room, too', async t => {
  const lingering = 'lingering_close always; lingering_timeout 1h; lingering_time 1h;'
  const { port } = await serveHttp(t, `location / { return 200; } ${lingering}`, '', { connectionsMax: 1 })
  const first = await raw(t, port)
  await first.send('GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
  await first.until('\r\n\r\n')
  const second = await raw(t, port)
  assert.equal((await second.request()).status, 200)
})

test('worker_connections: connections to upstreams count, too; idle ones make room, and without room there is a 500', async t => {
  let answer = (): void => {}
  const up = await origin(t, ({ target }, socket) => {
    answer = () => void socket.write(reply(target))
  })
  const other = await origin(t, reply('other'))
  const server = await serveHttp(
    t,
    `add_header X-Up "<$upstream_addr>" always;
     location / { proxy_pass http://up; }
     location /other { proxy_pass http://other; }`,
    `upstream up { server ${up.path}; keepalive 1; } upstream other { server ${other.path}; keepalive 1; }`,
    { connectionsMax: 3 },
  )
  const first = await raw(t, server.port)
  await first.send('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n')
  await eventually(() => up.requests.length === 1)
  const second = await raw(t, server.port)
  await second.send('GET /fast HTTP/1.1\r\nHost: x\r\n\r\n')
  const refused = await second.response()
  assert.deepEqual([refused.status, refused.header('x-up')], [500, '<>'])
  await second.closed()
  const alert = '3 worker_connections are not enough while connecting to upstream, client: 127.0.0.1'
  assert.ok(server.errorLog().includes(alert))
  answer()
  assert.equal((await first.response()).text, '/slow')
  // Its connection to the upstream is idle, as it is itself: with the next one there are three.
  const third = await raw(t, server.port)
  await third.send('GET /other HTTP/1.1\r\nHost: x\r\n\r\n')
  assert.equal((await third.response()).text, 'other')
  await first.closed()
  assert.deepEqual([up.open.size, other.open.size], [1, 1])
  // A client that is busy cannot go: then it is the idle connection to the other upstream.
  await third.send('GET /slow HTTP/1.1\r\nHost: x\r\n\r\n')
  await eventually(() => up.requests.length === 2)
  await raw(t, server.port)
  await eventually(() => other.open.size === 0)
  answer()
  assert.equal((await third.response()).text, '/slow')
})

test('keepalive_min_timeout: so long an idle connection is not closed to make room', async t => {
  const { port } = await serveHttp(t, conf, '', { connectionsMax: 2 })
  const held = await raw(t, port)
  await held.request({ path: '/held' })
  const free = await raw(t, port)
  await free.request()
  const late = await raw(t, port)
  await late.request()
  await free.closed()
  assert.equal((await held.request()).text, 'hello')
  // What it is now has been settled by its last request.
  await late.request()
  await raw(t, port)
  await held.closed()
})

test('keepalive_min_timeout: once it has passed, a connection makes room', async t => {
  const { port } = await serveHttp(t, conf, '', { connectionsMax: 1 })
  const held = await raw(t, port)
  await held.request({ path: '/briefly' })
  await eventually(async () => {
    await raw(t, port)
    return held.ended
  })
})

test('keepalive_min_timeout: a server that goes keeps what it holds, for one request more', async t => {
  const server = await serveHttp(t, conf)
  const [held, free] = [await raw(t, server.port), await raw(t, server.port)]
  assert.equal((await held.request({ path: '/held' })).header('connection'), 'keep-alive')
  await free.request()
  server.http.retire(false, () => {})
  await free.closed()
  const last = await held.request({ path: '/held' })
  assert.deepEqual([last.text, last.header('connection')], ['hello', 'close'])
  await held.closed()
})

test('keepalive_min_timeout: when it has passed the server that goes is gone', async t => {
  const server = await serveHttp(t, conf)
  const held = await raw(t, server.port)
  const gone = new Promise<void>(resolve => {
    void held.request({ path: '/briefly' }).then(() => server.http.retire(false, resolve))
  })
  await gone
  await held.closed()
})

test('worker_connections: who has come to be busy since all were looked at is passed over, and no connection is looked at twice', () => {
  const limit = new ConnectionLimit(64, () => {})
  let looks = 0
  const all = Array.from({ length: 64 }, () => ({ spareSince: nextSpare() }))
  const group: Counted & { given: Spare[] } = {
    size: 64,
    given: [],
    spare: () => {
      looks++
      return all.filter(one => one.spareSince > 0)
    },
    holds: one => all.includes(one),
    give(one) {
      all.splice(all.indexOf(one), 1)
      Object.assign(group, { size: all.length })
      group.given.push(one)
    },
  }
  limit.add(group)
  const first = all[0] as Spare
  assert.equal(limit.makesRoom(), true)
  assert.equal(group.given.length, 8)
  assert.equal(group.given[0], first)
  const [again, busy] = all as [{ spareSince: number }, { spareSince: number }]
  again.spareSince = nextSpare()
  busy.spareSince = 0
  while (all.length < 64) all.push({ spareSince: 0 })
  Object.assign(group, { size: 64 })
  assert.equal(limit.makesRoom(), true)
  assert.equal(looks, 1)
  assert.ok(group.given.length > 8 && !group.given.includes(again) && !group.given.includes(busy))
  // Nobody is left to be closed, and nobody becomes idle: nobody is looked for at each connection that is turned away.
  for (const one of all) one.spareSince = 0
  Object.assign(group, { size: 64 })
  while (all.length < 64) all.push({ spareSince: 0 })
  assert.equal(limit.makesRoom(), false)
  const before = looks
  for (let i = 0; i < 10; i++) assert.equal(limit.makesRoom(), false)
  assert.equal(looks, before)
  const idle = all[5] as { spareSince: number }
  idle.spareSince = nextSpare()
  assert.equal(limit.makesRoom(), true)
  assert.equal(group.given.at(-1), idle)
})
