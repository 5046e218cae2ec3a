import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import tls from 'node:tls'
import { certificate } from '../helpers/certificates.ts'
import { atEnd, eventually, fileScope, origin, request, serve, tempDir } from '../helpers/index.ts'

const scope = fileScope()
const dir = tempDir(scope)
certificate(dir, 'one.test', { ec: true })
const CERTIFICATE = 'ssl_certificate one.test.crt; ssl_certificate_key one.test.key;'

const server = await serve(scope, {
  dir,
  conf: `
worker_processes 2;
error_log error.log info;
events { }
http {
  server { listen 127.0.0.1:%%PORT_0%%; listen unix:%%DIR%%/http.sock;
           location / { return 200 "$scheme $remote_addr:$remote_port $server_addr:$server_port $proxy_protocol_addr $ssl_protocol $connection_requests"; }
           location /status { stub_status; } }
  server { listen 127.0.0.1:%%PORT_1%% ssl; ${CERTIFICATE} http2 on; return 200 "inner $scheme $ssl_server_name"; }
  server { listen %%PORT_2%%; return 200 any; }
  server { listen 127.0.0.3:%%PORT_2%%; return 200 three; }
}
stream {
  ${CERTIFICATE}
  log_format line '$server_port $status';
  access_log access.log line;
  limit_conn_zone $server_port zone=places:64k;
  geo $target { default 127.0.0.3:%%PORT_2%%; 127.0.0.4 127.0.0.9:%%PORT_2%%; 127.0.0.5 name.test:1; 127.0.0.6 127.0.0.1;
                127.0.0.7 127.0.0.1:x; }
  server { listen 127.0.0.1:%%PORT_3%%; ssl_preread on; pass 127.0.0.1:%%PORT_0%%; }
  server { listen 127.0.0.1:%%PORT_3%%; server_name one.test; pass 127.0.0.1:%%PORT_1%%; }
  server { listen 127.0.0.1:%%PORT_4%% ssl; pass 127.0.0.1:%%PORT_0%%; }
  server { listen 127.0.0.1:%%PORT_5%%; limit_conn places 1; pass unix:http.sock; }
  server { listen 127.0.0.1:%%PORT_6%%; pass $target; }
  server { listen 127.0.0.1:%%PORT_7%%; pass 127.0.0.1:%%PORT_8%%; }
  server { listen 127.0.0.1:%%PORT_8%%; pass 127.0.0.1:%%PORT_7%%; }
  server { listen 127.0.0.1:%%PORT_9%%; pass 127.0.0.1:1; }
  server { listen 127.0.0.1:%%PORT_10%% ssl; ssl_preread on; pass 127.0.0.1:%%PORT_0%%; }
  server { listen 127.0.0.1:%%PORT_11%% proxy_protocol; set_real_ip_from 127.0.0.1; pass 127.0.0.1:%%PORT_0%%; }
  server { listen 127.0.0.1:%%PORT_12%% ssl; pass 127.0.0.1:%%PORT_13%%; }
  server { listen 127.0.0.1:%%PORT_13%% ssl; return "$ssl_protocol at $server_addr:$server_port from $remote_addr"; }
  server { listen 127.0.0.1:%%PORT_14%%; deny all; return x; }
  server { listen 127.0.0.1:%%PORT_15%%; pass 127.0.0.1:%%PORT_14%%; }
  server { listen 127.0.0.1:%%PORT_16%% ssl; pass 127.0.0.1:%%PORT_17%%; }
}
mail {
  server { listen 127.0.0.1:%%PORT_17%%; protocol pop3; auth_http 127.0.0.1:1; }
}
`,
})

const port = (i: number): number => server.ports[i]!
const REQUEST = 'GET / HTTP/1.0\r\n\r\n'

/** All that comes back. */
function heard(socket: net.Socket): Promise<string> {
  return new Promise(resolve => {
    let text = ''
    socket.on('data', chunk => (text += chunk.toString('latin1')))
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
    socket.on('end', () => socket.end())
  })
}

function ask(i: number, text = REQUEST, localAddress = '127.0.0.1'): Promise<string> {
  const socket = net.connect({ port: port(i), host: '127.0.0.1', localAddress })
  if (text !== '') socket.write(text)
  return heard(socket)
}

