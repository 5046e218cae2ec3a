import assert from 'node:assert/strict'
import test, { after } from 'node:test'
import { serveHttp } from '../../helpers/http.ts'
import { eventually, raw, request, serve, type Server } from '../../helpers/index.ts'

const file = { after }
const server: Server = await serve(
  file,
  `http {
    log_format who "$remote_addr $realip_remote_addr";
    access_log who.log who;
    server {
      listen 127.0.0.1:%%PORT_0%%;
      listen 127.0.0.1:%%PORT_1%% proxy_protocol;
      listen unix:%%DIR%%/socket;
      add_header X-Who "$remote_addr:$remote_port $realip_remote_addr";
      location / { set_real_ip_from 127.0.0.1; try_files /none =204; }
      location /untrusted { try_files /none =204; }
    }
    server {
      listen 127.0.0.1:%%PORT_2%%;
      set_real_ip_from 127.0.0.1;
      set_real_ip_from 10.0.0.0/8;
      real_ip_header X-Forwarded-For;
      return 200 "$remote_addr";
      location /x { return 200; }
    }
    server {
      listen 127.0.0.1:%%PORT_3%%;
      set_real_ip_from 127.0.0.1;
      set_real_ip_from 10.0.0.0/8;
      real_ip_header X-Forwarded-For;
      real_ip_recursive on;
      return 200 "$remote_addr:$remote_port";
    }
    server {
      listen 127.0.0.1:%%PORT_4%% proxy_protocol;
      set_real_ip_from 127.0.0.1;
      real_ip_header proxy_protocol;
      return 200 "$remote_addr:$remote_port $proxy_protocol_server_addr:$proxy_protocol_server_port $realip_remote_addr";
    }
    server {
      listen unix:%%DIR%%/trusted;
      set_real_ip_from unix:;
      real_ip_header X-Mine;
      return 200 "$remote_addr $realip_remote_addr";
    }
  }`,
)
const text = async (port: number, headers: Record<string, string | string[]>): Promise<string> =>
  (await request({ address: port, headers })).body.toString()

test('realip: X-Real-IP of a trusted sender, with a port if it names one', async () => {
  const who = async (path: string, address: string): Promise<string | null> =>
    (await request({ address: server.port, path, headers: { 'X-Real-IP': address } })).header('x-who')
  assert.match((await who('/untrusted', '192.0.2.1'))!, /^127\.0\.0\.1:\d+ 127\.0\.0\.1$/)
  assert.equal(await who('/', '192.0.2.1:99'), '192.0.2.1:99 127.0.0.1')
  assert.equal(await who('/', '192.0.2.1'), '192.0.2.1: 127.0.0.1')
  assert.match((await who('/', 'nonsense'))!, /^127\.0\.0\.1:\d+ 127\.0\.0\.1$/)
  await eventually(() => server.file('who.log').includes('192.0.2.1 127.0.0.1\n'))
})

test('realip: X-Forwarded-For, its last address or with recursive the last that is not trusted', async () => {
  const [, , flat, recursive] = server.ports as [number, number, number, number]
  assert.equal(await text(flat, { 'X-Forwarded-For': '192.0.2.1, 10.0.0.1' }), '10.0.0.1')
  assert.equal(await text(recursive, { 'X-Forwarded-For': '192.0.2.9, 192.0.2.1, 10.0.0.1' }), '192.0.2.1:')
  assert.equal(await text(recursive, { 'X-Forwarded-For': ['192.0.2.1:1234', '10.0.0.1'] }), '192.0.2.1:1234')
  assert.equal(await text(recursive, { 'X-Forwarded-For': '[2001:DB8::1]:80' }), '2001:db8::1:80')
  assert.equal(await text(recursive, { 'X-Forwarded-For': '10.0.0.2, 10.0.0.1' }), '10.0.0.2:')
  assert.match(await text(recursive, { 'X-Forwarded-For': 'nonsense' }), /^127\.0\.0\.1:\d+$/)
})

test('realip: the PROXY protocol names the client, its port and the server', async t => {
  const client = await raw(t, server.ports[4]!)
  client.socket.write('PROXY TCP4 192.0.2.1 192.0.2.2 123 5678\r\n')
  const { body } = await client.request({})
  assert.equal(body.toString(), '192.0.2.1:123 192.0.2.2:5678 127.0.0.1')
  assert.equal((await client.request({})).body.toString(), '192.0.2.1:123 192.0.2.2:5678 127.0.0.1')
})

test('realip: a Unix socket can be trusted, and any field named', async () => {
  const { body } = await request({ address: `${server.dir}/trusted`, headers: { 'X-Mine': '192.0.2.1' } })
  assert.equal(body.toString(), '192.0.2.1 unix:')
})

test('realip: of a field not called X-Forwarded-For the first counts, however often it comes', async t => {
  const body = (name: string): string => `set_real_ip_from 127.0.0.1; real_ip_header ${name}; return 200 $remote_addr;`
  for (const [name, address] of [
    ['X-Forwarded-For', '192.0.2.2'],
    ['x-forwarded-for', '192.0.2.1'],
    ['X-Mine', '192.0.2.1'],
  ] as const) {
    const { port } = await serveHttp(t, body(name))
    assert.equal(await text(port, { [name]: ['192.0.2.1', '192.0.2.2'] }), address, name)
  }
})
