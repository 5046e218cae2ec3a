// What variables and statuses say of sessions that end early, or are asked about too soon: as nginx says it.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test from 'node:test'
import tls from 'node:tls'
import { certificate } from '../helpers/certificates.ts'
import { atEnd, eventually, fileScope, serve, tempDir } from '../helpers/index.ts'

const scope = fileScope()
const dir = tempDir(scope)
certificate(dir, 'one.test', { ec: true })

async function listening(serve: (socket: net.Socket) => void): Promise<number> {
  const one = net.createServer(socket => {
    socket.on('error', () => {})
    serve(socket)
  })
  await once(one.listen(0, '127.0.0.1'), 'listening')
  atEnd(scope, () => void one.close())
  return (one.address() as net.AddressInfo).port
}

const mute = await listening(socket => socket.once('data', () => socket.end()))
const rude = await listening(socket => socket.once('data', () => socket.resetAndDestroy()))
const deaf = await listening(socket => socket.resume())

const server = await serve(scope, {
  dir,
  conf: `
error_log error.log info;
events { }
stream {
  log_format line '$server_port $status $upstream_bytes_sent/$upstream_bytes_received $upstream_first_byte_time $ssl_preread_server_name $bytes_received';
  access_log access.log line;
  server { listen 127.0.0.1:%%PORT_0%%; return "$status $bytes_received"; }
  server { listen 127.0.0.1:%%PORT_1%%; proxy_pass 127.0.0.1:${mute}; }
  server { listen 127.0.0.1:%%PORT_2%%; proxy_pass 127.0.0.1:${rude}; }
  server { listen 127.0.0.1:%%PORT_3%%; proxy_pass 127.0.0.1:%%PORT_4%%; proxy_protocol on; proxy_ssl on; proxy_half_close on; }
  server { listen 127.0.0.1:%%PORT_4%% proxy_protocol ssl; ssl_certificate one.test.crt; ssl_certificate_key one.test.key;
           proxy_pass 127.0.0.1:${mute}; access_log off; }
  server { listen 127.0.0.1:%%PORT_5%% proxy_protocol; return x; }
  server { listen 127.0.0.1:%%PORT_6%%; ssl_preread on; preread_buffer_size 128; proxy_pass 127.0.0.1:${deaf}; }
  server { listen 127.0.0.1:%%PORT_8%%; ssl_preread on; proxy_pass 127.0.0.1:1; }
  server { listen 127.0.0.1:%%PORT_7%%; ssl_preread on; proxy_pass 127.0.0.1:${deaf}; }
}
`,
})

function connect(i: number): net.Socket {
  const socket = net.connect(server.ports[i]!, '127.0.0.1')
  socket.on('error', () => {})
  socket.resume()
  atEnd(scope, () => void socket.destroy())
  return socket
}

const lines = (i: number): string[] =>
  readFileSync(join(dir, 'access.log'), 'latin1')
    .split('\n')
    .filter(line => line.startsWith(`${server.ports[i]} `))
    .map(line => line.slice(line.indexOf(' ') + 1))

async function logged(i: number, wanted: RegExp): Promise<void> {
  await eventually(() => lines(i).length > 0)
  assert.match(lines(i)[0]!, wanted)
}

/** What a TLS client sends first. */
async function helloFor(servername: string): Promise<Buffer> {
  const { promise, resolve } = Promise.withResolvers<Buffer>()
  const port = await listening(socket => {
    socket.once('data', (bytes: Buffer) => {
      resolve(bytes)
      socket.destroy()
    })
  })
  tls.connect({ host: '127.0.0.1', port, servername }).on('error', () => {})
  return promise
}

test('a status that is not known yet is 000', async () => {
  const socket = connect(0)
  const chunks: Buffer[] = []
  socket.on('data', (chunk: Buffer) => chunks.push(chunk))
  await once(socket, 'close')
  assert.equal(Buffer.concat(chunks).toString(), '000 0')
})

test('an upstream that ends without a word has answered, and so has one that breaks off', async () => {
  connect(1).write('abc')
  await logged(1, /^200 3\/0 \d\.\d{3} - 3$/)
  connect(2).write('abc')
  await logged(2, /^200 3\/0 \d\.\d{3} - 3$/)
})

test('the PROXY protocol header before TLS counts as sent', async () => {
  const socket = connect(3)
  await once(socket, 'connect')
  const header = `PROXY TCP4 127.0.0.1 127.0.0.1 ${socket.localPort} ${server.ports[3]}\r\n`
  socket.end('abc')
  await logged(3, new RegExp(`^200 ${header.length + 3}/0 `))
})

test('who breaks off within the header has sent a bad one', async () => {
  // When the reset comes first nothing has been sent: until the bytes have.
  await eventually(async () => {
    const socket = connect(5)
    await once(socket, 'connect')
    socket.write('PROXY TCP4')
    await new Promise(resolve => setTimeout(resolve, 20))
    socket.resetAndDestroy()
    return lines(5).some(line => line.startsWith('400 '))
  })
})

test('what is behind the end of the buffer is not looked at, though all came at once', async () => {
  const hello = await helloFor('one.test')
  assert.ok(hello.length > 128)
  connect(6).write(hello)
  await logged(6, /^400 -\/- - - 0$/)
})

test('a hello is read, however much comes behind it', async () => {
  const hello = await helloFor('one.test')
  const socket = connect(7)
  socket.write(hello.subarray(0, 50))
  await eventually(() => server.errorLog().includes(`connected to 127.0.0.1:${server.ports[7]}`))
  socket.write(Buffer.concat([hello.subarray(50), Buffer.alloc(300_000, 'z')]))
  socket.end()
  await logged(7, /^200 \d+\/\d+ \S+ one\.test 30\d{4}$/)
})

test('what was read for an upstream that is not there counts as received', async () => {
  const hello = await helloFor('one.test')
  connect(8).write(hello)
  await logged(8, new RegExp(`^502 0/0 - one\\.test ${hello.length}$`))
})
