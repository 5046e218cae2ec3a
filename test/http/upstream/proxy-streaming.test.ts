// Answers that take their time: server-sent events, long polling, WebSocket, and other connections that are given away.

import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import type net from 'node:net'
import test from 'node:test'
import { acceptKey, frameHeader, PING, PONG, TEXT } from '../../../src/codec/ws.ts'
import { eventually, get, origin, raw, reply } from '../../helpers/index.ts'
import { serveHttp } from '../../helpers/http.ts'
import { get as getFields, headers, http2 } from '../../helpers/http2.ts'

const EVENTS = 'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n'

for (const [how, directives, field] of [
  ['proxy_buffering off', 'proxy_buffering off;', ''],
  ['X-Accel-Buffering: no', '', 'X-Accel-Buffering: no\r\n'],
  ['buffered, for a client that keeps up', '', ''],
] as const) {
  test(`server-sent events arrive one by one, ${how}; a client that leaves ends them`, async t => {
    let source: net.Socket | null = null
    const up = await origin(t, (_request, socket) => {
      source = socket
      socket.write(`${EVENTS}${field}\r\ndata: 0\n\n`)
    })
    const server = await serveHttp(t, `location / { proxy_pass http://${up.path}; ${directives} }`)
    const client = await raw(t, server.port)
    await client.send('GET / HTTP/1.1\r\nHost: h\r\nAccept: text/event-stream\r\n\r\n')
    const head = await client.until('data: 0\n\n')
    assert.match(head, /^HTTP\/1\.1 200 OK\r\n[^]*Transfer-Encoding: chunked\r\n/)
    for (let i = 1; i <= 20; i++) {
      source!.write(`data: ${i}\n\n`)
      await client.until(`data: ${i}\n\n`)
    }
    client.destroy()
    await eventually(() => up.open.size === 0)
  })
}

test('an event’s head alone reaches the client that waits for the first event', async t => {
  const up = await origin(t, (_request, socket) => void socket.write(`${EVENTS}\r\n`))
  const server = await serveHttp(t, `location / { proxy_pass http://${up.path}; proxy_buffering off; }`)
  const client = await raw(t, server.port)
  await client.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
  await client.until('\r\n\r\n')
})

test('a buffered head waits for its body, but not in HTTP/2, nor with postpone_output 0', async t => {
  const held: net.Socket[] = []
  const up = await origin(t, (_request, socket) => {
    socket.write(`${EVENTS}\r\n`)
    held.push(socket)
  })
  const server = await serveHttp(
    t,
    `http2 on; location / { proxy_pass http://${up.path}; } location /at-once { postpone_output 0; proxy_pass http://${up.path}; }`,
  )
  const client = await raw(t, server.port)
  await client.send('GET /at-once HTTP/1.1\r\nHost: h\r\n\r\n')
  await client.until('\r\n\r\n')
  const second = await http2(t, server.port)
  second.send(headers(1, getFields('/')))
  assert.equal((await second.frame('HEADERS')).fields[0]![1], '200')
  const first = await raw(t, server.port)
  await first.send('GET / HTTP/1.1\r\nHost: h\r\n\r\n')
  await eventually(() => held.length === 3)
  // Whoever asks later has its answer by the same thread, and so the first one would have had its head.
  const late = await raw(t, server.port)
  await late.send('GET /at-once HTTP/1.1\r\nHost: h\r\n\r\n')
  await late.until('\r\n\r\n')
  assert.equal(first.received.length, 0)
})