function askOverTls(i: number, servername: string, text = REQUEST): Promise<string> {
  const socket = tls.connect({ port: port(i), host: '127.0.0.1', rejectUnauthorized: false, servername })
  if (text !== '') socket.write(text)
  return heard(socket)
}

const body = (answer: string): string => answer.split('\r\n\r\n')[1] ?? answer

const logged = (line: string): Promise<unknown> =>
  eventually(() => readFileSync(join(dir, 'access.log'), 'latin1').split('\n').includes(line))

test('by what a client says first its connection is served as HTTP, or as HTTP over TLS', async () => {
  assert.match(body(await ask(3)), new RegExp(`^http 127.0.0.1:\\d+ 127.0.0.1:${port(0)}   1$`))
  assert.equal(body(await askOverTls(3, 'one.test')), 'inner https one.test')
  // In two parts, and with time between them.
  const socket = net.connect({ port: port(3), host: '127.0.0.1' })
  await once(socket, 'connect')
  socket.write(REQUEST.slice(0, 3))
  await eventually(() => /client 127.0.0.1:\d+ connected/.test(server.errorLog()))
  const answer = heard(socket)
  socket.write(REQUEST.slice(3))
  assert.match(body(await answer), /^http /)
})

test('a passed connection is kept for further requests, and its body comes whole', async t => {
  const address = { host: '127.0.0.1', port: port(3) }
  assert.equal((await request({ address: address.port, method: 'POST', body: 'x'.repeat(100_000) })).status, 200)
  const socket = net.connect(address)
  atEnd(t, () => void socket.destroy())
  for (const n of [1, 2]) {
    socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    const [chunk] = (await once(socket, 'data')) as [Buffer]
    assert.match(chunk.toString(), new RegExp(` ${n}$`))
  }
})

test('TLS that has ended is there for requests, and is not begun again', async () => {
  assert.match(body(await askOverTls(4, 'one.test')), /^https 127.0.0.1:\d+ 127.0.0.1:\d+  TLSv1.3 1$/)
  assert.equal(await askOverTls(12, 'one.test', ''), `TLSv1.3 at 127.0.0.1:${port(13)} from 127.0.0.1`)
})

test('what was read of TLS to be looked at cannot be passed on', async () => {
  assert.equal(await askOverTls(10, 'one.test'), '')
  await logged(`${port(10)} 500`)
  const problem =
    'cannot pass connection with preread data while passing connection to port, client: 127.0.0.1, server: '
  assert.ok(server.errorLog().includes(`${problem}127.0.0.1:${port(10)}`))
})

test('a Unix socket may be named as listen names it, and limits hold until the connection ends', async t => {
  const socket = net.connect({ port: port(5), host: '127.0.0.1' })
  atEnd(t, () => void socket.destroy())
  socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  const [chunk] = (await once(socket, 'data')) as [Buffer]
  assert.match(chunk.toString(), new RegExp(`http 127.0.0.1:\\d+ unix:${dir}/http.sock:   1$`))
  // What it says may come too late for an orderly end.
  assert.equal(await ask(5).catch(() => ''), '')
  await logged(`${port(5)} 503`)
  socket.destroy()
  await eventually(async () => body(await ask(5)).startsWith('http '))
})

test('variables name addresses, of which a wildcard takes those that nobody else has', async () => {
  assert.equal(body(await ask(6)), 'three')
  assert.equal(body(await ask(6, REQUEST, '127.0.0.4')), 'any')
  for (const [address, problem] of [
    ['127.0.0.5', 'no addresses in pass "name.test:1"'],
    ['127.0.0.6', 'no port in pass "127.0.0.1"'],
    ['127.0.0.7', 'invalid port in pass "127.0.0.1:x"'],
  ] as const) {
    assert.equal(await ask(6, REQUEST, address), '')
    await eventually(() =>
      server.errorLog().includes(`${problem} while passing connection to port, client: ${address}`),
    )
  }
  await logged(`${port(6)} 500`)
})

