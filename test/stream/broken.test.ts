// Sessions that end before their content has begun, or without good manners: their statuses, and what the log says.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import { certificate } from '../helpers/certificates.ts'
import { atEnd, eventually, fileScope, serve, tempDir } from '../helpers/index.ts'

const scope = fileScope()
const dir = tempDir(scope)
certificate(dir, 'one.test', { ec: true })
certificate(dir, 'two.test', { ec: true })

/** Greets, and waits for its client's end. */
const upstream = net.createServer(socket => {
  socket.on('error', () => {})
  socket.write('hello')
})
await once(upstream.listen(0, '127.0.0.1'), 'listening')
atEnd(scope, () => void upstream.close())
const to = `127.0.0.1:${(upstream.address() as net.AddressInfo).port}`

const server = await serve(scope, {
  dir,
  conf: `
error_log error.log info;
events { }
stream {
  log_format line '$server_addr:$server_port $status';
  access_log access.log line;
  ssl_certificate one.test.crt; ssl_certificate_key one.test.key;
  server { listen 127.0.0.1:%%PORT_0%%; ssl_preread on; preread_buffer_size 1k; return x; }
  server { listen 127.0.0.1:%%PORT_1%% ssl; return x; }
  server { listen 127.0.0.1:%%PORT_2%% proxy_protocol; return x; }
  server { listen 127.0.0.1:%%PORT_3%%; proxy_pass ${to}; }
  server { listen 127.0.0.1:%%PORT_4%%; proxy_ssl on; proxy_pass ${to}; }
  server { listen 127.0.0.1:%%PORT_5%%; proxy_ssl on; proxy_ssl_verify on; proxy_ssl_trusted_certificate one.test.crt;
           proxy_ssl_name two.test; proxy_pass 127.0.0.1:%%PORT_1%%; }
  server { listen 127.0.0.1:%%PORT_6%% proxy_protocol; proxy_protocol_timeout 100ms; return x; }
  server { listen 127.0.0.1:%%PORT_7%% ssl; ssl_handshake_timeout 100ms; return x; }
  server { listen 127.0.0.1:%%PORT_8%%; preread_timeout 100ms; ssl_preread on; return "[$ssl_preread_protocol]"; }
  server { listen 127.0.0.1:%%PORT_9%% proxy_protocol; pass 127.0.0.1:%%PORT_10%%; }
  server { listen 127.0.0.1:%%PORT_10%% proxy_protocol; deny all; return x; }
  server { listen 127.0.0.1:%%PORT_11%% proxy_protocol=auto; deny all; return x; }
}
`,
})

const port = (i: number): number => server.ports[i]!

async function client(i: number, text: string | Buffer = ''): Promise<net.Socket> {
  const before = server.errorLog().split(`connected to 127.0.0.1:${port(i)}`).length
  const socket = net.connect(port(i), '127.0.0.1')
  socket.on('error', () => {})
  atEnd(scope, () => void socket.destroy())
  await once(socket, 'connect')
  if (text !== '') socket.write(text)
  await eventually(() => server.errorLog().split(`connected to 127.0.0.1:${port(i)}`).length > before)
  return socket
}

const lines = (i: number): string[] =>
  readFileSync(join(dir, 'access.log'), 'latin1')
    .split('\n')
    .filter(line => line.startsWith(`127.0.0.1:${port(i)} `))
    .map(line => line.slice(line.indexOf(' ') + 1))

/** Its session has ended with that status, as the only one so far or as one more. */
async function ends(i: number, statuses: readonly number[]): Promise<void> {
  await eventually(() => lines(i).length >= statuses.length)
  assert.deepEqual(lines(i).map(Number), statuses)
}

const says = (text: string): Promise<unknown> => eventually(() => server.errorLog().includes(text))

test('who leaves while being looked at has done no wrong, and who breaks off is told of', async () => {
  ;(await client(0)).end()
  await ends(0, [200])
  ;(await client(0)).resetAndDestroy()
  await ends(0, [200, 200])
  await says('recv() failed (104: Connection reset by peer) while prereading client data, client: 127.0.0.1')
  await client(0, Buffer.concat([Buffer.from('160301400001003ffc0303', 'hex'), Buffer.alloc(2000)]))
  await ends(0, [200, 200, 400])
  await says('preread buffer full while prereading client data, client: ')
  await client(8)
  await ends(8, [200])
  // Of another protocol, though it begins as TLS.
  await client(8, Buffer.from('1602010200', 'hex'))
  await ends(8, [200, 200])
  assert.doesNotMatch(server.errorLog(), /timed out .* prereading/)
})

test('a handshake that comes to nothing is an error', async () => {
  ;(await client(1)).end()
  await ends(1, [500])
  await says('[info] ')
  await says('peer closed connection in SSL handshake while SSL handshaking, client: ')
  ;(await client(1)).resetAndDestroy()
  await ends(1, [500, 500])
  await says('peer closed connection in SSL handshake (104: Connection reset by peer) while SSL handshaking, client: ')
  await client(1, 'GET / HTTP/1.0\r\n\r\n')
  await ends(1, [500, 500, 500])
  await client(7)
  await ends(7, [500])
})

test('so is a PROXY protocol header, but for one that is waited for', async () => {
  ;(await client(2)).end()
  await ends(2, [400])
  await says('broken header: "" while reading PROXY protocol, client: ')
  await client(2, 'HELLO\r\n')
  await ends(2, [400, 400])
  await client(6)
  await ends(6, [200])
  await says('client timed out (110: Connection timed out) while reading PROXY protocol, client: ')
  await client(6, 'PROXY TCP4 192')
  await ends(6, [200, 400])
  await says('broken header: "PROXY TCP4 192" while reading PROXY protocol, client: ')
})

test('rules hold behind every header, and where there may be none', async () => {
  const header = 'PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n'
  await client(9, header + header)
  await ends(10, [403])
  await client(11, 'no header at all')
  await ends(11, [403])
  await client(11, header)
  await ends(11, [403, 403])
})

test('the ends of what is passed on are told in nginx’s words', async () => {
  const leaving = await client(3)
  if (leaving.readableLength === 0) await once(leaving, 'readable')
  const connected = new RegExp(`\\[info\\] .* proxy 127.0.0.1:\\d+ connected to ${to}\\n`)
  await eventually(() => connected.test(server.errorLog()))
  leaving.end('abc')
  await says('client disconnected, bytes from/to client:3/5, bytes from/to upstream:5/3\n')
  const breaking = await client(3)
  if (breaking.readableLength === 0) await once(breaking, 'readable')
  breaking.resetAndDestroy()
  await says('recv() failed (104: Connection reset by peer) while proxying and reading from client, client: 127.0.0.1')
  await ends(3, [200, 200])
})

test('an upstream that speaks no TLS, or shows another’s certificate, is told of', async () => {
  await client(4)
  await ends(4, [502])
  await says('SSL routines::wrong version number) while SSL handshaking to upstream, client: 127.0.0.1')
  assert.match(server.errorLog(), /\] .* SSL_do_handshake\(\) failed \(SSL: error:/)
  await client(5)
  await ends(5, [502])
  await says('upstream SSL certificate does not match "two.test" while SSL handshaking to upstream, client: 127.0.0.1')
})
