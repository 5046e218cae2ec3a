import assert from 'node:assert/strict'
import dgram from 'node:dgram'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { datagramClient, datagramPeer } from '../helpers/datagrams.ts'
import { within } from '../helpers/eventually.ts'
import { answerTo, dnsServer, ipv4, record } from '../helpers/dns.ts'
import {
  atEnd,
  eventually,
  fileScope,
  LISTEN6,
  LOOPBACK6,
  needsIpv6,
  serve,
  tempDir,
  type Scope,
} from '../helpers/index.ts'

const scope = fileScope()
const dir = tempDir(scope)

const echo = await datagramPeer(scope)
const threefold = await datagramPeer(scope, text => ['1', '2', '3'].map(n => `${text}${n}`))
const silent = await datagramPeer(scope, () => [])
/** Nobody is there. */
const gone = 1
const v6 = await datagramPeer(scope, undefined, 0, LOOPBACK6)
/** More than there is room for in a datagram of IPv4, and what there is. */
const large = await datagramPeer(scope, text => ['x'.repeat(65_527), text], 0, LOOPBACK6)
const slow = await dnsServer(scope, ({ bytes, type }) =>
  answerTo(bytes, type === 1 ? [record(1, 60, ipv4('127.0.0.1'))] : []),
)

const server = await serve(scope, {
  dir,
  conf: `
worker_processes 2;
error_log error.log info;
events { }
stream {
  log_format line '$server_port $protocol $status $bytes_received/$bytes_sent $upstream_addr $upstream_bytes_sent/$upstream_bytes_received';
  access_log access.log line;
  map $server_port $rate { default 1k; %%PORT_16%% much; }
  upstream several { server 127.0.0.1:${gone}; server 127.0.0.1:${echo.port}; }
  upstream spread { server 127.0.0.1:${echo.port}; server 127.0.0.1:${threefold.port}; zone spread 64k; }
  server { listen 127.0.0.1:%%PORT_0%% udp; proxy_pass 127.0.0.1:${echo.port}; proxy_responses 1; }
  server { listen 127.0.0.1:%%PORT_0%%; return tcp; }
  server { listen 127.0.0.1:%%PORT_1%% udp; proxy_pass 127.0.0.1:${echo.port}; proxy_timeout 10m; }
  server { listen 127.0.0.1:%%PORT_2%% udp; proxy_pass 127.0.0.1:${echo.port}; proxy_requests 2; }
  server { listen 127.0.0.1:%%PORT_3%% udp; proxy_pass several; proxy_responses 1; }
  server { listen 127.0.0.1:%%PORT_4%% udp; proxy_pass 127.0.0.1:${gone}; }
  server { listen 127.0.0.1:%%PORT_5%% udp; proxy_pass 127.0.0.1:${silent.port}; proxy_timeout 100ms; }
  server { listen 127.0.0.1:%%PORT_6%% udp; proxy_pass 127.0.0.1:${silent.port}; proxy_timeout 100ms; proxy_responses 1; }
  server { listen %%PORT_7%% udp; return "$server_addr $server_port $remote_addr"; }
  server { listen 127.0.0.3:%%PORT_7%% udp; return single; }
  server { listen 127.0.0.1:%%PORT_8%% udp; proxy_pass 127.0.0.1:${echo.port}; deny 127.0.0.2; allow all; }
  server { listen 127.0.0.1:%%PORT_9%% udp; proxy_pass 127.0.0.1:${threefold.port}; proxy_responses 3; proxy_bind 127.0.0.9; }
  server { listen 127.0.0.1:%%PORT_10%% udp; proxy_pass 127.0.0.1:${silent.port}; proxy_responses 0; proxy_protocol v2; }
  server { listen 127.0.0.1:%%PORT_11%% udp; resolver 127.0.0.1:${slow.port}; set $name some.test; proxy_pass $name:${echo.port}; }
  server { listen ${LISTEN6}:%%PORT_12%% udp; proxy_pass ${LISTEN6}:${v6.port}; proxy_responses 1; }
  server { listen 127.0.0.1:%%PORT_13%% udp; proxy_pass spread; proxy_responses 1; }
  server { listen 127.0.0.1:%%PORT_14%% udp; proxy_pass 127.0.0.1:${silent.port}; proxy_upload_rate $rate; }
  server { listen 127.0.0.1:%%PORT_15%% udp; proxy_pass 127.0.0.1:${silent.port}; proxy_responses 0; proxy_protocol on; }
  server { listen 127.0.0.1:%%PORT_16%% udp; proxy_pass 127.0.0.1:${echo.port}; proxy_responses 1; proxy_upload_rate $rate; }
  server { listen 127.0.0.1:%%PORT_17%% udp; proxy_pass 127.0.0.1:${echo.port}; proxy_bind 192.0.2.1; }
  server { listen [::]:%%PORT_18%% udp ipv6only=off; return "at $server_addr"; }
  server { listen [::]:%%PORT_19%% udp ipv6only=off; proxy_pass 127.0.0.1:${echo.port}; }
  server { listen 127.0.0.1:%%PORT_20%% udp; proxy_pass ${LISTEN6}:${large.port}; }
}
`,
})

