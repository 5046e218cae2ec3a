import assert from 'node:assert/strict'
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import test, { type TestContext } from 'node:test'
import tls from 'node:tls'
import { certificate } from '../../helpers/certificates.ts'
import { eventually, serve, tempDir, type Server } from '../../helpers/index.ts'

const pair = 'ssl_certificate a.crt; ssl_certificate_key a.key;'

async function secure(t: TestContext, conf: string, make: (dir: string) => void = () => {}): Promise<Server> {
  const dir = tempDir(t)
  certificate(dir, 'a', { ec: true })
  make(dir)
  return serve(t, { dir, conf: `http { client_max_body_size 100m; ${conf} }` })
}

/** Bytes of one connection on their way from the client to the server. */
type Change = (bytes: Buffer, out: net.Socket) => void

/** Stands between client and server and does to what each client sends as it is told. */
async function middle(t: TestContext, to: number, make: () => Change): Promise<number> {
  const server = net.createServer(client => {
    const change = make()
    const upstream = net.connect(to, '127.0.0.1').setNoDelay(true)
    client.on('data', (bytes: Buffer) => change(bytes, upstream))
    client.on('end', () => upstream.end())
    upstream.pipe(client)
    for (const socket of [client, upstream]) {
      socket.on('error', () => {})
      socket.on('close', () => {
        client.destroy()
        upstream.destroy()
      })
    }
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  return (server.address() as net.AddressInfo).port
}

/** The answer's body; '' where there is none. */
function ask(port: number, request: string | Buffer, options: tls.ConnectionOptions = {}): Promise<Buffer> {
  return new Promise(resolve => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options })
    const chunks: Buffer[] = []
    socket.on('data', (bytes: Buffer) => chunks.push(bytes))
    socket.on('error', () => {})
    socket.on('close', () => {
      const all = Buffer.concat(chunks)
      resolve(all.subarray(all.indexOf('\r\n\r\n') + 4))
    })
    socket.write(request)
  })
}

const hello = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'

test('records may come byte by byte, and many at a time', async t => {
  const server = await secure(t, `server { listen %%PORT_0%% ssl; ${pair} return 200 "ok $ssl_protocol"; }`)
  const [port] = server.ports as [number]
  const single = await middle(t, port, () => (bytes, out) => {
    for (const byte of bytes) out.write(Buffer.from([byte]))
  })
  const late = await middle(t, port, () => {
    const all: Buffer[] = []
    return (bytes, out) => {
      all.push(bytes)
      setTimeout(() => out.write(Buffer.concat(all.splice(0))), 20)
    }
  })
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    for (const through of [single, late]) {
      assert.equal((await ask(through, hello, { maxVersion })).toString(), `ok ${maxVersion}`)
    }
  }
})

