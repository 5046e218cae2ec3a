import assert from 'node:assert/strict'
import net from 'node:net'
import test, { type TestContext } from 'node:test'
import tls from 'node:tls'
import { HANDSHAKE, readClientHello, readOldHello, UNREADABLE } from '../../src/codec/tls-client-hello.ts'

/** What OpenSSL's client sends first. */
async function helloOf(t: TestContext, options: tls.ConnectionOptions): Promise<Buffer> {
  const server = net.createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { promise, resolve } = Promise.withResolvers<Buffer>()
  server.on('connection', socket => {
    socket.on('error', () => {})
    socket.once('data', (bytes: Buffer) => {
      resolve(bytes)
      socket.destroy()
    })
  })
  const client = tls.connect({ host: '127.0.0.1', port: (server.address() as net.AddressInfo).port, ...options })
  client.on('error', () => {})
  t.after(() => {
    client.destroy()
    server.close()
  })
  return promise
}

test('the name, the suites and the groups of a real client are read', async t => {
  const bytes = await helloOf(t, {
    servername: 'Www.Example.org',
    ciphers: 'ECDHE-RSA-AES128-GCM-SHA256',
    maxVersion: 'TLSv1.2',
    ecdhCurve: 'prime256v1',
  })
  assert.equal(bytes[0], HANDSHAKE)
  const hello = readClientHello(bytes, 0, bytes.length)!
  assert.equal(hello.serverName, 'www.example.org')
  assert.deepEqual(hello.ciphers, [0xc02f])
  assert.deepEqual(hello.groups, [0x0017])
})

test('without a name there is none', async t => {
  const bytes = await helloOf(t, {})
  assert.equal(readClientHello(bytes, 0, bytes.length)!.serverName, '')
})

test('a hello is complete with its last byte, and may come in many records', async t => {
  const bytes = await helloOf(t, { servername: 'example.org' })
  for (let end = 0; end < bytes.length; end++) assert.equal(readClientHello(bytes, 0, end), null, `${end}`)
  const message = bytes.subarray(5)
  const records: Buffer[] = []
  for (let at = 0; at < message.length; at += 7) {
    const part = message.subarray(at, at + 7)
    records.push(Buffer.from([HANDSHAKE, 3, 1, 0, part.length]), part)
  }
  const split = Buffer.concat(records)
  assert.equal(readClientHello(split, 0, split.length - 1), null)
  assert.equal(readClientHello(split, 0, split.length)!.serverName, 'example.org')
})

test('a hello in the way of SSL 2 tells a version and nothing else', () => {
  const old = (major: number, minor: number): Buffer =>
    Buffer.from([0x80, 46, 1, major, minor, 0, 21, 0, 0, 0, 16, 1, 2])
  const hello = readOldHello(old(3, 1))!
  assert.equal(hello.version, 'TLSv1')
  assert.equal(readOldHello(old(0, 2))!.version, 'SSLv2')
  assert.equal(readOldHello(old(3, 9))!.version, '')
  assert.deepEqual([hello.serverName, hello.protocols, hello.ciphers, hello.groups], ['', [], [], []])
  // Another version, another message, too little, and none of it.
  assert.equal(readOldHello(old(4, 1)), null)
  assert.equal(readOldHello(Buffer.from([0x80, 46, 2, 3, 1])), null)
  assert.equal(readOldHello(old(3, 1).subarray(0, 4)), null)
  assert.equal(readOldHello(Buffer.from('GET / HTTP/1.0')), null)
})

test('fuzz: any bytes are a hello, an incomplete one or unreadable', async t => {
  const seed = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`FUZZ_SEED=${seed}`)
  let state = seed
  const random = (below: number): number => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
  const whole = await helloOf(t, { servername: 'example.org' })
  for (let i = 0; i < 5000; i++) {
    const bytes = Buffer.from(whole)
    for (let k = random(6); k >= 0; k--) bytes[random(bytes.length)] = random(256)
    const hello = readClientHello(bytes, 0, random(4) === 0 ? random(bytes.length) : bytes.length)
    assert.ok(hello === null || hello === UNREADABLE || Array.isArray(hello.ciphers))
  }
})

test('a hello in more pieces than anybody needs is none, and is not read over and over', async t => {
  const bytes = await helloOf(t, { servername: 'example.org' })
  const message = bytes.subarray(5)
  const pieces = (count: number, size: number): Buffer =>
    Buffer.concat(
      Array.from({ length: count }, (_, i) => {
        const part = message.subarray(i * size, (i + 1) * size)
        return Buffer.concat([Buffer.from([HANDSHAKE, 3, 1, 0, part.length]), part])
      }),
    )
  const few = Math.ceil(message.length / 8)
  assert.equal(readClientHello(pieces(few, 8), 0, pieces(few, 8).length)!.serverName, 'example.org')
  assert.equal(readClientHello(pieces(257, 1), 0, pieces(257, 1).length), UNREADABLE)
  // As much as is ever waited for, in the smallest records there are: what was work for the square of their number.
  const head = Buffer.from([1, 0, 0xf0, 0])
  const flood = Buffer.concat(
    Array.from({ length: 10_800 }, (_, i) => Buffer.from([HANDSHAKE, 3, 1, 0, 1, head[i] ?? 0])),
  )
  for (let i = 0; i < 1000; i++) assert.equal(readClientHello(flood, 0, flood.length), UNREADABLE)
})

test('what comes behind a hello may be any amount', async t => {
  const bytes = await helloOf(t, { servername: 'one.test' })
  const more = Buffer.concat([bytes, Buffer.alloc(100_000, 'z')])
  assert.equal(readClientHello(more, 0, more.length)?.serverName, 'one.test')
  // And what is no end of a hello is not waited for.
  const endless = Buffer.concat([Buffer.from('16030140000100fffc0303', 'hex'), Buffer.alloc(16_378)])
  const record = Buffer.concat([Buffer.from('1603014000', 'hex'), Buffer.alloc(16_384)])
  const hello = Buffer.concat([endless, record, record, record, record])
  assert.equal(readClientHello(hello, 0, 65_536), null)
  assert.equal(readClientHello(hello, 0, 65_537), UNREADABLE)
})
