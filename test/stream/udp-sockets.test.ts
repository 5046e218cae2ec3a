import assert from 'node:assert/strict'
import test from 'node:test'
import { datagramClient, datagramPeer } from '../helpers/datagrams.ts'
import { eventually, freePort, serve } from '../helpers/index.ts'

test('a reload and the end let expected responses come, and take no more datagrams', async t => {
  const upstream = await datagramPeer(t, () => [])
  const conf = (answer: string): string => `
    error_log error.log info; events { }
    stream {
      log_format line '$protocol $status $bytes_received/$bytes_sent'; access_log access.log line;
      server { listen 127.0.0.1:%%PORT_0%% udp; proxy_pass 127.0.0.1:${upstream.port}; proxy_responses 1; }
      server { listen 127.0.0.1:%%PORT_1%% udp; proxy_pass 127.0.0.1:${upstream.port}; }
      server { listen 127.0.0.1:%%PORT_2%% udp; return ${answer}; }
    }`
  const server = await serve(t, conf('old'))
  const [expecting, open, told] = server.ports as [number, number, number]
  const heard = (text: string): Promise<number> => {
    return eventually(() => upstream.heard.find(one => one.text === text)?.from ?? 0)
  }
  const first = await datagramClient(t, expecting)
  first.send('one')
  const firstFrom = await heard('one')
  const second = await datagramClient(t, open)
  second.send('two')
  await heard('two')
  await server.reload(conf('new'))
  const client = await datagramClient(t, told)
  await eventually(async () => (await client.ask('?')) === 'new')
  // The session without an expected number of responses does not keep the old thread.
  await eventually(() => server.errorLog().includes('disconnected on shutdown'))
  upstream.say('late', firstFrom)
  assert.equal(await first.next(), 'late')
  await eventually(() => server.accessLog().includes('UDP 200 3/4\n'))
  // A client that goes on is in a session of the new configuration.
  first.send('three')
  const from = await heard('three')
  assert.notEqual(from, firstFrom)
  const stopped = server.stop()
  await eventually(() => /gracefully shutting down|signal 3|SIGQUIT|exiting/.test(server.errorLog()))
  upstream.say('last', from)
  assert.equal(await first.next(), 'last')
  assert.equal(await stopped, 0)
})

test('sessions are as many as there are worker_connections for them and their upstreams; when they end there is room', async t => {
  const silent = await datagramPeer(t, () => [])
  const server = await serve(t, {
    conf: `worker_processes 1; error_log error.log info; events { worker_connections 6; }
      stream { server { listen 127.0.0.1:%%PORT_0%% udp; proxy_pass 127.0.0.1:${silent.port}; proxy_responses 1; } }`,
  })
  const clients = await Promise.all(Array.from({ length: 4 }, () => datagramClient(t, server.port)))
  for (const [i, client] of clients.entries()) {
    client.send(`${i}`)
    if (i < 3) await eventually(() => silent.heard.length === i + 1)
  }
  await eventually(() => server.errorLog().includes('6 worker_connections are not enough'))
  assert.equal(silent.heard.length, 3)
  silent.say('answer', silent.heard[0]!.from)
  assert.equal(await clients[0]!.next(), 'answer')
  await eventually(() => server.errorLog().includes('udp done'))
  clients[3]!.send('again')
  await eventually(() => silent.heard.some(({ text }) => text === 'again'))
  // Before the program ends they all get what they wait for.
  for (const { from } of silent.heard.slice(1)) silent.say('answer', from)
  for (const client of clients.slice(1)) assert.equal(await client.next(), 'answer')
})

test('an upstream that is lost is left alone, and a session it has served ends', async t => {
  const [lost, other] = [await datagramPeer(t, () => ['lost']), await datagramPeer(t, () => ['other'])]
  const server = await serve(t, {
    conf: `error_log error.log info; events { }
      stream {
        log_format line '$status $upstream_addr'; access_log access.log line;
        upstream group { server 127.0.0.1:${lost.port} fail_timeout=10m; server 127.0.0.1:${other.port}; }
        server { listen 127.0.0.1:%%PORT_0%% udp; proxy_pass group; }
      }`,
  })
  const client = await datagramClient(t, server.port)
  assert.equal(await client.ask('x'), 'lost')
  const met = new RegExp(`\\*1 udp proxy 127\\.0\\.0\\.1:\\d+ connected to 127\\.0\\.0\\.1:${lost.port}\n`)
  assert.match(server.errorLog(), met)
  lost.close()
  client.send('y')
  await eventually(() => server.accessLog().includes(`502 127.0.0.1:${lost.port}\n`))
  assert.match(
    server.errorLog(),
    /upstream server temporarily disabled while proxying and reading from upstream, udp client: 127/,
  )
  // The client goes on with who is left.
  for (let i = 0; i < 4; i++) assert.equal(await client.ask('z'), 'other')
  for (let i = 0; i < 4; i++) assert.equal(await (await datagramClient(t, server.port)).ask('z'), 'other')
})

test('an address in use is told in nginx’s words', async t => {
  const taken = await datagramPeer(t)
  const port = await freePort()
  const problem = await serve(t, {
    ports: [],
    conf: `events { } stream { server { listen 127.0.0.1:${taken.port} udp; listen 127.0.0.1:${port} udp; return x; } }`,
  }).then(
    () => '',
    (error: unknown) => String(error),
  )
  assert.ok(problem.includes(`bind() to 127.0.0.1:${taken.port} failed (98: Address already in use)`), problem)
})