test('a circle is left, and an address that nobody listens on is told', async () => {
  assert.equal(await ask(7), '')
  await logged(`${port(7)} 500`)
  assert.match(server.errorLog(), /stream pass cycle while passing connection to port/)
  assert.equal(await ask(9), '')
  await logged(`${port(9)} 200`)
  assert.match(server.errorLog(), /port not found for "127.0.0.1:1" while passing connection to port/)
})

test('who the client is, by the PROXY protocol, is known behind', async () => {
  const answer = await ask(11, `PROXY TCP4 192.0.2.1 192.0.2.2 1111 2222\r\n${REQUEST}`)
  assert.equal(body(answer), `http 192.0.2.1:1111 127.0.0.1:${port(0)} 192.0.2.1  1`)
})

test('the rules of the address that it is passed to hold, and only its session is logged', async () => {
  assert.equal(await ask(15, ''), '')
  await logged(`${port(14)} 403`)
  assert.match(server.errorLog(), /access forbidden by rule while initializing session/)
  assert.doesNotMatch(readFileSync(join(dir, 'access.log'), 'latin1'), new RegExp(`^${port(15)} `, 'm'))
})

test('every connection is counted once', async () => {
  const status = async (): Promise<string> => (await request({ address: port(0), path: '/status' })).text
  const accepted = async (): Promise<number> => Number(/\n (\d+) /.exec(await status())![1])
  const before = await accepted()
  await ask(3)
  await ask(4, 'x')
  await ask(9)
  assert.equal((await accepted()) - before, 4)
  await eventually(async () =>
    /^Active connections: 1 \n[^]*Reading: 0 Writing: 1 Waiting: 0 $/.test((await status()).trimEnd() + ' '),
  )
})

test('a reload ends nothing that is passed on after it', async t => {
  const waiting: ((body: string) => void)[] = []
  const slow = await origin(t, async () => {
    const told = await new Promise<string>(resolve => waiting.push(resolve))
    return `HTTP/1.1 200 OK\r\nContent-Length: ${told.length}\r\n\r\n${told}`
  })
  const conf = (name: string): string => `worker_processes 1; events { }
    http { server { listen 127.0.0.1:%%PORT_0%%; location / { proxy_pass http://${slow.path}; } location /name { return 200 ${name}; } } }
    stream { server { listen 127.0.0.1:%%PORT_1%%; ssl_preread on; pass 127.0.0.1:%%PORT_0%%; } }`
  const reloading = await serve(t, { conf: conf('old') })
  const [http, stream] = reloading.ports as [number, number]
  const socket = net.connect({ port: stream, host: '127.0.0.1' })
  atEnd(t, () => void socket.destroy())
  await eventually(() => reloading.errorLog().includes(`connected to 127.0.0.1:${stream}`))
  await reloading.reload(conf('new'))
  const name = async (): Promise<string> => (await request({ address: http, path: '/name' })).text
  await eventually(async () => (await name()) === 'new')
  const answer = heard(socket)
  socket.write(REQUEST)
  await eventually(() => waiting.length === 1)
  // Whoever thinks that the old thread has nothing to do any more ends it about now.
  for (let i = 0; i < 20; i++) await name()
  waiting[0]!('whole')
  assert.equal(body(await answer), 'whole')
})

test('mail servers may be passed to as well', async () => {
  const socket = tls.connect({ port: port(16), host: '127.0.0.1', rejectUnauthorized: false })
  const answer = heard(socket)
  socket.write('QUIT\r\n')
  assert.equal(await answer, '+OK POP3 ready\r\n+OK\r\n')
})

test('what cannot be passed to is refused when the configuration is read', async () => {
  const refusal = async (to: string): Promise<string> => {
    const failed = await serve(scope, { conf: `stream { server { listen 127.0.0.1:1; pass ${to}; } }\n` }).catch(
      (error: Error) => error.message,
    )
    return typeof failed === 'string' ? failed : ''
  }
  assert.match(await refusal('name.test:80'), /"pass" directive has no addresses/)
  assert.match(await refusal('127.0.0.1'), /"pass" directive has no port/)
  assert.match(await refusal('127.0.0.1:x'), /invalid port in "127.0.0.1:x" of the "pass" directive/)
})
