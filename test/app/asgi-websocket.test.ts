import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import test from '../helpers/python-test.ts'
import type { TestContext } from 'node:test'
import * as ws from '../../src/codec/ws.ts'
import { eventually } from '../helpers/eventually.ts'
import { get, raw, type RawClient } from '../helpers/raw.ts'
import type { Scope } from '../helpers/scope.ts'
import type { Server } from '../helpers/serve.ts'
import { busy, serveThings, shared } from './things.ts'

const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='

function serveEcho(t: Scope, app = ''): Promise<Server> {
  return serveThings(t, { module: 'asgi_things:application', app: `kind asgi; workers 1; ${app}` })
}

const usual = shared(t => serveEcho(t))

/** A client that has sent its handshake. */
async function ask(t: TestContext, server: Server, path = '/echo', fields = ''): Promise<RawClient> {
  const client = await raw(t, server.port)
  await client.send(
    `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
      `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n${fields}\r\n`,
  )
  return client
}

/** A client whose handshake was accepted. */
async function open(
  t: TestContext,
  server: Server,
  path = '/echo',
  fields = '',
): Promise<{ client: RawClient; head: string }> {
  const client = await ask(t, server, path, fields)
  const head = await client.until('\r\n\r\n')
  assert.match(head, /^HTTP\/1\.1 101 /)
  return { client, head }
}

function frame(opcode: number, payload: string | Buffer, final = true): Buffer {
  const bytes = Buffer.from(payload as string)
  const header = ws.frameHeader(opcode, bytes.length)
  header[0] = (final ? 0x80 : 0) | opcode
  header[1]! |= 0x80
  return Buffer.concat([header, Buffer.from([1, 2, 3, 4]), bytes.map((byte, i) => byte ^ ((i & 3) + 1))])
}

/** The next frame of the server's. */
async function next(client: RawClient): Promise<{ opcode: number; payload: Buffer }> {
  await eventually(() => client.received.length >= 2)
  const short = client.received[1]! & 0x7f
  const headerSize = short === 126 ? 4 : short === 127 ? 10 : 2
  await eventually(() => client.received.length >= headerSize)
  const { received } = client
  const size = short === 126 ? received.readUInt16BE(2) : short === 127 ? Number(received.readBigUInt64BE(2)) : short
  await eventually(() => client.received.length >= headerSize + size)
  const opcode = client.received[0]! & 0x0f
  const payload = client.received.subarray(headerSize, headerSize + size)
  client.received = client.received.subarray(headerSize + size)
  return { opcode, payload }
}

function closePayload(code: number, reason = ''): Buffer {
  const payload = Buffer.alloc(2)
  payload.writeUInt16BE(code)
  return Buffer.concat([payload, Buffer.from(reason)])
}

async function seen(server: Server): Promise<string> {
  return (await get(server.port, '/seen')).text
}

test('websocket: text and bytes are echoed, in parts too, and pings answered', async t => {
  const server = await usual()
  const { client, head } = await open(t, server)
  assert.match(head, /Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK\+xOo=/i)
  assert.match(head, /upgrade: websocket/i)
  assert.match(head, /x-own: 1/i)
  assert.ok(!/sec-websocket-protocol/i.test(head))
  await client.send(frame(ws.TEXT, 'grüße'))
  assert.deepEqual(await next(client), { opcode: ws.TEXT, payload: Buffer.from('grüße') })
  await client.send(frame(ws.BINARY, Buffer.from([0, 255])))
  assert.deepEqual(await next(client), { opcode: ws.BINARY, payload: Buffer.from([0, 255]) })
  await client.send(Buffer.concat([frame(ws.TEXT, 'one ', false), frame(ws.PING, 'p'), frame(ws.CONTINUATION, 'two')]))
  assert.deepEqual(await next(client), { opcode: ws.PONG, payload: Buffer.from('p') })
  assert.deepEqual(await next(client), { opcode: ws.TEXT, payload: Buffer.from('one two') })
})

test('websocket: a message right behind the handshake is not lost', async t => {
  const server = await usual()
  const client = await raw(t, server.port)
  const handshake =
    'GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
    `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`
  await client.send(Buffer.concat([Buffer.from(handshake), frame(ws.TEXT, 'early')]))
  await client.until('\r\n\r\n')
  assert.equal((await next(client)).payload.toString(), 'early')
})

test('websocket: the application chooses one of the subprotocols offered', async t => {
  const server = await usual()
  const { head } = await open(t, server, '/echo', 'Sec-WebSocket-Protocol: chat, superchat\r\n')
  assert.match(head, /sec-websocket-protocol: superchat\r\n/i)
})

test('websocket: many big messages go both ways', async t => {
  const server = await usual()
  const { client } = await open(t, server, '/big')
  assert.equal((await next(client)).payload.length, 3_000_000)
  const message = Buffer.alloc(400_000, 'm')
  const sending = (async () => {
    for (let i = 0; i < 10; i++) await client.send(frame(ws.BINARY, message))
  })()
  for (let i = 0; i < 10; i++) assert.ok((await next(client)).payload.equals(message))
  await sending
})

test('websocket: the client’s close is answered, the application told, and TCP closed', async t => {
  const server = await serveEcho(t)
  const { client } = await open(t, server)
  await client.send(frame(ws.CLOSE, closePayload(1001, 'bye')))
  assert.deepEqual(await next(client), { opcode: ws.CLOSE, payload: closePayload(1001) })
  await client.closed()
  await eventually(async () => (await seen(server)) === '1001:bye')
})

test('websocket: a close without code is 1005 to the application, a lost client 1006', async t => {
  const server = await serveEcho(t)
  const { client } = await open(t, server)
  await client.send(frame(ws.CLOSE, ''))
  assert.deepEqual(await next(client), { opcode: ws.CLOSE, payload: Buffer.alloc(0) })
  await eventually(async () => (await seen(server)) === '1005:')
  const lost = await open(t, server)
  lost.client.destroy()
  await eventually(async () => (await seen(server)) === '1005: 1006:')
})

test('websocket: a client that only listens any more, without a close, has the answers to what it said', async t => {
  const server = await serveEcho(t)
  const { client } = await open(t, server)
  const messages = ['one', 'two', 'three']
  await client.send(Buffer.concat(messages.map(message => frame(ws.TEXT, message))))
  client.end()
  for (const message of messages) assert.equal((await next(client)).payload.toString(), message)
  await client.closed()
  assert.equal(client.received.length, 0)
  await eventually(async () => (await seen(server)) === '1006:')
  // Behind a close frame as well.
  const closed = await open(t, server)
  await closed.client.send(Buffer.concat([frame(ws.TEXT, 'four'), frame(ws.CLOSE, closePayload(1000))]))
  closed.client.end()
  assert.equal((await next(closed.client)).payload.toString(), 'four')
  assert.deepEqual(await next(closed.client), { opcode: ws.CLOSE, payload: closePayload(1000) })
  await closed.client.closed()
})

test('websocket: the application closes with its code and reason; what it sends then is an OSError', async t => {
  const server = await serveEcho(t)
  const { client } = await open(t, server)
  await client.send(frame(ws.TEXT, 'close'))
  assert.deepEqual(await next(client), { opcode: ws.CLOSE, payload: closePayload(4001, 'as you wish') })
  await client.send(frame(ws.CLOSE, closePayload(4001)))
  await client.closed()
  await eventually(async () => (await seen(server)) === 'closed')
})

test('websocket: an application that returns closes with 1000, one that raises with 1011', async t => {
  const server = await usual()
  assert.deepEqual((await next((await open(t, server, '/returns')).client)).payload, closePayload(1000))
  assert.deepEqual((await next((await open(t, server, '/raises')).client)).payload, closePayload(1011))
  await eventually(() => /RuntimeError: in the middle/.test(server.errorLog()))
})

test('websocket: refused is a 403, denied the application’s own response, raised a 500', async t => {
  const server = await usual()
  assert.equal((await (await ask(t, server, '/refused')).response()).status, 403)
  const denied = await (await ask(t, server, '/denied')).response()
  assert.equal(denied.status, 401)
  assert.equal(denied.header('x-why'), 'no token')
  assert.equal(denied.text, 'who are you')
  assert.equal((await (await ask(t, server, '/raise')).response()).status, 500)
})

test('websocket: what breaks the protocol is closed with the code that says so', async t => {
  const server = await serveEcho(t)
  const unmasked = Buffer.concat([ws.frameHeader(ws.TEXT, 2), Buffer.from('hi')])
  for (const [bytes, code] of [
    [unmasked, 1002],
    [frame(ws.TEXT, Buffer.from([0xc3, 0x28])), 1007],
    [Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0xff, 0, 0, 0, 1, 2, 3, 4]), 1009],
  ] as const) {
    const { client } = await open(t, server)
    await client.send(bytes)
    assert.deepEqual(await next(client), { opcode: ws.CLOSE, payload: closePayload(code) })
    await client.closed()
  }
  await eventually(async () => (await seen(server)) === '1002: 1007: 1009:')
})

test('websocket: a handshake that lacks something is refused by the front', async t => {
  const server = await usual()
  const client = await raw(t, server.port)
  await client.send(
    'GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n',
  )
  assert.equal((await client.response()).status, 400)
  const old = await raw(t, server.port)
  await old.send(
    'GET /echo HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
      `Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`,
  )
  const response = await old.response()
  assert.equal(response.status, 426)
  assert.equal(response.header('sec-websocket-version'), '13')
})

test('websocket: when its worker dies the client is told that it may come again (1012)', async t => {
  const server = await serveEcho(t)
  const { client } = await open(t, server)
  process.kill(Number((await get(server.port, '/pid')).text), 'SIGKILL')
  assert.deepEqual(await next(client), { opcode: ws.CLOSE, payload: closePayload(1012) })
})

test('websocket: one that is accepted while its worker leaves is closed at once (1012)', async t => {
  const server = await serveEcho(t)
  const pid = (await get(server.port, '/pid')).text
  const client = await ask(t, server, '/late')
  await busy(server, 1)
  process.kill(Number(pid), 'SIGTERM')
  writeFileSync(join(server.dir, 'shutdown-accept'), '')
  assert.match(await client.until('\r\n\r\n'), /^HTTP\/1\.1 101 /)
  assert.deepEqual(await next(client), { opcode: ws.CLOSE, payload: closePayload(1012) })
})

test('websocket: an open one outlasts the timeout of requests', async t => {
  const server = await serveEcho(t, 'timeout 1s;')
  const { client } = await open(t, server)
  await new Promise(resolve => setTimeout(resolve, 1500))
  await client.send(frame(ws.TEXT, 'still here'))
  assert.equal((await next(client)).payload.toString(), 'still here')
})

test('websocket: what a client sends waits for the application within bounds, empty messages too', async t => {
  const server = await serveEcho(t)
  const { client } = await open(t, server, '/deaf')
  const all = 100_000
  const empty = frame(ws.TEXT, '')
  const sent = client.send(Buffer.concat([...Array.from({ length: all }, () => empty), frame(ws.TEXT, 'end')]))
  await eventually(async () => Number((await get(server.port, '/queued')).text) > 10_000)
  await get(server.port, '/listen')
  await sent
  const [number, most] = (await next(client)).payload.toString().split(' ').map(Number)
  assert.equal(number, all)
  // A window holds 16384 of them, a read of the front's some 11000.
  assert.ok(most! < 50_000, `${most} waited`)
})

test('websocket: a refusal or close that was none can be followed by a right one', async t => {
  const server = await usual()
  const denied = await (await ask(t, server, '/denied-again')).response()
  assert.deepEqual([denied.status, denied.text], [402, 'second'])
  const { client } = await open(t, server, '/close-nowhere')
  assert.deepEqual(await next(client), { opcode: ws.CLOSE, payload: closePayload(3000) })
})

test('websocket: a server that stops tells its clients that they may come again (1012), and does not wait for them', async t => {
  const server = await serveEcho(t)
  const { client } = await open(t, server)
  await client.send(frame(ws.TEXT, 'x'))
  await next(client)
  const stopped = server.stop()
  assert.deepEqual(await next(client), { opcode: ws.CLOSE, payload: closePayload(1012) })
  await client.send(frame(ws.CLOSE, closePayload(1012)))
  await client.closed()
  client.destroy()
  await stopped
})

test('websocket: one that lasts beyond a reload is closed with 1012 at worker_shutdown_timeout', async t => {
  const server = await serveThings(t, {
    module: 'asgi_things:application',
    app: 'kind asgi; workers 1;',
    main: 'worker_shutdown_timeout 6s;',
  })
  const { client } = await open(t, server)
  await server.reload()
  await client.send(frame(ws.TEXT, 'still here'))
  assert.deepEqual(await next(client), { opcode: ws.TEXT, payload: Buffer.from('still here') })
  assert.deepEqual(await next(client), { opcode: ws.CLOSE, payload: closePayload(1012) })
  await client.closed()
})
