// One group of servers in several threads, and over a reload: what is changed in one is so in all, is counted by all
// together, and stays.

import assert from 'node:assert/strict'
import test from 'node:test'
import { A } from '../../src/codec/dns.ts'
import { answerTo, dnsServer, ipv4, record } from '../helpers/dns.ts'
import { eventually, get, origin, reply, request, serve } from '../helpers/index.ts'
import type { Scope, Server } from '../helpers/index.ts'

function threads(t: Scope, upstream: string, location = '', http = ''): Promise<Server> {
  return serve(
    t,
    `worker_processes 3;
     http { proxy_temp_path %%DIR%%/temp; ${http} upstream u { zone z 64k; ${upstream} }
       server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass http://u; ${location} } location /api { api write=on; } } }`,
  )
}

async function api(server: Server, method: string, path: string, body = ''): Promise<any> {
  const answer = await request({ address: server.port, method, path: `/api/9/http/upstreams/u${path}`, body })
  return JSON.parse(answer.text)
}

/** Each on a connection of its own, which goes to any thread. */
async function texts(server: Server, count = 24): Promise<string> {
  const all = await Promise.all(Array.from({ length: count }, async () => (await get(server.port, '/')).text))
  return [...new Set(all)].sort().join()
}

async function reload(server: Server): Promise<void> {
  const before = server.errorLog().split('exited with code').length
  process.kill(server.pid, 'SIGHUP')
  await eventually(() => server.errorLog().split('exited with code').length > before)
}

test('what the API changes in one thread is so in all with the next request, and stays over a reload', async t => {
  const [a, b] = [await origin(t, reply('a')), await origin(t, reply('b'))]
  const server = await threads(t, `server ${a.path};`)
  assert.equal(await texts(server), 'a')
  await api(server, 'POST', '/servers', JSON.stringify({ server: b.path }))
  assert.equal(await texts(server), 'a,b')
  await api(server, 'PATCH', '/servers/0', '{"down":true}')
  assert.equal(await texts(server), 'b')
  await reload(server)
  assert.equal(await texts(server), 'b')
  const { peers } = await api(server, 'GET', '')
  assert.deepEqual([peers[0].state, peers[1].requests >= 48], ['down', true])
})

test('health checks are made once, not by every thread, and go on after a reload', async t => {
  const one = await origin(t)
  const server = await threads(t, `server ${one.path};`, 'health_check interval=100ms uri=/health;')
  const checks = (): number => one.requests.filter(({ target }) => target === '/health').length
  await eventually(() => checks() >= 10)
  const before = checks()
  const { peers } = await api(server, 'GET', '')
  const counted = peers[0].health_checks.checks
  assert.ok(counted >= before - 1 && counted <= checks() + 1, `${counted} were counted, ${checks()} made`)
  await reload(server)
  const after = checks()
  const started = performance.now()
  await eventually(() => checks() >= after + 10)
  assert.ok(performance.now() - started > 700, 'one thread checks, once in 100 ms')
})

test('addresses found by one thread are the peers of all, and are kept over a reload while DNS is silent', async t => {
  let answers = true
  const dns = await dnsServer(t, ({ type, bytes }) =>
    answers ? answerTo(bytes, type === A ? [record(A, 1, ipv4('127.0.0.1'))] : []) : null,
  )
  const one = await origin(t, reply('found'))
  const server = await threads(
    t,
    `server a.example:${one.port} resolve;`,
    '',
    `resolver 127.0.0.1:${dns.port}; resolver_timeout 500ms;`,
  )
  await eventually(async () => (await texts(server)) === 'found')
  answers = false
  await reload(server)
  assert.equal(await texts(server), 'found')
})

test('no more requests at a time than `concurrency`, over all threads, and places are passed on among them', async t => {
  let now = 0
  let most = 0
  const one = await origin(t, async () => {
    most = Math.max(most, ++now)
    await new Promise(resolve => setTimeout(resolve, 20))
    now--
    return reply('ok')
  })
  const server = await threads(t, `server ${one.path}; queue 100 timeout=20s concurrency=2 retry_after=1s;`)
  const all = await Promise.all(Array.from({ length: 40 }, () => get(server.port, '/')))
  assert.deepEqual([...new Set(all.map(({ status }) => status))], [200])
  assert.equal(most, 2)
  await eventually(async () => {
    const { queue } = await api(server, 'GET', '')
    assert.deepEqual(queue, { size: 0, max_size: 100, overflows: 0, active: 0, concurrency: 2 })
    return true
  })
})

test('max_conns is a limit over all threads, however many ask at once', async t => {
  let now = 0
  let most = 0
  const one = await origin(t, async () => {
    most = Math.max(most, ++now)
    await new Promise(resolve => setTimeout(resolve, 15))
    now--
    return reply('ok')
  })
  const server = await threads(t, `server ${one.path} max_conns=3; queue 100 timeout=20s;`)
  const all = await Promise.all(Array.from({ length: 40 }, () => get(server.port, '/')))
  assert.deepEqual([...new Set(all.map(({ status }) => status))], [200])
  assert.ok(most <= 3, `${most}`)
})
