// Connections of which one side has said all it has to say, and hears on (proxy_half_close): what the other side says still
// arrives, all of it. Without the directive the first end that has been passed on is the end of both.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import net from 'node:net'
import test from 'node:test'
import { atEnd, eventually, fileScope, raw, serve } from '../helpers/index.ts'

const scope = fileScope()
const LARGE = 3_000_000

/** What the upstream's side of each connection has come to, the oldest first. */
const sessions: { readonly socket: net.Socket; received: number; ended: boolean; closed: boolean }[] = []
const upstream = net.createServer({ allowHalfOpen: true }, socket => {
  const session = { socket, received: 0, ended: false, closed: false }
  sessions.push(session)
  socket.on('error', () => {})
  socket.on('data', chunk => void (session.received += chunk.length))
  socket.on('end', () => void (session.ended = true))
  socket.on('close', () => void (session.closed = true))
})
upstream.listen(0, '127.0.0.1')
await once(upstream, 'listening')
atEnd(scope, () => void upstream.close())
const back = (upstream.address() as net.AddressInfo).port

const server = await serve(
  scope,
  `error_log error.log info;
  stream {
    server { listen 127.0.0.1:%%PORT_0%%; proxy_pass 127.0.0.1:${back}; proxy_half_close on; }
    server { listen 127.0.0.1:%%PORT_1%%; proxy_pass 127.0.0.1:${back}; proxy_half_close on; proxy_upload_rate 2m;
             proxy_download_rate 2m; }
    server { listen 127.0.0.1:%%PORT_2%%; proxy_pass 127.0.0.1:${back}; }
  }`,
)
const [open, limited, plain] = server.ports as [number, number, number]

async function session(t: Parameters<typeof raw>[0], port: number) {
  const before = sessions.length
  const client = await raw(t, port)
  await eventually(() => sessions.length > before)
  return { client, peer: sessions[before]! }
}

for (const [name, port, size] of [
  ['', open, LARGE],
  [', at a limited rate', limited, 300_000],
] as const) {
  test(`an upstream that has ended hears the rest from its client${name}`, async t => {
    const { client, peer } = await session(t, port)
    peer.socket.end(Buffer.alloc(size))
    assert.equal((await client.closed()).length, size)
    assert.equal(peer.ended, false)
    for (let i = 0; i < 3; i++) await client.send(Buffer.alloc(size / 3))
    client.end()
    await eventually(() => peer.ended)
    assert.equal(peer.received, size)
  })

  test(`a client that has ended hears the rest from its upstream${name}`, async t => {
    const { client, peer } = await session(t, port)
    await client.send(Buffer.alloc(size))
    client.end()
    await eventually(() => peer.ended)
    assert.equal(peer.received, size)
    assert.equal(client.ended, false)
    for (let i = 0; i < 3; i++) peer.socket.write(Buffer.alloc(size / 3))
    peer.socket.end()
    assert.equal((await client.closed()).length, size)
  })
}

test('without proxy_half_close both ends close when what one of them said has arrived', async t => {
  const first = await session(t, plain)
  first.peer.socket.end(Buffer.alloc(LARGE))
  assert.equal((await first.client.closed()).length, LARGE)
  await eventually(() => first.peer.ended)
  const second = await session(t, plain)
  await second.client.send(Buffer.alloc(LARGE))
  second.client.end()
  await eventually(() => second.peer.ended)
  assert.equal(second.peer.received, LARGE)
  assert.equal(await second.client.closed(), '')
})

test('sessions whose ends have all been heard are over, with the bytes of both sides in the log', async () => {
  for (const { socket } of sessions) socket.destroy()
  await eventually(() => sessions.every(({ closed }) => closed))
  await eventually(() => server.file('error.log').match(/ disconnected, bytes from\/to client:/g)?.length === 6)
  assert.match(server.file('error.log'), new RegExp(`bytes from/to client:${LARGE}/${LARGE}, bytes from/to upstream:`))
  assert.ok(!/\[(?:error|crit|alert)\]/.test(server.file('error.log')))
})