for (const [how, directives] of [
  ['buffered', ''],
  ['unbuffered', 'proxy_buffering off;'],
] as const) {
  test(`small chunks that come together leave together, ${how}`, async t => {
    const chunks = Array.from({ length: 200 }, (_, i) => `piece ${i};`)
    const text = chunks.map(chunk => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')
    const up = await origin(t, (_request, socket) => {
      socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${text}0\r\n\r\n`)
    })
    const server = await serveHttp(t, `location / { proxy_pass http://${up.path}; ${directives} }`)
    assert.equal((await get(server.port)).text, chunks.join(''))
    const client = await raw(t, server.port)
    await client.send('GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n')
    const answer = await client.closed()
    const sizes = answer.match(/^[0-9a-f]+\r$/gm)!.length
    assert.ok(sizes <= 5, `${sizes} chunks`)
  })
}

test('long polling: hundreds wait, others are served meanwhile, and each gets its own answer', async t => {
  const waiting: { target: string; socket: net.Socket }[] = []
  const up = await origin(t, (request, socket) => {
    if (request.target === '/quick') return reply('quick')
    waiting.push({ target: request.target, socket })
    return undefined
  })
  const server = await serveHttp(t, `location / { proxy_pass http://${up.path}; }`, '', { connectionsMax: 4000 })
  const polls = Array.from({ length: 300 }, (_, i) => get(server.port, `/poll${i}`))
  await eventually(() => waiting.length === polls.length)
  for (let i = 0; i < 20; i++) assert.equal((await get(server.port, '/quick')).text, 'quick')
  for (const { target, socket } of waiting.toReversed()) socket.write(reply(target))
  const answers = await Promise.all(polls)
  assert.deepEqual(
    answers.map(({ text }) => text),
    polls.map((_, i) => `/poll${i}`),
  )
})

/** A client's frames are masked (RFC 6455, 5.3). */
function masked(opcode: number, text: string): Buffer {
  const payload = Buffer.from(text)
  const mask = Buffer.from([1, 2, 3, 4])
  const head = Buffer.from([0x80 | opcode, 0x80 | payload.length])
  return Buffer.concat([head, mask, payload.map((byte, i) => byte ^ mask[i % 4]!)])
}

const plain = (opcode: number, text: string): Buffer =>
  Buffer.concat([frameHeader(opcode, text.length), Buffer.from(text)])

const UPGRADE = 'proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection upgrade;'
const KEY = 'dGhlIHNhbXBsZSBub25jZQ=='
const HANDSHAKE = `GET /chat HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${KEY}\r\n\r\n`
const SWITCHED = `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${acceptKey(KEY)}\r\n\r\n`

test('WebSocket: frames pass untouched both ways, those behind the handshake too; pings keep it from its timeout', async t => {
  let far: net.Socket | null = null
  let heard = Buffer.alloc(0)
  const up = await origin(t, (_request, socket) => {
    socket.removeAllListeners('data')
    socket.on('data', (bytes: Buffer) => (heard = Buffer.concat([heard, bytes])))
    far = socket
    return `${SWITCHED}${plain(TEXT, 'first').toString('latin1')}`
  })
  const server = await serveHttp(t, `location / { proxy_pass http://${up.path}; ${UPGRADE} proxy_read_timeout 2s; }`)
  const client = await raw(t, server.port)
  await client.send(HANDSHAKE)
  assert.match(
    await client.until('\r\n\r\n'),
    new RegExp(`101 [^]*Sec-WebSocket-Accept: ${RegExp.escape(acceptKey(KEY))}`),
  )
  await client.until(plain(TEXT, 'first').toString('latin1'))
  const hello = masked(TEXT, 'hello')
  await client.send(hello)
  await eventually(() => heard.equals(hello))
  for (let i = 0; i < 8; i++) {
    far!.write(plain(PING, `${i}`))
    await client.until(plain(PING, `${i}`).toString('latin1'))
    await client.send(masked(PONG, `${i}`))
    await new Promise(resolve => setTimeout(resolve, 350))
  }
  assert.equal(client.ended, false)
  await client.closed()
  await eventually(() => /upstream timed out .* while proxying upgraded connection/.test(server.errorLog()))
})

test('any protocol may be switched to; each side’s end is passed on while the other still speaks', async t => {
  let far: net.Socket | null = null
  let farEnded = false
  const up = await origin(t, (_request, socket) => {
    socket.removeAllListeners('data')
    socket.removeAllListeners('end')
    socket.on('data', () => {})
    socket.on('end', () => (farEnded = true))
    far = socket
    return 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: strange/1\r\nConnection: upgrade\r\n\r\n'
  })
  const server = await serveHttp(t, `location / { proxy_pass http://${up.path}; ${UPGRADE} }`)
  for (const first of ['client', 'upstream'] as const) {
    farEnded = false
    const client = await raw(t, server.port)
    await client.send('GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: strange/1\r\n\r\n')
    await client.until('\r\n\r\n')
    if (first === 'client') {
      client.end()
      await eventually(() => farEnded)
      far!.end('the last word')
      assert.equal(await client.closed(), 'the last word')
    } else {
      far!.end('bye')
      assert.equal(await client.closed(), 'bye')
      await client.send('and more')
      client.end()
      await eventually(() => farEnded)
    }
    await eventually(() => up.open.size === 0)
  }
})

test('a tunnel’s slow side holds the fast one, and every byte arrives', async t => {
  const flood = Buffer.alloc(20_000_000, 'flood')
  let sent = false
  const up = await origin(t, (_request, socket) => {
    socket.write(SWITCHED)
    socket.end(flood, () => (sent = true))
  })
  const server = await serveHttp(t, `location / { proxy_pass http://${up.path}; ${UPGRADE} }`)
  const client = await raw(t, server.port)
  client.pause()
  await client.send(HANDSHAKE)
  await eventually(() => up.requests.length === 1)
  await new Promise(resolve => setTimeout(resolve, 300))
  assert.equal(sent, false)
  // By hand: the helper's own buffer would be copied for every piece.
  const digest = createHash('md5')
  let length = 0
  client.socket.removeAllListeners('data')
  client.socket.on('data', (bytes: Buffer) => {
    const begin = length === 0 ? bytes.indexOf('\r\n\r\n') + 4 : 0
    digest.update(bytes.subarray(begin))
    length += bytes.length - begin
  })
  client.resume()
  await client.closed()
  assert.equal(length, flood.length)
  assert.equal(digest.digest('hex'), createHash('md5').update(flood).digest('hex'))
})