const port = (i: number): number => server.ports[i]!
const log = (name: string): string => readFileSync(join(dir, `${name}.log`), 'latin1')
const logged = (line: string): Promise<boolean> => eventually(() => log('access').includes(`${line}\n`))

async function broadcaster(t: Scope): Promise<dgram.Socket> {
  const socket = dgram.createSocket('udp4')
  atEnd(t, () => void socket.close())
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  socket.setBroadcast(true)
  return socket
}

test('what comes back goes to the client, and with the last that is expected the session ends', async t => {
  const client = await datagramClient(t, port(0))
  assert.equal(await client.ask('abc'), 'ABC')
  await logged(`${port(0)} UDP 200 3/3 127.0.0.1:${echo.port} 3/3`)
  assert.match(log('error'), /udp client 127\.0\.0\.1:\d+ connected to 127\.0\.0\.1:\d+$/m)
  assert.match(
    log('error'),
    /udp done, packets from\/to client:1\/1, bytes from\/to client:3\/3, bytes from\/to upstream/,
  )
})

test('the same client’s datagrams are a session, and each client hears what is meant for it', async t => {
  const clients = await Promise.all(Array.from({ length: 20 }, () => datagramClient(t, port(1))))
  for (let round = 0; round < 5; round++) {
    const answers = await Promise.all(clients.map((client, i) => client.ask(`${round} of ${i}`)))
    assert.deepEqual(
      answers,
      [...clients.keys()].map(i => `${round} OF ${i}`),
    )
  }
  const ports = clients.map(
    (_, i) => new Set(echo.heard.filter(({ text }) => text.endsWith(`of ${i}`)).map(h => h.from)),
  )
  assert.ok(ports.every(({ size }) => size === 1))
  assert.equal(new Set(ports.map(([only]) => only)).size, clients.length)
})

test('after proxy_requests datagrams a session is another', async t => {
  const client = await datagramClient(t, port(2))
  for (const text of ['r1', 'r2', 'r3', 'r4', 'r5']) assert.equal(await client.ask(text), text.toUpperCase())
  const from = echo.heard.filter(({ text }) => /^r\d$/.test(text)).map(heard => heard.from)
  assert.deepEqual([from[0] === from[1], from[2] === from[3]], [true, true])
  assert.equal(new Set(from).size, 3)
})

test('a datagram may be empty, or as large as they get', async t => {
  const client = await datagramClient(t, port(1))
  assert.equal(await client.ask(''), '')
  const large = 'x'.repeat(65_507)
  assert.equal(await client.ask(large), large.toUpperCase())
})

test('where nobody is the next is asked, and when nobody is left the session ends with 502', async t => {
  for (let i = 0; i < 4; i++) assert.equal(await (await datagramClient(t, port(3))).ask('next'), 'NEXT')
  await logged(`${port(3)} UDP 200 4/4 127.0.0.1:${gone}, 127.0.0.1:${echo.port} 4, 4/0, 4`)
  const client = await datagramClient(t, port(4))
  client.send('nobody')
  await logged(`${port(4)} UDP 502 6/0 127.0.0.1:${gone} 6/0`)
  assert.match(
    log('error'),
    /recv\(\) failed \(111: Connection refused\) while proxying and reading from upstream, udp client/,
  )
})

test('silence ends a session: as it should, or as a failure where a response was expected', async t => {
  ;(await datagramClient(t, port(5))).send('any')
  await logged(`${port(5)} UDP 200 3/0 127.0.0.1:${silent.port} 3/0`)
  ;(await datagramClient(t, port(6))).send('any')
  await logged(`${port(6)} UDP 502 3/0 127.0.0.1:${silent.port} 3/0`)
  assert.match(log('error'), /udp timed out, packets from\/to client:1\/0/)
  assert.match(
    log('error'),
    /upstream timed out \(110: Connection timed out\) while proxying connection, udp client: 127/,
  )
})

test('on all addresses answers come from the one that was written to', async t => {
  assert.equal(await (await datagramClient(t, port(7), '127.0.0.1')).ask('x'), `127.0.0.1 ${port(7)} 127.0.0.1`)
  assert.equal(await (await datagramClient(t, port(7), '127.0.0.2')).ask('x'), `127.0.0.2 ${port(7)} 127.0.0.1`)
  assert.equal(await (await datagramClient(t, port(7), '127.0.0.3')).ask('x'), 'single')
})

test('who is denied hears nothing', async t => {
  assert.equal(await (await datagramClient(t, port(8))).ask('may'), 'MAY')
  ;(await datagramClient(t, port(8), '127.0.0.1', '127.0.0.2')).send('may not')
  await logged(`${port(8)} UDP 403 7/0 - -/-`)
  assert.match(log('error'), /access forbidden by rule while initializing session, udp client: 127\.0\.0\.2/)
  assert.equal(
    echo.heard.some(({ text }) => text === 'may not'),
    false,
  )
})

