import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import tls from 'node:tls'
import { certificate } from '../helpers/certificates.ts'
import { atEnd, eventually, fileScope, LISTEN6, needsIpv6, serve, tempDir } from '../helpers/index.ts'

const scope = fileScope()

/** A server that says what it got, in capitals, and ends when its client does; `hello` first, where it is given. */
async function peer(hello = ''): Promise<number> {
  const server = net.createServer({ allowHalfOpen: true }, socket => {
    socket.on('error', () => {})
    socket.write(hello)
    socket.on('data', chunk => void socket.write(chunk.toString('latin1').toUpperCase(), 'latin1'))
    socket.on('end', () => socket.end('|bye'))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  atEnd(scope, () => void server.close())
  return (server.address() as AddressInfo).port
}

const dir = tempDir(scope)
certificate(dir, 'one.test')
const [plain, greeting] = [await peer(), await peer('hello ')]

const server = await serve(scope, {
  dir,
  conf: `
error_log error.log debug;
events { }
stream {
  log_format line '$server_port $protocol $status $bytes_received/$bytes_sent $upstream_addr $ssl_preread_server_name $name';
  access_log access.log line;
  map $ssl_preread_server_name $name { default other; one.test first; }
  upstream several { server 127.0.0.1:1; server 127.0.0.1:${plain}; }
  server { listen 127.0.0.1:%%PORT_0%%; proxy_pass several; proxy_half_close on; }
  server { listen 127.0.0.1:%%PORT_1%%; proxy_pass 127.0.0.1:${greeting}; deny 127.0.0.2; allow all; }
  server { listen 127.0.0.1:%%PORT_2%% ssl; ssl_certificate one.test.crt; ssl_certificate_key one.test.key;
           proxy_pass 127.0.0.1:${plain}; proxy_half_close on; }
  server { listen 127.0.0.1:%%PORT_3%%; ssl_preread on; set $target 127.0.0.1:%%PORT_2%%; proxy_pass $target; }
  server { listen 127.0.0.1:%%PORT_4%%; return "you are $remote_addr\\n"; }
  server { listen ${LISTEN6}:%%PORT_15%%; listen unix:%%DIR%%/own.sock; set $ssl_early_data mine; return $ssl_early_data; }
  server { listen 127.0.0.1:%%PORT_5%%; proxy_pass 127.0.0.1:%%PORT_2%%; proxy_ssl on; proxy_half_close on; }
  server { listen 127.0.0.1:%%PORT_6%%; proxy_pass 127.0.0.1:1; }
  server { listen 127.0.0.1:%%PORT_7%%; proxy_pass 127.0.0.1:%%PORT_8%%; proxy_protocol on; }
  server { listen 127.0.0.1:%%PORT_8%% proxy_protocol; return "$proxy_protocol_addr $proxy_protocol_server_port"; }
  server { listen 127.0.0.1:%%PORT_11%% ssl; ssl_certificate one.test.crt; ssl_certificate_key one.test.key;
           proxy_pass 127.0.0.1:%%PORT_12%%; proxy_protocol v2; }
  server { listen 127.0.0.1:%%PORT_12%% proxy_protocol;
           return "$proxy_protocol_addr $proxy_protocol_tlv_authority $proxy_protocol_tlv_ssl_version $proxy_protocol_tlv_ssl_verify $proxy_protocol_tlv_ssl_sig_alg $proxy_protocol_tlv_ssl_key_alg"; }
  server { listen 127.0.0.1:%%PORT_13%% ssl; ssl_certificate one.test.crt; ssl_certificate_key one.test.key; return other; }
  server { listen 127.0.0.1:%%PORT_13%% ssl; ssl_certificate one.test.crt; ssl_certificate_key one.test.key;
           server_name one.test; return named; }
  server { listen 127.0.0.1:%%PORT_9%%; proxy_pass 127.0.0.1:${plain}; proxy_timeout 1s; }
  server { listen 127.0.0.1:%%PORT_14%%; proxy_pass several; proxy_bind 192.0.2.1; }
  map $server_port $rate { default 10k; }
  server { listen 127.0.0.1:%%PORT_10%%; proxy_pass 127.0.0.1:${plain}; proxy_download_rate $rate; proxy_half_close on; }
}
`,
})

const port = (i: number): number => server.ports[i]!

const log = (name: string): string => readFileSync(join(dir, `${name}.log`), 'latin1')

/** Sends it all, ends, and answers all that comes back. */
async function talk(socket: net.Socket, text = '', ends = true): Promise<string> {
  let answer = ''
  socket.on('data', chunk => void (answer += chunk.toString('latin1')))
  socket.on('error', () => {})
  socket.on('end', () => socket.end())
  socket.setTimeout(30_000, () => socket.destroy())
  if (text !== '') socket.write(text, 'latin1')
  if (ends) socket.end()
  await new Promise(resolve => socket.on('close', resolve))
  return answer
}

const plainTo = (i: number, localAddress = '127.0.0.1'): net.Socket =>
  net.connect({ port: port(i), host: '127.0.0.1', localAddress, allowHalfOpen: true })

test('bytes go both ways, however many, and each side may end first', async () => {
  assert.equal(await talk(plainTo(0), 'abc'), 'ABC|bye')
  await eventually(() => log('error').includes('upstream disconnected, bytes from/to client:3/7, bytes from/to up'))
  const large = 'x'.repeat(5_000_000)
  const answer = await talk(plainTo(0), large)
  assert.equal(answer, `${large.toUpperCase()}|bye`)
})

test('a client that says nothing and ends at once is served all the same', async () => {
  for (let i = 0; i < 5; i++) assert.equal(await talk(plainTo(0), ''), '|bye')
})

test('who does not answer is passed over, and when nobody does the session ends with 502', async () => {
  for (let i = 0; i < 3; i++) assert.equal(await talk(plainTo(0), 'a'), 'A|bye')
  assert.equal(await talk(plainTo(6), 'a', false), '')
  const line = `${port(6)} TCP 502 `
  await eventually(() => new RegExp(line).test(log('access')))
  await eventually(() => /connect\(\) failed \(111: Connection refused\) while connecting/.test(log('error')))
})

test('without an address of ours to use, no upstream is to blame', async () => {
  for (let i = 0; i < 3; i++) assert.equal(await talk(plainTo(14), 'a', false), '')
  await eventually(() => log('access').match(new RegExp(`^${port(14)} TCP 500 `, 'gm'))?.length === 3)
  assert.match(
    log('error'),
    /\[crit\] .*bind\(192\.0\.2\.1\) failed \(99: Cannot assign requested address\) while connecting to upstream/,
  )
})

test('an upstream may speak first, and those who are denied hear nothing', async () => {
  const socket = plainTo(1)
  const [first] = (await once(socket, 'data')) as [Buffer]
  assert.equal(first.toString(), 'hello ')
  socket.destroy()
  assert.equal(await talk(plainTo(1, '127.0.0.2'), '', false), '')
  await eventually(() => log('access').includes(`${port(1)} TCP 403 0/0`))
})

test('a server is found by the name in the hello, however it is spelled', async () => {
  for (const [servername, expected] of [
    ['one.test', 'named'],
    ['One.Test.', 'named'],
    ['two.test', 'other'],
  ] as const) {
    const socket = tls.connect({ port: port(13), host: '127.0.0.1', rejectUnauthorized: false, servername })
    const [answer] = (await once(socket, 'data')) as [Buffer]
    assert.equal(answer.toString(), expected, servername)
    socket.destroy()
  }
})

test('TLS may end here, begin here, or pass through unread but for the name', async () => {
  const over = (i: number): net.Socket =>
    tls.connect({ port: port(i), host: '127.0.0.1', rejectUnauthorized: false, servername: 'one.test' })
  for (const i of [2, 3]) {
    const socket = over(i)
    await once(socket, 'secureConnect')
    socket.write('abc')
    const [answer] = (await once(socket, 'data')) as [Buffer]
    assert.equal(answer.toString(), 'ABC')
    socket.destroy()
  }
  assert.equal(await talk(plainTo(5), 'abc'), 'ABC|bye')
  const line = new RegExp(`${port(3)} TCP 200 \\d+/\\d+ 127.0.0.1:${port(2)} one.test first`)
  await eventually(() => line.test(log('access')))
})

test('the name in the hello is told as it is spelled, none as nothing', async () => {
  for (const [options, told] of [
    [{ servername: 'One.TEST' }, 'One.TEST first'],
    [{}, ' other'],
  ] as const) {
    const socket = tls.connect({ port: port(3), host: '127.0.0.1', rejectUnauthorized: false, ...options })
    socket.on('error', () => {})
    await once(socket, 'secureConnect')
    socket.destroy()
    await eventually(() => log('access').includes(`:${port(2)} ${told}\n`))
  }
})

test('plain text where a client’s hello is looked for passes on', async () => {
  // The TLS server behind refuses it, which is its own affair.
  const answer = await talk(plainTo(3), 'GET / HTTP/1.0\r\n\r\n')
  assert.ok(answer === '' || answer.startsWith('\x15\x03'), answer)
})

test('a text may be all the answer', async () => {
  assert.equal(await talk(plainTo(4), '', false), 'you are 127.0.0.1\n')
})

test('clients are named in the log as they are elsewhere; variables that nginx has for requests alone may be set', async t => {
  if (!needsIpv6(t)) return
  assert.equal(await talk(net.connect({ port: port(15), host: '::1', allowHalfOpen: true }), '', false), 'mine')
  assert.equal(await talk(net.connect({ path: join(dir, 'own.sock'), allowHalfOpen: true }), '', false), 'mine')
  assert.match(log('error'), new RegExp(`client \\[::1\\]:\\d+ connected to \\[::1\\]:${port(15)}\n`))
  assert.match(log('error'), /client unix: connected to unix:.*own\.sock\n/)
})

test('the PROXY protocol is spoken and understood', async () => {
  assert.equal(await talk(plainTo(7), '', false), `127.0.0.1 ${port(7)}`)
  const socket = tls.connect({ port: port(11), host: '127.0.0.1', rejectUnauthorized: false, servername: 'one.test' })
  const [told] = (await once(socket, 'data')) as [Buffer]
  assert.equal(told.toString(), '127.0.0.1 one.test TLSv1.3 1 RSA-SHA256 RSA2048')
  socket.destroy()
  assert.equal(await talk(plainTo(8), 'GARBAGE AND MORE\r\n', false), '')
  // The header is none of what the client has sent.
  await eventually(() => new RegExp(`^${port(8)} TCP 200 0/`, 'm').test(log('access')))
})

test('a session in which nothing happens is ended', async () => {
  assert.equal(await talk(plainTo(9), 'abc', false), 'ABC')
})

test('an upstream is read at the pace it is allowed', async () => {
  // What two seconds may bring can come at once, where the second of them begins just then.
  const started = performance.now()
  const answer = await talk(plainTo(10), 'x'.repeat(30_000))
  assert.equal(answer.length, 30_004)
  assert.ok(performance.now() - started > 400, `${performance.now() - started} ms`)
})

test('a reload leaves sessions alone', async () => {
  const socket = plainTo(0)
  socket.write('before ')
  await once(socket, 'data')
  server.signal('SIGHUP')
  await eventually(() => log('error').includes('start worker process 2'))
  assert.equal(await talk(socket, 'after'), 'AFTER|bye')
})

test('after a reload the old configuration takes no more sessions, though a request still keeps it busy', async t => {
  const silent = net.createServer(socket => void socket.on('error', () => {}))
  silent.listen(0, '127.0.0.1')
  await once(silent, 'listening')
  atEnd(t, () => void silent.close())
  const conf = (text: string): string => `
events { }
stream { server { listen 127.0.0.1:%%PORT_0%%; return ${text}; } }
http { server { listen 127.0.0.1:%%PORT_1%%;
  location / { proxy_pass http://127.0.0.1:${(silent.address() as AddressInfo).port}; } } }`
  const busy = await serve(t, { conf: conf('old') })
  const asked = net.connect(busy.ports[1]!, '127.0.0.1')
  asked.on('error', () => {})
  asked.write('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
  await once(silent, 'connection')
  await busy.reload(conf('new'))
  const told = (): Promise<string> => talk(net.connect(busy.ports[0]!, '127.0.0.1'), '', false)
  await eventually(async () => (await told()) === 'new')
  // The old thread is told to retire when the new one listens, a moment later.
  const answers = async (): Promise<string> =>
    [...new Set(await Promise.all(Array.from({ length: 40 }, told)))].toSorted().join()
  await eventually(async () => (await answers()) === 'new')
  for (let i = 0; i < 5; i++) assert.equal(await answers(), 'new')
  asked.destroy()
})

test('a server needs no content, and of several the last one counts', async t => {
  const { ports, dir: folder } = await serve(t, {
    conf: `stream { log_format line '$server_port $status'; access_log access.log line;
      server { listen 127.0.0.1:%%PORT_0%%; }
      server { listen 127.0.0.1:%%PORT_1%%; proxy_pass 127.0.0.1:1; pass 127.0.0.1:1; return last; } }`,
  })
  const told = (i: number): Promise<string> => talk(net.connect(ports[i]!, '127.0.0.1'), '', false)
  assert.equal(await told(0), '')
  assert.equal(await told(1), 'last')
  const lines = (): string => readFileSync(join(folder, 'access.log'), 'latin1')
  await eventually(() => lines().includes(`${ports[0]} 500\n`) && lines().includes(`${ports[1]} 200\n`))
})

test('what cannot be served is refused when the configuration is read', async () => {
  const refusal = async (block: string): Promise<string> => {
    const failed = await serve(scope, { conf: `events { }\nstream { ${block} }\n` }).catch(
      (error: Error) => error.message,
    )
    return typeof failed === 'string' ? failed : ''
  }
  assert.match(
    await refusal('server { listen 127.0.0.1:1 udp ssl; return x; }'),
    /"listen" directive "ssl" parameter is incompatible with "udp" in /,
  )
  assert.match(
    await refusal('server { listen 127.0.0.1:1; set $remote_addr x; return x; }'),
    /the duplicate "remote_addr" variable in /,
  )
  assert.match(
    await refusal('upstream u { server 127.0.0.1; } server { listen 127.0.0.1:1; proxy_pass u; }'),
    /no port in upstream "127\.0\.0\.1" in /,
  )
  for (const own of ['drain', 'route=a']) {
    assert.match(
      await refusal(`upstream u { server 127.0.0.1:1 ${own}; } server { listen 127.0.0.1:1; proxy_pass u; }`),
      new RegExp(`invalid parameter "${own}" in `),
    )
  }
  assert.match(await refusal('upstream u { ip_hash; server 127.0.0.1:1; }'), /"ip_hash" directive is not allowed here/)
  assert.match(
    await refusal('upstream u { least_time header; server 127.0.0.1:1; } server { listen 127.0.0.1:1; proxy_pass u; }'),
    /invalid value "header" in /,
  )
  const long = 'p'.repeat(256)
  for (const offer of [`proxy_ssl_alpn h2 ${long}`, `ssl_alpn ${long}`]) {
    assert.match(
      await refusal(`server { listen 127.0.0.1:1; proxy_pass 127.0.0.1:1; ${offer}; }`),
      /ssl_alpn" directive protocol too long in /,
    )
  }
  assert.match(await refusal('log_format a x; log_format A y;'), /duplicate "log_format" name "A" in /)
  assert.match(await refusal('access_log a.log; server { listen 127.0.0.1:1; }'), /log format is not specified in /)
  assert.match(await refusal('server { return x; }'), /no "listen" is defined for server in /)
  assert.match(
    await refusal('server { listen 127.0.0.1:1; return x; location / { } }'),
    /"location" directive is not allowed here/,
  )
})