test('large bodies pass both ways, past pauses and slow readers', async t => {
  const body = randomBytes(3_000_000)
  const server = await secure(
    t,
    `server { listen %%PORT_0%% ssl; ${pair} location / { proxy_request_buffering off; proxy_pass https://127.0.0.1:%%PORT_1%%; }
       location /file { root %%DIR%%; } }
     server { listen %%PORT_1%% ssl; ${pair} client_body_buffer_size 10m; location / { proxy_pass http://127.0.0.1:%%PORT_2%%; } }
     server { listen %%PORT_2%%; return 200 $content_length; }`,
    dir => writeFileSync(join(dir, 'file'), body),
  )
  const [port] = server.ports as [number]
  const head = `POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`
  assert.equal((await ask(port, Buffer.concat([Buffer.from(head), body]))).toString(), `${body.length}`)
  const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  socket.write('GET /file HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
  const chunks: Buffer[] = []
  socket.on('data', (bytes: Buffer) => {
    chunks.push(bytes)
    // A reader that takes a rest now and then.
    if (chunks.length % 16 === 0) {
      socket.pause()
      setTimeout(() => socket.resume(), 2)
    }
  })
  await once(socket, 'end')
  const answer = Buffer.concat(chunks)
  assert.deepEqual(answer.subarray(answer.indexOf('\r\n\r\n') + 4), body)
  socket.destroy()
})

test('fuzz: bytes that were altered on their way end a connection, and no other', async t => {
  const seed = Number(process.env['FUZZ_SEED'] ?? randomInt(2 ** 31))
  t.diagnostic(`FUZZ_SEED=${seed}`)
  let state = seed
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    return Math.floor((state / 0x80000000) * below)
  }
  const server = await secure(t, `server { listen %%PORT_0%% ssl; ${pair} return 200 ok; }`)
  const [port] = server.ports as [number]
  const broken = await middle(t, port, () => (bytes, out) => {
    const copy = Buffer.from(bytes)
    for (let i = random(3); i > 0; i--) copy[random(copy.length)] = random(256)
    const cut = random(10) === 0 ? random(copy.length) : copy.length
    const at = random(cut)
    out.write(copy.subarray(0, at))
    out.write(copy.subarray(at, cut))
    if (cut < copy.length) out.end()
  })
  for (let i = 0; i < 60; i++) {
    const visits = [ask(broken, hello), ask(broken, hello, { maxVersion: 'TLSv1.2' })]
    const nonsense = net.connect(port, '127.0.0.1')
    nonsense.on('error', () => {})
    const record = Buffer.concat([Buffer.from([20 + random(6), 3, random(5), 0, random(60)]), randomBytes(random(80))])
    nonsense.end(record)
    const answers = await Promise.race([
      Promise.all(visits),
      new Promise<Buffer[]>(resolve => setTimeout(resolve, 1000, []).unref()),
    ])
    for (const answer of answers) assert.ok(['', 'ok'].includes(answer.toString()), answer.toString())
    nonsense.destroy()
  }
  assert.equal((await ask(port, hello)).toString(), 'ok')
  assert.doesNotMatch(server.errorLog(), /\[alert\]|\[emerg\]/)
})

test('certificates are read again on reload; where they are broken the old ones stay, and that is told', async t => {
  const server = await secure(t, `server { listen %%PORT_0%% ssl; ${pair} return 200 ok; }`)
  const [port] = server.ports as [number]
  const serial = async (): Promise<string> => {
    const socket = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
    await once(socket, 'secureConnect')
    const { serialNumber } = socket.getPeerX509Certificate()!
    socket.destroy()
    return serialNumber
  }
  const kept = tls.connect({ port, host: '127.0.0.1', rejectUnauthorized: false })
  await once(kept, 'secureConnect')
  const first = await serial()
  const good = readFileSync(join(server.dir, 'a.crt'))
  writeFileSync(join(server.dir, 'a.crt'), 'nonsense')
  server.signal('SIGHUP')
  await eventually(() =>
    /\[emerg\].*cannot load certificate ".*a\.crt": PEM_read_bio_X509_AUX\(\) failed \(SSL: error:/.test(
      server.errorLog(),
    ),
  )
  assert.equal(await serial(), first)
  writeFileSync(join(server.dir, 'a.crt'), good)
  certificate(server.dir, 'a', { ec: true })
  // A connection that is there goes on with what it has.
  kept.write(hello)
  const [answer] = (await once(kept, 'data')) as [Buffer]
  assert.match(answer.toString(), /200 OK/)
  await server.reload()
  await eventually(async () => (await serial()) !== first)
})

test('OpenSSL’s own commands are passed to it, and refused where it refuses them', async t => {
  const server = await secure(
    t,
    `server { listen %%PORT_0%% ssl; ${pair} ssl_conf_command Options -SessionTicket; ssl_conf_command MinProtocol TLSv1.3;
       ssl_conf_command Ciphersuites TLS_CHACHA20_POLY1305_SHA256; return 200 "$ssl_cipher $ssl_curve"; }`,
  )
  assert.match((await ask(server.ports[0]!, hello)).toString(), /^TLS_CHACHA20_POLY1305_SHA256 \w+/)
  assert.equal((await ask(server.ports[0]!, hello, { maxVersion: 'TLSv1.2' })).length, 0)
  assert.equal((await ask(server.ports[0]!, hello, { ciphers: 'TLS_AES_128_GCM_SHA256' })).length, 0)
})