test('several responses may be expected of an upstream, which is connected to from where proxy_bind says', async t => {
  const client = await datagramClient(t, port(9))
  assert.deepEqual([await client.ask('n'), await client.next(), await client.next()], ['n1', 'n2', 'n3'])
  await logged(`${port(9)} UDP 200 1/6 127.0.0.1:${threefold.port} 1/6`)
  assert.equal(threefold.heard.find(({ text }) => text === 'n')?.address, '127.0.0.9')
})

test('the PROXY protocol stands in front of the first datagram', async t => {
  const second = await datagramClient(t, port(10))
  second.send('told')
  const found = (await eventually(() => silent.heard.find(({ text }) => text.endsWith('told'))))!
  const head = Buffer.from(found.text, 'latin1')
  // Proxied, IPv4, datagrams, twelve bytes of addresses and seven of a checksum.
  assert.equal(head.subarray(12, 16).toString('hex'), '21120013')
  assert.equal(head.readUInt16BE(24), second.port)
  await logged(`${port(10)} UDP 200 4/0 127.0.0.1:${silent.port} 39/0`)
  const first = await datagramClient(t, port(15))
  first.send('said')
  const line = `PROXY TCP4 127.0.0.1 127.0.0.1 ${first.port} ${port(15)}\r\nsaid`
  await eventually(() => silent.heard.some(({ text }) => text === line))
})

test('datagrams wait for the upstream’s name to be resolved', async t => {
  const client = await datagramClient(t, port(11))
  for (const text of ['a', 'b', 'c']) client.send(text)
  assert.deepEqual([await client.next(), await client.next(), await client.next()], ['A', 'B', 'C'])
  assert.equal(
    slow.questions.some(({ name }) => name === 'some.test'),
    true,
  )
})

test('IPv6, a group in shared memory, and TCP on the same port', async t => {
  if (!needsIpv6(t)) return
  assert.equal(await (await datagramClient(t, port(12), '::1')).ask('six'), 'SIX')
  const answers = []
  for (let i = 0; i < 4; i++) answers.push(await (await datagramClient(t, port(13))).ask('s'))
  assert.deepEqual(answers.toSorted(), ['S', 'S', 's1', 's1'])
  const tcp = net.connect(port(0), '127.0.0.1')
  atEnd(t, () => void tcp.destroy())
  const [said] = (await once(tcp, 'data')) as [Buffer]
  assert.equal(said.toString(), 'tcp')
})

test('what is too much for the upload rate is lost', async t => {
  const client = await datagramClient(t, port(14))
  client.send('u'.repeat(50_000))
  await eventually(() => silent.heard.some(({ text }) => text.startsWith('uuu')))
  client.send('uv')
  // Its session is not kept by what came too soon.
  client.send('uw')
  const other = await datagramClient(t, port(14))
  other.send('ux')
  await eventually(() => silent.heard.some(({ text }) => text === 'ux'))
  assert.equal(
    silent.heard.some(({ text }) => text === 'uv' || text === 'uw'),
    false,
  )
})

test('a rate that is none is told, and holds nobody', async t => {
  assert.equal(await (await datagramClient(t, port(16))).ask('rate'), 'RATE')
  assert.match(log('error'), /invalid size "much" while connecting to upstream, udp client: 127\.0\.0\.1/)
})

test('without an address of ours to use, no upstream is to blame', async t => {
  ;(await datagramClient(t, port(17))).send('any')
  await logged(`${port(17)} UDP 500 3/0  0/0`)
  assert.match(
    log('error'),
    /\[crit\] .*bind\(192\.0\.2\.1\) failed \(99: Cannot assign requested address\) while connecting to upstream, udp/,
  )
})

test('a broadcast is answered from an address of ours', async t => {
  const client = await broadcaster(t)
  client.send('x', port(7), '127.255.255.255')
  const answer = once(client, 'message') as Promise<[Buffer, { address: string }]>
  const [bytes, from] = await within(answer, 60_000, () => 'no answer')
  assert.match(from.address, /^127\.0\.0\.\d$/)
  assert.equal(String(bytes), `${from.address} ${port(7)} 127.0.0.1`)
})

test('a client that cannot be answered at all ends its session, and is told of', async t => {
  assert.equal(await (await datagramClient(t, port(18))).ask('x'), 'at ::ffff:127.0.0.1')
  const client = await broadcaster(t)
  // IPv6 does not tell where from to answer broadcasts of IPv4.
  client.send('x', port(18), '127.255.255.255')
  await logged(`${port(18)} UDP 500 1/0 - -/-`)
  client.send('x', port(19), '127.255.255.255')
  await logged(`${port(19)} UDP 200 1/0 127.0.0.1:${echo.port} 1/1`)
  for (const action of ['returning text', 'proxying and sending to client']) {
    assert.match(log('error'), new RegExp(`sendmsg\\(\\) failed \\(\\d+: [^)]+\\) while ${action}, udp client: ::ffff`))
  }
})

test('a datagram for which there is no room on the way is lost, and the session goes on', async t => {
  if (!needsIpv6(t)) return
  const client = await datagramClient(t, port(20))
  assert.deepEqual([await client.ask('a'), await client.ask('b')], ['a', 'b'])
  assert.equal(new Set(large.heard.map(({ from }) => from)).size, 1)
})
